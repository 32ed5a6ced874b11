//! What the program writes: an actor that is one connection of a server.

use mainspring::net::CloseCause;
use mainspring::prelude::*;

use super::writer::{ConnectionWriter, Output};

/// An actor that serves one connection, on the core that accepted it. All that it is told here is a turn of it, like
/// its messages: never two at a time, and a turn that fails has written nothing.
///
/// When the actor stops, what it has written is sent and the connection closes. When it fails, the connection is
/// reset, so that the peer does not take half an answer for a whole one.
pub trait Connection: Actor {
    /// The connection is there. An actor that writes in other turns than these keeps a clone of `writer`.
    fn connected(
        &mut self,
        _ctx: &mut Context<'_, Self>,
        _writer: &ConnectionWriter,
    ) -> Next<Self> {
        Next::Same
    }

    /// Bytes have come: `bytes` starts with the first one that was not taken yet, lies in the receive buffer, and is
    /// not empty.
    ///
    /// While the actor waits for an answer or a ticket, or while too much waits for the peer, this is not called and
    /// nothing is read from the peer; the bytes that were not taken are shown again after that.
    fn received(
        &mut self,
        ctx: &mut Context<'_, Self>,
        bytes: &[u8],
        out: &mut Output<'_>,
    ) -> Received<Self>;

    /// The peer sends nothing more, and may still read. Unless told otherwise the actor stops: what was written is
    /// sent first.
    fn half_closed(&mut self, _ctx: &mut Context<'_, Self>, _out: &mut Output<'_>) -> Next<Self> {
        Next::Stop
    }

    /// A write was refused because too much waited for the peer, and now there is room for half of the limit.
    fn writable(&mut self, _ctx: &mut Context<'_, Self>, _out: &mut Output<'_>) -> Next<Self> {
        Next::Same
    }

    /// The node shuts down. Unless told otherwise the actor stops; one that has something to finish stops later, and
    /// has [`IngressLimits::drain`](super::IngressLimits::drain) for it.
    fn draining(&mut self, _ctx: &mut Context<'_, Self>, _out: &mut Output<'_>) -> Next<Self> {
        Next::Stop
    }

    /// The connection has ended though the actor did not stop. It stops after this turn.
    fn closed(&mut self, _ctx: &mut Context<'_, Self>, _end: ConnectionEnd) {}
}

/// What a connection did with received bytes, and what comes next.
#[must_use = "the bytes that were taken are not shown again"]
pub struct Received<A: Actor> {
    pub(super) taken_bytes: usize,
    pub(super) wanted_bytes: usize,
    pub(super) next: Next<A>,
}

impl<A: Actor> Received<A> {
    /// The first `bytes` bytes are done with. If there were some, the rest is shown again at once, otherwise when more
    /// has come.
    pub fn taken(bytes: usize) -> Received<A> {
        Received { taken_bytes: bytes, wanted_bytes: 0, next: Next::Same }
    }

    /// There must be at least so many bytes behind those that were taken before they are shown. More than
    /// [`IngressLimits::receive_bytes`](super::IngressLimits::receive_bytes) ends the connection.
    pub fn wanting(self, bytes: usize) -> Received<A> {
        Received { wanted_bytes: bytes, ..self }
    }

    /// How the turn ends, if it is not [`Next::Same`].
    pub fn then(self, next: Next<A>) -> Received<A> {
        Received { next, ..self }
    }
}

/// Why a connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionEnd {
    /// Both sides have finished sending.
    #[error("both sides have finished")]
    Finished,
    /// No byte came and none went for [`IngressLimits::idle`](super::IngressLimits::idle).
    #[error("nothing came and nothing went for too long")]
    Idle,
    /// The connection was lost.
    #[error("{0}")]
    Lost(CloseCause),
}
