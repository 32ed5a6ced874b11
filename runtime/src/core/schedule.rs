//! What is due when: deadlines of asks, keyed timers, receive timeouts and pauses before a restart, on one wheel.
//!
//! A timer's message is handled in the sweep in which it is due, straight from where it is kept; a timer that was
//! cancelled before is never delivered. Time is the time of the core's sweep: a timer is never early by it, and
//! late by at most one tick of the wheel and the sweep.

use std::time::Duration;

use std::num::NonZeroU64;

use super::Core;
use super::cold::Phase;
use super::stash::{Held, StoredFrame};
use super::timers::TimerId;
use super::turn::Effect;
use crate::frame::Header;

/// Most keyed timers of one actor.
pub(crate) const KEYED_TIMERS_LIMIT: usize = 4096;

/// A duration in nanoseconds; one of more than 584 years counts as that.
pub(crate) const fn nanoseconds(duration: Duration) -> u64 {
    let exact = duration.as_nanos();
    if exact > u64::MAX as u128 { u64::MAX } else { exact as u64 }
}

/// Names a timer among those of its actor: a word, or a number when there are many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimerKey {
    /// A name that stands in the code.
    Name(&'static str),
    /// A number, such as the id of an order.
    Number(u64),
    /// The one that a change of behaviour cancels.
    State,
}

impl From<&'static str> for TimerKey {
    fn from(name: &'static str) -> Self {
        TimerKey::Name(name)
    }
}

impl From<u64> for TimerKey {
    fn from(number: u64) -> Self {
        TimerKey::Number(number)
    }
}

/// What a timer of the wheel stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Ask {
        slot: u32,
        generation: u32,
    },
    /// A keyed timer: which one, its actor knows by the timer's number.
    Keyed {
        me: u64,
    },
    ReceiveTimeout {
        me: u64,
    },
    Restart {
        me: u64,
        life: u32,
    },
}

/// A [`Due`] as two whole words, the first of them never 0. An enum would be built on the stack in parts and copied to
/// the wheel with wide loads, each of which waits for the parts: that doubled the price of an ask.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedDue {
    kind: NonZeroU64,
    of: u64,
}

const DUE_ASK: u64 = 1;
const DUE_KEYED: u64 = 2;
const DUE_RECEIVE_TIMEOUT: u64 = 3;
const DUE_RESTART: u64 = 4;

impl From<Due> for PackedDue {
    #[inline(always)]
    fn from(due: Due) -> PackedDue {
        let (kind, of) = match due {
            Due::Ask { slot, generation } => {
                (DUE_ASK, u64::from(slot) | u64::from(generation) << 32)
            }
            Due::Keyed { me } => (DUE_KEYED, me),
            Due::ReceiveTimeout { me } => (DUE_RECEIVE_TIMEOUT, me),
            Due::Restart { me, life } => (DUE_RESTART | u64::from(life) << 8, me),
        };
        // Every kind is at least 1.
        PackedDue { kind: NonZeroU64::MIN.saturating_add(kind - 1), of }
    }
}

impl From<PackedDue> for Due {
    fn from(packed: PackedDue) -> Due {
        let (kind, of) = (packed.kind.get(), packed.of);
        match kind & 0xFF {
            DUE_ASK => Due::Ask { slot: of as u32, generation: (of >> 32) as u32 },
            DUE_KEYED => Due::Keyed { me: of },
            DUE_RECEIVE_TIMEOUT => Due::ReceiveTimeout { me: of },
            _ => Due::Restart { me: of, life: (kind >> 8) as u32 },
        }
    }
}

/// A timer of an actor with its message.
pub(crate) struct KeyedTimer {
    pub id: TimerId,
    pub frame: StoredFrame,
    pub period_ns: Option<u64>,
    pub deadline_ns: u64,
}

/// The message that an actor gets when no other came for so long.
pub(crate) struct ReceiveTimeout {
    pub id: TimerId,
    pub after_ns: u64,
    pub frame: StoredFrame,
}

