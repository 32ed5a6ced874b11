//! Timers: a hierarchical timing wheel (Varghese and Lauck), one per core.
//!
//! Promises: a timer never fires before its deadline and at most one tick ([`TICK_NS`]) after the first
//! [`Timers::pop_due`] that could have seen it. Timers fire in the order of their deadline ticks, and within a
//! tick in the order in which they were inserted. Setting, cancelling and firing are O(1) and allocate only when
//! more timers are pending than ever before. A jump of the clock costs what the pending timers cost, not what the
//! jumped time would.
//!
//! Refuses: more than `limit` pending timers, with a [`TimersFull`] that gives the value back. It knows no clock:
//! time is what the caller says, and time that goes backwards merely delays.
//!
//! Invariants:
//! - `cursor` is at most the latest time seen, and no pending timer has a tick before it.
//! - A timer's level is the highest base-64 digit in which its tick differs from the cursor, its slot is its tick's
//!   digit there. So every timer of a lower level is due before every timer of a higher one, equal ticks share a
//!   slot,
//!   and the slots of the lowest occupied level, in order, begin with the next timer.
//! - Slot lists are rings through a sentinel node, in order of insertion. A slot's bit is set exactly when its list
//!   holds a timer.
//! - `cursor <= bound`, and no timer can fire before the tick `bound`; so the cursor never moves back.
//! - Pending and free nodes together never outnumber the limit, so whoever finds a free node is within it.

use thiserror::Error;

/// Nanoseconds of a tick: the granularity to which deadlines are rounded up.
pub(crate) const TICK_NS: u64 = 1 << TICK_BITS;

/// A pending timer. Its holder forgets it when the timer has fired or was cancelled: the id is stale then, and every
/// method refuses it until 2³² further timers have lived in the same place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerId {
    index: u32,
    generation: u32,
}

impl TimerId {
    /// No timer: every method treats it as a stale id.
    /// Unique among the pending timers; a later timer may have it again.
    pub(crate) fn number(self) -> u32 {
        self.index
    }

    pub(crate) const NONE: TimerId = TimerId { index: NO_NODE, generation: 0 };
}

/// No timer was set, because as many are pending as the limit allows.
#[derive(Error)]
#[error(
    "the timer was not set: {limit} timers are pending on this core, which is the limit; cancel some or raise the limit"
)]
pub(crate) struct TimersFull<T> {
    /// The value that was not accepted.
    pub(crate) value: T,
    /// The limit that was reached, in timers.
    pub(crate) limit: usize,
}

impl<T> std::fmt::Debug for TimersFull<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimersFull").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// The pending timers of one core, each with a value of type `T`.
pub(crate) struct Timers<T> {
    /// No timer can fire before this tick.
    bound: u64,
    /// The tick up to which every timer has fired or was moved to where it belongs.
    cursor: u64,
    /// Which slots of each level hold timers.
    slots: [u64; LEVELS],
    /// The sentinels of all slots, then the timers, pending or free.
    nodes: Vec<Node<T>>,
    /// The first free node, linked by `next`.
    free: u32,
    len: usize,
    limit: usize,
}

impl<T> Timers<T> {
    /// No timers, at time `now_ns`, with room for `limit` pending ones (at most about four thousand million).
    pub(crate) fn new(now_ns: u64, limit: usize) -> Timers<T> {
        let nodes = (0..SENTINELS as u32)
            .map(|index| Node { prev: index, next: index, generation: 0, tick: 0, value: None })
            .collect();
        Timers {
            bound: u64::MAX,
            cursor: now_ns >> TICK_BITS,
            slots: [0; LEVELS],
            nodes,
            free: NO_NODE,
            len: 0,
            limit: limit.min(NO_NODE as usize - SENTINELS),
        }
    }

