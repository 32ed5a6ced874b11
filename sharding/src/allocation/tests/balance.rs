//! Counts come level within their bounds, a few moves at a time, at the right time.

use super::*;

#[test]
fn a_node_that_has_come_gets_its_part_in_rounds_of_a_tenth() {
    let settings = AllocationSettings::default();
    let mut cluster = Cluster::settled(settings, &[1, 1, 1], &[50, 50, 0]);
    let first = cluster.round();
    assert_eq!((first.len(), reasons(&first)), (10, [Reason::Balance].into()));
    assert_eq!(cluster.settle(10), 3);
    assert_eq!([1, 2, 3].map(|node| cluster.shards_of(node)), [33, 34, 33]);
}

#[test]
fn many_shards_move_no_faster_than_the_absolute_limit_and_few_one_at_a_time() {
    let settings = AllocationSettings { most_moves: 7, ..AllocationSettings::default() };
    assert_eq!(Cluster::settled(settings, &[1, 1], &[1_000, 0]).plan().len(), 7);
    assert_eq!(Cluster::settled(settings, &[1, 1], &[4, 0]).plan().len(), 1);
}

#[test]
fn counts_that_differ_by_one_stay_and_a_difference_of_two_is_evened_out() {
    assert_eq!(Cluster::settled(settings(), &[1; 3], &[3, 2, 2]).plan(), []);
    // Nobody has more than the optimum of 3, and one has two less: the second phase.
    let mut cluster = Cluster::settled(settings(), &[1; 4], &[3, 3, 3, 1]);
    assert_eq!(cluster.plan().len(), 1);
}

#[test]
fn the_cores_of_a_node_are_brought_level_too_within_the_same_limit() {
    let settings = AllocationSettings { most_moves: 3, ..settings() };
    let mut cluster = Cluster::settled(settings, &[4, 1], &[8, 8]);
    assert_eq!(cluster.round().len(), 3);
    assert_eq!(cluster.settle(3), 1);
    assert_eq!([0, 1, 2, 3].map(|core| cluster.shards_on(place(1, core))), [2; 4]);
}

#[test]
fn a_round_that_somebody_asks_for_does_not_wait_for_its_time() {
    let settings = AllocationSettings { most_moves: 1, ..settings() };
    let mut cluster = Cluster::settled(settings, &[1, 1], &[6, 0]);
    let first = cluster.plan();
    cluster.make(&first);
    assert_eq!(cluster.plan(), []);
    cluster.allocator.begin_round();
    assert_eq!(cluster.plan().len(), 1);
}

#[test]
fn a_round_waits_for_its_time_and_for_the_last_moves_to_end() {
    let settings = AllocationSettings { most_moves: 1, ..settings() };
    let mut cluster = Cluster::settled(settings, &[1, 1], &[6, 0]);
    let first = cluster.plan();
    cluster.moving.insert(first[0].shard);
    cluster.now_ns = cluster.allocator.next_round_ns();
    assert_eq!(cluster.plan(), [], "one is under way");
    cluster.moving.clear();
    cluster.make(&first);
    cluster.now_ns -= 1;
    assert_eq!(cluster.plan(), [], "before its time");
    cluster.now_ns += 1;
    assert_eq!(cluster.plan().len(), 1);
}

#[test]
fn nothing_is_balanced_while_members_come_break_or_are_upgraded() {
    let calm = Cluster::settled(settings(), &[1; 3], &[6, 0, 0]);
    assert_eq!(calm.clone().plan().len(), 4);
    let with = |change: fn(&mut Cluster)| {
        let mut cluster = calm.clone();
        change(&mut cluster);
        cluster.plan()
    };
    assert_eq!(with(|cluster| cluster.member(2).status = NodeStatus::Joining), []);
    assert_eq!(with(|cluster| cluster.member(2).status = NodeStatus::Down), []);
    assert_eq!(with(|cluster| cluster.member(2).is_reachable = false), []);
    assert_eq!(with(|cluster| cluster.member(2).app_version = "1.0.1"), []);
    assert_eq!(with(|cluster| assert!(cluster.absent.insert(2))), []);
    // Others disturb it as well, for a move ends only when all members have heard of it; but not by their versions.
    assert_eq!(
        with(|cluster| {
            cluster.member(2).has_role = false;
            cluster.member(2).is_reachable = false;
        }),
        []
    );
    let moved = with(|cluster| {
        cluster.member(2).has_role = false;
        cluster.member(2).app_version = "7";
    });
    assert_eq!(moved.len(), 3);
    // The same version, written otherwise.
    assert_eq!(with(|cluster| cluster.member(2).app_version = "v1.0.0+build.7").len(), 4);
}

#[test]
fn without_a_limit_of_moves_one_round_is_enough_and_with_one_there_are_as_many_as_promised() {
    proptest::proptest!(|(seed: u64, shards in 1..300_usize, nodes in 1..12_usize, most_moves in 1..40_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut unlimited = random_cluster(&mut random, settings(), nodes, shards);
        let mut limited = unlimited.clone();
        limited.allocator = Allocator::new(AllocationSettings { most_moves, ..settings() }).unwrap();
        let moves = unlimited.round().len();
        assert_eq!(unlimited.round(), [], "more than one round");
        assert_level(&unlimited);
        let rounds = limited.settle(2_000);
        assert_eq!(rounds, moves.div_ceil(shards.min(most_moves as usize)));
        assert_level(&limited);
    });
}

/// Nodes of one to four cores; the first have most of the shards.
fn random_cluster(
    random: &mut fastrand::Rng,
    settings: AllocationSettings,
    nodes: usize,
    shards: usize,
) -> Cluster {
    let cores: Vec<u16> = (0..nodes).map(|_| random.u16(1..=4)).collect();
    let mut cluster = Cluster::new(settings, &cores, shards);
    for home in &mut cluster.homes {
        let node = random.usize(0..nodes) * random.usize(0..nodes) / nodes;
        *home = Some(place(node as u64 + 1, random.u16(0..cores[node])));
    }
    cluster
}

fn assert_level(cluster: &Cluster) {
    let within_one = |counts: Vec<usize>| {
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{counts:?}");
    };
    let members = &cluster.members;
    within_one(members.iter().map(|member| cluster.shards_of(member.incarnation)).collect());
    for member in members {
        let cores = 0..member.cores;
        within_one(cores.map(|core| cluster.shards_on(place(member.incarnation, core))).collect());
    }
}
