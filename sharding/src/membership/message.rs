//! What nodes say to each other about membership, what goes into the machine and what comes out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use mainspring::prelude::message;

use super::gossip::Gossip;
use super::member::{Member, MemberId};
use super::reachability::Standing;
use super::vector_clock::VectorClock;

/// A message from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClusterMessage {
    /// May I join?
    InitJoin {
        /// Who asks.
        from: MemberId,
        /// What it has for the values that all have to agree on.
        configuration: BTreeMap<String, String>,
    },
    /// Yes.
    InitJoinAck {
        /// Who answers.
        from: MemberId,
    },
    /// No.
    InitJoinNack {
        /// Who answers.
        from: MemberId,
        /// Why.
        reason: NackReason,
    },
    /// Let me in.
    Join {
        /// Who.
        id: MemberId,
        /// For what.
        roles: BTreeSet<String>,
        /// With which program.
        app_version: String,
        /// As in `InitJoin`.
        configuration: BTreeMap<String, String>,
    },
    /// You are in.
    Welcome {
        /// Who answers.
        from: MemberId,
        /// Who is in.
        to: MemberId,
        /// The view with it.
        gossip: Arc<Gossip>,
    },
    /// Do you have the same view?
    GossipDigest {
        /// Who asks.
        from: MemberId,
        /// Whom.
        to: MemberId,
        /// [`Gossip::digest`].
        digest: u64,
    },
    /// Mine is this one.
    GossipStatus {
        /// Who says so.
        from: MemberId,
        /// To whom.
        to: MemberId,
        /// The clock of its view.
        clock: VectorClock,
        /// [`Gossip::digest`].
        digest: u64,
    },
    /// My whole view.
    GossipEnvelope {
        /// Who says so.
        from: MemberId,
        /// To whom.
        to: MemberId,
        /// The view.
        gossip: Arc<Gossip>,
    },
    /// Are you there?
    Heartbeat {
        /// Who asks.
        from: MemberId,
        /// Whom.
        to: MemberId,
        /// Which beat.
        sequence: u64,
    },
    /// Yes.
    HeartbeatReply {
        /// Who answers.
        from: MemberId,
        /// Whom.
        to: MemberId,
        /// Which beat.
        sequence: u64,
    },
    /// I have handed over everything and stop: remove me.
    ExitingConfirmed {
        /// Who.
        from: MemberId,
    },
}

impl ClusterMessage {
    /// Who says so.
    pub fn sender(&self) -> MemberId {
        match self {
            ClusterMessage::Join { id, .. } => *id,
            ClusterMessage::InitJoin { from, .. }
            | ClusterMessage::InitJoinAck { from }
            | ClusterMessage::InitJoinNack { from, .. }
            | ClusterMessage::Welcome { from, .. }
            | ClusterMessage::GossipDigest { from, .. }
            | ClusterMessage::GossipStatus { from, .. }
            | ClusterMessage::GossipEnvelope { from, .. }
            | ClusterMessage::Heartbeat { from, .. }
            | ClusterMessage::HeartbeatReply { from, .. }
            | ClusterMessage::ExitingConfirmed { from } => *from,
        }
    }
}

/// Why a node may not join here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NackReason {
    /// Not in a cluster itself.
    #[error("the seed is not in a cluster yet; it is asked again")]
    NotInitialised,
    /// On its way out.
    #[error("the seed leaves the cluster; other seeds are asked")]
    Leaving,
    /// Another value where all have to agree.
    #[error("`{name}` is {ours:?} in the cluster and {theirs:?} here; give both the same value")]
    ConfigurationDiffers {
        /// Of what.
        name: String,
        /// What the cluster has.
        ours: Option<String>,
        /// What the asking node has.
        theirs: Option<String>,
    },
    /// The cluster has as many members as it may.
    #[error("the cluster has {limit} members, the most it may have; remove one first")]
    Full {
        /// How many.
        limit: usize,
    },
    /// The message breaks a limit.
    #[error("too many or too long roles, or too long a version; name fewer")]
    TooLarge,
    /// The cluster knows a later life of this node than the one that asks.
    #[error(
        "the cluster knows a later life of this node ({incarnation}): the clock has gone back, or another node has its \
         address; set the clock, or give each node its own address"
    )]
    LaterLife {
        /// The incarnation that is known.
        incarnation: u64,
    },
}

/// What the machine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// Time has passed; give it at least as often as the shortest interval of the settings.
    Tick,
    /// A message has come.
    Received(ClusterMessage),
    /// Ask a member to leave, this one or another one.
    Leave(MemberId),
    /// Give a member up, this one or another one.
    Down(MemberId),
    /// This node, which exits, has handed over everything.
    ExitReady,
    /// This node finds that it does not reach a member, or (`None`) that it does.
    Observed(MemberId, Option<Standing>),
}

impl Input {
    /// Whether a member changes its view by it only where it says so itself ([`Membership::change`]).
    ///
    /// [`Membership::change`]: super::machine::Membership::change
    pub(crate) fn is_routine(&self) -> bool {
        matches!(
            self,
            Input::Tick
                | Input::Received(
                    ClusterMessage::Heartbeat { .. }
                        | ClusterMessage::HeartbeatReply { .. }
                        | ClusterMessage::GossipDigest { .. }
                )
        )
    }
}

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this to the node there, as it is now; it may be lost.
    Send(SocketAddr, ClusterMessage),
    /// Tell those who listen.
    Event(Event),
    /// The node has to stop; nothing comes out of the machine any more.
    Stop(StopReason),
}

/// What happened in the cluster, as this node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The member is new or has another status.
    MemberChanged(Member),
    /// The member is gone for good; with its last status.
    MemberRemoved(Member),
    /// These members cannot be reached, by the word of somebody who is not down.
    ReachabilityChanged(BTreeSet<MemberId>),
    /// Another member acts for all, or nobody.
    LeaderChanged(Option<MemberId>),
    /// A seed does not let this node in.
    JoinRefused(SocketAddr, NackReason),
}

/// Why a node has to stop.
#[message(name = "mainspring.cluster.stop_reason")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// It has left in order.
    #[error("this node has left the cluster")]
    Left,
    /// It was given up.
    #[error("the cluster has given this node up; start it again, it joins as a new member")]
    Downed,
}
