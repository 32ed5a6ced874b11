//! Shards that nobody serves, and shards that have to go.

use super::*;

#[test]
fn shards_without_an_owner_are_spread_over_nodes_and_their_cores() {
    let mut cluster = Cluster::new(settings(), &[2, 1, 3], 12);
    let placed = cluster.plan();
    assert_eq!(placed.len(), 12);
    assert_eq!(reasons(&placed), [Reason::Unowned].into());
    cluster.make(&placed);
    for member in cluster.members.clone() {
        assert_eq!(cluster.shards_of(member.incarnation), 4);
    }
    assert_eq!([0, 1].map(|core| cluster.shards_on(place(1, core))), [2, 2]);
    assert_eq!([0, 1, 2].map(|core| cluster.shards_on(place(3, core))), [2, 1, 1]);
    assert_eq!(cluster.plan(), []);
}

#[test]
fn shards_of_a_node_that_is_surely_gone_are_placed_and_those_of_one_that_is_only_down_wait() {
    let mut cluster = Cluster::settled(settings(), &[1, 1, 1], &[4, 4, 4]);
    cluster.member(3).status = NodeStatus::Down;
    assert_eq!(cluster.plan(), [], "the store would refuse to take over");
    cluster.absent.insert(3);
    let placed = cluster.plan();
    assert_eq!(reasons(&placed), [Reason::OwnerGone].into());
    cluster.make(&placed);
    assert_eq!([1, 2, 3].map(|node| cluster.shards_of(node)), [6, 6, 0]);
}

#[test]
fn a_node_that_is_absent_gets_nothing_though_the_membership_has_not_heard_of_it() {
    let mut cluster = Cluster::settled(settings(), &[1, 1], &[2, 2]);
    cluster.absent.insert(2);
    assert_eq!(cluster.settle(5), 1);
    assert_eq!([1, 2].map(|node| cluster.shards_of(node)), [4, 0]);
}

#[test]
fn placement_goes_on_while_shards_move_and_members_join_or_cannot_be_reached() {
    let mut cluster = Cluster::new(settings(), &[1, 1, 1], 4);
    cluster.homes[0] = Some(place(1, 0));
    cluster.moving.insert(0);
    cluster.member(2).status = NodeStatus::Joining;
    cluster.member(3).is_reachable = false;
    let placed = cluster.plan();
    assert_eq!(placed.iter().map(|one| one.shard).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(placed.iter().all(|one| one.to == place(1, 0)));
}

#[test]
fn no_more_are_placed_at_a_time_than_the_settings_say_and_they_are_spread_over_calls() {
    let mut cluster = Cluster::new(AllocationSettings { most_placed: 3, ..settings() }, &[1; 4], 8);
    let first = cluster.plan();
    assert_eq!(first.len(), 3);
    cluster.moving.extend(first.iter().map(|one| one.shard));
    assert_eq!(cluster.plan(), []);
    // One has ended; where the others go is counted though they are not there yet.
    cluster.moving.remove(&first[0].shard);
    cluster.make(&first[..1]);
    let next = cluster.plan();
    assert_eq!(next.len(), 1);
    assert!(first.iter().all(|one| one.to != next[0].to));
}

#[test]
fn what_was_planned_and_not_begun_is_planned_anew() {
    let mut cluster = Cluster::new(settings(), &[1, 1], 2);
    let first = cluster.plan();
    assert_eq!(cluster.plan(), first);
}

#[test]
fn a_node_that_leaves_gives_all_it_has_at_the_pace_of_the_settings() {
    let settings = AllocationSettings { most_under_way: 4, ..settings() };
    let mut cluster = Cluster::settled(settings, &[1, 2, 1], &[10, 2, 4]);
    cluster.member(1).status = NodeStatus::Leaving;
    let first = cluster.plan();
    assert_eq!(first.len(), 4);
    assert_eq!(reasons(&first), [Reason::Leaving].into());
    cluster.moving.extend(first.iter().map(|one| one.shard));
    assert_eq!(cluster.plan(), []);
    // It does not wait for a round: as soon as they have ended, the next go.
    cluster.moving.clear();
    cluster.make(&first);
    assert_eq!(cluster.plan().len(), 4);
    assert_eq!(cluster.settle(5), 2);
    assert_eq!([1, 2, 3].map(|node| cluster.shards_of(node)), [0, 8, 8]);
}

#[test]
fn a_leaving_node_is_the_last_resort_of_shards_without_an_owner_and_of_no_others() {
    let mut cluster = Cluster::new(settings(), &[1, 1], 2);
    cluster.member(1).status = NodeStatus::Leaving;
    cluster.member(2).is_reachable = false;
    let placed = cluster.plan();
    assert!(placed.len() == 2 && placed.iter().all(|one| one.to == place(1, 0)));
    cluster.make(&placed);
    cluster.member(2).status = NodeStatus::Leaving;
    cluster.member(2).is_reachable = true;
    assert_eq!(cluster.plan(), [], "from one that leaves to another that leaves");
}

#[test]
fn what_leaves_or_is_placed_goes_to_the_highest_version_so_that_an_upgrade_moves_it_once() {
    let mut cluster = Cluster::settled(settings(), &[1; 4], &[5, 5, 5, 0]);
    cluster.member(4).app_version = "1.1";
    cluster.member(1).status = NodeStatus::Leaving;
    let left = cluster.plan();
    assert!(left.len() == 5 && left.iter().all(|one| one.to == place(4, 0)));
    cluster.make(&left);
    cluster.members.remove(0);
    assert_eq!(cluster.plan(), [], "nothing is balanced while versions are mixed");
    cluster.homes.push(None);
    assert_eq!(cluster.plan()[0].to, place(4, 0));
}

#[test]
fn a_node_without_the_role_or_without_cores_gets_nothing_and_loses_what_it_has() {
    let mut cluster = Cluster::settled(settings(), &[1, 1, 0], &[2, 0, 0]);
    cluster.member(1).has_role = false;
    let left = cluster.plan();
    assert_eq!(reasons(&left), [Reason::Unfit].into());
    assert!(left.len() == 2 && left.iter().all(|one| one.to == place(2, 0)));
    cluster.make(&left);
    cluster.homes[0] = Some(place(2, 9));
    assert_eq!(cluster.plan()[0].reason, Reason::Unfit, "there is no such core");
}

#[test]
fn shards_of_a_node_that_nobody_knows_stay() {
    let mut cluster = Cluster::settled(settings(), &[1], &[0]);
    cluster.homes = vec![Some(place(77, 0)); 3];
    assert_eq!(cluster.settle(3), 0);
}
