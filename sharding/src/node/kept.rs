//! Messages that wait for entities that start, stop or are tried again, within a limit of bytes for a region.

use std::collections::{BTreeMap, VecDeque};

use mainspring::message::{Enclosed, EnclosedView};

use crate::entities::Slot;
use crate::ownership::Place;

/// One that waits.
pub(super) struct KeptMessage<M> {
    /// The core that it was sent on.
    pub origin: Place,
    pub message: Enclosed<M>,
}

/// See the module's header.
pub(super) struct Kept<M> {
    queues: BTreeMap<Slot, VecDeque<KeptMessage<M>>>,
    bytes: usize,
    limit_bytes: usize,
}

impl<M> Kept<M> {
    pub fn new(limit_bytes: usize) -> Self {
        Kept { queues: BTreeMap::new(), bytes: 0, limit_bytes }
    }

    /// Keeps a message, if there is room.
    pub fn keep(&mut self, slot: Slot, origin: Place, message: EnclosedView<'_, M>) -> bool {
        let bytes = message.bytes().len() + size_of::<KeptMessage<M>>();
        if self.bytes + bytes > self.limit_bytes {
            return false;
        }
        self.bytes += bytes;
        let message = KeptMessage { origin, message: message.keep() };
        self.queues.entry(slot).or_default().push_back(message);
        true
    }

    /// Whether messages wait for an entity.
    pub fn has(&self, slot: Slot) -> bool {
        self.queues.contains_key(&slot)
    }

    /// Takes out all messages for an entity, in order.
    pub fn take(&mut self, slot: Slot) -> VecDeque<KeptMessage<M>> {
        let queue = self.queues.remove(&slot).unwrap_or_default();
        for kept in &queue {
            self.bytes -= kept.message.view().bytes().len() + size_of::<KeptMessage<M>>();
        }
        queue
    }

    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
