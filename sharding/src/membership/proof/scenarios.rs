//! Clusters that join, lose messages, split, leave, crash and come back.

use super::super::*;
use crate::testkit::SimulatedMembership as Cluster;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn joined(seed: u64, count: usize) -> Cluster {
    let mut cluster = Cluster::seeded(seed, count, Settings::default());
    cluster.agree_within(20 * SECOND, count);
    cluster
}

#[test]
fn nodes_that_join_at_once_come_to_one_view_although_messages_are_lost_doubled_and_late() {
    for (seed, count) in (0..20).flat_map(|seed| [(seed, 3), (seed, 5), (seed, 20)]) {
        let mut cluster = Cluster::seeded(seed, count, Settings::default());
        (cluster.loss_percent, cluster.double_percent, cluster.delay_ns) = (20, 20, 100 * MS);
        cluster.agree_within(60 * SECOND, count);
    }
}

#[test]
fn nodes_that_were_parted_while_they_joined_come_to_one_view_after_it_heals() {
    for (seed, count) in (0..12).flat_map(|seed| [(seed, 5), (seed, 20)]) {
        let mut cluster = Cluster::seeded(seed, count, Settings::default());
        cluster.run_for((seed + 1) * 30 * MS);
        // The first seed stays with its cluster; the others cannot begin a second one.
        cluster.sides.iter_mut().skip(2).for_each(|side| *side = 1);
        cluster.run_for(30 * SECOND);
        cluster.sides.fill(0);
        cluster.agree_within(30 * SECOND, count);
    }
}

#[test]
fn storms_of_crashes_restarts_pauses_and_partitions_end_in_one_view() {
    for seed in 0..30 {
        let mut cluster = joined(seed, 5);
        (cluster.loss_percent, cluster.double_percent, cluster.delay_ns) = (10, 10, 50 * MS);
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..6 {
            let index = random.usize(1..5);
            match random.u8(..3) {
                0 => {
                    let id = cluster.id(index);
                    cluster.crash(index);
                    cluster.step(0, Input::Down(id));
                    cluster.run_for(random.u64(..3 * SECOND));
                    cluster.restart(index);
                }
                1 => cluster.nodes[index].paused = true,
                _ => cluster.sides[index] = 1,
            }
            cluster.run_for(random.u64(..5 * SECOND));
            cluster.nodes.iter_mut().for_each(|node| node.paused = false);
            cluster.sides.fill(0);
        }
        (cluster.loss_percent, cluster.double_percent) = (0, 0);
        let up: Vec<usize> = (0..5).filter(|index| cluster.nodes[*index].runs).collect();
        (0..5).filter(|index| !up.contains(index)).for_each(|index| cluster.restart(index));
        cluster.agree_within(60 * SECOND, 5);
    }
}

#[test]
fn a_node_that_restarts_at_its_address_comes_back_as_a_new_member() {
    let mut cluster = joined(1, 5);
    let old = cluster.id(3);
    cluster.nodes[3].runs = false;
    cluster.restart(3);
    cluster.agree_within(30 * SECOND, 5);
    let view = cluster.nodes[0].machine.view();
    assert!(!view.members.contains_key(&old) && view.tombstones.contains_key(&old));
}

#[test]
fn the_first_seed_that_restarts_joins_the_cluster_that_there_is() {
    let mut cluster = joined(2, 5);
    cluster.nodes[0].runs = false;
    cluster.restart(0);
    cluster.agree_within(30 * SECOND, 5);
}

#[test]
fn a_member_that_leaves_exits_confirms_and_is_removed() {
    let mut cluster = joined(3, 5);
    let id = cluster.id(4);
    cluster.step(1, Input::Leave(id));
    cluster.run_for(5 * SECOND);
    assert_eq!(cluster.status(0, 4), Some(Status::Exiting), "not removed before it is ready");
    assert!(cluster.nodes[4].runs);
    cluster.step(4, Input::ExitReady);
    cluster.run_for(SECOND);
    assert_eq!(cluster.nodes[4].stopped, Some(StopReason::Left));
    cluster.agree_within(10 * SECOND, 4);
}

