//! The phases of a shutdown, in their order.

use std::fmt;

/// A part of the end of a node. Each begins when the one before it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// All still works; those who send work here learn that they should not: the readiness probe turns, a load
    /// balancer is told.
    Announce,
    /// Nothing new comes in from outside: listeners close.
    StopAccepting,
    /// What has come in is answered, and connections of users are closed.
    FinishRequests,
    /// The node leaves the cluster: its shards go to other nodes while messages for them are passed on.
    LeaveCluster,
    /// The cluster lets the node go, and knows that nothing is left here.
    ConfirmExit,
    /// Actors stop, children first; journals and links close; cores end.
    StopNode,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 6] = [
        Phase::Announce,
        Phase::StopAccepting,
        Phase::FinishRequests,
        Phase::LeaveCluster,
        Phase::ConfirmExit,
        Phase::StopNode,
    ];

    /// The one after it, if it is not the last.
    pub fn next(self) -> Option<Phase> {
        Phase::ALL.get(self.index() + 1).copied()
    }

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Announce => "announce",
            Phase::StopAccepting => "stop-accepting",
            Phase::FinishRequests => "finish-requests",
            Phase::LeaveCluster => "leave-cluster",
            Phase::ConfirmExit => "confirm-exit",
            Phase::StopNode => "stop-node",
        })
    }
}
