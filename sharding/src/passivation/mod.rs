//! Which entities of a core have to leave: those that were idle for a time, and those beyond a limit.
//!
//! Promises: never more than `at_most` entities are held; an entity leaves for idleness no earlier than its timeout and
//! no later than a 128th of it and four milliseconds after; one that the caller calls busy is not chosen. A touch, an
//! admission and a departure are a few writes each, at any number of entities, and none allocates, but for a chunk of
//! rows now and then. There is no timer for an entity.
//!
//! What is chosen is let go of at once: from then on it counts no more, and the caller stops it, keeps messages that
//! arrive meanwhile, and admits it anew when it starts again (see [`Lives`](crate::entities::Lives)). The table of
//! [`Residents`](crate::entities::Residents) therefore needs room for those that are stopping, and for those that could
//! not be started, beside `at_most`.
//!
//! Who leaves at the limit is decided by W-TinyLFU (Einziger, Friedman, Manes, ACM Transactions on Storage 13(4),
//! 2017): what is used often stays when many entities are used once each. Touches of an entity in the same 2²⁰
//! nanoseconds, about a millisecond, count as one: a burst is no habit (the correlated references of O'Neil, O'Neil,
//! Weikum, "The LRU-K page replacement algorithm", SIGMOD 1993, 2.1), and a message for a hot entity costs one
//! comparison.
//!
//! An entity takes 32 bytes here. When half the limit is reached, the frequencies take four to eight bytes for each
//! entity of the limit.
//!
//! ```
//! use mainspring_sharding::entities::{Arrival, Lives, LifeSettings, Residents, ShardCount, ToEntityKey};
//! use mainspring_sharding::passivation::{Passivation, PassivationSettings};
//!
//! let mut residents = Residents::new(ShardCount::new(1_024)?, 3_000)?;
//! let mut lives = Lives::new(LifeSettings::default())?;
//! let mut passivation = Passivation::new(PassivationSettings {
//!     idle_after_ns: Some(300_000_000_000),
//!     at_most: Some(1_000),
//! })?;
//!
//! // A message for an entity that is not there: it starts, and another one may have to stop for it.
//! let (key, now_ns) = ("iban-42".to_entity_key()?, 1);
//! assert_eq!(Arrival::of(residents.find(&key).map(|found| found.state)), Arrival::Absent);
//! let slot = residents.insert(&key, 7_u64)?;
//! let has_no_messages = |_| true;
//! if let Some(leaver) = passivation.admit(slot, key.hash(), now_ns, has_no_messages)? {
//!     lives.passivate(&mut residents, leaver);
//! }
//! lives.started(&mut residents, slot);
//!
//! // The next one is delivered.
//! let found = residents.find(&key).ok_or("it is here")?;
//! assert_eq!((Arrival::of(Some(found.state)), found.value), (Arrival::Deliver, 7));
//! passivation.touch(found.slot, now_ns);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admission;
mod frequency_sketch;
mod idle_wheel;
mod row;
mod window_climber;

use admission::Admission;
use idle_wheel::IdleWheel;
use row::Row;

use crate::chunks::Chunks;
use crate::entities::{MOST_RESIDENTS, Slot};

/// The longest idle timeout: 14 days, in nanoseconds.
pub const LONGEST_IDLE_NS: u64 = 14 * 24 * 3_600 * 1_000_000_000;

/// A beat is 2²⁰ nanoseconds: the resolution of the last use.
pub(crate) const BEAT_BITS: u32 = 20;

/// When entities have to leave. Without either bound none ever has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassivationSettings {
    /// After so long without a message.
    pub idle_after_ns: Option<u64>,
    /// When there are more than so many.
    pub at_most: Option<u32>,
}

/// Settings that cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassivationError {
    /// Every entity would be idle at once, or practically never.
    #[error(
        "entities are to be passivated after {idle_after_ns} ns without a message; choose 1 to {LONGEST_IDLE_NS} ns \
         (14 days), or none to keep them"
    )]
    IdleAfter {
        /// What was asked for.
        idle_after_ns: u64,
    },
    /// No entity could be active, or more than a core can have.
    #[error("at most {at_most} active entities on a core; choose 1 to {MOST_RESIDENTS}")]
    AtMost {
        /// What was asked for.
        at_most: u32,
    },
}

/// Why an entity was not admitted. It is not held, and nothing else has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The limit is reached, and everything that was looked at has messages waiting.
    #[error(
        "the core has {at_most} active entities of this type, its limit, and those that should leave are busy; try \
         again later, raise the limit or add cores"
    )]
    AllBusy {
        /// The limit.
        at_most: u32,
    },
}

/// The active entities of one type on one core, by when and how often they are used.
#[derive(Debug)]
pub struct Passivation {
    /// By the number of the slot.
    rows: Chunks<Row>,
    idle: Option<IdleWheel>,
    admission: Option<Admission>,
    len: u32,
}

