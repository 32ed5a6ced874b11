//! The shared store in memory: for simulations of several nodes, and for tests.
//!
//! One [`SharedMemory`] is the store of all nodes of a simulation; [`SharedMemory::of`] is the access of one of them.
//! Time is what the nodes say it is, the latest of all; what happens in the store happens in the order of its times,
//! whoever asks first.
//!
//! Promises: what [`ClusterStore`] asks for, and the same run again from the same seed and calls. Faults on demand
//! ([`StoreFaults`]): what is sent takes time, is lost, or comes when nobody waits for it any more; leases end later
//! than they should; a node is cut off; the store changes its leader.
//!
//! Refuses: to outlive the process.

mod faults;
mod node;
mod records;
mod world;

pub use faults::StoreFaults;
pub use node::SharedMemoryNode;
pub use world::{HISTORY_LIMIT, StoreChange};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{ClusterStore, LeaseSettings, OpenStore, Ownership, Place, StoreError};
use world::World;

/// How long a node waits for the answer to a question before it calls the outcome unknown.
pub const ANSWER_WITHIN_NS: u64 = 2_000_000_000;
/// How long nothing is decided when the leader of the store changes.
pub const LEADERLESS_NS: u64 = 2_000_000_000;
/// Records of shards that it holds.
pub const RECORD_LIMIT: usize = 1_048_576;

/// The store of all nodes of a simulation. Clones are the same store.
#[derive(Clone, Debug)]
pub struct SharedMemory {
    world: Arc<Mutex<World>>,
    lease: LeaseSettings,
}

impl SharedMemory {
    /// Without records, nodes and faults. The seed is what faults are drawn from.
    pub fn seeded(seed: u64) -> SharedMemory {
        let world = Arc::new(Mutex::new(World::new(seed)));
        SharedMemory { world, lease: LeaseSettings::default() }
    }

    /// How the nodes that are given access from now on keep their leases.
    pub fn with_lease(mut self, lease: LeaseSettings) -> SharedMemory {
        self.lease = lease;
        self
    }

    /// The access of a node; the number is that by which it can be [cut off](Self::cut_off). Each call is another
    /// connection: a node that starts again has its own.
    pub fn of(&self, node: usize) -> SharedMemoryNode {
        SharedMemoryNode::new(self.world.clone(), node, self.lease)
    }

    /// What a node can be given to make its access with.
    pub fn opener(&self, node: usize) -> SharedMemoryOpener {
        SharedMemoryOpener { store: self.clone(), node }
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: StoreFaults) {
        self.world().faults = faults;
    }

    /// Nothing passes between the store and a node, until it is [connected](Self::connect) again.
    pub fn cut_off(&self, node: usize) {
        self.world().cut_off.insert(node);
    }

    /// The node reaches the store again, and hears what it missed.
    pub fn connect(&self, node: usize) {
        self.world().cut_off.remove(&node);
    }

    /// The store has no leader for [`LEADERLESS_NS`]: what arrives is lost or waits, and all leases begin anew
    /// afterwards.
    pub fn change_leader(&self, now_ns: u64) {
        self.world().change_leader(now_ns);
    }

    /// The record of a shard, if it has ever had an owner.
    pub fn record(&self, entity_type: &str, shard: u32) -> Option<Ownership<Place>> {
        self.world().records.record(entity_type, shard)
    }

    /// The nodes that are present, by incarnation.
    pub fn present(&self) -> Vec<u64> {
        self.world().records.nodes().map(|node| node.incarnation).collect()
    }

    /// Which life of which node has a lease by that name.
    pub fn lease_holder(&self, name: &str) -> Option<u64> {
        self.world().holder(name)
    }

    /// The last [`HISTORY_LIMIT`] changes of owners, as they happened.
    pub fn history(&self) -> Vec<StoreChange> {
        self.world().history.iter().cloned().collect()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes the access of one node to a [`SharedMemory`].
#[derive(Clone, Debug)]
pub struct SharedMemoryOpener {
    store: SharedMemory,
    node: usize,
}

impl OpenStore for SharedMemoryOpener {
    fn open(&self) -> Result<Box<dyn ClusterStore + Send>, StoreError> {
        Ok(Box::new(self.store.of(self.node)))
    }
}

#[cfg(test)]
mod tests;
