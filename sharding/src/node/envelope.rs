//! What regions and coordinators say to each other, and how messages for entities travel between them.

use mainspring::message::Enclosed;
use mainspring::prelude::*;

use super::figures::RegionFigures;
use crate::ownership::Place;

/// What a region takes: what it is about, and the messages for entities that come with it.
pub type RegionMessage<M> = (Envelope, Vec<Enclosed<M>>);

/// What a message to a region is about.
#[message(name = "mainspring.sharding.envelope")]
#[derive(Clone, Debug)]
pub enum Envelope {
    /// A message for an entity: the only one that comes with it.
    Deliver(Delivery),
    /// The hand-off speaks. A `Forward` brings the messages of its items.
    Handover { from: Place, word: Word },
    /// The ownership store answers.
    StoreAnswered { shard: u32, step: u64, answer: Answer },
    /// Entities that ran where the shard was before, and are to run again.
    Remembered { shard: u32, ids: Vec<Vec<u8>> },
    /// An entity is about to start on another core, which wants to know when that stands in the log of this one.
    Starts { from: u16, number: u64, shard: u32, epoch: u64, id: Vec<u8> },
    /// Whether it does.
    Recorded { number: u64, is_recorded: bool },
    /// An entity of another core has ended that the log of this one says to run.
    Ended { shard: u32, epoch: u64, id: Vec<u8> },
    /// The other nodes whose regions this one has to do with from now on, and all of them.
    Neighbours { version: u64, nodes: Vec<NodeCores> },
    /// Who owns shards, as the ownership store has it.
    Records { records: Vec<(u32, Record)> },
    /// The node is out of its cluster: nothing of its shards goes on.
    Over,
    /// Somebody wants to know what was counted.
    Figures { reply_to: ActorRef<RegionFigures> },
    /// Time has passed.
    Tick,
}

/// Another node, and how many cores it has.
#[message(name = "mainspring.sharding.node_cores")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeCores {
    pub incarnation: u64,
    pub cores: u16,
}

/// Whom a message is for.
#[message(name = "mainspring.sharding.delivery")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Where it was sent, or [`FROM_OUTSIDE`].
    pub from: Place,
    /// The epoch that the sender names; 0 on the way to the region of its own core.
    pub epoch: u64,
    /// Its number among those that went to the region of its own core; 0 for others.
    pub way: u64,
    /// The bytes of the id.
    pub id: Vec<u8>,
}

/// The origin of messages from threads that are no core.
pub const FROM_OUTSIDE: Place = Place { incarnation: 0, core: u16::MAX };

/// [`Message`](crate::handoff::Message) as it travels; the payloads of a `Forward` travel beside it.
#[message(name = "mainspring.sharding.word")]
#[derive(Clone, Debug)]
pub enum Word {
    HandOff { shard: u32, epoch: u64, to: Place },
    BeginHandOff { shard: u32, epoch: u64 },
    HostShard { shard: u32, ownership: Record, last_sequence: Option<u64> },
    ShardStarted { shard: u32, ownership: Record },
    ShardStopped { shard: u32, ownership: Record },
    Resumed { shard: u32, ownership: Record },
    Forward { shard: u32, epoch: u64, first: u64, items: Vec<Item> },
    ForwardAcknowledged { shard: u32, epoch: u64, next: u64 },
    Flush { shard: u32, epoch: u64, origin: Place },
    NotOwner { shard: u32, ownership: Record },
    Busy { shard: u32, epoch: u64 },
}

/// One item of a `Forward`.
#[message(name = "mainspring.sharding.item")]
#[derive(Clone, Debug)]
pub struct Item {
    pub origin: Place,
    /// The id of the entity that the next message is for; none for a flush marker.
    pub id: Option<Vec<u8>>,
}

/// An [`Ownership`](crate::ownership::Ownership) as it travels.
#[message(name = "mainspring.sharding.record")]
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub owner: Place,
    pub epoch: u64,
    pub given_by: Option<Place>,
}

/// A [`StoreRequest`](crate::ownership::StoreRequest) as it travels.
#[message(name = "mainspring.sharding.question")]
#[derive(Clone, Copy, Debug)]
pub enum Question {
    Read { shard: u32 },
    GiveAway { shard: u32, expected: u64, to: Place },
    TakeOver { shard: u32, expected: u64, to: Place },
}

/// A [`StoreAnswer`](crate::ownership::StoreAnswer) as it travels.
#[message(name = "mainspring.sharding.answer")]
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    Found(Option<Record>),
    Changed(Record),
    EpochChanged(Option<Record>),
    TargetAbsent(Option<Record>),
    OwnerPresent(Option<Record>),
    NoSuchShard(Option<Record>),
    Unknown,
}
