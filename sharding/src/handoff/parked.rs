//! Messages that wait for a shard to find its place, and what they may take up.

use super::message::{Content, Payload};
use super::settings::Settings;
use crate::ownership::Epoch;

/// One that waits, in the order of arrival.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Parked<H, P> {
    pub origin: H,
    /// Named by the sender; for a flush marker, the epoch it makes way for.
    pub epoch: Epoch,
    pub content: Content<P>,
}

/// What all shards of a region hold together. Flush markers are not counted: there is one per place at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ledger {
    pub messages: usize,
    pub bytes: usize,
}

impl Ledger {
    /// Room for one more, taken; or not.
    pub fn take(&mut self, settings: &Settings, payload: &impl Payload) -> bool {
        let bytes = self.bytes.saturating_add(payload.len_bytes());
        if self.messages >= settings.parked_limit || bytes > settings.parked_limit_bytes {
            return false;
        }
        (self.messages, self.bytes) = (self.messages + 1, bytes);
        true
    }

    /// One less.
    pub fn give_back(&mut self, payload: &impl Payload) {
        self.messages -= 1;
        self.bytes -= payload.len_bytes();
    }
}
