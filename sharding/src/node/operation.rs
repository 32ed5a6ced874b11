//! What those who operate a node see of its entities, and what they can ask, from any thread: whether it is ready,
//! where its shards are, and that shards move.
//!
//! It promises to wait for nobody, and refuses with a reason what the node cannot do or has no room for.

use std::fmt;

use super::sharding::Sharding;
use super::type_board::{SHARD_REQUESTS_LIMIT, ShardRequest};
use crate::membership::{Status, StopReason};
use crate::ownership::Place;

/// Whether a node is to be sent work, for a readiness probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// What is missing; nothing when it is ready.
    pub missing: Vec<NotReady>,
}

/// What a node is waiting for before it is ready, or why it is not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReady {
    /// The node has not started.
    #[error("the node has not started")]
    NotStarted,
    /// Some cores have no entities of a type.
    #[error(
        "{entity_type:?} has regions on {installed} of {cores} cores; look into the log of the start"
    )]
    NoRegion {
        /// The type.
        entity_type: String,
        /// Where it has one.
        installed: u16,
        /// The cores of the node.
        cores: u16,
    },
    /// The node is no member in full.
    #[error("the node is not up in its cluster; it is {}", status.map_or("no member", status_name))]
    NotUp {
        /// What it is instead, if it is a member.
        status: Option<Status>,
    },
    /// The node is out of its cluster.
    #[error("the node has left its cluster or was given up ({reason:?}); start it again")]
    Stopping {
        /// Why.
        reason: StopReason,
    },
    /// The store does not say that the node may use what it owns.
    #[error("the node holds no lease at the ownership store; look whether it reaches the store")]
    NoLease,
    /// Not all members have met this node.
    #[error("{entity_type:?} has not begun; it waits until all members know each other's regions")]
    NotBegun {
        /// The type.
        entity_type: String,
    },
}

/// Where the shards of a type are, as this node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeShards {
    /// The name of the type.
    pub entity_type: String,
    /// By number; none for a shard that nobody has had, or of which this node has not heard yet.
    pub shards: Vec<Option<ShardHome>>,
}

/// Who has a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardHome {
    /// Which core of which life of which node.
    pub place: Place,
    /// Since which change.
    pub epoch: u64,
    /// The address of the node, if it is a member.
    pub address: Option<String>,
}

/// Why a request about shards was not taken. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShardRequestError {
    /// The node has no such type.
    #[error("this node has no entities of a type {entity_type:?}; list the types")]
    UnknownType {
        /// What was asked for.
        entity_type: String,
    },
    /// The type has no such shard.
    #[error("{entity_type:?} has no shard {shard}; it has {shards}, counted from 0")]
    UnknownShard {
        /// The type.
        entity_type: String,
        /// What was asked for.
        shard: u32,
        /// How many there are.
        shards: u32,
    },
    /// The node is in no cluster: its shards move by [`Entities::move_shard`](super::Entities::move_shard).
    #[error("this node is in no cluster, or has not started; shards do not go to other nodes")]
    NotClustered,
    /// Too many requests wait.
    #[error("{SHARD_REQUESTS_LIMIT} requests about {entity_type:?} wait; ask again later")]
    TooMany {
        /// The type.
        entity_type: String,
    },
}

impl Readiness {
    /// Whether nothing is missing.
    pub fn is_ready(&self) -> bool {
        self.missing.is_empty()
    }
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_ready() {
            return f.write_str("ready");
        }
        for (count, missing) in self.missing.iter().enumerate() {
            let between = if count > 0 { "; " } else { "" };
            write!(f, "{between}{missing}")?;
        }
        Ok(())
    }
}

