//! Shards that stay with the member that came up first.

use super::*;

fn on_oldest() -> AllocationSettings {
    AllocationSettings { on_oldest: true, ..settings() }
}

/// Nodes 1 to 4, of which 3 came up first and 1 last.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new(on_oldest(), &[2, 2, 2, 2], 1);
    for (incarnation, up_number) in [(1, Some(9)), (2, Some(5)), (3, Some(2)), (4, None)] {
        cluster.member(incarnation).up_number = up_number;
    }
    cluster
}

#[test]
fn a_shard_goes_to_the_oldest_member_that_has_the_role() {
    let mut with_role = cluster();
    assert_eq!(with_role.plan()[0].to.incarnation, 3);
    let mut without = cluster();
    without.member(3).has_role = false;
    assert_eq!(without.plan()[0].to.incarnation, 2);
    without.member(2).status = NodeStatus::Leaving;
    assert_eq!(without.plan()[0].to.incarnation, 1, "the one without a number is the youngest");
}

#[test]
fn a_shard_stays_when_an_older_member_is_reached_again_and_is_never_balanced() {
    let mut cluster = cluster();
    cluster.member(3).is_reachable = false;
    assert_eq!(cluster.round()[0].to.incarnation, 2);
    cluster.member(3).is_reachable = true;
    cluster.homes.extend([Some(place(2, 0)); 7]);
    assert_eq!(cluster.settle(0), 0);
}

#[test]
fn a_shard_whose_node_leaves_or_is_gone_goes_to_the_next_in_age() {
    let mut cluster = cluster();
    cluster.round();
    cluster.member(3).status = NodeStatus::Leaving;
    let moved = cluster.round();
    assert_eq!((moved[0].to.incarnation, moved[0].reason), (2, Reason::Leaving));
    cluster.absent.insert(2);
    let taken_over = cluster.round();
    assert_eq!((taken_over[0].to.incarnation, taken_over[0].reason), (1, Reason::OwnerGone));
}

#[test]
fn of_two_versions_the_higher_one_decides_before_the_age() {
    let mut cluster = cluster();
    cluster.member(1).app_version = "1.1";
    assert_eq!(cluster.plan()[0].to.incarnation, 1);
}
