//! What becomes of an entity, and of messages for it, while it starts, stops or cannot be started.
//!
//! ```text
//! absent ─ insert ─► starting ─ started ─► active ─ passivate ─► passivating ─ ended ─► absent, or starting again
//!                       │  ▲                  │└──────────── ended ───────────────────► absent, or starting again
//!                  failed  │ due         failed
//!                       ▼  │                  ▼
//!                  backing off       after so many failures: broken ─ due ─► absent
//! ```
//!
//! A message for an active entity is delivered; for one that starts, backs off or passivates it is kept, by the caller
//! and within the caller's bound; for a broken one it is refused. When an entity ends and messages were kept for it, it
//! starts again, so that a message that meets a passivation is not lost. A start that fails is tried again after a time
//! that doubles, and after a number of tries the entity is broken for a time: its kept messages are refused and so are
//! later ones. The other entities of the shard go on.
//!
//! Only entities in trouble have a deadline, and at most [`LifeSettings::most_troubled`] of them are remembered, so
//! that they do not fill the table: a failure beyond is forgotten at once, and the next message tries again. A call
//! for an entity that is gone, or that is not in a state for it, changes nothing and says so.

use std::collections::BTreeSet;

use super::{Residents, Slot, State};

/// The most that [`LifeSettings::most_troubled`] may be.
pub const MOST_TROUBLED: u32 = 65_536;

/// How starts that fail are dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LifeSettings {
    /// From the first failure to the second try. It doubles with each further one.
    pub first_backoff_ns: u64,
    /// The longest time between two tries.
    pub longest_backoff_ns: u64,
    /// After so many failures in a row the entity is broken.
    pub tries: u8,
    /// How long a broken entity's messages are refused.
    pub broken_ns: u64,
    /// At most so many entities of one type on one core back off or are broken. [`Residents`] needs room for them
    /// beside those that are active.
    pub most_troubled: u32,
}

/// Settings with which no entity could be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LifeSettingsError {
    /// An entity would be broken before it was tried.
    #[error("0 tries to start an entity; choose 1 to 255")]
    NoTries,
    /// A start that fails would be tried again at once, for ever.
    #[error(
        "a start that fails is tried again after 0 ns; choose a backoff of at least 1 ms or so"
    )]
    NoBackoff,
    /// The limit is below the beginning.
    #[error(
        "the longest backoff, {longest_ns} ns, is below the first, {first_ns} ns; raise it or lower the first"
    )]
    LongestBelowFirst {
        /// The first backoff.
        first_ns: u64,
        /// The longest.
        longest_ns: u64,
    },
    /// No failure could be remembered, or more than the table should hold.
    #[error(
        "{most_troubled} entities may back off or be broken on a core; choose 1 to {MOST_TROUBLED}"
    )]
    Troubled {
        /// What was asked for.
        most_troubled: u32,
    },
}

/// The lives of the entities in one [`Residents`].
#[derive(Debug)]
pub struct Lives {
    settings: LifeSettings,
    /// When something is due for whom; entries of entities that have gone stay until their time.
    due: BTreeSet<(u64, Slot)>,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// The entity takes it now.
    Deliver,
    /// It waits until the entity has started, or has ended and started again.
    Keep,
    /// The entity could not be started, and is not tried again for a time.
    Refuse,
    /// There is no such entity: it is to be put in and started, and the message waits.
    Absent,
}

/// What becomes of an entity that could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailed<T> {
    /// It is tried again then; its messages go on waiting.
    RetryAt {
        /// When.
        at_ns: u64,
    },
    /// Tried too often: what was kept for it is refused, and what comes until then.
    BrokenUntil {
        /// When it is forgotten.
        until_ns: u64,
    },
    /// Too many entities are in trouble to remember this one: what was kept for it is refused. It is absent.
    Forgotten(T),
    /// It is gone, or in trouble already.
    NotRunning,
}

/// What becomes of an entity that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It is absent; this was its value.
    Absent(T),
    /// Messages wait for it: it is starting, with a value that is to be replaced.
    StartAgain,
    /// It was neither active nor passivating.
    NotRunning,
}

/// What is due for an entity in trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due<T> {
    /// It is starting again.
    StartAgain(Slot),
    /// It was broken long enough and is absent; this was its value.
    Forgotten(T),
}

impl Default for LifeSettings {
    /// Ten tries between 50 ms and 10 s apart, then broken for a minute; 1,024 entities in trouble.
    fn default() -> Self {
        LifeSettings {
            first_backoff_ns: 50_000_000,
            longest_backoff_ns: 10_000_000_000,
            tries: 10,
            broken_ns: 60_000_000_000,
            most_troubled: 1_024,
        }
    }
}

