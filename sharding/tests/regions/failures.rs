//! Entities that fail are started again by their next message, ever more rarely, and the others do not suffer.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::EntityType;
use mainspring_sharding::entities::LifeSettings;

use crate::cast::{Entry, Library, UNMAKEABLE};

fn shelf() -> EntityType {
    EntityType::new("diary").shards(1).failures(LifeSettings {
        first_backoff_ns: 100_000_000,
        longest_backoff_ns: 400_000_000,
        tries: 3,
        broken_ns: 60_000_000_000,
        most_troubled: 100,
    })
}

/// The panics of these tests are on purpose.
fn quietly() {
    std::panic::set_hook(Box::new(|_| {}));
}

#[test]
fn an_entity_that_cannot_be_made_is_tried_again_and_then_refused_while_others_go_on() {
    quietly();
    let mut library = Library::new(Simulation::seeded(1), 1, shelf());
    library.tell(UNMAKEABLE, &Entry::Note { n: 0 });
    library.tell(1, &Entry::Note { n: 0 });
    library.sim.run_for(Duration::from_secs(5));
    library.tell(UNMAKEABLE, &Entry::Note { n: 1 });
    library.tell(1, &Entry::Note { n: 1 });
    library.settle();
    assert_eq!(library.notes(), [(1, 0), (1, 1)]);
    let figures = library.figures(0);
    assert_eq!((figures.failed, figures.refused_broken), (3, 2), "{figures:?}");
    assert_eq!(figures.kept_bytes, 0);
    // After a minute it is forgotten, and its next message tries anew.
    library.sim.run_for(Duration::from_secs(61));
    library.tell(UNMAKEABLE, &Entry::Note { n: 2 });
    library.settle();
    assert_eq!(library.figures(0).failed, 4);
}

#[test]
fn an_entity_that_fails_begins_anew_after_a_pause_with_what_came_meanwhile() {
    quietly();
    let mut library = Library::new(Simulation::seeded(1), 1, shelf());
    library.tell(5, &Entry::Note { n: 0 });
    library.settle();
    library.tell(5, &Entry::Fail);
    library.settle();
    library.tell(5, &Entry::Note { n: 1 });
    library.settle();
    assert_eq!(library.notes(), [(5, 0)], "it waits for the end of the pause");
    library.sim.run_for(Duration::from_millis(200));
    assert_eq!(library.notes(), [(5, 1)]);
    assert_eq!(library.lives(), 2);
}

#[test]
fn messages_that_wait_for_an_entity_in_trouble_go_with_its_shard() {
    quietly();
    let mut library = Library::new(Simulation::seeded(1), 2, shelf());
    library.tell(5, &Entry::Fail);
    library.settle();
    for n in 0..3 {
        library.tell(5, &Entry::Note { n });
    }
    let moved = library.begin_move(0, 1);
    library.tell(5, &Entry::Note { n: 3 });
    library.settle();
    assert_eq!(moved.waiting(), 1);
    assert_eq!(library.notes(), [(5, 0), (5, 1), (5, 2), (5, 3)], "its new core does not wait");
}
