//! What one core's actors have sent to one other node on the bulk lane: messages whose type says so, each in memory of
//! its own.
//!
//! Promises: messages come out in the order of sending; what a failed turn sent is taken back; all that waits for a
//! node, on all cores and in the device that carries it, fits one budget, because a message gives its part back when it
//! is dropped and not before.
//!
//! Refuses: more bytes than the budget has left, and messages larger than one may be.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Envelope;
use crate::core::send::TellError;
use crate::frame::{AlignedBuffer, FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, ForeignPrefix, Header};

/// What a message is charged beyond its bytes, so that small ones have their limit too.
const OVERHEAD_BYTES: usize = 128;

/// How many bytes of large messages may wait for one node, for all cores together.
#[derive(Debug)]
pub struct BulkBudget {
    message_limit_bytes: usize,
    limit_bytes: usize,
    used_bytes: AtomicUsize,
}

impl BulkBudget {
    /// Nothing of it used.
    pub fn new(message_limit_bytes: usize, limit_bytes: usize) -> BulkBudget {
        BulkBudget { message_limit_bytes, limit_bytes, used_bytes: AtomicUsize::new(0) }
    }

    /// The archive of the largest message.
    pub fn message_limit_bytes(&self) -> usize {
        self.message_limit_bytes
    }

    /// What waits, with a small charge for each message.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    fn take(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let charged = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit_bytes);
        let order = Ordering::Relaxed;
        let taken = self.used_bytes.fetch_update(order, order, charged);
        taken.ok().map(|_| Charge { budget: Arc::clone(self), bytes })
    }
}

/// A part of a budget. Dropping it gives it back.
#[derive(Debug)]
struct Charge {
    budget: Arc<BulkBudget>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.used_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A message for an actor of another node, in memory of its own. It may go to another thread.
#[derive(Debug)]
pub struct BulkMessage {
    /// The frame's header, as if it went in one frame: its length counts the prefix.
    pub header: Header,
    /// The frame's prefix.
    pub prefix: ForeignPrefix,
    archive: AlignedBuffer,
    _charge: Charge,
}

impl AsRef<[u8]> for BulkMessage {
    /// The archive.
    fn as_ref(&self) -> &[u8] {
        self.archive.as_slice()
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct BulkOutbox {
    messages: VecDeque<BulkMessage>,
    budget: Arc<BulkBudget>,
    /// The turn that wrote last, and how many messages were there before it.
    turn: u64,
    before: usize,
}

impl BulkOutbox {
    /// An empty one.
    pub fn new(budget: Arc<BulkBudget>) -> BulkOutbox {
        BulkOutbox { messages: VecDeque::new(), budget, turn: 0, before: 0 }
    }

    /// Whether nothing waits here.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes everything that waits here. Never called during a turn.
    pub fn take(&mut self) -> VecDeque<BulkMessage> {
        std::mem::take(&mut self.messages)
    }

    /// The archive of the largest message.
    pub(crate) fn message_limit_bytes(&self) -> usize {
        self.budget.message_limit_bytes
    }

    /// Remembers where the turn with this number began to write.
    pub(crate) fn touch(&mut self, turn: u64) {
        if self.turn != turn {
            self.turn = turn;
            self.before = self.messages.len();
        }
    }

    /// The turn with this number failed.
    pub(crate) fn rollback(&mut self, turn: u64) {
        if self.turn == turn {
            self.messages.truncate(self.before);
            self.turn = 0;
        }
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, to: Envelope, archive: AlignedBuffer) -> Result<(), TellError> {
        let bytes = archive.as_slice().len();
        let limit_bytes = self.budget.message_limit_bytes;
        let payload_bytes = u32::try_from(FOREIGN_PREFIX_BYTES + bytes).ok();
        let Some(payload_bytes) = payload_bytes.filter(|_| bytes <= limit_bytes) else {
            return Err(TellError::Oversized { limit_bytes });
        };
        let charge = self.budget.take(bytes + OVERHEAD_BYTES).ok_or(TellError::Full)?;
        let (slot, generation) = (to.me as u32, (to.me >> 32) as u32);
        let header = Header::new(payload_bytes, to.port, 0, FLAG_FOREIGN, slot, generation);
        self.messages.push_back(BulkMessage {
            header,
            prefix: to.prefix,
            archive,
            _charge: charge,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let prefix = ForeignPrefix { fingerprint: 5, core: 1, sender: 0, word: 0 };
        Envelope { port: 2, me: 7 | 9 << 32, prefix }
    }

    fn archive(bytes: usize) -> AlignedBuffer {
        AlignedBuffer::zeroed(bytes)
    }

    #[test]
    fn what_waits_for_a_node_on_all_cores_fits_one_budget() {
        let budget = Arc::new(BulkBudget::new(1_000, 2_500));
        let mut outboxes = [BulkOutbox::new(Arc::clone(&budget)), BulkOutbox::new(budget.clone())];
        assert_eq!(outboxes[0].push(envelope(), archive(1_000)), Ok(()));
        assert_eq!(outboxes[1].push(envelope(), archive(1_000)), Ok(()));
        assert_eq!(outboxes[1].push(envelope(), archive(500)), Err(TellError::Full));
        let taken = outboxes[0].take();
        assert_eq!(outboxes[0].push(envelope(), archive(500)), Err(TellError::Full), "it is kept");
        assert_eq!((taken[0].header.len(), taken[0].as_ref().len()), (1_016, 1_000));
        drop(taken);
        assert_eq!(outboxes[0].push(envelope(), archive(500)), Ok(()));
    }

    #[test]
    fn no_message_is_larger_than_one_may_be() {
        let mut outbox = BulkOutbox::new(Arc::new(BulkBudget::new(1_000, 1 << 20)));
        let refused = outbox.push(envelope(), archive(1_001));
        assert_eq!(refused, Err(TellError::Oversized { limit_bytes: 1_000 }));
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_a_failed_turn_sent_is_taken_back_and_its_budget_too() {
        let budget = Arc::new(BulkBudget::new(1_000, 1 << 20));
        let mut outbox = BulkOutbox::new(Arc::clone(&budget));
        outbox.touch(1);
        outbox.push(envelope(), archive(10)).expect("room");
        let before = budget.used_bytes();
        outbox.touch(2);
        outbox.push(envelope(), archive(20)).expect("room");
        outbox.rollback(2);
        outbox.rollback(1);
        assert_eq!((outbox.messages.len(), budget.used_bytes()), (1, before));
    }
}
