//! Nodes that are told whom to dial while they run.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_transport::testkit::SimulatedLinks;

use crate::SECOND;

fn apart(seed: u64, nodes: usize) -> SimulatedLinks {
    let sim = Simulation::seeded(seed).nodes(nodes).cores(2);
    let mut sim = SimulatedLinks::apart(sim, |_, transport| transport);
    sim.run_for(SECOND);
    (0..nodes).for_each(|node| assert!(sim.links(node).nodes().is_empty()));
    sim
}

fn connect(sim: &SimulatedLinks, from: usize, to: usize) {
    let connected = sim.links(from).connect(SimulatedLinks::address_of(to));
    connected.expect("the node has begun, and has a key");
}

#[test]
fn nodes_that_dial_each_other_at_the_same_moment_are_linked_once_and_stay_so() {
    for seed in 1..=20 {
        let mut sim = apart(seed, 3);
        let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        pairs.iter().for_each(|(from, to)| connect(&sim, *from, *to));
        sim.assert_linked_within(SECOND);
        sim.run_for(SECOND);
        let settled: Vec<usize> = (0..3).map(|node| sim.events(node).len()).collect();
        sim.run_for(60 * SECOND);
        sim.assert_linked_within(Duration::ZERO);
        let later: Vec<usize> = (0..3).map(|node| sim.events(node).len()).collect();
        assert_eq!(settled, later, "links came and went");
    }
}

#[test]
fn who_dials_a_node_that_has_dialled_already_leaves_the_link_as_it_is() {
    for seed in 1..=10 {
        let mut sim = apart(seed, 2);
        connect(&sim, 0, 1);
        sim.assert_linked_within(SECOND);
        connect(&sim, 1, 0);
        sim.run_for(SECOND);
        let settled = sim.events(0).len() + sim.events(1).len();
        sim.run_for(60 * SECOND);
        sim.assert_linked_within(Duration::ZERO);
        assert_eq!(sim.events(0).len() + sim.events(1).len(), settled);
    }
}

#[test]
fn a_node_that_is_dialled_later_is_found_again_in_its_next_life() {
    let mut sim = apart(5, 2);
    connect(&sim, 0, 1);
    sim.assert_linked_within(SECOND);
    sim.restart(1);
    sim.assert_linked_within(10 * SECOND);
}

#[test]
fn a_link_that_is_given_up_ends_and_does_not_come_back() {
    let mut sim = apart(6, 3);
    connect(&sim, 0, 1);
    connect(&sim, 0, 2);
    sim.run_for(SECOND);
    assert!(sim.is_linked(0, 1) && sim.is_linked(0, 2));
    assert!(sim.links(0).disconnect(SimulatedLinks::address_of(1)));
    sim.run_for(60 * SECOND);
    assert!(!sim.is_linked(0, 1) && !sim.is_linked(1, 0) && sim.is_linked(0, 2));
}
