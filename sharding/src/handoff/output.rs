//! What a region wants done.

use super::message::Message;
use crate::ownership::{Epoch, StoreRequest};

/// One thing to do. Outputs are done in order; each is safe to do twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Output<H, P> {
    /// Hand the message to its entity, here.
    Deliver {
        /// Which shard.
        shard: u32,
        /// Where it was sent.
        origin: H,
        /// The message.
        payload: P,
    },
    /// Send a message of a local sender to the shard's owner, in order with everything sent there before.
    Direct {
        /// The owner.
        to: H,
        /// Which shard.
        shard: u32,
        /// The epoch to name.
        epoch: Epoch,
        /// The message.
        payload: P,
    },
    /// Say something to another place, or to whoever listens at this one.
    Send {
        /// To whom.
        to: H,
        /// What.
        message: Message<H, P>,
    },
    /// Tell the entities of the shard to stop when their mailboxes are empty; answer when none runs.
    StopEntities {
        /// Which shard.
        shard: u32,
        /// Named by the answer.
        step: u64,
        /// When `KillEntities` will follow.
        deadline_ns: u64,
    },
    /// Stop what still runs of the shard, at once; answer with the same step. Step 0 wants no answer: the shard was
    /// taken over, nothing these entities still do counts.
    KillEntities {
        /// Which shard.
        shard: u32,
        /// Named by the answer.
        step: u64,
    },
    /// Make the journal finish what is begun and refuse lower epochs for the shard; answer with its last sequence.
    Seal {
        /// Which shard.
        shard: u32,
        /// The epoch to seal at.
        epoch: Epoch,
        /// Named by the answer.
        step: u64,
    },
    /// The shard is this place's at this epoch: entities may run and write.
    Open {
        /// Which shard.
        shard: u32,
        /// The epoch.
        epoch: Epoch,
    },
    /// Ask the ownership store.
    Store {
        /// Named by the answer.
        step: u64,
        /// What to ask.
        request: StoreRequest<H>,
    },
    /// Give the message back to its sender.
    Refuse {
        /// Which shard.
        shard: u32,
        /// Where it was sent.
        origin: H,
        /// The message.
        payload: P,
        /// Why.
        reason: RefusalReason,
    },
}

/// Why a message was given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusalReason {
    /// Too much is parked already.
    #[error(
        "the shard moves and the region's limit of parked messages is reached; send again later"
    )]
    Full,
    /// The message names an epoch that is over.
    #[error("the message was sent to an owner of before; send it again")]
    StaleEpoch,
    /// Whether it reached an entity is not known: the place it was forwarded to has gone.
    #[error("the new owner of the shard went away; the message may or may not have been handled")]
    OwnerGone,
    /// There are fewer shards.
    #[error("no such shard; compare the shard counts of both places")]
    NoSuchShard,
}