impl Passivation {
    /// Holds nothing yet.
    ///
    /// # Errors
    ///
    /// A timeout of nought or above [`LONGEST_IDLE_NS`]; a limit of nought or above [`MOST_RESIDENTS`].
    pub fn new(settings: PassivationSettings) -> Result<Self, PassivationError> {
        match (settings.idle_after_ns, settings.at_most) {
            (Some(idle_after_ns), _) if !(1..=LONGEST_IDLE_NS).contains(&idle_after_ns) => {
                Err(PassivationError::IdleAfter { idle_after_ns })
            }
            (_, Some(at_most)) if !(1..=MOST_RESIDENTS).contains(&at_most) => {
                Err(PassivationError::AtMost { at_most })
            }
            (idle_after_ns, at_most) => Ok(Passivation {
                rows: Chunks::new(),
                idle: idle_after_ns.map(IdleWheel::new),
                admission: at_most.map(Admission::new),
                len: 0,
            }),
        }
    }

    /// Holds an entity that starts, and says which other has to leave for it; `hash` is that of its id. `may_stop` says
    /// of an entity whether it can be stopped now: that it is active and no message waits for it. It is asked about a
    /// few of those that would leave next. Holding an entity that is held is a touch.
    ///
    /// # Errors
    ///
    /// The limit is reached and none of those few can be stopped.
    pub fn admit(
        &mut self,
        slot: Slot,
        hash: u64,
        now_ns: u64,
        mut may_stop: impl FnMut(Slot) -> bool,
    ) -> Result<Option<Slot>, AdmitError> {
        let number = slot.number();
        while self.rows.len() <= number {
            self.rows.push(Row::VACANT);
        }
        if self.rows[number].is_at(slot) {
            self.touch(slot, now_ns);
            return Ok(None);
        }
        // Its last tenant was not taken out: it has gone, or its place would not have been given away.
        self.let_go(number);
        let leaves = match &mut self.admission {
            Some(admission) => admission.make_room(&mut self.rows, hash, &mut may_stop)?,
            None => None,
        };
        let left = leaves.map(|leaver| self.rows[leaver].slot(leaver));
        leaves.into_iter().for_each(|leaver| self.let_go(leaver));
        self.rows[number] = Row::of(slot, hash, beat_of(now_ns));
        self.len += 1;
        if let Some(admission) = &mut self.admission {
            admission.hold(&mut self.rows, number);
        }
        if let Some(idle) = &mut self.idle {
            idle.insert(&mut self.rows, number, now_ns >> BEAT_BITS);
        }
        Ok(left)
    }

    /// The entity has a message. One that is not held is not touched.
    #[inline]
    pub fn touch(&mut self, slot: Slot, now_ns: u64) {
        let Some(row) = self.rows.get_mut(slot.number()) else { return };
        let beat = beat_of(now_ns);
        if row.last_use != beat && row.is_at(slot) {
            row.last_use = beat;
            if let Some(admission) = &mut self.admission {
                admission.touch(&mut self.rows, slot.number());
            }
        }
    }

    /// Lets go of an entity that ended of itself, asked to leave, or moved away. `false` when it is not held.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let is_held = self.holds(slot);
        if is_held {
            self.let_go(slot.number());
        }
        is_held
    }

    /// Adds to `expired` who was idle for too long by now, and lets go of them. One that may not stop counts as used
    /// now. At most `most` entities are looked at: when there may be more, [`next_deadline_ns`](Self::next_deadline_ns)
    /// has passed already.
    pub fn expired(
        &mut self,
        now_ns: u64,
        most: usize,
        mut may_stop: impl FnMut(Slot) -> bool,
        expired: &mut Vec<Slot>,
    ) {
        let mut looks = most;
        while let Some(idle) = &mut self.idle
            && let Some(number) =
                idle.next_expired(&mut self.rows, now_ns >> BEAT_BITS, &mut looks, &mut may_stop)
        {
            expired.push(self.rows[number].slot(number));
            self.forget(number);
        }
    }

    /// When [`expired`](Self::expired) has something to look at next.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.idle.as_ref()?.next_deadline_beat().map(|beat| beat << BEAT_BITS)
    }

    /// Whether an entity is held.
    pub fn holds(&self, slot: Slot) -> bool {
        self.rows.get(slot.number()).is_some_and(|row| row.is_at(slot))
    }

    /// How many entities are held.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn let_go(&mut self, number: u32) {
        if self.rows[number].is_held {
            if let Some(idle) = &mut self.idle {
                idle.remove(&mut self.rows, number);
            }
            self.forget(number);
        }
    }

    /// Lets go of an entity that is not in the wheel.
    fn forget(&mut self, number: u32) {
        if let Some(admission) = &mut self.admission {
            admission.remove(&mut self.rows, number);
        }
        self.rows[number].is_held = false;
        self.len -= 1;
    }
}

/// Beats are counted in 32 bits and begin anew every 52 days: none is compared over more than [`LONGEST_IDLE_NS`].
#[inline]
pub(crate) fn beat_of(now_ns: u64) -> u32 {
    (now_ns >> BEAT_BITS) as u32
}

#[cfg(test)]
mod tests;
