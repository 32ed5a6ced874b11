//! Messages find their entity, in order, from wherever they are sent.

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::{EntityType, Sharding};

use crate::cast::{Edit, Editor, Entry, Library};

fn shelf() -> EntityType {
    EntityType::new("diary").shards(8)
}

#[test]
fn an_entity_starts_at_its_first_message_and_is_one_and_the_same_afterwards() {
    let mut library = Library::new(Simulation::seeded(1), 2, shelf());
    for n in 0..3 {
        library.tell(7, &Entry::Note { n });
    }
    library.settle();
    assert_eq!(library.notes(), [(7, 0), (7, 1), (7, 2)]);
    assert_eq!(library.lives(), 1);
}

#[test]
fn an_entity_lives_on_the_core_that_owns_its_shard() {
    let mut library = Library::new(Simulation::seeded(1), 3, shelf());
    for id in 0..50 {
        library.tell(id, &Entry::Note { n: 0 });
    }
    library.settle();
    for noted in library.noted() {
        let shard = library.diaries.shard_of(noted.id).expect("a number is an id");
        assert_eq!(u32::from(noted.core), shard % 3, "{noted:?}");
    }
    assert_eq!(library.lives(), 50);
    let entities: u32 = (0..3).map(|core| library.figures(core).entities).sum();
    assert_eq!(entities, 50);
}

#[test]
fn messages_of_an_actor_to_an_entity_stay_in_order_on_every_core() {
    Simulation::for_seeds(1..=40, |sim| {
        let mut library = Library::new(sim, 3, shelf());
        let writers: Vec<_> = (0..3).map(|core| library.writer(core)).collect();
        // Every writer has a diary of its own on every core, and begins before it runs.
        for round in 0..4 {
            for (writer, number) in writers.iter().zip(0..) {
                for diary in 0..8 {
                    library.write(*writer, number * 100 + diary, round * 5, 5);
                }
            }
            library.sim.run_for(std::time::Duration::from_micros(round * 3));
        }
        library.settle();
        let notes = library.notes();
        assert_eq!(notes.len(), 3 * 8 * 20);
        for id in (0..3).flat_map(|number| (0..8).map(move |diary| number * 100 + diary)) {
            let of_one: Vec<u64> =
                notes.iter().filter(|(other, _)| *other == id).map(|(_, n)| *n).collect();
            assert_eq!(of_one, (0..20).collect::<Vec<_>>(), "diary {id}");
        }
    });
}

#[test]
fn a_message_of_another_type_finds_no_region() {
    #[message]
    struct Stranger {
        n: u64,
    }
    struct Asker;
    impl Actor for Asker {
        type Message = Stranger;
        fn receive(&mut self, ctx: &mut Context<Self>, _: &Archived<Stranger>) -> Next<Self> {
            use mainspring_sharding::{EntityTarget, EntityTellError};
            let elsewhere = Sharding::new();
            let make = |_: mainspring_sharding::EntityId<'_>| Asker;
            let unknown = elsewhere.entities(EntityType::new("unknown"), make).expect("declared");
            let entity = unknown.entity(1u64).expect("an id");
            let told = entity.tell(ctx, &Stranger { n: 1 });
            assert_eq!(told, Err(EntityTellError::UnknownType));
            Next::Stop
        }
    }
    let mut library = Library::new(Simulation::seeded(1), 1, shelf());
    let asker = library.sim.spawn(|| Asker);
    library.sim.tell(asker, &Stranger { n: 0 });
    library.settle();
    assert_eq!(library.sim.dead_letters(Reason::TurnFailed), 0);
}

#[test]
fn a_message_does_not_overtake_one_that_waits_for_the_region() {
    Simulation::for_seeds(1..=60, |sim| {
        let mut library = Library::new(sim, 2, shelf());
        // What another core asks the writer to write comes over many sweeps.
        let writer = library.writer(0);
        let id = library.id_on(0);
        let to = library.diaries.entity(id).expect("a number is an id");
        let editor = library.sim.at(0).core(1).spawn(move || Editor { writer, to: to.clone() });
        library.sim.tell(editor, &Edit { rounds: 12 });
        library.settle();
        let notes: Vec<u64> = library.notes().into_iter().map(|(_, n)| n).collect();
        assert_eq!(notes, (0..24).collect::<Vec<_>>());
    });
}