impl Sharding {
    /// Whether the node is to be sent work: it has started, and in a cluster it is up, holds its lease, and all its
    /// types have met those of the other members. It is not ready from when it begins to leave, or is given up. As of a
    /// tenth of a second ago at most, as long as the first core works.
    pub fn readiness(&self) -> Readiness {
        let Some(cores) = self.started_cores() else {
            return Readiness { missing: vec![NotReady::NotStarted] };
        };
        let mut missing = Vec::new();
        let boards = self.boards();
        for (entity_type, board) in &boards {
            let (entity_type, installed) = (entity_type.clone(), board.cores());
            if installed < cores {
                missing.push(NotReady::NoRegion { entity_type, installed, cores });
            }
        }
        if !self.is_clustered() {
            return Readiness { missing };
        }
        let cluster = self.cluster();
        let status = cluster.as_ref().and_then(|cluster| cluster.this()).map(|this| this.status);
        match cluster.and_then(|cluster| cluster.stopping()) {
            Some(reason) => missing.push(NotReady::Stopping { reason }),
            None if status != Some(Status::Up) => missing.push(NotReady::NotUp { status }),
            None => {}
        }
        if boards.iter().any(|(_, board)| !board.holds_lease()) || self.has_ended() {
            missing.push(NotReady::NoLease);
        }
        let waiting = boards.into_iter().filter(|(_, board)| !board.has_begun());
        missing.extend(waiting.map(|(entity_type, _)| NotReady::NotBegun { entity_type }));
        Readiness { missing }
    }

    /// Where the shards of all types are, as this node knows: what it has read and heard of the store. In a cluster
    /// only.
    pub fn shards(&self) -> Vec<TypeShards> {
        let members = self.cluster().map(|cluster| cluster.members()).unwrap_or_default();
        let address_of = |incarnation| {
            let member = members.iter().find(|member| member.incarnation == incarnation);
            member.map(|member| member.address.clone())
        };
        let home = |ownership: crate::ownership::Ownership<Place>| ShardHome {
            place: ownership.owner,
            epoch: ownership.epoch.0,
            address: address_of(ownership.owner.incarnation),
        };
        let boards = self.boards().into_iter();
        let types = boards.map(|(entity_type, board)| {
            let shards = board.owners().into_iter().map(|owner| owner.map(home)).collect();
            TypeShards { entity_type, shards }
        });
        types.collect()
    }

    /// Has a shard brought to a place, on this node or another one. It begins within a tenth of a second, if the place
    /// can have the shard, and otherwise nothing happens; [`shards`](Self::shards) shows it.
    ///
    /// # Errors
    /// [`ShardRequestError`]; nothing was asked.
    pub fn move_shard(
        &self,
        entity_type: &str,
        shard: u32,
        to: Place,
    ) -> Result<(), ShardRequestError> {
        self.ask_about(entity_type, Some(shard), ShardRequest::Move { shard, to })
    }

    /// Has the shards of a type balanced now, instead of when the next round is due.
    ///
    /// # Errors
    /// [`ShardRequestError`]; nothing was asked.
    pub fn rebalance(&self, entity_type: &str) -> Result<(), ShardRequestError> {
        self.ask_about(entity_type, None, ShardRequest::Rebalance)
    }

    fn ask_about(
        &self,
        entity_type: &str,
        shard: Option<u32>,
        request: ShardRequest,
    ) -> Result<(), ShardRequestError> {
        let name = || entity_type.to_owned();
        let mut boards = self.boards().into_iter();
        let Some((_, board)) = boards.find(|(known, _)| known == entity_type) else {
            return Err(ShardRequestError::UnknownType { entity_type: name() });
        };
        let shards = board.shard_count();
        if let Some(shard) = shard.filter(|shard| *shard >= shards) {
            return Err(ShardRequestError::UnknownShard { entity_type: name(), shard, shards });
        }
        if self.cluster().is_none() {
            return Err(ShardRequestError::NotClustered);
        }
        if !board.ask(request) {
            return Err(ShardRequestError::TooMany { entity_type: name() });
        }
        Ok(())
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Joining => "joining",
        Status::WeaklyUp => "weakly up",
        Status::Up => "up",
        Status::Leaving => "leaving",
        Status::Exiting => "exiting",
        Status::Down => "down",
    }
}
