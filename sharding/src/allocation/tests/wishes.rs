//! What somebody asks for.

use super::*;

#[test]
fn a_shard_goes_where_somebody_wants_it_and_balancing_leaves_it_there_for_a_time() {
    let mut cluster = Cluster::settled(settings(), &[1, 2], &[1, 1]);
    cluster.with(|allocator, survey| allocator.move_shard(0, place(2, 1), survey)).unwrap();
    assert!(cluster.allocator.is_asked(0));
    let moved = cluster.plan();
    assert_eq!(moved, [Assignment { shard: 0, to: place(2, 1), reason: Reason::Asked }]);
    assert!(!cluster.allocator.is_asked(0));
    cluster.make(&moved);
    // Node 1 has none and node 2 has two: the other one goes.
    assert_eq!(cluster.round()[0].shard, 1);
}

#[test]
fn a_wish_waits_while_its_shard_moves_or_nobody_can_be_reached_and_goes_first_for_one_without_owner()
 {
    let mut cluster = Cluster::settled(settings(), &[1, 1], &[2, 2]);
    cluster.with(|allocator, survey| allocator.move_shard(0, place(2, 0), survey)).unwrap();
    cluster.moving.insert(0);
    assert_eq!(cluster.plan(), []);
    cluster.moving.clear();
    for unreachable in [1, 2] {
        cluster.member(unreachable).is_reachable = false;
        assert_eq!(cluster.plan(), []);
        assert!(cluster.allocator.is_asked(0));
        cluster.member(unreachable).is_reachable = true;
    }
    cluster.homes[0] = None;
    let placed = cluster.plan();
    assert_eq!(placed, [Assignment { shard: 0, to: place(2, 0), reason: Reason::Asked }]);
}

#[test]
fn a_wish_is_dropped_when_it_is_fulfilled_or_can_no_longer_be() {
    let mut cluster = Cluster::settled(settings(), &[1, 1, 1], &[3, 2, 2]);
    let ask = |cluster: &mut Cluster, to: Place| {
        cluster.with(|allocator, survey| allocator.move_shard(0, to, survey)).unwrap();
    };
    ask(&mut cluster, place(1, 0));
    assert_eq!(cluster.plan(), []);
    assert!(!cluster.allocator.is_asked(0));
    ask(&mut cluster, place(2, 0));
    cluster.member(2).status = NodeStatus::Down;
    assert_eq!(cluster.plan(), []);
    assert!(!cluster.allocator.is_asked(0));
    ask(&mut cluster, place(3, 0));
    cluster.with(|allocator, survey| allocator.drain_node(3, survey)).unwrap();
    cluster.plan();
    assert!(!cluster.allocator.is_asked(0));
}

#[test]
fn wishes_for_what_cannot_be_are_refused_in_words() {
    let mut cluster = Cluster::settled(settings(), &[1, 1, 1], &[1, 1, 0]);
    cluster.member(2).has_role = false;
    cluster.member(3).status = NodeStatus::Joining;
    let mut refusal = |shard, to| {
        cluster
            .with(|allocator, survey| allocator.move_shard(shard, to, survey))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(2, place(1, 0)),
        "there is no shard 2; the type has 2 shards, counted from 0"
    );
    assert_eq!(refusal(0, place(9, 0)), "no member has incarnation 9; list the members");
    assert_eq!(refusal(0, place(1, 1)), "node 1 has no core 1; it has 1, counted from 0");
    assert_eq!(
        refusal(0, place(2, 0)),
        "node 2 lacks the role of this type; choose one that has it"
    );
    assert_eq!(refusal(0, place(3, 0)), "node 3 is not up (Joining); choose one that is");
}

#[test]
fn a_drained_node_and_a_drained_core_are_emptied_and_stay_empty_until_they_are_readmitted() {
    let mut cluster = Cluster::settled(settings(), &[2, 1, 1], &[4, 4, 4]);
    cluster.with(|allocator, survey| allocator.drain_core(place(1, 0), survey)).unwrap();
    cluster.with(|allocator, survey| allocator.drain_node(3, survey)).unwrap();
    let left = cluster.plan();
    assert_eq!((left.len(), reasons(&left)), (8, [Reason::Drained].into()));
    cluster.make(&left);
    assert_eq!(cluster.shards_on(place(1, 1)), 6, "the shorter way, and its part of the others");
    assert_eq!([2, 3].map(|node| cluster.shards_of(node)), [6, 0]);
    assert_eq!(cluster.settle(2), 0);
    let drained = cluster.with(|allocator, survey| allocator.move_shard(0, place(3, 0), survey));
    assert_eq!(
        drained.unwrap_err().to_string(),
        "node 3 is drained, or its core 0 is; readmit it first"
    );
    assert!(cluster.allocator.readmit_node(3) && !cluster.allocator.readmit_node(3));
    assert!(cluster.allocator.readmit_core(place(1, 0)));
    cluster.settle(2);
    assert_eq!([1, 2, 3].map(|node| cluster.shards_of(node)), [4, 4, 4]);
    assert_eq!(cluster.shards_on(place(1, 0)), 2);
}

#[test]
fn the_last_place_is_not_drained() {
    let mut cluster = Cluster::settled(settings(), &[2, 1], &[1, 1]);
    cluster.member(2).status = NodeStatus::Leaving;
    let drain_node =
        |allocator: &mut Allocator, survey: &Survey<'_>| allocator.drain_node(1, survey);
    assert_eq!(cluster.with(drain_node), Err(DrainError::LastPlace));
    assert!(!cluster.allocator.is_drained(place(1, 0)));
    cluster.with(|allocator, survey| allocator.drain_core(place(1, 1), survey)).unwrap();
    let last = cluster.with(|allocator, survey| allocator.drain_core(place(1, 0), survey));
    assert_eq!(last, Err(DrainError::LastPlace));
    let no_core = cluster.with(|allocator, survey| allocator.drain_core(place(1, 2), survey));
    assert_eq!(no_core, Err(DrainError::NoCore { incarnation: 1, core: 2, cores: 2 }));
    let no_node = cluster.with(|allocator, survey| allocator.drain_node(5, survey));
    assert_eq!(no_node, Err(DrainError::NoNode { incarnation: 5 }));
}

#[test]
fn a_node_that_has_gone_is_no_longer_drained() {
    let mut cluster = Cluster::settled(settings(), &[1, 1], &[1, 1]);
    cluster.with(|allocator, survey| allocator.drain_node(2, survey)).unwrap();
    cluster.members.pop();
    cluster.plan();
    assert!(!cluster.allocator.is_drained(place(2, 0)));
}
