//! What somebody asks of an allocator, and why it may be refused.

use super::{Allocator, NodeStatus, Survey};
use crate::ownership::Place;

/// Why a shard cannot be moved to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// No such shard.
    #[error("there is no shard {shard}; the type has {shards} shards, counted from 0")]
    NoShard {
        /// What was asked for.
        shard: u32,
        /// How many there are.
        shards: usize,
    },
    /// No such member.
    #[error("no member has incarnation {incarnation}; list the members")]
    NoNode {
        /// What was asked for.
        incarnation: u64,
    },
    /// No such core.
    #[error("node {incarnation} has no core {core}; it has {cores}, counted from 0")]
    NoCore {
        /// Which node.
        incarnation: u64,
        /// What was asked for.
        core: u16,
        /// How many there are.
        cores: u16,
    },
    /// The node does not have the role of this type.
    #[error("node {incarnation} lacks the role of this type; choose one that has it")]
    NoRole {
        /// Which node.
        incarnation: u64,
    },
    /// The node is coming or going.
    #[error("node {incarnation} is not up ({status:?}); choose one that is")]
    NotUp {
        /// Which node.
        incarnation: u64,
        /// How far it has come.
        status: NodeStatus,
    },
    /// Shards leave that place.
    #[error("node {} is drained, or its core {} is; readmit it first", .to.incarnation, .to.core)]
    Drained {
        /// Which place.
        to: Place,
    },
}

/// Why a node or a core cannot be drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// No such member.
    #[error("no member has incarnation {incarnation}; list the members")]
    NoNode {
        /// What was asked for.
        incarnation: u64,
    },
    /// No such core.
    #[error("node {incarnation} has no core {core}; it has {cores}, counted from 0")]
    NoCore {
        /// Which node.
        incarnation: u64,
        /// What was asked for.
        core: u16,
        /// How many there are.
        cores: u16,
    },
    /// There would be nothing left.
    #[error("no other place could have the shards; readmit another first")]
    LastPlace,
}

impl Allocator {
    /// Has a shard moved to a place, before anything is balanced. A later wish for the same shard takes the place of an
    /// earlier one; one for the place where the shard is has no effect. It is dropped without a move when its place can
    /// no longer have the shard, and waits while that place or the owner cannot be reached.
    ///
    /// # Errors
    ///
    /// No such shard or place, or one that may not have the shard.
    pub fn move_shard(
        &mut self,
        shard: u32,
        to: Place,
        survey: &Survey<'_>,
    ) -> Result<(), WishError> {
        let shards = survey.homes.len();
        if shard as usize >= shards {
            return Err(WishError::NoShard { shard, shards });
        }
        self.check_target(to, survey)?;
        self.wishes.insert(shard, to);
        Ok(())
    }

    /// Has all shards leave a node, as many at a time as the settings allow, and none go there.
    ///
    /// # Errors
    ///
    /// No such node, or no other could have the shards.
    pub fn drain_node(&mut self, incarnation: u64, survey: &Survey<'_>) -> Result<(), DrainError> {
        if survey.node(incarnation).is_none() {
            return Err(DrainError::NoNode { incarnation });
        }
        let is_new = self.drained_nodes.insert(incarnation);
        if self.has_place(survey) {
            return Ok(());
        }
        if is_new {
            self.drained_nodes.remove(&incarnation);
        }
        Err(DrainError::LastPlace)
    }

    /// Has all shards leave a core, as many at a time as the settings allow, and none go there.
    ///
    /// # Errors
    ///
    /// No such core, or no other could have the shards.
    pub fn drain_core(&mut self, place: Place, survey: &Survey<'_>) -> Result<(), DrainError> {
        let Place { incarnation, core } = place;
        let Some(node) = survey.node(incarnation) else {
            return Err(DrainError::NoNode { incarnation });
        };
        if core >= node.cores {
            return Err(DrainError::NoCore { incarnation, core, cores: node.cores });
        }
        let is_new = self.drained_cores.insert(place);
        if self.has_place(survey) {
            return Ok(());
        }
        if is_new {
            self.drained_cores.remove(&place);
        }
        Err(DrainError::LastPlace)
    }

    /// Shards may go to this node again, but for its drained cores. `false` when it was not drained.
    pub fn readmit_node(&mut self, incarnation: u64) -> bool {
        self.drained_nodes.remove(&incarnation)
    }

    /// Shards may go to this core again, unless its node is drained. `false` when it was not drained.
    pub fn readmit_core(&mut self, place: Place) -> bool {
        self.drained_cores.remove(&place)
    }

    /// Whether a wish for this shard waits.
    pub fn is_asked(&self, shard: u32) -> bool {
        self.wishes.contains_key(&shard)
    }

    /// Whether no shard may go to this place because it, or its node, is drained.
    pub fn is_drained(&self, place: Place) -> bool {
        self.drained_nodes.contains(&place.incarnation) || self.drained_cores.contains(&place)
    }

    /// Whether the place may have a shard that somebody wants there, now or when it is reached again.
    pub(super) fn check_target(&self, to: Place, survey: &Survey<'_>) -> Result<(), WishError> {
        let Place { incarnation, core } = to;
        let node = survey.node(incarnation).filter(|_| !survey.absent.contains(&incarnation));
        let Some(node) = node else { return Err(WishError::NoNode { incarnation }) };
        match node.status {
            _ if core >= node.cores => {
                Err(WishError::NoCore { incarnation, core, cores: node.cores })
            }
            _ if !node.has_role => Err(WishError::NoRole { incarnation }),
            NodeStatus::Up if self.is_drained(to) => Err(WishError::Drained { to }),
            NodeStatus::Up => Ok(()),
            status => Err(WishError::NotUp { incarnation, status }),
        }
    }
}
