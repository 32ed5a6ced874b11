//! The same number of shards on every core, to one.
//!
//! The strategy that Apache Pekko calls "least shard allocation" in its newer form (cluster sharding, "Shard
//! allocation"): with R cores and S shards the optimum is ⌈S/R⌉. First every core gives what it has above the optimum;
//! when none has more, and some core has at least two less, every core that has the optimum gives one as long as there
//! is such a core. Each shard goes to the core that has the fewest.
//!
//! Bound: without a limit of moves all cores are within one shard of each other after two rounds. After the first no
//! core has more than the optimum o. Let k cores have o, and let d be what the others lack of o-1 in sum; S > R(o-1)
//! gives k > d, so in the second there are enough that give. A limit of m moves a round makes ⌈x/m⌉ rounds of one that
//! has x. Shards that rest are not moved, which puts it off.

use super::Reason;
use super::standing::Standing;

/// Adds the moves of one round.
pub(super) fn balance(standing: &mut Standing) {
    let cores: Vec<u16> = standing.open_cores().collect();
    if cores.is_empty() {
        return;
    }
    let shards: u32 = cores.iter().map(|core| standing.cores[usize::from(*core)].shards).sum();
    let optimum = shards.div_ceil(cores.len() as u32);
    let has_excess = cores.iter().any(|core| standing.cores[usize::from(*core)].shards > optimum);
    for core in cores {
        let excess = standing.cores[usize::from(core)].shards.saturating_sub(optimum);
        let gives = if has_excess { excess } else { 1 };
        for shard in cheapest_on(standing, core, gives as usize) {
            let Some(to) = standing.fewest() else { return };
            let (giver, taker) =
                (standing.cores[usize::from(core)].shards, standing.cores[usize::from(to)].shards);
            let helps =
                if has_excess { taker < optimum } else { giver >= optimum && taker + 2 <= optimum };
            if standing.is_full() || !helps {
                break;
            }
            standing.move_shard(shard, to, Reason::Balance);
        }
    }
}

/// The shards of a core that cost least to move: those with the fewest entities.
fn cheapest_on(standing: &Standing, core: u16, most: usize) -> Vec<u32> {
    let free = standing.free_on(core).map(|(number, shard)| (shard.entities, number));
    let mut free: Vec<(u64, u32)> = free.collect();
    free.sort_unstable();
    free.into_iter().take(most).map(|(_, number)| number).collect()
}
