//! What a turn sent, looked at before it is published: for the trace and for tests of a single actor.
//!
//! A look copies; it changes nothing of what was sent and owns none of its local payloads.

use rkyv::Archived;

use crate::address::{ActorRef, Address};
use crate::core::local_queue::RawFrame;
use crate::core::stash::StoredFrame;
use crate::core::{Core, FLAG_LARGE, KIND_USER};
use crate::frame::{Header, archive};
use crate::message::LocalMessage;

/// A copy of a frame that a turn sent.
pub(crate) struct Sent {
    to: Address,
    frame: StoredFrame,
}

impl Sent {
    pub fn to(&self) -> Address {
        self.to
    }

    pub fn payload_bytes(&self) -> usize {
        self.frame.bytes().len()
    }

    /// The message, if it was sent to this receiver.
    pub fn message_for<M: LocalMessage>(&self, receiver: ActorRef<M>) -> Option<&Archived<M>> {
        let bytes = self.frame.bytes();
        // SAFETY: only messages of the type that a reference accepts are written to its address, and an address of this
        // process is given once: incarnations of nodes and generations of places are new each time.
        (self.to == receiver.address())
            .then(|| unsafe { archive::root::<M>(bytes.as_ptr(), bytes.len()) })
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes to {}", self.payload_bytes(), self.to)
    }
}

impl Core {
    /// Copies of what the running turn sent to this core. They own no local payloads.
    pub(crate) fn sent_frames(&self) -> Vec<Sent> {
        let copy = |frame: RawFrame| {
            let (header, bytes) = match is_large(frame.header) {
                true => {
                    let large = self.large_frame(frame.bytes())?;
                    (large.header, large.bytes())
                }
                false => (frame.header, frame.bytes()),
            };
            let to = Address::from_words(self.place | (header.port() as u64) << 48, header.word1);
            let mut frame = StoredFrame::new(header, bytes);
            frame.forget_locals();
            Some(Sent { to, frame })
        };
        self.queue.unpublished().into_iter().filter_map(copy).collect()
    }

    /// Drops everything that is queued.
    pub(crate) fn discard_queued(&mut self) {
        while let Some(frame) = self.queue.next() {
            if is_large(frame.header) {
                drop(self.take_large(frame.header, frame.bytes()));
            }
        }
    }
}

fn is_large(header: Header) -> bool {
    header.kind() == KIND_USER && header.flags() & FLAG_LARGE != 0
}
