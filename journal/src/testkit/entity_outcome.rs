//! What came of a command in a test.

use std::collections::VecDeque;

use crate::sourced::EventSourced;

/// What came of a command. Its methods fail the test, which is what they are for, and give the outcome back.
#[derive(Debug)]
pub struct EntityOutcome<E: EventSourced, R> {
    pub(super) events: VecDeque<E::Event>,
    pub(super) replies: VecDeque<R>,
    pub(super) state: Option<E>,
    pub(super) sequence: u64,
    pub(super) ending: Ending,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its events, if it had some, are durable.
    Done,
    /// Its events were surely not written.
    Rejected,
    /// It is not known whether its events are durable: a write has failed, and the actor too.
    Unknown,
}

impl<E: EventSourced, R> EntityOutcome<E, R> {
    /// The next event that was stored is `wanted`.
    ///
    /// # Panics
    /// When it is another one, or there is none.
    #[track_caller]
    pub fn expect_persisted(mut self, wanted: impl FnOnce(&E::Event) -> bool) -> Self {
        let Some(event) = self.events.pop_front() else {
            panic!("the command stored no further event; it ended as {:?}", self.ending);
        };
        assert!(wanted(&event), "another event was stored than the expected one");
        self
    }

    /// No event was stored, or none beside those that were looked at.
    ///
    /// # Panics
    /// When there is one.
    #[track_caller]
    pub fn expect_nothing_persisted(self) -> Self {
        let events = self.events.len();
        assert!(events == 0, "{events} events were stored that were not expected");
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
    pub fn expect_state(self, wanted: impl FnOnce(&E) -> bool) -> Self {
        let Some(state) = &self.state else {
            panic!("the entity has no state: it did not recover")
        };
        assert!(wanted(state), "the state is another one than the expected one");
        self
    }

    /// The events were surely not written.
    ///
    /// # Panics
    /// When the command ended otherwise.
    #[track_caller]
    pub fn expect_rejected(self) -> Self {
        assert_eq!(self.ending, Ending::Rejected, "how the command ended");
        self
    }

    /// It is not known whether the events are durable.
    ///
    /// # Panics
    /// When the command ended otherwise.
    #[track_caller]
    pub fn expect_unknown(self) -> Self {
        assert_eq!(self.ending, Ending::Unknown, "how the command ended");
        self
    }

    /// The events that were stored and not looked at.
    pub fn events(&self) -> impl Iterator<Item = &E::Event> {
        self.events.iter()
    }

    /// How the command ended.
    pub fn ending(&self) -> Ending {
        self.ending
    }

    /// The number of the entity's last event.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }
}
