//! What happens to a region.

use super::message::Message;
use crate::ownership::{Epoch, Ownership, StoreAnswer};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<H, P> {
    /// A message for an entity of the shard has come.
    Arrived {
        /// Where it was sent; the region's own place for local senders.
        from: H,
        /// Which shard.
        shard: u32,
        /// The epoch that the sender named; of no account for local senders.
        epoch: Epoch,
        /// The message.
        payload: P,
    },
    /// Another place (or the coordinator, at whichever place it stands) says something.
    Message {
        /// Who.
        from: H,
        /// What.
        message: Message<H, P>,
    },
    /// No entity of the shard runs any more; answers `StopEntities` and `KillEntities`.
    EntitiesStopped {
        /// Which shard.
        shard: u32,
        /// The step of the output answered.
        step: u64,
    },
    /// The journal refuses epochs below the one asked for; answers `Seal`.
    Sealed {
        /// Which shard.
        shard: u32,
        /// The step of the output answered.
        step: u64,
        /// The last sequence number of the shard.
        last_sequence: u64,
    },
    /// The ownership store answers; answers `Store`.
    StoreAnswered {
        /// Which shard.
        shard: u32,
        /// The step of the output answered.
        step: u64,
        /// The answer.
        answer: StoreAnswer<H>,
    },
    /// The record of a shard was seen: by a watch on the store, or at the start.
    Learned {
        /// Which shard.
        shard: u32,
        /// The record.
        ownership: Ownership<H>,
    },
    /// A place exists from now on.
    PlaceJoined(H),
    /// A place is surely gone and never speaks again.
    PlaceGone(H),
    /// Time has passed; asked for by `next_deadline_ns`.
    Tick,
}