    /// How many timers are pending.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is pending.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a timer for `deadline_ns`. One that passed at least a tick ago fires at the next [`Timers::pop_due`],
    /// behind those that are due in the tick which the wheel has reached.
    ///
    /// # Errors
    /// [`TimersFull`] with the value when `limit` timers are pending; nothing has changed then.
    #[inline]
    pub(crate) fn insert(&mut self, deadline_ns: u64, value: T) -> Result<TimerId, TimersFull<T>> {
        let tick = tick_at_or_after(deadline_ns).max(self.cursor);
        let index = self.free;
        let Some(node) = self.nodes.get_mut(index as usize) else {
            return self.insert_into_new_node(tick, value);
        };
        self.free = node.next;
        node.tick = tick;
        node.value = Some(value);
        let id = TimerId { index, generation: node.generation };
        self.count_and_link(index, tick);
        Ok(id)
    }

    /// Takes the timer back before it fires. `None` when it has fired or was cancelled before.
    #[inline]
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<T> {
        let node = self.nodes.get_mut(id.index as usize)?;
        if node.generation != id.generation {
            return None;
        }
        let value = node.value.take()?;
        self.unlink_and_free(id.index);
        Some(value)
    }

    /// The value of a pending timer. `None` when it has fired or was cancelled.
    #[inline]
    #[cfg(test)]
    pub(crate) fn get(&self, id: TimerId) -> Option<&T> {
        let node = self.nodes.get(id.index as usize)?;
        if node.generation == id.generation { node.value.as_ref() } else { None }
    }

    /// The value of a pending timer, to be changed. `None` when it has fired or was cancelled.
    #[inline]
    #[cfg(test)]
    pub(crate) fn get_mut(&mut self, id: TimerId) -> Option<&mut T> {
        let node = self.nodes.get_mut(id.index as usize)?;
        if node.generation == id.generation { node.value.as_mut() } else { None }
    }

    /// The next timer that is due at `now_ns`, no longer pending; its id is stale. Called until it returns `None`.
    #[inline]
    pub(crate) fn pop_due(&mut self, now_ns: u64) -> Option<(TimerId, T)> {
        let now = now_ns >> TICK_BITS;
        if now < self.bound { None } else { self.pop_due_at(now) }
    }

    /// A moment that is not later than the next firing, and soon enough to sleep until; `None` when nothing is
    /// pending.
    ///
    /// The timer may turn out to be due later. Then [`Timers::pop_due`] at that moment finds nothing, and this method
    /// names a later moment than before; a timer causes at most one such step for each of the wheel's levels.
    #[inline]
    pub(crate) fn next_deadline_ns(&self) -> Option<u64> {
        let (_, start) = self.first_slot()?;
        Some(start_ns(self.bound.max(start)))
    }

    #[cold]
    fn insert_into_new_node(&mut self, tick: u64, value: T) -> Result<TimerId, TimersFull<T>> {
        if self.len == self.limit {
            return Err(TimersFull { value, limit: self.limit });
        }
        // The limit keeps the number of nodes, and so every index, below NO_NODE.
        let index = self.nodes.len() as u32;
        self.nodes.push(Node { prev: index, next: index, generation: 1, tick, value: Some(value) });
        self.count_and_link(index, tick);
        Ok(TimerId { index, generation: 1 })
    }

    #[inline(always)]
    fn count_and_link(&mut self, index: u32, tick: u64) {
        self.len += 1;
        self.bound = self.bound.min(tick);
        self.link(index, tick);
    }

    #[inline(never)]
    fn pop_due_at(&mut self, now: u64) -> Option<(TimerId, T)> {
        loop {
            let Some((sentinel, start)) = self.first_slot() else {
                self.cursor = now;
                self.bound = u64::MAX;
                return None;
            };
            self.bound = start;
            if start > now {
                // No timer lies before `now` either, so every timer belongs in the slot in which it is.
                self.cursor = now;
                return None;
            }
            // No timer lies before the slot, so entering it leaves all other slots as they are.
            self.cursor = start;
            if (sentinel as usize) < SLOTS {
                return self.pop_first(sentinel);
            }
            self.cascade(sentinel);
        }
    }