#[test]
fn the_leader_leaves_and_another_one_acts() {
    let mut cluster = joined(4, 5);
    let id = cluster.id(0);
    assert_eq!(cluster.nodes[2].machine.leader(), Some(id));
    cluster.step(0, Input::Leave(id));
    cluster.run_for(5 * SECOND);
    cluster.step(0, Input::ExitReady);
    cluster.agree_within(10 * SECOND, 4);
    assert_eq!(cluster.nodes[2].machine.leader(), Some(cluster.id(1)));
    let heard = Event::LeaderChanged(Some(cluster.id(1)));
    assert!(cluster.nodes[2].events.contains(&heard));
}

#[test]
fn a_node_that_is_given_up_finds_out_and_stops() {
    let mut cluster = joined(5, 5);
    let id = cluster.id(2);
    cluster.step(1, Input::Down(id));
    cluster.run_for(2 * SECOND);
    assert_eq!(cluster.nodes[2].stopped, Some(StopReason::Downed));
    cluster.agree_within(10 * SECOND, 4);
}

#[test]
fn a_node_that_was_removed_while_it_was_paused_is_told_and_stops() {
    let mut cluster = joined(6, 5);
    let id = cluster.id(2);
    cluster.nodes[2].paused = true;
    cluster.step(1, Input::Down(id));
    cluster.run_for(10 * SECOND);
    assert_eq!(cluster.status(0, 2), None);
    cluster.nodes[2].paused = false;
    cluster.run_for(3 * SECOND);
    assert_eq!(cluster.nodes[2].stopped, Some(StopReason::Downed));
    assert!(cluster.agrees(4), "{cluster}");
}

#[test]
fn one_that_cannot_be_reached_holds_up_agreement_and_those_that_join_work_weakly() {
    let mut cluster = joined(7, 5);
    cluster.crash(4);
    let gone = cluster.id(4);
    cluster.run_for(2 * SECOND);
    let view = cluster.nodes[0].machine.view();
    assert!(view.is_unreachable_by_at_least(2, &gone) && !view.has_converged());
    // A second one comes back while nobody has given up the first.
    cluster.nodes[3].runs = false;
    cluster.restart(3);
    cluster.run_for(15 * SECOND);
    assert_eq!(cluster.status(0, 3), None, "its earlier life is not removed without agreement");
    cluster.step(0, Input::Down(gone));
    cluster.agree_within(20 * SECOND, 4);
}

#[test]
fn nodes_that_join_while_views_do_not_converge_become_weakly_up() {
    let mut cluster = Cluster::seeded(8, 5, Settings::default());
    cluster.nodes[4].paused = true;
    cluster.agree_members(4);
    cluster.crash(3);
    cluster.nodes[4].paused = false;
    cluster.run_for(4 * SECOND);
    assert_eq!(cluster.status(0, 4), Some(Status::Joining));
    cluster.run_for(6 * SECOND);
    assert_eq!(cluster.status(1, 4), Some(Status::WeaklyUp));
    let gone = cluster.id(3);
    cluster.step(0, Input::Down(gone));
    cluster.agree_within(10 * SECOND, 4);
}

#[test]
fn a_node_with_another_configuration_is_refused_and_the_difference_is_named() {
    let with = |shards: &str| Settings {
        configuration: [("shards".to_owned(), shards.to_owned())].into(),
        ..Settings::default()
    };
    let mut cluster = Cluster::seeded(9, 3, with("64"));
    cluster.agree_within(20 * SECOND, 3);
    let old = cluster.id(2);
    cluster.crash(2);
    cluster.step(0, Input::Down(old));
    cluster.restart_with(2, with("128"));
    cluster.run_for(5 * SECOND);
    assert!(!cluster.nodes[2].machine.is_member());
    let refused = cluster.nodes[2].events.iter().find_map(|event| match event {
        Event::JoinRefused(_, reason) => Some(reason.to_string()),
        _ => None,
    });
    let expected =
        "`shards` is Some(\"64\") in the cluster and Some(\"128\") here; give both the same value";
    assert_eq!(refused.as_deref(), Some(expected));
}