impl Core {
    /// Sets a timer; one with the same key is replaced.
    pub(crate) fn set_timer(
        &mut self,
        me: u64,
        key: TimerKey,
        deadline_ns: u64,
        period_ns: Option<u64>,
        frame: StoredFrame,
    ) {
        self.cancel_timer(me, key);
        let full =
            self.slots.cold_mut(me).is_none_or(|cold| cold.timers.len() >= KEYED_TIMERS_LIMIT);
        let id = if full {
            None
        } else {
            self.timers.insert(deadline_ns, Due::Keyed { me }.into()).ok()
        };
        match (id, self.slots.cold_mut(me)) {
            (Some(id), Some(cold)) => {
                cold.timer_keys.insert(id.number(), key);
                cold.timers.insert(key, KeyedTimer { id, frame, period_ns, deadline_ns });
            }
            _ => {
                self.counters.timers_refused += 1;
                let (actor, behavior) = self.slots.describe(me);
                tracing::warn!(
                    core = self.index(),
                    actor,
                    behavior,
                    "timer refused: as many timers as the limit allows are pending"
                );
            }
        }
    }

    pub(crate) fn cancel_timer(&mut self, me: u64, key: TimerKey) {
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        if let Some(timer) = cold.timers.remove(&key) {
            // Of a timer that has fired and waits for its actor, the number may be another's by now.
            let number = timer.id.number();
            if cold.timer_keys.get(&number) == Some(&key) {
                cold.timer_keys.remove(&number);
            }
            self.timers.cancel(timer.id);
        }
    }

    pub(crate) fn cancel_state_timer(&mut self, me: u64) {
        self.cancel_timer(me, TimerKey::State);
    }

    pub(crate) fn set_receive_timeout(&mut self, me: u64, after: Option<(u64, StoredFrame)>) {
        let Some(cold) = self.slots.cold_mut(me) else { return };
        if let Some(old) = cold.receive_timeout.take() {
            self.timers.cancel(old.id);
        }
        if let Some((after_ns, frame)) = after {
            match self
                .timers
                .insert(self.now_ns.saturating_add(after_ns), Due::ReceiveTimeout { me }.into())
            {
                Ok(id) => {
                    if let Some(cold) = self.slots.cold_mut(me) {
                        cold.last_message_ns = self.now_ns;
                        cold.receive_timeout = Some(ReceiveTimeout { id, after_ns, frame });
                    }
                }
                Err(_) => self.counters.timers_refused += 1,
            }
        }
        self.refresh_unusual(me);
    }

    /// All timers of an actor whose life has ended.
    pub(crate) fn cancel_all_timers(&mut self, me: u64) {
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        let keyed = std::mem::take(&mut cold.timers);
        cold.timer_keys.clear();
        let timeout = cold.receive_timeout.take();
        for timer in keyed.into_values() {
            self.timers.cancel(timer.id);
        }
        if let Some(timeout) = timeout {
            self.timers.cancel(timeout.id);
        }
        self.refresh_unusual(me);
    }

    /// Fires what is due, at most `budget` timers.
    pub(crate) fn fire_timers(&mut self, budget: usize) -> usize {
        let mut fired = 0;
        while fired < budget {
            let Some((id, due)) = self.timers.pop_due(self.now_ns) else { break };
            fired += 1;
            match Due::from(due) {
                Due::Ask { slot, generation } => {
                    self.fail_ask(slot, generation, super::asks::AskError::Timeout.number());
                }
                Due::Keyed { me } => {
                    let cold = self.slots.cold_if_any(me);
                    if let Some(key) = cold.and_then(|cold| cold.timer_keys.remove(&id.number())) {
                        self.fire_keyed(me, key);
                    }
                }
                Due::ReceiveTimeout { me } => self.fire_receive_timeout(me),
                Due::Restart { me, life } => self.restart_now(me, life),
            }
        }
        self.counters.timers_fired += fired as u64;
        fired
    }

    fn fire_keyed(&mut self, me: u64, key: TimerKey) {
        let now_ns = self.now_ns;
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        if cold.phase != Phase::Running {
            // It stays set, so that it can still be cancelled or replaced before the actor gets to it.
            if let Some(timer) = cold.timers.get(&key) {
                cold.stash.hold_back(Held::Timer(key, timer.id));
            }
            return;
        }
        let Some(mut timer) = cold.timers.remove(&key) else { return };
        let copy = timer.period_ns.map(|_| timer.frame.copied());
        if let (Some(period_ns), Some(copy)) = (timer.period_ns, copy) {
            // Fixed rate: deadlines that passed meanwhile are skipped, not made up for.
            let behind_ns = now_ns.saturating_sub(timer.deadline_ns);
            let steps_ns = (behind_ns / period_ns + 1).saturating_mul(period_ns);
            let deadline_ns = timer.deadline_ns.saturating_add(steps_ns);
            if let Ok(id) = self.timers.insert(deadline_ns, Due::Keyed { me }.into())
                && let Some(cold) = self.slots.cold_if_any(me)
            {
                let next = KeyedTimer { id, frame: copy, period_ns: Some(period_ns), deadline_ns };
                cold.timer_keys.insert(id.number(), key);
                cold.timers.insert(key, next);
            }
        }
        timer.frame.readdress(me);
        self.dispatch_owned(timer.frame);
    }