    /// The sentinel of the first occupied slot and the tick at which it begins.
    #[inline]
    fn first_slot(&self) -> Option<(u32, u64)> {
        let level = self.slots.iter().position(|&slots| slots != 0)? as u32;
        let slot = self.slots[level as usize].trailing_zeros();
        let shift = level * SLOT_BITS;
        let start = (self.cursor >> shift & !SLOT_MASK | u64::from(slot)) << shift;
        Some((level * SLOTS as u32 + slot, start))
    }

    fn pop_first(&mut self, sentinel: u32) -> Option<(TimerId, T)> {
        let index = self.nodes[sentinel as usize].next;
        let node = &mut self.nodes[index as usize];
        let id = TimerId { index, generation: node.generation };
        let value = node.value.take()?;
        self.unlink_and_free(index);
        Some((id, value))
    }

    /// Moves the timers of a slot that the cursor has entered to the levels below, in order.
    fn cascade(&mut self, sentinel: u32) {
        let mut index = self.nodes[sentinel as usize].next;
        self.nodes[sentinel as usize].prev = sentinel;
        self.nodes[sentinel as usize].next = sentinel;
        self.clear_slot(sentinel);
        while index != sentinel {
            let Node { next, tick, .. } = self.nodes[index as usize];
            self.link(index, tick);
            index = next;
        }
    }

    /// Appends a node to the slot in which its tick belongs.
    #[inline(always)]
    fn link(&mut self, index: u32, tick: u64) {
        // The lowest bit makes equal ticks, and the cursor's own, level 0 without a branch.
        let level = ((tick ^ self.cursor) | 1).ilog2() / SLOT_BITS;
        let slot = tick >> (level * SLOT_BITS) & SLOT_MASK;
        self.slots[level as usize] |= 1 << slot;
        let sentinel = level * SLOTS as u32 + slot as u32;
        let last = std::mem::replace(&mut self.nodes[sentinel as usize].prev, index);
        self.nodes[last as usize].next = index;
        let node = &mut self.nodes[index as usize];
        node.prev = last;
        node.next = sentinel;
    }

    #[inline(always)]
    fn unlink_and_free(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let Node { prev, next, .. } = *node;
        node.generation = node.generation.wrapping_add(1);
        node.next = self.free;
        self.free = index;
        self.len -= 1;
        self.nodes[prev as usize].next = next;
        self.nodes[next as usize].prev = prev;
        // Both neighbours are the same node only when that is the sentinel, alone now.
        if prev == next {
            self.clear_slot(prev);
        }
    }

    #[inline]
    fn clear_slot(&mut self, sentinel: u32) {
        self.slots[sentinel as usize / SLOTS] &= !(1 << (sentinel as usize % SLOTS));
    }
}

/// A timer, pending in a slot's list or free; or the sentinel of a slot's list.
struct Node<T> {
    prev: u32,
    next: u32,
    generation: u32,
    tick: u64,
    value: Option<T>,
}

const TICK_BITS: u32 = 10;

/// One base-64 digit of a tick is one level, so that a level's occupied slots fit one word.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_MASK: u64 = SLOTS as u64 - 1;

/// Enough for every tick: nothing is too far away for the wheel.
const LEVELS: usize = 10;
const _: () = assert!(LEVELS as u32 * SLOT_BITS > u64::BITS - TICK_BITS);

const SENTINELS: usize = LEVELS * SLOTS;
const NO_NODE: u32 = u32::MAX;

/// The first tick that does not begin before `deadline_ns`.
#[inline]
fn tick_at_or_after(deadline_ns: u64) -> u64 {
    (deadline_ns >> TICK_BITS) + u64::from(!deadline_ns.is_multiple_of(TICK_NS))
}

#[inline]
fn start_ns(tick: u64) -> u64 {
    tick.saturating_mul(TICK_NS)
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
