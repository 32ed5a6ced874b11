//! What a cluster has one of.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::Singleton;

use super::SECOND;
use super::office::{Letter, Office};

const ALL: &[usize] = &[0, 1, 2];

fn office(seed: u64) -> Office {
    let sim = Simulation::seeded(seed).nodes(3).cores(2);
    let mut office = Office::new(sim, ALL, &[1, 2], Singleton::new("clerk"));
    // Node 0 is the oldest, then 1, then 2.
    office.assert_runs_within(0, 10 * SECOND);
    for node in [1, 2] {
        office.sim.start(node);
        let is_up = |office: &Office| office.sim.handle(node).is_up();
        while !is_up(&office) {
            office.sim.run_for(Duration::from_millis(20));
        }
    }
    office.sim.run_for(2 * SECOND);
    office
}

#[test]
fn it_starts_without_a_message_stays_with_the_oldest_and_any_node_reaches_it() {
    let mut office = office(1);
    office.sim.run_for(30 * SECOND);
    assert_eq!((office.running(), office.starts().len()), (vec![0], 1));
    for (letters, node) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(office.stamp(node), (0, letters), "from node {node}");
    }
}

#[test]
fn only_a_member_with_the_role_has_it_and_letters_wait_for_one() {
    let sim = Simulation::seeded(2).nodes(3).cores(1);
    let mut office = Office::new(sim, &[2], &[2], Singleton::new("clerk"));
    office.sim.run_for(10 * SECOND);
    assert!(office.running().is_empty());
    for _ in 0..5 {
        office.send(1, &Letter::Stamp { reply_to: None });
    }
    office.sim.start(2);
    office.assert_runs_within(2, 20 * SECOND);
    office.sim.run_for(SECOND);
    assert_eq!(office.stamp(1), (2, 6));
}

#[test]
fn letters_beyond_the_limit_are_refused_and_counted_while_nobody_has_it() {
    let sim = Simulation::seeded(3).nodes(3).cores(1);
    let small = Singleton::new("clerk").buffer_bytes(16_384);
    let mut office = Office::new(sim, &[2], &[2], small);
    office.sim.run_for(10 * SECOND);
    for _ in 0..100 {
        office.send(1, &Letter::Parcel { bytes: vec![7; 1_000] });
    }
    office.sim.run_for(SECOND);
    let figures = office.figures(1);
    assert!((8..=16).contains(&figures.parked), "{figures:?}");
    assert_eq!(figures.parked + figures.refused_moving, 100, "{figures:?}");
}

#[test]
fn it_moves_when_its_member_leaves_and_no_letter_is_lost() {
    let mut office = office(4);
    let mut sent = 0;
    for round in 0..300 {
        if round == 50 {
            office.sim.handle(0).leave().expect("it is a member");
        }
        for node in [1, 2] {
            office.send(node, &Letter::Stamp { reply_to: None });
            sent += 1;
        }
        office.sim.run_for(Duration::from_millis(20));
    }
    office.assert_runs_within(1, 10 * SECOND);
    assert!(office.sim.stopped(0).is_some(), "it has left");
    assert_eq!((office.most(), office.starts().len()), (1, 2));
    assert_eq!(office.register.lock().expect("a test").letters, sent);
}

#[test]
fn it_starts_with_the_next_oldest_when_the_lease_of_a_crashed_member_has_ended() {
    let mut office = office(5);
    office.sim.crash(0);
    let crashed_ns = office.sim.now().as_nanos() as u64;
    office.assert_runs_within(1, 30 * SECOND);
    let (_, started_ns) = office.starts()[1];
    assert!(started_ns > crashed_ns + 3_000_000_000, "not before the lease of 5 s has ended");
    assert_eq!(office.stamp(2), (1, 1));
}

/// Named after Pekko's SingletonManagerLeaseSpec, where a lease decides too.
#[test]
fn singleton_manager_lease_a_member_without_the_store_stops_it_before_another_one_starts_it() {
    for seed in 6..12 {
        let mut office = office(seed);
        office.store.cut_off(0);
        office.sim.partition([0], [1, 2]);
        office.assert_runs_within(1, 60 * SECOND);
        office.sim.run_for(5 * SECOND);
        assert_eq!((office.most(), office.running()), (1, vec![1]), "seed {seed}");
        office.sim.heal();
        office.store.connect(0);
        office.sim.run_for(20 * SECOND);
        assert_eq!((office.most(), office.running()), (1, vec![1]), "seed {seed}, healed");
        assert!(office.sim.stopped(0).is_some(), "the member without a lease has been given up");
    }
}

#[test]
fn it_is_started_again_a_pause_after_it_stops_or_fails() {
    let mut office = office(12);
    for letter in [Letter::GoHome, Letter::Stumble] {
        let before = office.starts().len();
        office.send(2, &letter);
        office.sim.run_for(Duration::from_millis(50));
        assert!(office.running().is_empty(), "not at once");
        office.assert_runs_within(0, SECOND);
        assert_eq!(office.starts().len(), before + 1);
    }
    assert_eq!((office.stamp(1), office.most()), ((0, 1), 1));
}
