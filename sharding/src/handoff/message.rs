//! What places say to each other about a shard.
//!
//! Every message may come twice, and an old one may come late: each names an epoch, and who knows a higher one does
//! not act on it.

use crate::ownership::{Epoch, Ownership};

/// What is carried to an entity; the machine never looks inside.
pub trait Payload: Clone {
    /// What it counts against the limit of parked bytes.
    fn len_bytes(&self) -> usize;
}

impl Payload for Vec<u8> {
    fn len_bytes(&self) -> usize {
        self.len()
    }
}

/// One place of a stream of forwarded messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Item<H, P> {
    /// The place where the message was sent, or that flushes.
    pub origin: H,
    /// What stands there.
    pub content: Content<P>,
}

impl<H, P: Payload> Item<H, P> {
    /// What it counts against the limit of a `Forward`.
    pub(super) fn len_bytes(&self) -> usize {
        match &self.content {
            Content::Payload(payload) => payload.len_bytes(),
            Content::Flush => 0,
        }
    }
}

/// What an item holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Content<P> {
    /// A message for an entity of the shard.
    Payload(P),
    /// The origin sends nothing more on this way.
    Flush,
}

/// What one place says to another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message<H, P> {
    /// Coordinator to owner: give the shard to `to`.
    HandOff {
        /// Which shard.
        shard: u32,
        /// The epoch of the owner that is meant.
        epoch: Epoch,
        /// The owner to be.
        to: H,
    },
    /// Owner to all: the shard is about to move; hold your messages for a moment. Nobody waits for this, and a move
    /// that is refused holds nobody.
    BeginHandOff {
        /// Which shard.
        shard: u32,
        /// The epoch that is about to end.
        epoch: Epoch,
    },
    /// The shard is yours: begin. From the old owner, or from the coordinator after a takeover.
    HostShard {
        /// Which shard.
        shard: u32,
        /// The record in the store.
        ownership: Ownership<H>,
        /// The last sequence number that the old owner wrote for the shard, when it said one.
        last_sequence: Option<u64>,
    },
    /// New owner to all: I deliver, and I wait for your flush if there was an owner before.
    ShardStarted {
        /// Which shard.
        shard: u32,
        /// The record in the store.
        ownership: Ownership<H>,
    },
    /// Old owner to coordinator: given away.
    ShardStopped {
        /// Which shard.
        shard: u32,
        /// The record in the store.
        ownership: Ownership<H>,
    },
    /// Owner to coordinator: the move was given up, the shard stays here.
    Resumed {
        /// Which shard.
        shard: u32,
        /// The record in the store.
        ownership: Ownership<H>,
    },
    /// Old owner to new owner: messages that came to me, in order.
    Forward {
        /// Which shard.
        shard: u32,
        /// The epoch of the new owner.
        epoch: Epoch,
        /// The number of the first item; the stream of an epoch begins at 0.
        first: u64,
        /// The items, numbered on from `first`.
        items: Vec<Item<H, P>>,
    },
    /// New owner to old owner: I have all items below `next`.
    ForwardAcknowledged {
        /// Which shard.
        shard: u32,
        /// The epoch of the new owner.
        epoch: Epoch,
        /// The number of the item that is wanted next.
        next: u64,
    },
    /// Sender to old owner, behind its last message on that way; or old owner to new owner when nothing else is left
    /// to forward.
    Flush {
        /// Which shard.
        shard: u32,
        /// The epoch of the new owner.
        epoch: Epoch,
        /// Who sends nothing more on the old way.
        origin: H,
    },
    /// Somebody else owns the shard.
    NotOwner {
        /// Which shard.
        shard: u32,
        /// The record as far as the sender knows.
        ownership: Ownership<H>,
    },
    /// Owner to coordinator: another move of the shard is under way or not settled; ask again later.
    Busy {
        /// Which shard.
        shard: u32,
        /// The epoch at which the owner owns it.
        epoch: Epoch,
    },
}

impl<H, P> Message<H, P> {
    /// The shard spoken of.
    pub fn shard(&self) -> u32 {
        match self {
            Message::HandOff { shard, .. }
            | Message::BeginHandOff { shard, .. }
            | Message::HostShard { shard, .. }
            | Message::ShardStarted { shard, .. }
            | Message::ShardStopped { shard, .. }
            | Message::Resumed { shard, .. }
            | Message::Forward { shard, .. }
            | Message::ForwardAcknowledged { shard, .. }
            | Message::Flush { shard, .. }
            | Message::NotOwner { shard, .. }
            | Message::Busy { shard, .. } => *shard,
        }
    }

    /// Whether the message must stay behind the direct messages that were sent to the same place before it.
    pub fn is_in_order(&self) -> bool {
        matches!(self, Message::Flush { .. })
    }
}
