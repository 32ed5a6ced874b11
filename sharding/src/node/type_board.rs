//! What any thread can see of one type of entities on this node, and what it can ask of it.
//!
//! The actors of the first core write it down and take the requests up; nobody waits for anybody. Bounds: a line for
//! each shard, [`SHARD_REQUESTS_LIMIT`] requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ownership::{Ownership, Place};

/// Requests about the shards of one type that wait on a node.
pub const SHARD_REQUESTS_LIMIT: usize = 1_024;

/// See the module's header.
#[derive(Debug)]
pub(crate) struct TypeBoard {
    /// Cores on which the type has a region.
    cores: AtomicU16,
    has_begun: AtomicBool,
    holds_lease: AtomicBool,
    owners: Mutex<Vec<Option<Ownership<Place>>>>,
    requests: Mutex<VecDeque<ShardRequest>>,
}

/// What a thread asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardRequest {
    Move { shard: u32, to: Place },
    Rebalance,
}

impl TypeBoard {
    /// A type that has not begun anywhere.
    pub fn new(shard_count: u32) -> TypeBoard {
        TypeBoard {
            cores: AtomicU16::new(0),
            has_begun: AtomicBool::new(false),
            holds_lease: AtomicBool::new(false),
            owners: Mutex::new(vec![None; shard_count as usize]),
            requests: Mutex::default(),
        }
    }

    /// A core has its region.
    pub fn add_core(&self) {
        self.cores.fetch_add(1, Ordering::Relaxed);
    }

    pub fn cores(&self) -> u16 {
        self.cores.load(Ordering::Relaxed)
    }

    /// Whether this node takes part with the others, and may use what it owns.
    pub fn set_standing(&self, has_begun: bool, holds_lease: bool) {
        self.has_begun.store(has_begun, Ordering::Relaxed);
        self.holds_lease.store(holds_lease, Ordering::Relaxed);
    }

    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    pub fn holds_lease(&self) -> bool {
        self.holds_lease.load(Ordering::Relaxed)
    }

    /// Who owns a shard, as this node knows by now.
    pub fn note(&self, shard: u32, ownership: Ownership<Place>) {
        if let Some(owner) = locked(&self.owners).get_mut(shard as usize) {
            *owner = Some(ownership);
        }
    }

    pub fn shard_count(&self) -> u32 {
        locked(&self.owners).len() as u32
    }

    pub fn owners(&self) -> Vec<Option<Ownership<Place>>> {
        locked(&self.owners).clone()
    }

    /// Adds a request, unless as many wait as may.
    #[must_use]
    pub fn ask(&self, request: ShardRequest) -> bool {
        let requests = &mut *locked(&self.requests);
        let has_room = requests.len() < SHARD_REQUESTS_LIMIT;
        if has_room {
            requests.push_back(request);
        }
        has_room
    }

    pub fn take_requests(&self) -> VecDeque<ShardRequest> {
        std::mem::take(&mut *locked(&self.requests))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_limit_are_not_taken_until_the_others_are_taken_up() {
        let board = TypeBoard::new(4);
        assert!((0..SHARD_REQUESTS_LIMIT).all(|_| board.ask(ShardRequest::Rebalance)));
        assert!(!board.ask(ShardRequest::Rebalance));
        assert_eq!(board.take_requests().len(), SHARD_REQUESTS_LIMIT);
        assert!(board.ask(ShardRequest::Rebalance));
    }
}