    /// A timer fired while its actor was suspended: now it is delivered, if it is still set.
    pub(crate) fn fire_held(&mut self, me: u64, key: TimerKey, id: TimerId) {
        let set = self.slots.cold(me).and_then(|cold| cold.timers.get(&key));
        if set.is_some_and(|timer| timer.id == id) {
            self.fire_keyed(me, key);
        }
    }

    fn fire_receive_timeout(&mut self, me: u64) {
        let now_ns = self.now_ns;
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        let Some(timeout) = &mut cold.receive_timeout else { return };
        let due_ns = cold.last_message_ns.saturating_add(timeout.after_ns);
        let busy = cold.phase != Phase::Running;
        let again_ns = if busy || due_ns > now_ns { due_ns.max(now_ns + 1) } else { 0 };
        if again_ns > 0 {
            let again_ns = if busy { now_ns.saturating_add(timeout.after_ns) } else { again_ns };
            match self.timers.insert(again_ns, Due::ReceiveTimeout { me }.into()) {
                Ok(id) => timeout.id = id,
                Err(_) => self.counters.timers_refused += 1,
            }
            return;
        }
        let mut frame = timeout.frame.copied();
        match self
            .timers
            .insert(now_ns.saturating_add(timeout.after_ns), Due::ReceiveTimeout { me }.into())
        {
            Ok(id) => timeout.id = id,
            Err(_) => self.counters.timers_refused += 1,
        }
        frame.readdress(me);
        self.dispatch_owned(frame);
    }
}

impl StoredFrame {
    /// The same bytes again. Only for frames without local payloads.
    fn copied(&self) -> StoredFrame {
        StoredFrame::new(self.header, self.bytes())
    }

    /// The frame is for the actor `me` on its main port.
    fn readdress(&mut self, me: u64) {
        let header = self.header;
        self.header = Header { word0: header.word0, word1: me };
    }
}

/// A change of timers that waits for the end of the turn.
pub(crate) enum TimerChange {
    Set { key: TimerKey, after_ns: u64, period_ns: Option<u64>, frame: StoredFrame },
    Cancel { key: TimerKey },
    ReceiveTimeout { after: Option<(u64, StoredFrame)> },
}

impl std::fmt::Debug for TimerChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TimerChange::Set { key, after_ns, period_ns, .. } => {
                write!(f, "timer {key:?} after {after_ns} every {period_ns:?}")
            }
            TimerChange::Cancel { key } => write!(f, "timer {key:?} cancelled"),
            TimerChange::ReceiveTimeout { after } => {
                write!(f, "receive timeout {:?}", after.as_ref().map(|(after_ns, _)| after_ns))
            }
        }
    }
}

impl Core {
    pub(crate) fn apply_timer_change(&mut self, me: u64, change: TimerChange) {
        match change {
            TimerChange::Set { key, after_ns, period_ns, frame } => {
                // At least one nanosecond ahead: a timer that sets itself again must not fire again in this sweep.
                let deadline_ns = self.now_ns.saturating_add(after_ns.max(1));
                self.set_timer(me, key, deadline_ns, period_ns, frame);
            }
            TimerChange::Cancel { key } => self.cancel_timer(me, key),
            TimerChange::ReceiveTimeout { after } => self.set_receive_timeout(me, after),
        }
    }

    /// Notes a change of timers for the end of the turn.
    pub(crate) fn change_timer(&mut self, me: u64, change: TimerChange) {
        self.effect(Effect::Timer { me, change: Box::new(change) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_hold_whatever_may_be_due() {
        for due in [
            Due::Ask { slot: u32::MAX, generation: 7 },
            Due::Keyed { me: u64::MAX },
            Due::ReceiveTimeout { me: 0 },
            Due::Restart { me: 1 << 62, life: u32::MAX },
        ] {
            assert_eq!(Due::from(PackedDue::from(due)), due);
        }
        assert_eq!(size_of::<Option<PackedDue>>(), 16);
    }
}