impl Lives {
    /// Lives under these settings.
    ///
    /// # Errors
    ///
    /// No try, no backoff, a longest backoff below the first, or a number of entities that is out of bounds.
    pub fn new(settings: LifeSettings) -> Result<Self, LifeSettingsError> {
        let (first_ns, longest_ns) = (settings.first_backoff_ns, settings.longest_backoff_ns);
        let most_troubled = settings.most_troubled;
        match () {
            () if settings.tries == 0 => Err(LifeSettingsError::NoTries),
            () if first_ns == 0 => Err(LifeSettingsError::NoBackoff),
            () if longest_ns < first_ns => {
                Err(LifeSettingsError::LongestBelowFirst { first_ns, longest_ns })
            }
            () if most_troubled == 0 || most_troubled > MOST_TROUBLED => {
                Err(LifeSettingsError::Troubled { most_troubled })
            }
            () => Ok(Lives { settings, due: BTreeSet::new() }),
        }
    }

    /// The entity has been made: what was kept for it is delivered. `false` when it was not starting. Its failures are
    /// remembered: whether they are over, [`failed`](Self::failed) learns from how long it has lived.
    pub fn started<T: Copy>(&mut self, residents: &mut Residents<T>, slot: Slot) -> bool {
        match residents.life(slot) {
            Some((state, _)) if *state == State::Starting => {
                *state = State::Active;
                true
            }
            _ => false,
        }
    }

    /// The entity could not be made, or failed when it had lived for `lived_ns`. One that has lived for longer than the
    /// longest backoff is counted as failing for the first time.
    pub fn failed<T: Copy>(
        &mut self,
        residents: &mut Residents<T>,
        slot: Slot,
        now_ns: u64,
        lived_ns: u64,
    ) -> StartFailed<T> {
        let Some((state, failures)) = residents.life(slot) else { return StartFailed::NotRunning };
        if matches!(*state, State::BackingOff | State::Broken) {
            return StartFailed::NotRunning;
        }
        if self.due.len() >= self.settings.most_troubled as usize {
            return residents.remove(slot).map_or(StartFailed::NotRunning, StartFailed::Forgotten);
        }
        if lived_ns > self.settings.longest_backoff_ns {
            *failures = 0;
        }
        *failures += 1;
        if *failures >= self.settings.tries {
            *state = State::Broken;
            let until_ns = now_ns.saturating_add(self.settings.broken_ns);
            self.due.insert((until_ns, slot));
            return StartFailed::BrokenUntil { until_ns };
        }
        *state = State::BackingOff;
        let at_ns = now_ns.saturating_add(self.settings.backoff_ns(*failures));
        self.due.insert((at_ns, slot));
        StartFailed::RetryAt { at_ns }
    }

    /// The entity is asked to stop. `false` when it was not active.
    pub fn passivate<T: Copy>(&mut self, residents: &mut Residents<T>, slot: Slot) -> bool {
        match residents.life(slot) {
            Some((state, _)) if *state == State::Active => {
                *state = State::Passivating;
                true
            }
            _ => false,
        }
    }

    /// The entity has ended, because it was asked to or of itself; `has_kept` says whether messages wait for it.
    pub fn ended<T: Copy>(
        &mut self,
        residents: &mut Residents<T>,
        slot: Slot,
        has_kept: bool,
    ) -> Ended<T> {
        match residents.life(slot) {
            Some((state, failures)) if matches!(state, State::Active | State::Passivating) => {
                if has_kept {
                    (*state, *failures) = (State::Starting, 0);
                    return Ended::StartAgain;
                }
            }
            _ => return Ended::NotRunning,
        }
        residents.remove(slot).map_or(Ended::NotRunning, Ended::Absent)
    }

    /// Adds to `due` what is due by now, at most `most` of it; entities that have gone count as well.
    pub fn due<T: Copy>(
        &mut self,
        residents: &mut Residents<T>,
        now_ns: u64,
        most: usize,
        due: &mut Vec<Due<T>>,
    ) {
        for _ in 0..most {
            let Some((at_ns, slot)) = self.due.first().copied() else { return };
            if at_ns > now_ns {
                return;
            }
            self.due.pop_first();
            match residents.life(slot) {
                Some((state, _)) if *state == State::BackingOff => {
                    *state = State::Starting;
                    due.push(Due::StartAgain(slot));
                }
                Some((State::Broken, _)) => due.extend(residents.remove(slot).map(Due::Forgotten)),
                _ => {}
            }
        }
    }

    /// When [`due`](Self::due) has something to do next.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.due.first().map(|(at_ns, _)| *at_ns)
    }
}

impl Arrival {
    /// What to do with a message for an entity in this state, as [`Residents::find`] tells it.
    #[inline]
    pub fn of(state: Option<State>) -> Arrival {
        match state {
            Some(State::Active) => Arrival::Deliver,
            Some(State::Starting | State::BackingOff | State::Passivating) => Arrival::Keep,
            Some(State::Broken) => Arrival::Refuse,
            None => Arrival::Absent,
        }
    }
}

impl LifeSettings {
    fn backoff_ns(&self, failures: u8) -> u64 {
        let doubled = 1_u64.checked_shl(u32::from(failures) - 1).unwrap_or(u64::MAX);
        self.first_backoff_ns.saturating_mul(doubled).min(self.longest_backoff_ns)
    }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
