//! Who runs again after a restart, when, and how often.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_journal::testkit::SimulatedJournals;
use mainspring_sharding::EntityType;
use mainspring_sharding::entities::LifeSettings;

use super::{Hotel, Stayed, Wish, guest};

#[test]
fn who_ran_runs_again_after_a_crash_and_who_asked_to_stop_does_not() {
    let journals = SimulatedJournals::seeded(1, 2);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 2, guest(16));
    (0..40).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_millis(50));
    (0..40).step_by(4).for_each(|id| hotel.tell(id, &Wish::Leave));
    hotel.run_for(Duration::from_millis(50));
    assert_eq!(hotel.stayed().len(), 40);
    hotel.crash(&journals);

    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 2, guest(16));
    hotel.run_for(Duration::from_millis(200));
    let expected: Vec<u64> = (0..40).filter(|id| id % 4 != 0).collect();
    assert_eq!(hotel.running(), expected);
    assert_eq!(hotel.sum(|figures| figures.recalled), 30);
    hotel.stay(3);
    hotel.run_for(Duration::from_millis(50));
    assert_eq!(hotel.stayed(), [Stayed { id: 3, nights: 2, n: 0 }], "and it is the same one");
}

#[test]
fn remembered_entities_are_started_again_at_a_limited_rate_and_by_a_message_at_once() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 1, guest(4));
    (0..200).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_millis(50));
    hotel.crash(&journals);

    let slowly = guest(4).remember(100);
    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 1, slowly.clone());
    hotel.run_for(Duration::from_millis(500));
    let running = hotel.running();
    assert!((40..70).contains(&running.len()), "{} in half a second", running.len());
    let late = (0..200).find(|id| !running.contains(id)).expect("one whose turn has not come");
    hotel.stay(late);
    hotel.run_for(Duration::from_millis(1));
    assert_eq!(hotel.stayed(), [Stayed { id: late, nights: 2, n: 0 }]);
    hotel.run_for(Duration::from_secs(3));
    assert_eq!(hotel.running(), (0..200).collect::<Vec<_>>());
    assert_eq!(hotel.sum(|figures| figures.started), 200, "nobody is started twice");
    assert_eq!(hotel.sum(|figures| figures.records_written), 0, "the log says so already");

    let mut again = Hotel::open(Simulation::seeded(3), &SimulatedJournals::seeded(9, 1), 1, slowly);
    again.run_for(Duration::from_millis(500));
    assert_eq!(again.running(), [0; 0], "another journal says nothing of them");
}

#[test]
fn away_from_its_log_an_entity_starts_when_the_log_has_its_record() {
    let journals = SimulatedJournals::seeded(1, 2);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 2, guest(16));
    let shard_of = |hotel: &Hotel, id: &u64| hotel.region.entities().shard_of(*id).expect("an id");
    let id = (0..).find(|id| shard_of(&hotel, id) == 4).expect("one of core 0");
    let moved = hotel.region.begin_move(4, 1);
    hotel.run_for(Duration::from_millis(20));
    assert_eq!(moved.waiting(), 1);
    hotel.region.sim.at(0).core(1).delay_ring_to(0, Duration::from_millis(40));
    hotel.stay(id);
    hotel.run_for(Duration::from_millis(30));
    assert_eq!((hotel.running(), hotel.stayed()), (vec![], vec![]), "nobody knows of it");
    hotel.run_for(Duration::from_millis(50));
    assert_eq!((hotel.running(), hotel.stayed().len()), (vec![id], 1));
    hotel.crash(&journals);
    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 2, guest(16));
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), [id]);
}

#[test]
fn the_same_restart_starts_the_same_entities_in_the_same_order() {
    let run = || {
        let journals = SimulatedJournals::seeded(1, 2);
        let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 2, guest(8));
        (0..60).for_each(|id| hotel.stay(id));
        hotel.run_for(Duration::from_millis(50));
        hotel.crash(&journals);
        let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 2, guest(8).remember(100));
        let mut seen = Vec::new();
        for _ in 0..20 {
            hotel.run_for(Duration::from_millis(17));
            seen.push(hotel.running());
        }
        seen
    };
    assert_eq!(run(), run());
}

#[test]
fn nobody_has_to_leave_for_one_that_is_remembered() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 1, guest(4));
    (0..50).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_millis(50));
    hotel.crash(&journals);

    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 1, guest(4).at_most(20));
    (100..110).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_secs(1));
    let figures = hotel.region.figures(0);
    assert_eq!((figures.active, figures.passivated_limit), (20, 0), "{figures:?}");
    let running = hotel.running();
    assert!((100..110).all(|id| running.contains(&id)), "{running:?}");
}

#[test]
fn who_has_to_leave_for_others_does_not_run_again() {
    let journals = SimulatedJournals::seeded(1, 1);
    let few = guest(4).at_most(10);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 1, few);
    for id in 0..40 {
        hotel.stay(id);
        hotel.run_for(Duration::from_millis(5));
    }
    let running = hotel.running();
    assert_eq!(running.len(), 10);
    hotel.crash(&journals);
    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 1, guest(4));
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), running);
}

#[test]
fn who_is_remembered_over_a_restart_does_not_leave_for_being_idle() {
    let idle = Duration::from_millis(100);
    let journals = SimulatedJournals::seeded(1, 1);
    let idle_ones: EntityType = guest(4).passivate_after(idle);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 1, idle_ones);
    (0..10).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_secs(2));
    assert_eq!(hotel.running().len(), 10);
}

#[test]
fn who_fails_is_started_again_without_a_message_and_after_too_many_failures_by_a_restart() {
    std::panic::set_hook(Box::new(|_| {}));
    let life = LifeSettings { tries: 2, ..LifeSettings::default() };
    let frail = || guest(4).failures(life);
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = Hotel::open(Simulation::seeded(1), &journals, 1, frail());
    hotel.stay(7);
    hotel.run_for(Duration::from_millis(20));
    hotel.tell(7, &Wish::Fail);
    hotel.run_for(Duration::from_millis(20));
    assert_eq!(hotel.running(), [0; 0], "the pause is not over");
    hotel.run_for(Duration::from_millis(100));
    assert_eq!(hotel.running(), [7]);
    hotel.tell(7, &Wish::Fail);
    hotel.run_for(Duration::from_secs(100));
    assert_eq!(hotel.running(), [0; 0], "it was given up");
    hotel.crash(&journals);
    let mut hotel = Hotel::open(Simulation::seeded(2), &journals, 1, frail());
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), [7]);
}
