//! Members that leave in order.

use mainspring_sharding::cluster::{ClusterEvent, ClusterRequest};
use mainspring_sharding::membership::{Status, StopReason};
use mainspring_sharding::testkit::SimulatedCluster;

use crate::SECOND;

fn joined(seed: u64, nodes: usize) -> SimulatedCluster {
    let mut sim = SimulatedCluster::seeded(seed, nodes);
    sim.assert_one_view_within(15 * SECOND);
    sim
}

#[test]
fn a_member_that_leaves_is_gone_soon_when_nobody_holds_it_up() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 4);
        sim.handle(3).leave().expect("it is a member");
        sim.assert_stops_within(3, 5 * SECOND, StopReason::Left);
        sim.assert_one_view_within(5 * SECOND);
        assert_eq!(sim.handle(0).members().len(), 3);
    }
}

/// Pekko's LeavingExiting.
#[test]
fn a_member_exits_when_all_who_hold_it_up_are_ready() {
    let mut sim = joined(2, 4);
    let actor = sim.handle(3).actor().expect("the node has begun");
    let subscriber = sim.at(3).probe::<ClusterEvent>();
    let holds = ClusterRequest::Subscribe { subscriber: subscriber.actor(), holds_exit: true };
    sim.tell(actor, &holds);
    sim.handle(3).hold_exit();
    sim.run_for(SECOND);
    // Another node says so.
    let incarnation = sim.member(0, 3).expect("it is a member").incarnation;
    sim.handle(0).leave_member(incarnation).expect("it is a member");
    sim.run_for(20 * SECOND);
    assert_eq!(sim.status(0, 3), Some(Status::Exiting), "it is held up by both");
    sim.handle(3).ready_to_exit().expect("it is a member");
    sim.run_for(10 * SECOND);
    assert_eq!(sim.status(0, 3), Some(Status::Exiting), "it is held up by the subscriber");
    sim.tell(actor, &ClusterRequest::ReadyToExit { subscriber: subscriber.actor() });
    sim.assert_stops_within(3, 2 * SECOND, StopReason::Left);
    sim.assert_one_view_within(5 * SECOND);
}

#[test]
fn the_leader_leaves_and_the_next_by_address_leads() {
    let mut sim = joined(3, 4);
    let leader = sim.handle(2).leader().expect("somebody leads");
    assert_eq!(leader.incarnation, sim.member(2, 0).expect("it is a member").incarnation);
    sim.handle(0).leave().expect("it is a member");
    sim.assert_stops_within(0, 5 * SECOND, StopReason::Left);
    sim.assert_one_view_within(5 * SECOND);
    let next = sim.handle(2).leader().expect("somebody leads");
    assert_eq!(next.incarnation, sim.member(2, 1).expect("it is a member").incarnation);
}

#[test]
fn all_leave_at_once_and_all_get_out() {
    for seed in 1..=5 {
        let mut sim = joined(seed, 4);
        (0..4).for_each(|node| sim.handle(node).leave().expect("it is a member"));
        for node in 0..4 {
            sim.assert_stops_within(node, 30 * SECOND, StopReason::Left);
        }
    }
}
