//! What actors are told.

use mainspring::testkit::Probe;
use mainspring_sharding::cluster::{ClusterEvent, ClusterRequest, EXIT_CODE_DOWNED, exit_code};
use mainspring_sharding::membership::{Status, StopReason};
use mainspring_sharding::testkit::SimulatedCluster;

use crate::SECOND;

fn subscribe(sim: &mut SimulatedCluster, node: usize) -> Probe<ClusterEvent> {
    let subscriber = sim.at(node).probe::<ClusterEvent>();
    let actor = sim.handle(node).actor().expect("the node has begun");
    let request = ClusterRequest::Subscribe { subscriber: subscriber.actor(), holds_exit: false };
    sim.tell(actor, &request);
    subscriber
}

fn taken(probe: &Probe<ClusterEvent>) -> Vec<ClusterEvent> {
    (0..probe.waiting()).map(|_| probe.next()).collect()
}

#[test]
fn who_subscribes_late_is_told_what_is_there_and_then_what_happens() {
    let mut sim = SimulatedCluster::seeded(1, 3);
    sim.assert_one_view_within(10 * SECOND);
    let subscriber = subscribe(&mut sim, 1);
    sim.run_for(SECOND);
    let events = taken(&subscriber);
    let members = sim.handle(1).members();
    let mut expected: Vec<_> = members.iter().cloned().map(ClusterEvent::Member).collect();
    expected.push(ClusterEvent::Leader(sim.handle(1).leader()));
    assert_eq!(events, expected);
    // A crash: first it is not reached, then it is down, then it is gone.
    let crashed = members[2].incarnation;
    sim.crash(2);
    sim.assert_one_view_within(20 * SECOND);
    let events = taken(&subscriber);
    let is_of = |event: &&ClusterEvent| match event {
        ClusterEvent::Member(member)
        | ClusterEvent::Removed(member)
        | ClusterEvent::Reachable(member)
        | ClusterEvent::Unreachable(member) => member.incarnation == crashed,
        ClusterEvent::Leader(_) | ClusterEvent::Stopping { .. } => false,
    };
    let of_it: Vec<_> = events.iter().filter(is_of).collect();
    let [ClusterEvent::Unreachable(_), ClusterEvent::Member(down), rest @ ..] = &of_it[..] else {
        panic!("{of_it:?}");
    };
    assert_eq!(down.status, Status::Down);
    assert!(rest.iter().any(|event| matches!(event, ClusterEvent::Removed(_))), "{of_it:?}");
}

#[test]
fn a_node_that_is_given_up_tells_its_subscribers_last_that_it_stops() {
    let mut sim = SimulatedCluster::seeded(2, 3);
    sim.assert_one_view_within(10 * SECOND);
    let subscriber = subscribe(&mut sim, 2);
    sim.partition([2], [0, 1]);
    sim.assert_stops_within(2, 20 * SECOND, StopReason::Downed);
    sim.run_for(5 * SECOND);
    let events = taken(&subscriber);
    let stopping = ClusterEvent::Stopping { reason: StopReason::Downed };
    assert_eq!(events.iter().filter(|event| **event == stopping).count(), 1);
    assert_eq!(events.last(), Some(&stopping));
    // Who subscribes now is told as well.
    let late = subscribe(&mut sim, 2);
    sim.run_for(SECOND);
    assert_eq!(taken(&late), [stopping]);
    assert_eq!(exit_code(StopReason::Downed), EXIT_CODE_DOWNED);
}
