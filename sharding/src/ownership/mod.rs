//! Who owns a shard: the one record that decides, and the questions that may be put to whoever keeps it.
//!
//! A store is asked and answers later; an answer may be that the outcome is not known. There are two ways to change an
//! owner and no third: the owner itself gives the shard away, or somebody takes over from an owner that is absent.
//! Both compare the epoch first, so a question that arrives late, or twice, changes nothing that has moved on.
//!
//! Invariants: the epoch of a shard rises with every change and never otherwise; a shard has one owner per epoch.

mod cluster_store;
mod lease;
mod memory;
mod place;
pub mod shared_memory;
mod store_error;
pub(crate) mod verdict;

pub use cluster_store::{
    ClusterStore, LeaseAnswer, NamedLease, NodeRecord, OpenStore, QUESTION_LIMIT, StoreNews,
    StoreQuestion,
};
pub use lease::{Lease, LeaseSettings, LeaseTooShort};
pub use memory::MemoryOwnership;
pub use place::{ArchivedPlace, Place};
pub use store_error::StoreError;

use std::fmt;

/// The place that can own a shard: a core of one node, or a node's core in a cluster.
///
/// A place that has gone never comes back under the same name: its next life is another place.
pub trait Home: Copy + Ord + fmt::Debug {}

impl<T: Copy + Ord + fmt::Debug> Home for T {}

/// The number of an ownership: it rises whenever the owner of the shard changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first owner.
    pub const NONE: Epoch = Epoch(0);
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The record of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ownership<H> {
    /// Who owns the shard.
    pub owner: H,
    /// Since which change.
    pub epoch: Epoch,
    /// The owner before, when it gave the shard away itself; none after a takeover and for the first owner. Who reads
    /// the record knows from it whose parked messages are still on their way.
    pub given_by: Option<H>,
}

/// What a store can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreRequest<H> {
    /// The record as it stands; nothing older than the moment of the question.
    Read {
        /// Which shard.
        shard: u32,
    },
    /// By the owner: if the epoch is still `expected` and `to` is present, `to` owns the shard from now on.
    GiveAway {
        /// Which shard.
        shard: u32,
        /// The epoch at which the asker owns it.
        expected: Epoch,
        /// The owner to be. The asker itself is allowed: the epoch rises and requests of before are void.
        to: H,
    },
    /// By anybody: if the epoch is still `expected`, its owner is absent and `to` is present, `to` owns the shard.
    TakeOver {
        /// Which shard.
        shard: u32,
        /// The epoch of the owner that went, or [`Epoch::NONE`] for a shard without an owner.
        expected: Epoch,
        /// The owner to be.
        to: H,
    },
}

impl<H> StoreRequest<H> {
    /// The shard asked about.
    pub fn shard(&self) -> u32 {
        match self {
            StoreRequest::Read { shard }
            | StoreRequest::GiveAway { shard, .. }
            | StoreRequest::TakeOver { shard, .. } => *shard,
        }
    }
}

/// What a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreAnswer<H> {
    /// To a read: the record, if the shard has ever had an owner.
    Found(Option<Ownership<H>>),
    /// The change is made; this is the record now.
    Changed(Ownership<H>),
    /// The change is surely not made and this request never will; this is the record instead.
    Refused {
        /// Why.
        reason: StoreRefusal,
        /// The record that stands.
        current: Option<Ownership<H>>,
    },
    /// Nobody knows whether the change is made, or will be.
    Unknown,
}

/// Why a change of owner was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum StoreRefusal {
    /// The record has moved on.
    #[error("the shard has another epoch; read its record again")]
    EpochChanged,
    /// A shard is never given to who is not there.
    #[error("the new owner is not present; choose another one")]
    TargetAbsent,
    /// A shard is never taken from an owner that lives.
    #[error("the owner is present; ask it to give the shard away")]
    OwnerPresent,
    /// The store was made for fewer shards.
    #[error("no such shard; compare the shard counts")]
    NoSuchShard,
}

/// The name by which the asker knows an answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The question was not taken: surely nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} questions wait for the ownership store already; ask again when answers have come")]
pub struct StoreFull {
    /// Questions that may wait.
    pub limit: usize,
}

/// Whoever keeps the records: asked now, answering later, in any order, perhaps never.
pub trait OwnershipStore<H: Home> {
    /// Puts a question.
    ///
    /// # Errors
    /// [`StoreFull`] when too many wait already; the question was not put.
    fn ask(
        &mut self,
        now_ns: u64,
        id: RequestId,
        request: StoreRequest<H>,
    ) -> Result<(), StoreFull>;

    /// The next answer that is there. An answer that never comes is the asker's to time out, as unknown.
    fn next_answer(&mut self, now_ns: u64) -> Option<(RequestId, StoreAnswer<H>)>;
}

#[cfg(test)]
mod tests;
