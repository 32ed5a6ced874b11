//! Getting in.

use mainspring::testkit::Simulation;
use mainspring_sharding::downing::{Strategy, WhenUnstable};
use mainspring_sharding::membership::Status;
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};

use crate::SECOND;

fn plan(seed: u64, nodes: usize) -> SimulatedClusterPlan {
    SimulatedClusterPlan::of(Simulation::seeded(seed).nodes(nodes))
}

#[test]
fn nodes_that_begin_at_once_come_to_one_view() {
    for seed in 1..=10 {
        for nodes in [1, 2, 3, 5] {
            let mut sim = SimulatedCluster::seeded(seed, nodes);
            sim.assert_one_view_within(10 * SECOND);
        }
    }
}

#[test]
fn twenty_nodes_come_to_one_view() {
    let mut sim = SimulatedCluster::seeded(7, 20);
    sim.assert_one_view_within(20 * SECOND);
}

#[test]
fn nobody_begins_a_cluster_before_the_first_seed_is_there() {
    for seed in 1..=5 {
        let mut sim = plan(seed, 5).begin_but([0]);
        sim.run_for(30 * SECOND);
        assert!((1..5).all(|node| sim.handle(node).members().is_empty()));
        sim.start(0);
        sim.assert_one_view_within(20 * SECOND);
    }
}

#[test]
fn one_that_comes_later_is_let_in() {
    let mut sim = plan(3, 5).begin_but([4]);
    sim.assert_one_view_within(10 * SECOND);
    sim.start(4);
    sim.assert_one_view_within(10 * SECOND);
    let numbers: Vec<_> = sim.handle(4).members().iter().map(|it| it.up_number).collect();
    assert_eq!(sim.member(4, 4).and_then(|this| this.up_number), Some(5), "{numbers:?}");
}

#[test]
fn a_node_with_another_value_is_refused_and_the_value_is_named() {
    let mut sim = plan(4, 4)
        .cluster(|node, cluster| {
            cluster.configuration("carts.shards", if node == 3 { "32" } else { "64" })
        })
        .begin();
    sim.run_for(15 * SECOND);
    let refusal = sim.handle(3).refusal().expect("it is refused");
    assert!(refusal.contains("`carts.shards` is Some(\"64\") in the cluster"), "{refusal}");
    assert!(sim.handle(3).members().is_empty());
    assert_eq!(sim.handle(0).members().len(), 3);
    assert_eq!(sim.handle(0).refusal(), None);
}

#[test]
fn a_node_with_another_resolver_is_refused_and_told_which_the_cluster_has() {
    let mut sim = plan(5, 4)
        .cluster(|node, cluster| match node {
            3 => cluster.resolver(Strategy::DownAll),
            _ => cluster,
        })
        .begin();
    sim.run_for(15 * SECOND);
    let refusal = sim.handle(3).refusal().expect("it is refused");
    assert!(refusal.contains("`cluster.resolver`") && refusal.contains("DownAll"), "{refusal}");
}

#[test]
fn a_seed_that_names_nobody_but_itself_begins_the_cluster_and_the_others_join() {
    let only_first = |_: usize, cluster: mainspring_sharding::Cluster| {
        cluster.membership(|settings| settings.seeds.truncate(1))
    };
    let mut sim = plan(6, 3).cluster(only_first).begin();
    sim.assert_one_view_within(10 * SECOND);
    assert_eq!(sim.member(2, 0).and_then(|first| first.up_number), Some(1));
}

#[test]
fn nodes_of_different_versions_of_the_program_are_one_cluster_and_show_theirs() {
    let mut sim =
        plan(7, 3).cluster(|node, cluster| cluster.app_version(format!("1.{node}.0"))).begin();
    sim.assert_one_view_within(10 * SECOND);
    let versions: Vec<String> =
        sim.handle(1).members().into_iter().map(|member| member.app_version).collect();
    assert_eq!(versions, ["1.0.0", "1.1.0", "1.2.0"]);
}

#[test]
fn of_two_nodes_with_one_address_the_second_is_not_let_in_and_harms_nobody() {
    for seed in 1..=5 {
        let mut sim = plan(seed, 4)
            .cluster(|node, cluster| match node {
                // Its own is 10.0.0.4.
                3 => cluster.address("10.0.0.2:7355").expect("it is an address"),
                _ => cluster,
            })
            .begin_but([3]);
        sim.assert_one_view_within(10 * SECOND);
        sim.start(3);
        sim.run_for(30 * SECOND);
        assert!(sim.handle(3).members().is_empty());
        for node in 0..3 {
            let members = sim.handle(node).members();
            assert!(members.len() == 3 && members.iter().all(|it| it.is_up()), "{members:?}");
        }
    }
}

/// Pekko's MemberWeaklyUp.
#[test]
fn while_somebody_cannot_be_reached_who_joins_is_weakly_up_and_in_full_when_all_are_back() {
    let mut sim = plan(6, 5)
        .cluster(|_, cluster| cluster.stable_after(60 * SECOND).when_unstable(WhenUnstable::Wait))
        .begin_but([4]);
    sim.assert_one_view_within(10 * SECOND);
    sim.partition([3], [0, 1, 2, 4]);
    sim.run_for(3 * SECOND);
    sim.start(4);
    sim.run_for(15 * SECOND);
    assert_eq!(sim.status(0, 4), Some(Status::WeaklyUp));
    assert_eq!(sim.status(4, 4), Some(Status::WeaklyUp));
    assert!(!sim.handle(4).is_up());
    sim.heal();
    sim.assert_one_view_within(20 * SECOND);
}