#[test]
fn an_old_view_and_an_old_request_to_join_bring_nobody_back() {
    let mut cluster = joined(10, 3);
    let gone = cluster.id(2);
    let old_view = std::sync::Arc::new(cluster.nodes[1].machine.view().clone());
    let (from, to) = (cluster.id(1), cluster.id(0));
    cluster.crash(2);
    cluster.step(0, Input::Down(gone));
    cluster.agree_within(10 * SECOND, 2);
    let replayed = ClusterMessage::GossipEnvelope { from, to, gossip: old_view };
    cluster.step(0, Input::Received(replayed));
    let (roles, app_version, configuration) = Default::default();
    let late = ClusterMessage::Join { id: gone, roles, app_version, configuration };
    cluster.step(0, Input::Received(late));
    cluster.run_for(2 * SECOND);
    assert!(cluster.agrees(2), "{cluster}");
}

#[test]
fn a_view_that_breaks_its_invariants_is_dropped_and_counted() {
    let mut cluster = joined(11, 3);
    let mut forged = cluster.nodes[1].machine.view().clone();
    let stranger = MemberId { incarnation: 99, ..cluster.id(1) };
    forged.clock.advance(stranger);
    let (from, to) = (cluster.id(1), cluster.id(0));
    let gossip = std::sync::Arc::new(forged);
    cluster.step(0, Input::Received(ClusterMessage::GossipEnvelope { from, to, gossip }));
    assert_eq!(cluster.nodes[0].machine.counters().malformed, 1);
    assert!(cluster.agrees(3));
}

#[test]
fn a_crash_is_seen_by_two_observers_within_two_seconds() {
    let mut took_ms = Vec::new();
    for (seed, count) in (0..20).flat_map(|seed| [(seed, 5), (seed, 20)]) {
        let mut cluster = joined(seed, count);
        cluster.loss_percent = 2;
        cluster.run_for(2 * SECOND);
        cluster.crash(count - 1);
        let (gone, from_ns) = (cluster.id(count - 1), cluster.now_ns);
        while !cluster.nodes[0].machine.view().is_unreachable_by_at_least(2, &gone) {
            cluster.run_for(20 * MS);
            assert!(cluster.now_ns - from_ns < 2 * SECOND, "seed {seed}, {count} nodes");
        }
        took_ms.push((cluster.now_ns - from_ns) / MS);
    }
    took_ms.sort_unstable();
    println!(
        "a crash is known after {} to {} ms (virtual)",
        took_ms[0],
        took_ms[took_ms.len() - 1]
    );
}

#[test]
fn nobody_is_suspected_for_two_minutes_while_one_message_in_fifty_is_lost() {
    let mut cluster = joined(13, 5);
    cluster.loss_percent = 2;
    cluster.run_for(120 * SECOND);
    for node in &cluster.nodes {
        let is_change = |event: &&Event| matches!(event, Event::ReachabilityChanged(_));
        assert_eq!(node.events.iter().find(is_change), None);
    }
}

#[test]
fn a_node_that_was_paused_does_not_take_the_others_for_dead() {
    let mut cluster = joined(14, 5);
    cluster.nodes[2].paused = true;
    cluster.run_for(10 * SECOND);
    cluster.nodes[2].paused = false;
    let me = cluster.id(2);
    for _ in 0..150 {
        cluster.run_for(20 * MS);
        let view = cluster.nodes[2].machine.view();
        let row = view.reachability.rows().find(|(observer, _)| **observer == me);
        assert!(row.is_none_or(|(_, row)| row.subjects.is_empty()), "{row:?}");
    }
    cluster.agree_within(5 * SECOND, 5);
    assert_eq!(cluster.nodes[2].machine.stretch_ns(), 0);
}

#[test]
fn a_hundred_nodes_join_at_once() {
    let mut cluster = Cluster::seeded(12, 100, Settings::default());
    let took_ns = cluster.agree_within(60 * SECOND, 100);
    println!(
        "100 nodes joining at once: one view after {} ms (virtual), {} messages",
        took_ns / MS,
        cluster.sent()
    );
}

impl Cluster {
    /// Runs until so many members are up in the first node's view.
    fn agree_members(&mut self, count: usize) {
        for _ in 0..1_000 {
            let members = &self.nodes[0].machine.view().members;
            if members.values().filter(|member| member.status == Status::Up).count() == count {
                return self.run_for(2 * SECOND);
            }
            self.run_for(20 * MS);
        }
        panic!("not {count} members up:\n{self}");
    }
}
