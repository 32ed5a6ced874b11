//! One form for states that differ only in how they were come by, so that the model looks at each of them once.
//!
//! What makes no difference to anything that a region does later: the time of day (deadlines count from now), what it
//! has counted, and how many steps it has taken (an answer is to a step of the present state, or it is too late).

use super::board::{Board, Effect};

/// Brings regions, and what is about to happen, into that form; it is 0 o'clock afterwards.
pub fn normalize(board: &mut Board, now_ns: u64, pool: &mut [(u64, Effect)]) {
    for (print, effect) in &mut *pool {
        let (place, shard, step) = match effect {
            Effect::Stopped { place, shard, step, .. }
            | Effect::Sealed { place, shard, step, .. } => (*place, *shard, step),
            Effect::Asked { place, step, request } => (*place, request.shard(), step),
            Effect::Control { .. } | Effect::InOrder { .. } => continue,
        };
        let first = board.regions[usize::from(place)].slot(shard).first_step;
        if renumber(step, first) {
            *print = effect.fingerprint();
        }
    }
    pool.sort_by_key(|(print, _)| *print);
    for region in &mut board.regions {
        region.counters = Default::default();
        region.timers = std::mem::take(&mut region.timers)
            .into_iter()
            .map(|(due_ns, shard, timer)| (due_ns.saturating_sub(now_ns), shard, timer))
            .collect();
        for slot in &mut region.slots {
            for due_ns in [&mut slot.state_due_ns, &mut slot.relay_due_ns].into_iter().flatten() {
                *due_ns = due_ns.saturating_sub(now_ns);
            }
            renumber(&mut slot.step, slot.first_step);
            slot.first_step = 1;
        }
    }
    board.refused = 0;
    board.delivered = 0;
}

/// All steps of the present state are one: an answer to any of them is taken. Says whether the number changes.
fn renumber(step: &mut u64, first: u64) -> bool {
    let before = *step;
    *step = u64::from(before >= first);
    *step != before
}
