//! Members that some reach and others do not. Tests that begin with the name of one of Pekko's multi-node tests have
//! the links broken that are broken there.

use super::{Cluster, all_up, id};
use crate::downing::{Strategy, Verdict, Why};

fn majority() -> Strategy {
    Strategy::KeepMajority { role: None }
}

/// Whether those links hold the one between `a` and `b`.
fn has(links: &[(u8, u8)], a: u8, b: u8) -> bool {
    links.contains(&(a, b)) || links.contains(&(b, a))
}

#[test]
fn indirectly_connected_3_node_two_that_lose_each_other_go_down_and_the_third_stays() {
    let broken = |a, b| has(&[(2, 3)], a, b);
    let side = [1, 2, 3];
    let mut cluster = Cluster::new().with_side(&majority(), &all_up(3), &side, 0, broken);
    assert_eq!(cluster.settle(), [1]);
    assert_eq!(cluster.decisions[0].indirectly_connected, [id(2), id(3)]);
    assert_eq!(
        cluster.decisions[0].to_string(),
        "keep-majority keeps the members that are reached from here (every member is reached by somebody); \
         down: 10.0.0.2:7000#1, 10.0.0.3:7000#1; of these only indirectly connected: \
         10.0.0.2:7000#1, 10.0.0.3:7000#1"
    );
}

#[test]
fn down_all_indirectly_connected_5_node_beside_a_clean_partition_leaves_the_one_with_all_its_links()
{
    let apart = |a: u8, b: u8| (a <= 3) != (b <= 3) || has(&[(2, 3)], a, b);
    let mut cluster = Cluster::new()
        .with_side(&majority(), &all_up(5), &[1, 2, 3], 0, apart)
        .with_side(&majority(), &all_up(5), &[4, 5], 0, apart);
    assert_eq!(cluster.settle(), [1]);
    assert_eq!(cluster.decisions[0].why, Why::Majority { reachable: 3, unreachable: 2 });
}

#[test]
fn a_member_that_one_other_does_not_reach_but_that_hears_of_it_goes_down_with_it() {
    // Only 4 finds 5 unreachable; 5 has seen that by way of the others.
    let one_way = |a, b| (a, b) == (4, 5);
    let mut cluster =
        Cluster::new().with_side(&majority(), &all_up(5), &[1, 2, 3, 4, 5], 0, one_way);
    assert_eq!(cluster.settle(), [1, 2, 3]);
}

#[test]
fn when_every_link_but_that_of_one_member_is_broken_only_that_one_is_left() {
    let broken = |a: u8, b: u8| a != 3 && b != 3;
    let side = [1, 2, 3, 4, 5];
    let mut cluster = Cluster::new().with_side(&majority(), &all_up(5), &side, 0, broken);
    assert_eq!(cluster.settle(), [3]);
}

#[test]
fn split_brain_quarantine_of_two_halves_the_second_goes_down_and_never_downs_the_first() {
    let sides = [vec![1, 2], vec![3, 4]];
    let mut cluster = Cluster::split(&majority(), &all_up(4), &sides);
    assert_eq!(cluster.settle(), [1, 2]);
    let of_second = cluster.decisions.iter().find(|d| d.view.this() == id(3)).expect("one");
    assert_eq!(of_second.verdict, Verdict::KeepUnreachable);
    assert_eq!(of_second.down, [id(3), id(4)]);
}

#[test]
fn of_a_chain_of_members_nobody_goes_on() {
    // Each reaches only its neighbours: gossip travels, yet nobody has all its links.
    let chain = |a: u8, b: u8| a.abs_diff(b) != 1;
    let mut cluster = Cluster::new().with_side(&majority(), &all_up(4), &[1, 2, 3, 4], 0, chain);
    assert_eq!(cluster.settle(), [0; 0]);
}

#[test]
fn a_lease_is_asked_for_before_indirectly_connected_members_go_down() {
    let lease = Strategy::LeaseMajority { role: None };
    let broken = |a, b| has(&[(2, 3)], a, b);
    let mut cluster = Cluster::new().with_side(&lease, &all_up(3), &[1, 2, 3], 0, broken);
    assert_eq!(cluster.settle(), [1]);
    assert_eq!(cluster.decisions[0].why, Why::LeaseAcquired);
}
