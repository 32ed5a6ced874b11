//! What those who operate nodes see and ask: readiness, where shards are, moves.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::membership::{Status, StopReason};
use mainspring_sharding::node::{NotReady, ShardRequestError};
use mainspring_sharding::ownership::Place;
use mainspring_sharding::{Sharding, Singleton};

use super::SECOND;
use super::office::{Letter, Office};

const TYPE: &str = "single/clerk";

fn office(seed: u64) -> Office {
    let sim = Simulation::seeded(seed).nodes(3).cores(2);
    Office::new(sim, &[0, 1, 2], &[2], Singleton::new("clerk"))
}

fn missing(office: &Office, node: usize) -> Vec<NotReady> {
    office.sharding(node).readiness().missing
}

#[track_caller]
fn assert_ready_within(office: &mut Office, node: usize, time: Duration) {
    let end = office.sim.now() + time;
    while !office.sharding(node).readiness().is_ready() {
        assert!(office.sim.now() < end, "{}", office.sharding(node).readiness());
        office.sim.run_for(Duration::from_millis(20));
    }
}

#[test]
fn a_node_is_ready_when_it_is_up_with_its_lease_and_all_have_met() {
    assert_eq!(Sharding::new().readiness().missing, [NotReady::NotStarted]);
    let mut office = office(1);
    let at_first = [
        NotReady::NotUp { status: None },
        NotReady::NoLease,
        NotReady::NotBegun { entity_type: TYPE.to_owned() },
    ];
    assert_eq!(missing(&office, 0), at_first);
    assert_ready_within(&mut office, 0, 20 * SECOND);
    assert_ready_within(&mut office, 1, 20 * SECOND);
    assert_eq!(office.sharding(0).readiness().to_string(), "ready");
}

#[test]
fn a_node_that_leaves_is_not_ready_from_the_moment_at_which_it_begins_to() {
    let mut office = office(2);
    assert_ready_within(&mut office, 1, 20 * SECOND);
    office.sim.handle(1).leave().expect("it is a member");
    while office.sharding(1).readiness().is_ready() {
        office.sim.run_for(Duration::from_millis(10));
        assert_eq!(office.sim.stopped(1), None, "not ready long before it is gone");
    }
    assert_eq!(missing(&office, 1), [NotReady::NotUp { status: Some(Status::Leaving) }]);
    office.sim.run_for(20 * SECOND);
    let reason = StopReason::Left;
    assert!(missing(&office, 1).contains(&NotReady::Stopping { reason }));
}

#[test]
fn a_node_that_does_not_reach_the_store_is_not_ready_before_the_cluster_gives_it_up() {
    let mut office = office(3);
    assert_ready_within(&mut office, 1, 20 * SECOND);
    office.store.cut_off(1);
    office.sim.run_for(20 * SECOND);
    let missing = missing(&office, 1);
    assert!(missing.contains(&NotReady::NoLease), "{missing:?}");
}

#[test]
fn shards_are_shown_on_every_node_and_move_when_any_of_them_is_asked() {
    let mut office = office(4);
    office.assert_runs_within(0, 20 * SECOND);
    assert_ready_within(&mut office, 1, 20 * SECOND);
    office.sim.run_for(SECOND);
    for (asked, there) in [(0, 1), (1, 0)] {
        let incarnation = office.sim.handle(there).this().expect("a member").incarnation;
        let to = Place { incarnation, core: 1 };
        office.sharding(asked).move_shard(TYPE, 0, to).expect("room");
        office.assert_runs_within(there, 5 * SECOND);
        office.sim.run_for(SECOND);
        for node in [0, 1] {
            let shards = office.sharding(node).shards();
            assert_eq!((shards.len(), shards[0].entity_type.as_str()), (1, TYPE));
            let home = shards[0].shards[0].clone().expect("it has an owner");
            assert_eq!(home.place, to, "as node {node} sees it");
            let record = office.store.record(TYPE, 0).expect("it has an owner");
            assert_eq!(home.epoch, record.epoch.0);
            let member = office.sim.member(node, there).expect("a member");
            assert_eq!(home.address, Some(member.address));
        }
    }
    assert_eq!(office.most(), 1);
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_reason() {
    let mut office = office(5);
    office.sim.run_for(SECOND);
    let sharding = office.sharding(0);
    let to = Place { incarnation: 1, core: 0 };
    let unknown = sharding.move_shard("clerk", 0, to).expect_err("no such type");
    assert!(matches!(unknown, ShardRequestError::UnknownType { .. }), "{unknown}");
    let unknown = sharding.move_shard(TYPE, 1, to).expect_err("no such shard");
    assert_eq!(unknown.to_string(), "\"single/clerk\" has no shard 1; it has 1, counted from 0");
    assert_eq!(sharding.rebalance(TYPE), Ok(()));
    let alone = Sharding::new();
    alone.singleton(Singleton::new("clerk"), || Idle).expect("a singleton");
    assert_eq!(alone.rebalance(TYPE), Err(ShardRequestError::NotClustered));
}

struct Idle;

impl Actor for Idle {
    type Message = Letter;

    fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Letter>) -> Next<Self> {
        Next::Same
    }
}
