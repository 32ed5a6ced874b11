//! What can be wrong with a type of entities, and with a message for an entity.

use std::path::PathBuf;

use mainspring::TellError;

use super::entity_type::MOST_NAME_BYTES;
use crate::entities::{EntityIdError, LifeSettingsError, ResidentsError, ShardCountError};
use crate::passivation::PassivationError;
use crate::rebalance::RebalanceSettingsError;

/// Why a type of entities was not taken. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum DeclareError {
    /// It has no name, or one that is too long.
    #[error("the name of a type of entities has {bytes} bytes; choose 1 to {MOST_NAME_BYTES}")]
    Name {
        /// What it has.
        bytes: usize,
    },
    /// Another type has the name, or one with the same hash.
    #[error("{name:?} and {other:?} have the same name or the same hash of it; rename one of them")]
    Taken {
        /// The name that was asked for.
        name: String,
        /// The name that is there.
        other: String,
    },
    /// The number of shards is not allowed.
    #[error("{name:?}: {source}")]
    Shards {
        /// The type.
        name: String,
        /// What is wrong.
        source: ShardCountError,
    },
    /// The limit of entities is not allowed.
    #[error("{name:?}: {source}")]
    AtMost {
        /// The type.
        name: String,
        /// What is wrong.
        source: ResidentsError,
    },
    /// Entities that fail could not be started again.
    #[error("{name:?}: {source}")]
    Failures {
        /// The type.
        name: String,
        /// What is wrong.
        source: LifeSettingsError,
    },
    /// Its limits on idle and active entities are not allowed.
    #[error("{name:?}: {source}")]
    Passivation {
        /// The type.
        name: String,
        /// What is wrong.
        source: PassivationError,
    },
    /// Its shards could not be moved under these settings.
    #[error("{name:?}: {source}")]
    Rebalance {
        /// The type.
        name: String,
        /// What is wrong.
        source: RebalanceSettingsError,
    },
    /// Its entities keep their state in a journal, which does not go with a shard to another node.
    #[error(
        "{name:?} keeps its state in a journal, which stays on its node; declare it on a node that is in no cluster"
    )]
    KeepsJournal {
        /// The type.
        name: String,
    },
    /// Members do not keep the records of so many shards.
    #[error(
        "{name:?} has {shards} shards; without a store choose {limit} at most, or give the cluster a store"
    )]
    NeedsStore {
        /// The type.
        name: String,
        /// What it has.
        shards: u32,
        /// What it may have.
        limit: u32,
    },
    /// The node runs already.
    #[error("{name:?} was declared after its node had started; declare all types before")]
    Started {
        /// The type.
        name: String,
    },
}

/// Why the types of a node could not be used.
#[derive(Debug, thiserror::Error)]
pub enum TypesError {
    /// The type had another number of shards before.
    #[error(
        "{name:?} has {stored} shards according to {}, and {asked} were asked for: with another number its ids \
         would belong to other shards. Go back to {stored}, or take a new name and move the entities",
        path.display()
    )]
    OtherShardCount {
        /// The type.
        name: String,
        /// What it has had so far.
        stored: u32,
        /// What was asked for.
        asked: u32,
        /// Where that stands.
        path: PathBuf,
    },
    /// The file of types is damaged.
    #[error(
        "line {line} of {} is not \"shards name\" of one more type: {text:?}; restore the file",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Why a message for an entity was not sent. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntityTellError {
    /// The id cannot be one.
    #[error(transparent)]
    Id(#[from] EntityIdError),
    /// The core knows no such type, or one with other messages.
    #[error(
        "no such type of entities on this node: declare it with `Sharding::entities`, and give the sharding to the node"
    )]
    UnknownType,
    /// The shard moves, and as much as may waits for it already.
    #[error(
        "the entity's shard moves, and its region's limit of waiting messages is reached; send again later"
    )]
    Moving,
    /// The node is out of its cluster: it was given up, or has lost its lease.
    #[error(
        "this node is out of its cluster and has no entities any more; start it again, or send from another node"
    )]
    Over,
    /// It could not be sent to where the entity is.
    #[error(transparent)]
    Send(#[from] TellError),
}
