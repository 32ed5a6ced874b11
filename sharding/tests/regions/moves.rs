//! Shards move between cores while messages for them go on arriving.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::EntityType;
use mainspring_sharding::node::MoveOutcome;
use mainspring_sharding::rebalance::{Balance, RebalanceSettings, TrafficSettings};

use crate::cast::{Edit, Entry, Hurried, Library};

fn shelf() -> EntityType {
    EntityType::new("diary").shards(4)
}

#[test]
fn a_shard_moves_and_its_entities_start_again_where_it_is() {
    let mut library = Library::new(Simulation::seeded(1), 2, shelf());
    let shard = library.diaries.shard_of(7u64).expect("an id");
    let (home, other) = ((shard % 2) as u16, ((shard + 1) % 2) as u16);
    library.tell(7, &Entry::Note { n: 0 });
    library.settle();
    assert!(matches!(library.move_shard(shard, other), MoveOutcome::Moved { .. }));
    library.tell(7, &Entry::Note { n: 1 });
    library.settle();
    let noted = library.noted();
    assert_eq!(noted.iter().map(|noted| noted.core).collect::<Vec<_>>(), [home, other]);
    assert_eq!((library.lives(), library.figures(home).entities), (2, 0));
    assert_eq!(library.figures(other).shards, 3);
}

#[test]
fn nothing_is_lost_or_out_of_order_while_shards_move_under_load() {
    Simulation::for_seeds(1..=60, |sim| {
        let mut library = Library::new(sim, 3, shelf());
        let writers: Vec<_> = (0..3).map(|core| library.writer(core)).collect();
        let (rounds, each) = (30, 4);
        let mut moves = Vec::new();
        for round in 0..rounds {
            for (writer, number) in writers.iter().zip(0..) {
                for diary in 0..6 {
                    library.write(*writer, number * 100 + diary, round * each, each);
                }
            }
            if round % 3 == 0 {
                let (shard, to) = ((round / 3) as u32 % 4, ((round / 3) % 3) as u16);
                moves.push(library.begin_move(shard, to));
            }
            let pause = library.sim.seed() * 7 % 40;
            library.sim.run_for(Duration::from_micros(pause));
        }
        library.sim.run_for(Duration::from_secs(8));
        let notes = library.notes();
        for id in (0..3).flat_map(|number| (0..6).map(move |diary| number * 100 + diary)) {
            let of_one: Vec<u64> =
                notes.iter().filter(|(other, _)| *other == id).map(|(_, n)| *n).collect();
            assert_eq!(of_one, (0..rounds * each).collect::<Vec<_>>(), "diary {id}");
        }
        let moved = moves.iter().filter(|ended| ended.waiting() > 0).count();
        assert_eq!(moved, moves.len(), "every move has ended");
        let given_away: u64 = (0..3).map(|core| library.figures(core).given_away).sum();
        assert!(given_away > 0, "no shard has moved");
    });
}

#[test]
fn a_core_is_drained_of_its_shards() {
    let mut library = Library::new(Simulation::seeded(3), 3, EntityType::new("diary").shards(30));
    for id in 0..100 {
        library.tell(id, &Entry::Note { n: 0 });
    }
    library.settle();
    assert_eq!(library.drain_core(1), 10);
    library.sim.run_for(Duration::from_secs(5));
    assert_eq!(library.figures(1).shards, 0);
    assert_eq!(library.figures(1).entities, 0);
    let shards: u32 = [0, 2].map(|core| library.figures(core).shards).iter().sum();
    assert_eq!(shards, 30);
    for id in 0..100 {
        library.tell(id, &Entry::Note { n: 1 });
    }
    library.settle();
    assert_eq!(library.notes().len(), 200);
}

#[test]
fn a_move_to_where_there_is_no_core_is_refused() {
    let mut library = Library::new(Simulation::seeded(3), 2, shelf());
    assert_eq!(library.move_shard(0, 2), MoveOutcome::NoSuchPlace);
    assert_eq!(library.move_shard(4, 0), MoveOutcome::NoSuchPlace);
}

#[test]
fn a_shard_goes_where_its_messages_come_from() {
    let shelf = shelf().rebalance(RebalanceSettings {
        balance: Balance::Off,
        traffic: Some(TrafficSettings { share_percent: 67, least_messages: 50, steady_rounds: 2 }),
        rounds_per_minute: 30,
        ..RebalanceSettings::default()
    });
    let mut library = Library::new(Simulation::seeded(3), 2, shelf);
    let id = (0u64..).find(|id| library.diaries.shard_of(*id) == Ok(0)).expect("some id");
    let (near, far) = (library.writer(0), library.writer(1));
    for round in 0..12 {
        library.write(far, id, round * 100, 100);
        library.write(near, id + 1_000_000, round, 1);
        library.sim.run_for(Duration::from_secs(1));
    }
    let noted = library.noted();
    let cores: Vec<u16> =
        noted.iter().filter(|noted| noted.id == id).map(|noted| noted.core).collect();
    assert_eq!((cores.first(), cores.last()), (Some(&0), Some(&1)));
    assert_eq!(cores.len(), 1_200);
    assert_eq!(library.figures(0).given_away, 1);
}

