//! What a status server shows of the entities of its node, and asks of them.

use crate::ownership::{Epoch, Place};

/// The entities of a node as operators see them, from any thread. None of the calls may wait for a core.
pub trait ShardsView: Send + Sync + 'static {
    /// Why the node should get no requests yet, or no more; none if it may.
    fn not_ready(&self) -> Option<String>;

    /// Every type with its shards, as this node knows them.
    fn types(&self) -> Vec<TypeView>;

    /// Asks for a shard to be moved. That it is taken up does not say that it succeeds.
    ///
    /// # Errors
    /// [`ShardRequestError`]; nothing was asked.
    fn move_shard(&self, entity_type: &str, shard: u32, to: Place)
    -> Result<(), ShardRequestError>;

    /// Asks for the shards of a type to be balanced now, or of all types.
    ///
    /// # Errors
    /// [`ShardRequestError`]; nothing was asked.
    fn rebalance(&self, entity_type: Option<&str>) -> Result<(), ShardRequestError>;
}

/// A type of entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeView {
    /// Its name.
    pub name: String,
    /// Its shards by number; none where no owner is known.
    pub shards: Vec<Option<ShardView>>,
}

/// Where a shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardView {
    /// On which core of which node.
    pub place: Place,
    /// Since which change of its owner.
    pub epoch: Epoch,
}

/// Why nothing was asked of the shards.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardRequestError {
    /// This status server was not given the entities.
    #[error(
        "this node has no entities, or its status server does not know them: StatusServer::shards"
    )]
    NoEntities,
    /// No such type.
    #[error("there is no type of entities {entity_type:?}; look at /shards")]
    UnknownType {
        /// What was asked for.
        entity_type: String,
    },
    /// No such shard.
    #[error("{entity_type} has {count} shards, from 0; there is no shard {shard}")]
    UnknownShard {
        /// The type.
        entity_type: String,
        /// What was asked for.
        shard: u32,
        /// How many there are.
        count: u32,
    },
    /// No such core of a member.
    #[error("there is no core {} of a member {}; look at /members", .place.core, .place.incarnation)]
    UnknownPlace {
        /// What was asked for.
        place: Place,
    },
    /// Too many requests wait.
    #[error("too many requests wait for the shards to move; ask again later")]
    TooMany,
    /// It cannot be done now.
    #[error("{why}")]
    Refused {
        /// Why, and what to do.
        why: String,
    },
}
