//! What the cluster's actor tells actors of its node, and what they ask of it.

use std::collections::BTreeSet;

use mainspring::prelude::*;

use super::introduction::Introduction;
use crate::membership::{Member, MemberId, Status, StopReason};

/// A member as this node sees it.
#[message(name = "mainspring.cluster.member")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberView {
    /// Where the node listens for other nodes.
    pub address: String,
    /// Which life of the node. The lower half is the node as references to its actors have it.
    pub incarnation: u64,
    /// What it may be used for, in order.
    pub roles: Vec<String>,
    /// The version of the program that it runs.
    pub app_version: String,
    /// How far it has come.
    pub status: Status,
    /// Its place in the order in which members came up, from 1; none before it was up. The lowest is the oldest.
    pub up_number: Option<u64>,
    /// Whether everybody reaches it, as far as this node knows.
    pub is_reachable: bool,
}

impl MemberView {
    pub(super) fn of(member: &Member, unreachable: &BTreeSet<MemberId>) -> MemberView {
        MemberView {
            address: member.id.address.to_string(),
            incarnation: member.id.incarnation,
            roles: member.roles.iter().cloned().collect(),
            app_version: member.app_version.clone(),
            status: member.status,
            up_number: member.up_number,
            is_reachable: !unreachable.contains(&member.id),
        }
    }

    /// The node, as references to its actors have it.
    pub fn node(&self) -> u32 {
        self.incarnation as u32
    }

    /// Whether it has a role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }

    /// Whether it may be given work: up, and reached.
    pub fn is_up(&self) -> bool {
        self.status == Status::Up && self.is_reachable
    }
}

/// What happened in the cluster, as this node sees it. Who subscribes first gets what is there: a `Member` for each,
/// then the `Leader`.
#[message(name = "mainspring.cluster.event")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterEvent {
    /// The member is new, or has another status.
    Member(MemberView),
    /// The member is gone for good; as it was last.
    Removed(MemberView),
    /// Everybody reaches the member again.
    Reachable(MemberView),
    /// Somebody does not reach the member. It may come back; what becomes of it is a decision.
    Unreachable(MemberView),
    /// The member acts for all, as this node sees it; or nobody does.
    Leader(Option<MemberView>),
    /// This node is no member any more and has to stop what it does for the cluster, now. Nothing comes after this.
    Stopping {
        /// Why.
        reason: StopReason,
    },
}

/// What the cluster's actor takes from actors of its node, and from the same actor of other nodes.
#[message(name = "mainspring.cluster.request")]
#[derive(Clone, Debug)]
pub enum ClusterRequest {
    /// Tell this actor what happens. It is forgotten when it stops.
    Subscribe {
        /// Who.
        subscriber: ActorRef<ClusterEvent>,
        /// The node does not leave the cluster before this subscriber says that it is ready, or is gone.
        holds_exit: bool,
    },
    /// Tell it no more.
    Unsubscribe {
        /// Who.
        subscriber: ActorRef<ClusterEvent>,
    },
    /// This node leaves.
    Leave,
    /// A member leaves, this one or another one.
    LeaveMember {
        /// Which.
        incarnation: u64,
    },
    /// A member is given up, this one or another one.
    Down {
        /// Which.
        incarnation: u64,
    },
    /// This node exits, and the subscriber has handed over what it had.
    ReadyToExit {
        /// Who held up the exit.
        subscriber: ActorRef<ClusterEvent>,
    },
    /// Another node says who it is, and wants to know who this one is.
    Introduce {
        /// Who it says it is.
        from: Introduction,
        /// Where to answer.
        reply_to: ActorRef<Introduction>,
    },
    /// Time has passed.
    Tick,
}