#[test]
fn too_much_for_a_shard_that_moves_is_refused_to_the_sender() {
    let shelf = shelf().parked_limit_bytes(1_000);
    let mut library = Library::new(Simulation::seeded(3), 2, shelf);
    let id = library.id_on(0);
    let shard = library.diaries.shard_of(id).expect("an id");
    library.tell(id, &Entry::Note { n: 0 });
    library.settle();
    // The new owner does not get to say that it has started.
    library.sim.at(0).core(1).stall(Duration::from_secs(1));
    let moved = library.begin_move(shard, 1);
    library.sim.run_for(Duration::from_millis(5));
    let to = library.diaries.entity(id).expect("an id");
    let refused = library.sim.probe();
    let hurried = Hurried { to, told: refused.actor() };
    let hurried = library.sim.spawn(move || hurried.clone());
    // A thousand messages in bursts, so that the region has its turns between them.
    for burst in 0..10 {
        library.sim.tell(hurried, &Edit { rounds: burst * 100 });
        library.sim.run_for(Duration::from_millis(1));
    }
    library.sim.run_for(Duration::from_secs(3));
    assert_eq!(moved.waiting(), 1);
    let refusals: Vec<u64> = (0..refused.waiting()).map(|_| refused.next().entries).collect();
    let refused_at_once: u64 = refusals.iter().sum();
    let notes = library.notes().len() as u64;
    let figures = library.figures(0);
    assert!(refused_at_once > 800, "{refusals:?}");
    assert_eq!(notes + figures.refused_moving, 1_001, "every message is noted or refused");
    assert!(figures.refused_moving >= refused_at_once);
}

#[test]
fn a_wish_that_a_later_one_replaces_is_answered() {
    let shelf = shelf()
        .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() });
    let mut library = Library::new(Simulation::seeded(3), 3, shelf);
    // The coordinator finds all wishes at once, and the later two wait for the end of the first round.
    library.sim.at(0).core(0).stall(Duration::from_millis(1));
    let round = library.begin_move(1, 2);
    let elsewhere = library.begin_move(0, 1);
    let home = library.begin_move(0, 0);
    library.sim.run_for(Duration::from_secs(5));
    assert!(matches!(round.next().outcome, MoveOutcome::Moved { .. }));
    assert!(matches!(home.next().outcome, MoveOutcome::Moved { .. }));
    assert_eq!(elsewhere.next().outcome, MoveOutcome::UnderWay);
}

#[test]
fn a_wish_for_a_core_that_is_drained_meanwhile_is_answered() {
    let mut library = Library::new(Simulation::seeded(3), 3, shelf());
    library.sim.at(0).core(0).stall(Duration::from_millis(1));
    let round = library.begin_move(1, 2);
    let wish = library.begin_move(0, 1);
    assert_eq!(library.drain_core(1), 1);
    library.sim.run_for(Duration::from_secs(5));
    assert!(matches!(round.next().outcome, MoveOutcome::Moved { .. }));
    assert_eq!(wish.next().outcome, MoveOutcome::Drained);
}

#[test]
fn remembered_entities_start_where_their_shard_goes_at_a_limited_rate() {
    let shelf = EntityType::new("diary")
        .shards(1)
        .remember(1_000)
        .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() });
    let mut library = Library::new(Simulation::seeded(3), 2, shelf);
    for id in 0..1_200 {
        library.tell(id, &Entry::Note { n: 0 });
    }
    library.tell(7, &Entry::Rest);
    library.settle();
    assert_eq!(library.figures(0).entities, 1_199);
    let moved = library.begin_move(0, 1);
    library.settle();
    assert!(matches!(moved.next().outcome, MoveOutcome::Moved { .. }));
    let early = library.figures(1).entities;
    assert!(early > 0 && early < 400, "{early} are started within 40 ms");
    library.sim.run_for(Duration::from_secs(2));
    let figures = library.figures(1);
    assert_eq!((figures.entities, figures.not_remembered), (1_199, 0), "the one at rest rests");
    assert_eq!(library.figures(0).entities, 0);
    assert_eq!(library.lives(), 1_200 + 1_199);
}

#[test]
fn what_finds_no_room_on_its_way_to_another_core_goes_as_soon_as_there_is_some() {
    let mut library = Library::new(Simulation::seeded(3), 2, shelf());
    let id = library.id_on(0);
    let shard = library.diaries.shard_of(id).expect("an id");
    library.tell(id, &Entry::Note { n: 0 });
    library.settle();
    library.sim.at(0).core(0).fill_ring_to(1, true);
    let moved = library.begin_move(shard, 1);
    library.sim.run_for(Duration::from_millis(5));
    library.tell(id, &Entry::Note { n: 1 });
    library.sim.run_for(Duration::from_millis(5));
    assert_eq!(moved.waiting(), 0, "the new owner has heard nothing yet");
    library.sim.at(0).core(0).fill_ring_to(1, false);
    library.sim.run_for(Duration::from_millis(5));
    assert_eq!(
        moved.waiting(),
        1,
        "and does not wait for the hand-off's own retry after two seconds"
    );
    assert_eq!(library.notes(), [(id, 0), (id, 1)]);
}
