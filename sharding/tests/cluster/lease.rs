//! A lease at a store decides which side goes on.

use mainspring::testkit::Simulation;
use mainspring_sharding::cluster::RESOLVER_LEASE;
use mainspring_sharding::downing::Strategy;
use mainspring_sharding::membership::StopReason;
use mainspring_sharding::ownership::shared_memory::{SharedMemory, StoreFaults};
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};

use crate::SECOND;

/// Five nodes in one view, and the store of their lease.
fn joined(seed: u64) -> (SimulatedCluster, SharedMemory) {
    let store = SharedMemory::seeded(seed);
    store.set_faults(StoreFaults::delays());
    let theirs = store.clone();
    let plan = SimulatedClusterPlan::of(Simulation::seeded(seed).nodes(5));
    let plan = plan.cluster(move |node, cluster| {
        cluster.resolver(Strategy::LeaseMajority { role: None }).lease(theirs.opener(node))
    });
    let mut sim = plan.begin();
    sim.assert_one_view_within(15 * SECOND);
    (sim, store)
}

/// Those of the nodes that have not stopped.
fn going_on(sim: &SimulatedCluster) -> Vec<usize> {
    (0..5).filter(|node| sim.stopped(*node).is_none()).collect()
}

#[test]
fn of_two_sides_that_reach_the_store_the_majority_goes_on() {
    for seed in 1..=5 {
        let (mut sim, store) = joined(seed);
        sim.partition([0, 1], [2, 3, 4]);
        sim.run_for(20 * SECOND);
        assert_eq!(going_on(&sim), [2, 3, 4]);
        assert!((0..2).all(|node| sim.stopped(node) == Some(StopReason::Downed)));
        sim.assert_one_view_within(SECOND);
        let leader = sim.handle(2).leader().expect("somebody leads").incarnation;
        assert_eq!(store.lease_holder(RESOLVER_LEASE), Some(leader));
        sim.run_for(60 * SECOND);
        assert_eq!(store.lease_holder(RESOLVER_LEASE), None, "it was given back");
    }
}

#[test]
fn the_minority_goes_on_when_it_alone_reaches_the_store() {
    for seed in 1..=5 {
        let (mut sim, store) = joined(seed);
        (2..5).for_each(|node| store.cut_off(node));
        sim.partition([0, 1], [2, 3, 4]);
        sim.run_for(40 * SECOND);
        assert_eq!(going_on(&sim), [0, 1]);
        sim.assert_one_view_within(SECOND);
    }
}

#[test]
fn the_minority_goes_on_when_the_majority_has_crashed() {
    let (mut sim, _store) = joined(6);
    (2..5).for_each(|node| sim.crash(node));
    sim.run_for(40 * SECOND);
    assert!((0..2).all(|node| sim.stopped(node).is_none()));
    assert_eq!(sim.handle(0).members().len(), 2);
}

#[test]
fn nobody_goes_on_when_nobody_reaches_the_store() {
    for seed in 1..=3 {
        let (mut sim, store) = joined(seed);
        (0..5).for_each(|node| store.cut_off(node));
        sim.partition([0, 1], [2, 3, 4]);
        sim.run_for(40 * SECOND);
        assert!(going_on(&sim).is_empty(), "{:?}", going_on(&sim));
    }
}

#[test]
fn a_store_that_is_not_reached_costs_nobody_anything_as_long_as_the_network_holds() {
    let (mut sim, store) = joined(7);
    (0..5).for_each(|node| store.cut_off(node));
    sim.run_for(60 * SECOND);
    assert!(sim.has_one_view() && sim.handle(0).members().len() == 5);
}

#[test]
fn two_sides_never_both_go_on_whatever_becomes_of_what_is_said_to_the_store() {
    let mut kept = 0;
    for seed in 1..=20 {
        let (mut sim, store) = joined(seed);
        store.set_faults(StoreFaults::storm());
        let others: Vec<usize> = (1 + seed as usize % 4..5).collect();
        let ones: Vec<usize> = (0..5).filter(|node| !others.contains(node)).collect();
        sim.partition(&ones, &others);
        sim.run_for(45 * SECOND);
        let going_on = going_on(&sim);
        assert!(
            going_on.is_empty() || going_on == ones || going_on == others,
            "seed {seed}: {going_on:?} of {ones:?} and {others:?}"
        );
        kept += usize::from(!going_on.is_empty());
    }
    assert!(kept >= 15, "a side goes on in only {kept} of 20");
}
