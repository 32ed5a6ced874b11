//! What a status server shows of the entities of its node, and asks of them.

use crate::node::{Readiness, ShardRequestError, Sharding, TypeShards};
use crate::ownership::Place;

/// The entities of a node as operators see them, from any thread. No call waits for a core.
pub(super) trait EntitiesView: Send + Sync + 'static {
    fn readiness(&self) -> Readiness;

    fn shards(&self) -> Vec<TypeShards>;

    /// That it is taken up does not say that it succeeds.
    fn move_shard(&self, entity_type: &str, shard: u32, to: Place)
    -> Result<(), ShardRequestError>;

    fn rebalance(&self, entity_type: &str) -> Result<(), ShardRequestError>;
}

impl EntitiesView for Sharding {
    fn readiness(&self) -> Readiness {
        Sharding::readiness(self)
    }

    fn shards(&self) -> Vec<TypeShards> {
        Sharding::shards(self)
    }

    fn move_shard(
        &self,
        entity_type: &str,
        shard: u32,
        to: Place,
    ) -> Result<(), ShardRequestError> {
        Sharding::move_shard(self, entity_type, shard, to)
    }

    fn rebalance(&self, entity_type: &str) -> Result<(), ShardRequestError> {
        Sharding::rebalance(self, entity_type)
    }
}
