//! What a node's user sees of its links.

use std::fmt;

use super::chunks::ChunkRefusal;
use super::credit::Volume;
use super::identity::{Incarnation, NodeId};
use super::peers::QuarantineReason;
use super::wanted::ConnectionKey;

/// Something has happened to the link with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkEvent {
    /// The control connection stands: the peer is reachable.
    Up {
        /// Which node.
        node: NodeId,
        /// In which of its lives.
        incarnation: Incarnation,
    },
    /// A connection has ended. On the control lane: the peer is not reachable.
    Down {
        /// Which node.
        node: NodeId,
        /// In which of its lives.
        incarnation: Incarnation,
        /// Which connection.
        connection: ConnectionKey,
        /// What was sent and not reported as consumed: it may have been lost, or not. On the bulk lane its frames are
        /// pieces of messages; one that was not sent to its end is a dead letter as well.
        maybe_lost: Volume,
        /// Why it has ended.
        reason: DownReason,
    },
    /// The node was declared gone: who watched something of it has been told.
    Gone {
        /// Which node.
        node: NodeId,
        /// Which of its lives.
        incarnation: Incarnation,
        /// Control frames for it that it never acknowledged.
        dropped_control_frames: usize,
        /// Why.
        reason: GoneReason,
    },
    /// More waits for a peer than its high-water mark, for some time already.
    SlowPeer {
        /// Which node.
        node: NodeId,
        /// Which connection.
        connection: ConnectionKey,
        /// What waits, in bytes.
        waiting_bytes: usize,
    },
    /// A connection was not secured, or did not stay so. It is closed; other links go on.
    #[cfg(feature = "tls")]
    TlsFailed {
        /// The address of the other end, if that is known.
        peer: Option<std::net::SocketAddr>,
        /// Whether this node dialled.
        dialled: bool,
        /// What was wrong.
        failure: crate::tls::TlsFailure,
    },
    /// A large message of a peer was not taken: it is larger than this node's limit, or the peer's budget is used up.
    /// It counts as a dead letter here.
    LargeMessageRefused {
        /// Which node.
        node: NodeId,
        /// Why.
        reason: ChunkRefusal,
    },
    /// There will be nothing more with this life of the peer until it or this node restarts.
    Quarantined {
        /// Which node.
        node: NodeId,
        /// Which of its lives.
        incarnation: Incarnation,
        /// Why.
        reason: QuarantineReason,
    },
    /// A message has a type that this node reads differently, or does not know. Said once for each type and peer.
    SchemaMismatch {
        /// Which node.
        node: NodeId,
        /// The fingerprint that its message carries.
        found: u64,
        /// The fingerprint that the receiver expects; none if it knows no such type.
        expected: Option<u64>,
    },
}

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DownReason {
    /// The peer has closed it.
    ClosedByPeer,
    /// This node has closed it: it shuts down, or the link is not wanted any more.
    Closed,
    /// The network has ended it.
    Reset,
    /// Nothing was heard of the peer for too long.
    Unreachable,
    /// The peer took too little for too long.
    SlowPeer,
    /// The peer sent what no node sends.
    ProtocolBroken,
    /// A newer connection, or one that was dialled at the same time, has taken its place.
    Superseded,
    /// The peer has restarted.
    Restarted,
    /// The peer is quarantined.
    Quarantined,
}

/// Why a life of a node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GoneReason {
    /// A newer one has come.
    Restarted,
    /// Nothing was heard of it for too long.
    Unreachable,
    /// It said goodbye.
    Left,
    /// It is quarantined.
    Quarantined,
}

impl fmt::Display for DownReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            DownReason::ClosedByPeer => "closed by the peer",
            DownReason::Closed => "closed by this node",
            DownReason::Reset => "reset",
            DownReason::Unreachable => "nothing heard for too long",
            DownReason::SlowPeer => "the peer took too little for too long",
            DownReason::ProtocolBroken => "the peer broke the protocol",
            DownReason::Superseded => "superseded by another connection",
            DownReason::Restarted => "the peer restarted",
            DownReason::Quarantined => "the peer is quarantined",
        })
    }
}

impl fmt::Display for GoneReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            GoneReason::Restarted => "restarted",
            GoneReason::Unreachable => "unreachable",
            GoneReason::Left => "left",
            GoneReason::Quarantined => "quarantined",
        })
    }
}
