//! The same load on every core, as far as whole shards allow.
//!
//! From the core that bears most to the one that bears least goes the shard that brings the two closest together; it
//! bears less than their difference, so the larger of the two loads falls. Again, until no two differ by more than the
//! tolerance, or a round has its moves. A core that has no such shard is passed over.
//!
//! Bound: when no move is left, two cores differ by no more than the tolerance or the heaviest shard that is free to
//! move, whichever is more. Every move lowers the sum of the squares of the loads, so with loads that do not change
//! this comes to an end.

use super::standing::{ShardStanding, Standing};
use super::{Measure, Reason};

/// Adds the moves of one round.
pub(super) fn balance(standing: &mut Standing, measure: Measure, tolerance_percent: u32) {
    let mut costs = costs_of(standing, measure);
    let sum: u64 = costs.iter().fold(0, |sum, (cost, _)| sum.saturating_add(*cost));
    let mean = sum / (costs.len() as u64).max(1);
    let tolerance = mean.saturating_mul(u64::from(tolerance_percent)) / 100;
    while !standing.is_full() {
        costs.sort_unstable();
        let Some((least, to)) = costs.first().copied() else { return };
        let givers = costs.iter().rev().take_while(|(cost, _)| cost - least > tolerance.max(1));
        let best = givers.copied().find_map(|(cost, from)| {
            let shard = best_fit(standing, measure, from, cost - least)?;
            Some((from, shard))
        });
        let Some((from, (shard, cost))) = best else { return };
        standing.move_shard(shard, to, Reason::Balance);
        for (sum, core) in &mut costs {
            match *core {
                core if core == from => *sum = sum.saturating_sub(cost),
                core if core == to => *sum = sum.saturating_add(cost),
                _ => {}
            }
        }
    }
}

/// The load of each open core, with its number.
fn costs_of(standing: &Standing, measure: Measure) -> Vec<(u64, u16)> {
    let mut costs = vec![0_u64; standing.cores.len()];
    for shard in &standing.shards {
        if let Some(home) = shard.home {
            let cost = &mut costs[usize::from(home)];
            *cost = cost.saturating_add(shard.cost(measure));
        }
    }
    standing.open_cores().map(|core| (costs[usize::from(core)], core)).collect()
}

/// The shard of a core that comes closest to half the difference, below the whole of it; and its cost.
fn best_fit(
    standing: &Standing,
    measure: Measure,
    from: u16,
    difference: u64,
) -> Option<(u32, u64)> {
    let fits = |shard: &ShardStanding| (1..difference).contains(&shard.cost(measure));
    let free = standing.free_on(from).filter(|(_, shard)| fits(shard));
    let free = free.map(|(number, shard)| (number, shard.cost(measure)));
    free.min_by_key(|(number, cost)| (difference.abs_diff(cost.saturating_mul(2)), *number))
}
