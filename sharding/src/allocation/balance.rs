//! The same number of shards on every node, and then on every core of each node, to one.
//!
//! Invariant: a move brings a shard from a place that has at least two more to one that takes shards. Whoever takes in
//! a round never gives in it: it has at most one more than the emptiest when it takes, so no shard moves twice.

use std::collections::BTreeMap;

use super::standing::{Node, Standing};
use super::{Reason, Survey};
use crate::ownership::Place;

/// Shards that may move, by place; of each the last goes first.
type Free = BTreeMap<Place, Vec<u32>>;

/// Adds the moves of one round.
pub(super) fn balance(
    standing: &mut Standing<'_>,
    survey: &Survey<'_>,
    resting: &BTreeMap<u32, u64>,
    most_moves: usize,
) {
    let mut free = Free::new();
    for (shard, home) in (0..).zip(survey.homes) {
        if let Some(home) = home.filter(|home| standing.admits(*home))
            && !resting.contains_key(&shard)
        {
            free.entry(home).or_default().push(shard);
        }
    }
    level_nodes(standing, &mut free, most_moves);
    let open = standing.nodes.iter().filter(|(_, node)| node.admits(false));
    let open: Vec<u64> = open.map(|(incarnation, _)| *incarnation).collect();
    for incarnation in open {
        level_cores(standing, &mut free, incarnation, most_moves);
    }
}

/// From the fullest node to the emptiest, until they differ by one at most or the round has its moves.
fn level_nodes(standing: &mut Standing<'_>, free: &mut Free, most_moves: usize) {
    while standing.assignments.len() < most_moves {
        let open = standing.nodes.iter().filter(|(_, node)| node.admits(false));
        let emptiest = open.clone().min_by_key(|(_, node)| node.shards);
        let givers = open.filter_map(|(incarnation, node)| {
            Some((node.shards, fullest_core(node, *incarnation, free)?))
        });
        // Of those with as many the first.
        let fullest = givers.min_by_key(|(shards, _)| std::cmp::Reverse(*shards));
        let (Some((incarnation, node)), Some((shards, from))) = (emptiest, fullest) else { return };
        let Some(core) = node.emptiest_core().filter(|_| shards >= node.shards + 2) else { return };
        let to = Place { incarnation: *incarnation, core };
        let Some(shard) = free.get_mut(&from).and_then(Vec::pop) else { return };
        standing.assign(shard, Some(from), to, Reason::Balance);
    }
}

/// The same with the cores of one node.
fn level_cores(standing: &mut Standing<'_>, free: &mut Free, incarnation: u64, most_moves: usize) {
    while standing.assignments.len() < most_moves {
        let Some(node) = standing.nodes.get(&incarnation) else { return };
        let shards = |place: Place| node.cores[usize::from(place.core)].shards;
        let emptiest = node.emptiest_core().map(|core| Place { incarnation, core });
        let (Some(to), Some(from)) = (emptiest, fullest_core(node, incarnation, free)) else {
            return;
        };
        let is_less = shards(from) >= shards(to) + 2;
        let Some(shard) = free.get_mut(&from).filter(|_| is_less).and_then(Vec::pop) else {
            return;
        };
        standing.assign(shard, Some(from), to, Reason::Balance);
    }
}

/// The core of a node that has most shards, of those that have one which may move.
fn fullest_core(node: &Node<'_>, incarnation: u64, free: &Free) -> Option<Place> {
    let cores =
        (0..).zip(&node.cores).map(|(core, standing)| (Place { incarnation, core }, standing));
    let givers =
        cores.filter(|(place, _)| free.get(place).is_some_and(|shards| !shards.is_empty()));
    givers.min_by_key(|(_, core)| std::cmp::Reverse(core.shards)).map(|(place, _)| place)
}
