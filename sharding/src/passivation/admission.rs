//! Who leaves when there are too many: W-TinyLFU.
//!
//! After Einziger, Friedman, Manes, "TinyLFU: a highly efficient cache admission policy", ACM Transactions on Storage
//! 13(4), 2017. What comes goes into a *window*, in the order of last use. Who falls out of the window stands for the
//! *main* part against the one there that was not used for longest, and the one that was used less often lately leaves.
//! The main part is in two segments: who is used on *probation*, a fifth of it, becomes *protected*; who is not used
//! for longest among the protected goes back on probation. A scan of ids that come once passes through the window and
//! leaves the main part alone.
//!
//! Who may not stop is not chosen but moved to the end of its list, as if it had been used; after [`MOST_LOOKS`] of
//! these in a list no more are asked.
//!
//! Uses are counted from half the limit on: below it nobody has to leave, and a type with few entities pays for no
//! counters.
//!
//! Invariants: an entity that is held is in exactly one of the three lists, which together have no more than the limit.
//! When the window has just become smaller, it is brought down by [`MOST_MOVES`] entities a call.

use super::AdmitError;
use super::frequency_sketch::FrequencySketch;
use super::row::{ORDER, Region, Row, upper_half};
use super::window_climber::WindowClimber;
use crate::chunks::Chunks;
use crate::entities::Slot;
use crate::list::List;

/// So many entities of a list are asked whether they can stop.
const MOST_LOOKS: u32 = 16;
/// So many entities go from one list to another in a call.
const MOST_MOVES: u32 = 16;
/// Out of a hundred in the main part.
const PROTECTED_PERCENT: u64 = 80;

/// The order in which entities leave.
#[derive(Debug)]
pub(super) struct Admission {
    at_most: u32,
    /// In all three lists.
    len: u32,
    window: List<ORDER>,
    probation: List<ORDER>,
    protected: List<ORDER>,
    sketch: FrequencySketch,
    climber: WindowClimber,
}

impl Admission {
    /// For at most so many entities.
    pub(super) fn new(at_most: u32) -> Self {
        Admission {
            at_most,
            len: 0,
            window: List::EMPTY,
            probation: List::EMPTY,
            protected: List::EMPTY,
            sketch: FrequencySketch::for_entities(at_most),
            climber: WindowClimber::for_entities(at_most),
        }
    }

    /// Counts the arrival of an entity that is not held, and says who has to leave before it is. Nobody leaves yet.
    pub(super) fn make_room(
        &mut self,
        rows: &mut Chunks<Row>,
        hash: u64,
        may_stop: &mut impl FnMut(Slot) -> bool,
    ) -> Result<Option<u32>, AdmitError> {
        self.count(upper_half(hash));
        if self.len < self.at_most {
            return Ok(None);
        }
        self.climber.miss();
        let from_window = if self.window.len() >= self.climber.window() {
            least_recent(&mut self.window, rows, may_stop)
        } else {
            None
        };
        let from_main = least_recent(&mut self.probation, rows, may_stop)
            .or_else(|| least_recent(&mut self.protected, rows, may_stop));
        let leaves = match (from_window, from_main) {
            (Some(candidate), Some(victim)) => {
                let of = |number: u32| self.sketch.frequency(rows[number].hash);
                if of(candidate) > of(victim) { victim } else { candidate }
            }
            (one, other) => one
                .or(other)
                .or_else(|| least_recent(&mut self.window, rows, may_stop))
                .ok_or(AdmitError::AllBusy { at_most: self.at_most })?,
        };
        Ok(Some(leaves))
    }

    /// Holds an entity for which there is room.
    pub(super) fn hold(&mut self, rows: &mut Chunks<Row>, number: u32) {
        rows[number].region = Region::Window;
        self.window.push_back(rows, number);
        self.len += 1;
        self.settle(rows);
    }

    /// A held entity is used.
    pub(super) fn touch(&mut self, rows: &mut Chunks<Row>, number: u32) {
        self.count(rows[number].hash);
        if self.len == self.at_most {
            self.climber.hit();
        }
        match rows[number].region {
            Region::Window => self.window.move_to_back(rows, number),
            Region::Protected => self.protected.move_to_back(rows, number),
            Region::Probation => {
                self.probation.remove(rows, number);
                rows[number].region = Region::Protected;
                self.protected.push_back(rows, number);
                self.settle(rows);
            }
        }
    }

    /// A held entity is held no more.
    pub(super) fn remove(&mut self, rows: &mut Chunks<Row>, number: u32) {
        self.len -= 1;
        match rows[number].region {
            Region::Window => self.window.remove(rows, number),
            Region::Probation => self.probation.remove(rows, number),
            Region::Protected => self.protected.remove(rows, number),
        }
    }

    fn count(&mut self, hash: u32) {
        if self.len >= self.at_most / 2 {
            self.sketch.count(hash);
        }
    }

    /// Brings window and protected segment down to their sizes.
    fn settle(&mut self, rows: &mut Chunks<Row>) {
        let window = self.climber.window();
        let main = u64::from(self.at_most - window.min(self.at_most));
        let protected = (main * PROTECTED_PERCENT / 100) as u32;
        for (list, size) in [(&mut self.window, window), (&mut self.protected, protected)] {
            for _ in 0..MOST_MOVES {
                let Some(number) = list.first().filter(|_| list.len() > size) else { break };
                list.remove(rows, number);
                rows[number].region = Region::Probation;
                self.probation.push_back(rows, number);
            }
        }
    }
}

/// The entity of a list that was not used for longest and may stop.
fn least_recent(
    list: &mut List<ORDER>,
    rows: &mut Chunks<Row>,
    may_stop: &mut impl FnMut(Slot) -> bool,
) -> Option<u32> {
    for _ in 0..MOST_LOOKS.min(list.len()) {
        let number = list.first()?;
        if may_stop(rows[number].slot(number)) {
            return Some(number);
        }
        list.move_to_back(rows, number);
    }
    None
}
