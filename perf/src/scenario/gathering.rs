//! Messages of a load that have many answers each: one is answered when its last answer is there.
//!
//! Invariants: numbers are opened from 0 up without gaps, and at most [`MOST_OPEN`] lie between the oldest that is open
//! and the newest, so nothing here grows beyond that; a number is answered at most once.

use std::collections::VecDeque;

use crate::load::Stamp;

/// The most messages between the oldest that is open and the newest.
pub const MOST_OPEN: usize = 4_096;

/// The messages that wait for answers.
#[derive(Debug, Default)]
pub struct Gathering {
    /// The number of the oldest.
    first: u64,
    open: VecDeque<Open>,
}

/// A message and how many answers it still waits for; 0 when it is over.
#[derive(Debug)]
struct Open {
    stamp: Stamp,
    missing: u32,
}

impl Gathering {
    /// No messages.
    pub fn new() -> Gathering {
        Gathering { first: 0, open: VecDeque::with_capacity(MOST_OPEN) }
    }

    /// Opens a message that waits for so many answers, at least 1. False at the limit; it is not open then.
    pub fn open(&mut self, stamp: Stamp, answers: u32) -> bool {
        if self.open.len() == MOST_OPEN {
            return false;
        }
        self.open.push_back(Open { stamp, missing: answers });
        true
    }

    /// An answer to this message has come. The message's stamp when it was the last one.
    pub fn answered(&mut self, number: u64) -> Option<Stamp> {
        let open = self.find(number)?;
        open.missing -= 1;
        if open.missing > 0 {
            return None;
        }
        let stamp = open.stamp;
        self.forget_what_is_over();
        Some(stamp)
    }

    fn find(&mut self, number: u64) -> Option<&mut Open> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.open.get_mut(place).filter(|open| open.missing > 0)
    }

    fn forget_what_is_over(&mut self) {
        while self.open.front().is_some_and(|open| open.missing == 0) {
            self.open.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> Stamp {
        Stamp { number, scheduled_ns: number * 10, sent_ns: number * 10 + 1 }
    }

    #[test]
    fn a_message_is_answered_by_its_last_answer_and_only_once() {
        let mut gathering = Gathering::new();
        assert!(gathering.open(stamp(0), 2) && gathering.open(stamp(1), 1));
        assert_eq!(gathering.answered(0), None);
        assert_eq!(gathering.answered(1), Some(stamp(1)), "before an older one");
        assert_eq!(gathering.answered(0), Some(stamp(0)));
        assert_eq!((gathering.answered(0), gathering.answered(1)), (None, None));
    }

    #[test]
    fn an_answer_to_the_oldest_makes_room_at_the_limit() {
        let mut gathering = Gathering::new();
        for number in 0..MOST_OPEN as u64 {
            assert!(gathering.open(stamp(number), 1));
        }
        let next = stamp(MOST_OPEN as u64);
        assert!(!gathering.open(next, 1), "the limit");
        assert_eq!(gathering.answered(7), Some(stamp(7)));
        assert!(!gathering.open(next, 1), "an older one is open");
        assert_eq!(gathering.answered(0), Some(stamp(0)));
        assert!(gathering.open(next, 1));
        assert_eq!(gathering.answered(next.number), Some(next));
    }

    #[test]
    fn what_was_never_opened_is_not_answered() {
        assert_eq!(Gathering::new().answered(7), None);
    }
}
