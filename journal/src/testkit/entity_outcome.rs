//! What came of a command in a test.

use std::collections::VecDeque;

/// What came of a command to an entity with the state `S`. What it stored is of the type `T`: an event, or a
/// [`StoredValue`](super::StoredValue). The methods fail the test, which is what they are for, and give the outcome
/// back.
#[derive(Debug)]
pub struct EntityOutcome<T, S, R> {
    pub(super) stored: VecDeque<T>,
    pub(super) replies: VecDeque<R>,
    pub(super) state: Option<S>,
    pub(super) sequence: u64,
    pub(super) ending: Ending,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// What it stored, if something, is durable.
    Done,
    /// What it would store was surely not written.
    Rejected,
    /// It is not known whether what it stored is durable: a write has failed, and the actor too.
    Unknown,
}

impl<T, S, R> EntityOutcome<T, S, R> {
    /// The next thing that was stored is `wanted`.
    ///
    /// # Panics
    /// When it is another one, or there is none.
    #[track_caller]
    pub fn expect_persisted(mut self, wanted: impl FnOnce(&T) -> bool) -> Self {
        let Some(stored) = self.stored.pop_front() else {
            panic!("the command stored nothing further; it ended as {:?}", self.ending);
        };
        assert!(wanted(&stored), "something else was stored than what is expected");
        self
    }

    /// Nothing was stored, or nothing beside what was looked at.
    ///
    /// # Panics
    /// When there is something.
    #[track_caller]
    pub fn expect_nothing_persisted(self) -> Self {
        let more = self.stored.len();
        assert!(more == 0, "the command stored {more} more than was looked at");
        self
    }

    /// The next answer is `wanted`.
    ///
    /// # Panics
    /// When it is another one, or there is none.
    #[track_caller]
    pub fn expect_reply(mut self, wanted: impl FnOnce(&R) -> bool) -> Self {
        let Some(reply) = self.replies.pop_front() else {
            panic!("no further answer came; the command ended as {:?}", self.ending);
        };
        assert!(wanted(&reply), "another answer came than the expected one");
        self
    }

    /// No answer came, or none beside those that were looked at.
    ///
    /// # Panics
    /// When one did.
    #[track_caller]
    pub fn expect_no_reply(self) -> Self {
        let replies = self.replies.len();
        assert!(replies == 0, "{replies} answers came that were not expected");
        self
    }

    /// The state is `wanted` now.
    ///
    /// # Panics
    /// When it is not, or the entity has not recovered.
    #[track_caller]
    pub fn expect_state(self, wanted: impl FnOnce(&S) -> bool) -> Self {
        let Some(state) = &self.state else {
            panic!("the entity has no state: it did not recover")
        };
        assert!(wanted(state), "the state is another one than the expected one");
        self
    }

    /// What the command would store was surely not written.
    ///
    /// # Panics
    /// When the command ended otherwise.
    #[track_caller]
    pub fn expect_rejected(self) -> Self {
        assert_eq!(self.ending, Ending::Rejected, "how the command ended");
        self
    }

    /// It is not known whether what the command stored is durable.
    ///
    /// # Panics
    /// When the command ended otherwise.
    #[track_caller]
    pub fn expect_unknown(self) -> Self {
        assert_eq!(self.ending, Ending::Unknown, "how the command ended");
        self
    }

    /// What was stored and not looked at.
    pub fn stored(&self) -> impl Iterator<Item = &T> {
        self.stored.iter()
    }

    /// How the command ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The number of the entity's last event, or its revision.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}
