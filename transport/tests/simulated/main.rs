//! Nodes in one thread and in virtual time, with the links of production over a simulated network.

mod bounds;
mod dialling;
mod ingress;
mod large;
mod ledger;
mod storm;
mod talker;

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_transport::testkit::{SimulatedLinks, StreamFault};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn nodes_link_each_to_each() {
    for nodes in [2, 5] {
        for cores in [1, 2] {
            let mut sim = SimulatedLinks::of(Simulation::seeded(1).nodes(nodes).cores(cores));
            sim.assert_linked_within(SECOND);
        }
    }
}

#[test]
fn a_node_that_restarts_is_linked_in_its_new_life() {
    let mut sim = SimulatedLinks::of(Simulation::seeded(2).nodes(3).cores(2));
    sim.assert_linked_within(SECOND);
    let before = sim.incarnation(0);
    sim.restart(0);
    assert_ne!(sim.incarnation(0), before);
    sim.assert_linked_within(5 * SECOND);
}

#[test]
fn nodes_that_are_partitioned_lose_each_other_and_find_each_other_again() {
    let mut sim = SimulatedLinks::of(Simulation::seeded(3).nodes(5).cores(2));
    sim.assert_linked_within(SECOND);
    sim.partition([0, 1], [2, 3, 4]);
    sim.run_for(30 * SECOND);
    assert!(sim.is_linked(0, 1) && sim.is_linked(3, 4));
    assert!(!sim.is_linked(1, 2) && !sim.is_linked(4, 0));
    sim.heal();
    sim.assert_linked_within(20 * SECOND);
}

#[test]
fn a_connection_that_is_half_open_and_carries_nothing_is_found_out() {
    for seed in 1..=20 {
        let mut sim = SimulatedLinks::of(Simulation::seeded(seed).nodes(2).cores(2));
        sim.assert_linked_within(SECOND);
        // One side hears of it, or neither does.
        let heard_after = match seed % 3 {
            0 => [Some(SECOND), None],
            1 => [None, Some(SECOND)],
            _ => [None, None],
        };
        let streams = sim.network().between(0, 1);
        let stream = streams[seed as usize % streams.len()];
        sim.network().afflict(stream, StreamFault::Break { heard_after });
        sim.run_for(20 * SECOND);
        sim.assert_linked_within(Duration::ZERO);
        let left = sim.network().between(0, 1);
        assert!(!left.contains(&stream) && left.len() == 3, "{:?}", sim.network());
    }
}
