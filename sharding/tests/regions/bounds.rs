//! Entities leave when they are idle, when there are too many, and when they ask to; no message is lost by it.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::EntityType;

use crate::cast::{Entry, Library};

#[test]
fn an_idle_entity_is_stopped_and_started_again_by_its_next_message() {
    let shelf = EntityType::new("diary").shards(4).passivate_after(Duration::from_secs(10));
    let mut library = Library::new(Simulation::seeded(1), 2, shelf);
    library.tell(7, &Entry::Note { n: 0 });
    library.sim.run_for(Duration::from_secs(9));
    assert_eq!(library.sim.actors(), 5, "two regions, a coordinator, the probe and the diary");
    library.sim.run_for(Duration::from_secs(3));
    assert_eq!(library.sim.actors(), 4);
    library.tell(7, &Entry::Note { n: 1 });
    library.settle();
    assert_eq!(library.notes(), [(7, 0), (7, 1)]);
    assert_eq!(library.lives(), 2);
}

#[test]
fn no_message_is_lost_that_meets_a_passivation() {
    Simulation::for_seeds(1..=40, |sim| {
        let shelf = EntityType::new("diary").shards(4);
        let mut library = Library::new(sim, 2, shelf);
        let writers = [library.writer(0), library.writer(1)];
        for round in 0..20 {
            for (writer, number) in writers.iter().zip(0..) {
                library.write(*writer, number, round * 3, 3);
            }
            library.tell(round % 2, &Entry::Rest);
            library.sim.run_for(Duration::from_micros(round % 5));
        }
        library.settle();
        let notes = library.notes();
        for id in 0..2 {
            let of_one: Vec<u64> =
                notes.iter().filter(|(other, _)| *other == id).map(|(_, n)| *n).collect();
            assert_eq!(of_one, (0..60).collect::<Vec<_>>(), "diary {id}");
        }
        assert!(library.lives() > 2, "no diary has rested");
    });
}

#[test]
fn a_stream_of_distinct_ids_keeps_the_core_at_its_limit() {
    let shelf = EntityType::new("diary").shards(16).at_most(100);
    let mut library = Library::new(Simulation::seeded(1), 1, shelf);
    for id in 0..5_000 {
        library.tell(id, &Entry::Note { n: 0 });
        if id % 50 == 0 {
            library.settle();
        }
    }
    library.settle();
    assert_eq!(library.notes().len(), 5_000);
    let figures = library.figures(0);
    assert_eq!((figures.active, figures.entities), (100, 100), "{figures:?}");
    assert_eq!(figures.passivated_limit, 4_900);
}

#[test]
fn an_entity_that_comes_while_others_leave_is_not_taken_for_one_of_them() {
    let shelf = EntityType::new("diary").shards(4).at_most(8);
    let mut library = Library::new(Simulation::seeded(1), 1, shelf);
    let writer = library.writer(0);
    let (rounds, diaries) = (20, 64);
    for round in 0..rounds {
        for id in 0..diaries {
            library.write(writer, id, round, 1);
        }
    }
    library.settle();
    let notes = library.notes();
    for id in 0..diaries {
        let of_one: Vec<u64> =
            notes.iter().filter(|(other, _)| *other == id).map(|(_, n)| *n).collect();
        assert_eq!(of_one, (0..rounds).collect::<Vec<_>>(), "diary {id}");
    }
    assert!(library.lives() > diaries, "{} lives", library.lives());
    assert_eq!(library.figures(0).kept_bytes, 0);
}
