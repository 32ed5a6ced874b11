//! The store that the nodes of a cluster share, as one node sees it.
//!
//! It holds which nodes are present, each under a lease of its own that the node keeps, and who owns which shard. A
//! record of a shard is not under a lease: it outlives its owner, and is rewritten only when the owner changes, so its
//! epoch is the revision of the store at that change. A [`Place`] is present as long as its node is. Beside them it has
//! leases by name ([`NamedLease`]), which have to do with neither: whoever asks first has one for a time.
//!
//! Promises: one owner per epoch of a shard, and epochs that rise. A node hears [`StoreNews::LeaseKept`] with the time
//! at which it must have stopped using what it owns, and [`StoreNews::LeaseLost`] at that time at the latest; nobody
//! can take a shard from it before.
//!
//! Refuses: to block, and to guess. Whether a change is made that got no answer is [`StoreAnswer::Unknown`].

use std::fmt;
use std::sync::Arc;

use mainspring::device::Alarm;

use super::{Ownership, Place, RequestId, StoreAnswer, StoreError, StoreFull, StoreRequest};

/// Questions of one node that may wait for their answers.
pub const QUESTION_LIMIT: usize = 16_384;

/// One node's access to the store: asked and polled by a device of its core 0.
pub trait ClusterStore {
    /// Puts a question. Each is answered at most once, under the same number.
    ///
    /// # Errors
    /// [`StoreFull`] when [`QUESTION_LIMIT`] questions wait already; the question was not put.
    fn ask(&mut self, now_ns: u64, id: RequestId, question: StoreQuestion)
    -> Result<(), StoreFull>;

    /// Does what is due and appends what has become known, in the order in which it did. Answers that never come are
    /// the asker's to time out, as unknown.
    fn poll(&mut self, now_ns: u64, news: &mut Vec<StoreNews>);

    /// When it wants to be polled though nobody rings, in nanoseconds of the core's clock.
    fn next_deadline_ns(&self) -> Option<u64>;

    /// What a store with a thread of its own rings when there is news. Called once, before the first question.
    fn use_alarm(&mut self, alarm: Alarm);
}

/// What a node is given to make its access to the store with, when it starts.
pub trait OpenStore: fmt::Debug + Send + Sync + 'static {
    /// Makes the access. May start a thread and block; it does not wait for the store to answer.
    ///
    /// # Errors
    /// What is wrong with the settings, or that no thread could be started.
    fn open(&self) -> Result<Box<dyn ClusterStore + Send>, StoreError>;
}

/// A node as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeRecord {
    /// Which life of the node.
    pub incarnation: u64,
    /// Where it listens for other nodes.
    pub address: String,
}

/// What the store can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreQuestion {
    /// Be present from now on, under a lease. All that the store has to tell ([`StoreNews::NodePresent`] and so on)
    /// begins with it: first the nodes that are present, and those that are no more; then every change. Owners of
    /// before are read by [`StoreQuestion::ReadAll`].
    ///
    /// A node that lost its lease may ask again, under its incarnation too: what it owned and nobody took meanwhile is
    /// its own at the same epoch, and has to be read before it is used.
    Register(NodeRecord),
    /// Read or change the owner of a shard.
    Ownership {
        /// Which type of entities.
        entity_type: Arc<str>,
        /// What about which shard.
        request: StoreRequest<Place>,
    },
    /// The records of all shards of a type that have ever had an owner.
    ReadAll {
        /// Which type of entities.
        entity_type: Arc<str>,
    },
    /// Give the lease back: this node is absent from now on and owns nothing that others could not take. It must have
    /// stopped using what it owns before.
    Resign,
    /// Have a lease by its name, for so long from now on, if nobody has it or this node does. The node need not be
    /// present for it. To be asked again when the answer is unknown.
    AcquireLease {
        /// Which, and for whom.
        lease: NamedLease,
        /// For how long. Where a store counts in seconds it is rounded up.
        ttl_ns: u64,
    },
    /// Give that lease back, unless it was acquired again since.
    ReleaseLease(NamedLease),
}

/// A lease that has a name, and who has it or wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedLease {
    /// The name; the same for all nodes of a cluster.
    pub name: Arc<str>,
    /// Which life of which node.
    pub incarnation: u64,
    /// By which of its requests: one that arrives after a later one changes nothing.
    pub request: u64,
}

/// What a store says about a lease by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseAnswer {
    /// The asker has it.
    Acquired,
    /// Somebody else has it.
    Refused {
        /// Which life of which node.
        holder: u64,
    },
    /// Nobody has it on account of this request any more.
    Released,
    /// Nobody knows whether what was asked for has happened.
    Unknown,
}

/// What the store has to say to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreNews {
    /// To [`StoreQuestion::Register`]: the node is present.
    Registered(RequestId),
    /// To [`StoreQuestion::Ownership`].
    Answer(RequestId, StoreAnswer<Place>),
    /// To [`StoreQuestion::ReadAll`]: shards and their records, by shard.
    Records(RequestId, Vec<(u32, Ownership<Place>)>),
    /// To [`StoreQuestion::Resign`].
    Resigned(RequestId),
    /// To [`StoreQuestion::AcquireLease`] and [`StoreQuestion::ReleaseLease`].
    Lease(RequestId, LeaseAnswer),
    /// To any question: surely nothing has changed, and why. Only a registration may have happened nevertheless; its
    /// lease then ends by itself, and asking again is safe.
    Failed(RequestId, StoreError),
    /// This node may use what it owns until then. The latest word holds; after the machine was suspended it may be
    /// earlier than the one before.
    LeaseKept {
        /// When the node must have stopped using what it owns, in nanoseconds of the core's clock.
        until_ns: u64,
    },
    /// The time is up, or the store says that the lease is gone: stop using what is owned, at once. Said once; the
    /// node can come back only by [`StoreQuestion::Register`].
    LeaseLost,
    /// A node is absent from now on: its shards can be taken over.
    NodeAbsent {
        /// Which life of which node.
        incarnation: u64,
    },
    /// A node is present from now on. This node hears it of itself too.
    NodePresent(NodeRecord),
    /// A shard has another owner. May come more than once and after the answer that said the same: what counts is the
    /// higher epoch.
    Changed {
        /// Which type of entities.
        entity_type: Arc<str>,
        /// Which shard.
        shard: u32,
        /// Its record.
        ownership: Ownership<Place>,
    },
}
