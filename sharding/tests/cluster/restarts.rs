//! Nodes that end and begin again.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};

use crate::SECOND;

fn joined(seed: u64, nodes: usize) -> SimulatedCluster {
    let mut sim = SimulatedCluster::seeded(seed, nodes);
    sim.assert_one_view_within(15 * SECOND);
    sim
}

/// Pekko's RestartFirstSeedNode.
#[test]
fn the_first_seed_that_restarts_joins_the_cluster_that_there_is() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.restart(0);
        sim.assert_one_view_within(30 * SECOND);
        let member = sim.member(3, 0).expect("it is a member");
        assert_eq!(member.up_number, Some(6), "it is the youngest: {member:?}");
    }
}

/// Pekko's QuickRestart.
#[test]
fn a_node_that_restarts_again_and_again_is_a_new_member_each_time() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 4);
        let mut before = sim.member(0, 3).expect("it is a member").incarnation;
        for _ in 0..4 {
            sim.restart(3);
            sim.assert_one_view_within(30 * SECOND);
            let now = sim.member(0, 3).expect("it is a member").incarnation;
            assert!(now > before);
            before = now;
        }
    }
}

#[test]
fn a_node_that_restarts_twice_within_a_second_is_let_in_in_its_last_life() {
    for seed in 1..=10 {
        let mut sim = joined(seed, 4);
        sim.restart(3);
        sim.run_for(SECOND / 3);
        sim.restart(3);
        sim.run_for(SECOND / 3);
        sim.restart(3);
        sim.assert_one_view_within(30 * SECOND);
    }
}

#[test]
fn a_node_whose_clock_has_gone_back_behind_its_earlier_life_is_refused_and_told_why() {
    let mut sim = joined(6, 4);
    sim.set_clock_back(3, 3_600 * SECOND);
    sim.restart(3);
    sim.run_for(30 * SECOND);
    let refusal = sim.handle(3).refusal().expect("it is refused");
    assert!(refusal.contains("set the clock"), "{refusal}");
    assert_eq!(sim.handle(0).members().len(), 3, "its earlier life was given up");
    sim.set_clock_back(3, Duration::ZERO);
    sim.restart(3);
    sim.assert_one_view_within(20 * SECOND);
}

#[test]
fn a_node_whose_clock_has_jumped_ahead_is_let_in_in_its_next_life() {
    let mut sim = SimulatedClusterPlan::of(Simulation::seeded(7).nodes(4)).begin_but([3]);
    sim.set_clock_back(3, 3_600 * SECOND);
    sim.start(3);
    sim.assert_one_view_within(20 * SECOND);
    let before = sim.member(0, 3).expect("it is a member").incarnation;
    sim.set_clock_back(3, Duration::ZERO);
    sim.restart(3);
    sim.assert_one_view_within(30 * SECOND);
    let now = sim.member(0, 3).expect("it is a member").incarnation;
    assert!((now >> 32) - (before >> 32) >= 3_600);
}

/// Pekko's NodeChurn.
#[test]
fn nodes_that_come_and_go_leave_one_view_behind() {
    for seed in 1..=3 {
        let mut sim = joined(seed, 6);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..5 {
            let one = random.usize(3..6);
            let other = random.usize(0..3);
            sim.handle(one).leave().expect("it is a member");
            sim.run_for(SECOND * random.u32(0..4));
            sim.restart(other);
            sim.run_for(SECOND * random.u32(0..8));
            sim.restart(one);
            sim.assert_one_view_within(60 * SECOND);
            assert_eq!(sim.handle(0).members().len(), 6);
        }
    }
}
