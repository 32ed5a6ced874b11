//! What holds of every plan, whatever happens to the cluster.

use super::*;

#[test]
fn every_plan_keeps_the_rules_and_the_same_calls_give_the_same_assignments() {
    proptest::proptest!(|(seed: u64, shards in 1..100_usize, nodes in 1..8_usize, limit in 1..20_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let limits = AllocationSettings {
            most_moves: limit,
            most_under_way: random.u32(1..20),
            most_placed: random.u32(1..60),
            ..AllocationSettings::default()
        };
        let cores: Vec<u16> = (0..nodes).map(|_| random.u16(0..4)).collect();
        let mut cluster = Cluster::new(limits, &cores, shards);
        for _ in 0..60 {
            disturb(&mut random, &mut cluster);
            let mut twin = cluster.clone();
            let assignments = cluster.plan();
            assert_eq!(assignments, twin.plan());
            check(&cluster, limits, &assignments);
            cluster.moving.extend(assignments.iter().map(|one| one.shard));
            finish_some(&mut random, &mut cluster, &assignments);
        }
        heal(&mut cluster);
        for _ in 0..2_000 {
            let assignments = cluster.round();
            check(&cluster, limits, &assignments);
        }
        assert_eq!(cluster.round(), [], "the plan of a balanced cluster");
        let can_place = cluster.members.iter().any(|member| member.cores > 0);
        assert!(!can_place || cluster.homes.iter().all(Option::is_some), "not all are placed");
    });
}

/// Something happens to somebody.
fn disturb(random: &mut fastrand::Rng, cluster: &mut Cluster) {
    cluster.now_ns += random.u64(0..5 * SECOND_NS);
    let at = random.usize(0..cluster.members.len());
    let shard = random.u32(0..cluster.homes.len() as u32);
    let member = &mut cluster.members[at];
    let (incarnation, core) = (member.incarnation, random.u16(0..4));
    match random.u8(0..12) {
        0 => member.is_reachable = !member.is_reachable,
        1 => member.status = NodeStatus::Leaving,
        2 => member.status = *random.choice(&[NodeStatus::Joining, NodeStatus::Up]).unwrap(),
        3 => member.has_role = !member.has_role,
        4 => member.app_version = random.choice(&["1.0", "1.1", "2.0-rc.1"]).unwrap(),
        5 => {
            // It crashes, and its next life joins.
            cluster.absent.insert(incarnation);
            let next = Member { incarnation: incarnation + 100, ..member.clone() };
            let is_known = random.bool();
            if is_known {
                cluster.members[at] = next;
            }
        }
        6 => {
            let _ = cluster.with(|allocator, survey| allocator.drain_node(incarnation, survey));
        }
        7 => {
            let place = place(incarnation, core);
            let _ = cluster.with(|allocator, survey| allocator.drain_core(place, survey));
        }
        8 => {
            let to = place(incarnation, core);
            let _ = cluster.with(|allocator, survey| allocator.move_shard(shard, to, survey));
        }
        9 => {
            cluster.allocator.readmit_node(incarnation);
        }
        _ => {}
    }
}

/// Moves and takeovers end, as they were meant or not.
fn finish_some(random: &mut fastrand::Rng, cluster: &mut Cluster, assignments: &[Assignment]) {
    for one in assignments {
        if random.u8(0..4) > 0 {
            cluster.moving.remove(&one.shard);
            if random.u8(0..5) > 0 {
                cluster.homes[one.shard as usize] = Some(one.to);
            }
        }
    }
    cluster.moving.retain(|_| random.u8(0..3) > 0);
}

/// Nobody breaks, leaves, is drained or upgraded any more.
fn heal(cluster: &mut Cluster) {
    cluster.moving.clear();
    for member in &mut cluster.members {
        if cluster.absent.contains(&member.incarnation) {
            member.incarnation += 100;
        }
        let incarnation = member.incarnation;
        member.status = NodeStatus::Up;
        member.has_role = true;
        member.is_reachable = true;
        member.app_version = "3";
        cluster.allocator.readmit_node(incarnation);
        for core in 0..4 {
            cluster.allocator.readmit_core(place(incarnation, core));
        }
    }
}

/// The rules of one plan for what the cluster was before it.
fn check(cluster: &Cluster, limits: AllocationSettings, assignments: &[Assignment]) {
    let distinct: BTreeSet<u32> = assignments.iter().map(|one| one.shard).collect();
    assert_eq!(distinct.len(), assignments.len(), "a shard that goes twice");
    assert!(distinct.is_disjoint(&cluster.moving), "a shard that is on its way");
    let is_placement =
        |one: &&Assignment| matches!(one.reason, Reason::Unowned | Reason::OwnerGone);
    let is_moved = |one: &&Assignment| !is_placement(one) && one.reason != Reason::Balance;
    let under_way = cluster.moving.len() + assignments.len();
    assert!(
        assignments.is_empty()
            || under_way
                <= limits.most_placed.max(limits.most_under_way.max(limits.most_moves)) as usize
    );
    // A wish for a shard without an owner is placed where it wants to be.
    let is_owned = |one: &&Assignment| is_moved(one) && !cluster.is_unserved(one.shard);
    assert!(assignments.iter().filter(is_owned).count() <= limits.most_under_way as usize);
    let balanced = assignments.iter().filter(|one| one.reason == Reason::Balance).count();
    let most = limits.moves_of(cluster.homes.len());
    assert!(balanced <= most && (balanced == 0 || cluster.moving.is_empty()));
    for one in assignments {
        let node = cluster.members.iter().find(|member| member.incarnation == one.to.incarnation);
        let node = node.expect("a node that nobody knows");
        let is_up = node.status == NodeStatus::Up
            || node.status == NodeStatus::Leaving && is_placement(&one);
        assert!(is_up && node.has_role && node.is_reachable && one.to.core < node.cores, "{one:?}");
        assert!(!cluster.allocator.is_drained(one.to), "{one:?}");
        assert!(!cluster.absent.contains(&one.to.incarnation), "{one:?}");
    }
}
