//! Nodes that do not reach each other.

use mainspring_sharding::membership::{Status, StopReason};
use mainspring_sharding::testkit::SimulatedCluster;

use crate::SECOND;

fn joined(seed: u64, nodes: usize) -> SimulatedCluster {
    let mut sim = SimulatedCluster::seeded(seed, nodes);
    sim.assert_one_view_within(15 * SECOND);
    sim
}

#[test]
fn a_node_that_crashes_is_found_out_at_once_and_given_up_when_the_view_has_settled() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.crash(4);
        sim.run_for(2 * SECOND);
        let crashed = sim.member(0, 4).expect("it is not given up yet");
        assert!(!crashed.is_reachable && crashed.status == Status::Up, "{crashed:?}");
        sim.assert_one_view_within(15 * SECOND);
        assert_eq!(sim.handle(0).members().len(), 4);
    }
}

#[test]
fn the_minority_of_a_partition_goes_down_and_says_so_and_the_majority_goes_on() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.partition([0, 1], [2, 3, 4]);
        for node in [0, 1] {
            sim.assert_stops_within(node, 20 * SECOND, StopReason::Downed);
        }
        sim.assert_one_view_within(20 * SECOND);
        let members = sim.handle(2).members();
        assert_eq!(members.len(), 3, "{members:?}");
    }
}

/// Pekko's SurviveNetworkInstability.
#[test]
fn partitions_that_are_shorter_than_the_stable_time_cost_nobody_anything() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        let sides =
            [([0].as_slice(), [1, 2, 3, 4].as_slice()), (&[1, 2], &[0, 3, 4]), (&[3], &[4])];
        for (ones, others) in sides {
            sim.partition(ones, others);
            sim.run_for(4 * SECOND);
            assert!(sim.handle(3).members().iter().any(|member| !member.is_reachable));
            sim.heal();
            sim.assert_one_view_within(20 * SECOND);
            assert_eq!(sim.handle(0).members().len(), 5);
        }
    }
}

/// Pekko's SplitBrainQuarantine.
#[test]
fn a_side_that_went_down_does_not_come_back_when_the_network_does() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.partition([0, 1], [2, 3, 4]);
        sim.run_for(40 * SECOND);
        sim.heal();
        sim.run_for(30 * SECOND);
        for node in [0, 1] {
            assert_eq!(sim.stopped(node), Some(StopReason::Downed));
        }
        sim.assert_one_view_within(SECOND);
        assert_eq!(sim.handle(3).members().len(), 3);
    }
}

/// Pekko's DownAllIndirectlyConnected5Node.
#[test]
fn two_that_do_not_reach_each_other_but_all_others_do_both_go_down() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.partition([3], [4]);
        for node in [3, 4] {
            sim.assert_stops_within(node, 20 * SECOND, StopReason::Downed);
        }
        sim.assert_one_view_within(20 * SECOND);
        assert_eq!(sim.handle(0).members().len(), 3);
    }
}

/// Pekko's UnreachableNodeJoinsAgain.
#[test]
fn a_node_that_was_given_up_joins_again_in_its_next_life() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 4);
        let before = sim.member(0, 3).expect("it is a member").incarnation;
        sim.partition([3], [0, 1, 2]);
        sim.assert_stops_within(3, 20 * SECOND, StopReason::Downed);
        sim.assert_one_view_within(20 * SECOND);
        sim.heal();
        sim.restart(3);
        sim.assert_one_view_within(20 * SECOND);
        assert!(sim.member(0, 3).is_some_and(|member| member.incarnation > before));
    }
}

#[test]
fn a_node_that_stood_still_while_it_was_given_up_finds_out_and_stops() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.stall(2, 40 * SECOND);
        sim.run_for(30 * SECOND);
        assert_eq!(sim.status(0, 2), None);
        assert_eq!(sim.stopped(2), None, "it does nothing yet");
        sim.run_for(11 * SECOND);
        sim.assert_stops_within(2, 5 * SECOND, StopReason::Downed);
        sim.assert_one_view_within(SECOND);
        assert_eq!(sim.handle(0).members().len(), 4);
    }
}

#[test]
fn a_node_that_stands_still_for_a_few_seconds_costs_nobody_anything() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 5);
        sim.stall(2, 4 * SECOND);
        sim.run_for(2 * SECOND);
        assert!(sim.member(0, 2).is_some_and(|member| !member.is_reachable));
        sim.run_for(3 * SECOND);
        sim.assert_one_view_within(20 * SECOND);
        assert_eq!(sim.handle(0).members().len(), 5);
    }
}

#[test]
fn a_member_that_is_given_up_by_hand_stops() {
    let mut sim = joined(9, 3);
    let incarnation = sim.member(0, 2).expect("it is a member").incarnation;
    sim.handle(0).down(incarnation).expect("it is a member");
    sim.assert_stops_within(2, 2 * SECOND, StopReason::Downed);
    sim.assert_one_view_within(10 * SECOND);
    assert!(sim.handle(0).down(incarnation).is_err(), "there is no such member any more");
}
