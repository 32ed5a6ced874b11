//! Bytes on their way to a peer: written in turns, taken back with a turn that fails, sent once per sweep.
//!
//! Invariants: between turns all bytes of a pipe are committed; a pipe with committed bytes and no send in flight is on
//! the list of those that are to be sent, once.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use mainspring::device::Enlisted;
use mainspring::net::{STREAM_ALIGN, SendBuffer, SocketId};
use mainspring::prelude::*;
use mainspring::rkyv::util::AlignedVec;

/// Buffers that a core keeps to be filled again.
const SPARE_BUFFERS: usize = 64;

/// A larger buffer is not kept.
const SPARE_BYTES: usize = 64 << 10;

/// What turns of connections leave for the device of their core.
#[derive(Default)]
pub(super) struct Notes {
    /// Connections with something to send.
    pub written: RefCell<Vec<SocketId>>,
    /// Connections that may go on.
    pub ready: RefCell<Vec<SocketId>>,
    spare: RefCell<Vec<AlignedVec<STREAM_ALIGN>>>,
}

impl Notes {
    /// A buffer comes back, to be filled again.
    pub fn give_back(&self, buffer: SendBuffer) {
        let mut spare = self.spare.borrow_mut();
        let mut bytes = buffer.into_bytes();
        if spare.len() < SPARE_BUFFERS && bytes.capacity() <= SPARE_BYTES {
            bytes.clear();
            spare.push(bytes);
        }
    }

    /// Whether a device would find something here.
    pub fn is_empty(&self) -> bool {
        self.written.borrow().is_empty() && self.ready.borrow().is_empty()
    }
}

/// Writes to a connection in any turn of its actor. Clones write to the same connection.
///
/// It belongs to the core of its connection. What is written is part of the turn: it is taken back when that fails.
#[derive(Clone)]
pub struct ConnectionWriter {
    pipe: Rc<Pipe>,
}

impl ConnectionWriter {
    pub(super) fn new(pipe: Pipe) -> ConnectionWriter {
        ConnectionWriter { pipe: Rc::new(pipe) }
    }

    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer
    }

    /// Writes all of `bytes` or nothing.
    ///
    /// # Errors
    /// [`WriteRefused`]; nothing was written.
    pub fn write<A: Actor>(
        &self,
        ctx: &mut Context<'_, A>,
        bytes: &[u8],
    ) -> Result<(), WriteRefused> {
        self.join_turn(ctx);
        self.pipe.write(bytes)
    }

    /// After what was written, the peer is told that nothing more comes. It may still send.
    pub fn finish<A: Actor>(&self, ctx: &mut Context<'_, A>) {
        self.join_turn(ctx);
        self.pipe.finish();
    }

    /// Bytes that wait for the peer, those of this turn included.
    pub fn waiting_bytes(&self) -> usize {
        self.pipe.waiting_bytes()
    }

    /// Has the pipe told how this turn ends.
    pub(super) fn join_turn<A: Actor>(&self, ctx: &mut Context<'_, A>) {
        if !self.pipe.in_turn.replace(true) {
            let pipe: Rc<dyn Enlisted> = self.pipe.clone();
            ctx.enlist(pipe);
        }
    }

    pub(super) fn pipe(&self) -> &Pipe {
        &self.pipe
    }

    /// For a turn that was [joined](Self::join_turn).
    pub(super) fn output(&self) -> Output<'_> {
        Output { pipe: &self.pipe }
    }
}

impl fmt::Debug for ConnectionWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionWriter")
            .field("peer", &self.pipe.peer)
            .field("waiting_bytes", &self.waiting_bytes())
            .finish()
    }
}

/// Writes to the connection whose turn this is.
pub struct Output<'a> {
    pipe: &'a Pipe,
}

impl Output<'_> {
    /// Who is at the other end.
    pub fn peer(&self) -> SocketAddr {
        self.pipe.peer
    }

    /// Writes all of `bytes` or nothing.
    ///
    /// # Errors
    /// [`WriteRefused`]; nothing was written. In [`Connection::received`](super::Connection::received) half of
    /// [`IngressLimits::output_bytes`](super::IngressLimits::output_bytes) is free at first.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), WriteRefused> {
        self.pipe.write(bytes)
    }

    /// After what was written, the peer is told that nothing more comes. It may still send.
    pub fn finish(&mut self) {
        self.pipe.finish();
    }

    /// Bytes that wait for the peer, those of this turn included.
    pub fn waiting_bytes(&self) -> usize {
        self.pipe.waiting_bytes()
    }
}

/// Nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteRefused {
    /// Too much waits for the peer.
    #[error(
        "{peer}: {waiting_bytes} bytes wait for the peer and {more_bytes} more would be above the limit of \
         {limit_bytes}; go on in Connection::writable, or raise IngressLimits::output_bytes"
    )]
    Full {
        /// The peer.
        peer: SocketAddr,
        /// Bytes that wait.
        waiting_bytes: usize,
        /// Bytes that were to be written.
        more_bytes: usize,
        /// Bytes that may wait.
        limit_bytes: usize,
    },
    /// More than may ever wait for the peer.
    #[error(
        "{peer}: a write of {more_bytes} bytes is above the limit of {limit_bytes}; write parts of it"
    )]
    TooLarge {
        /// The peer.
        peer: SocketAddr,
        /// Bytes that were to be written.
        more_bytes: usize,
        /// Bytes that may wait.
        limit_bytes: usize,
    },
    /// This side has finished sending.
    #[error("{peer}: this side has finished sending")]
    Finished {
        /// The peer.
        peer: SocketAddr,
    },
    /// The connection is gone.
    #[error("{peer}: the connection is gone")]
    Gone {
        /// The peer.
        peer: SocketAddr,
    },
}

/// The bytes of one connection.
pub(super) struct Pipe {
    socket: SocketId,
    peer: SocketAddr,
    limit_bytes: usize,
    notes: Rc<Notes>,
    /// The running turn has its part in this pipe.
    in_turn: Cell<bool>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    bytes: AlignedVec<STREAM_ALIGN>,
    committed_bytes: usize,
    in_flight_bytes: usize,
    finishes: bool,
    finished: bool,
    /// A write was refused for lack of room, and nobody was told of room since.
    was_full: bool,
    is_listed: bool,
    gone: bool,
}

impl Pipe {
    pub fn new(socket: SocketId, peer: SocketAddr, limit_bytes: usize, notes: Rc<Notes>) -> Pipe {
        let (in_turn, state) = (Cell::new(false), RefCell::default());
        Pipe { socket, peer, limit_bytes, notes, in_turn, state }
    }

    pub fn waiting_bytes(&self) -> usize {
        let state = self.state.borrow();
        state.bytes.len() + state.in_flight_bytes
    }

    /// Whether so much waits that nothing more is read from the peer.
    pub fn is_above_high_water(&self) -> bool {
        self.waiting_bytes() > self.limit_bytes / 2 || self.state.borrow().was_full
    }

    /// Whether so little waits that reading goes on.
    pub fn is_below_low_water(&self) -> bool {
        self.waiting_bytes() <= self.limit_bytes / 4
    }

    /// Whether the actor is to be told that there is room again; says so once.
    pub fn take_room_notice(&self) -> bool {
        let has_room = self.is_below_low_water();
        has_room && std::mem::take(&mut self.state.borrow_mut().was_full)
    }

    /// The next send, if anything is to be sent and nothing is in flight.
    pub fn next_send(&self) -> Option<SendBuffer> {
        let mut state = self.state.borrow_mut();
        state.is_listed = false;
        if state.in_flight_bytes > 0 || state.bytes.is_empty() {
            return None;
        }
        state.in_flight_bytes = std::mem::take(&mut state.committed_bytes);
        Some(SendBuffer::from(std::mem::take(&mut state.bytes)))
    }

    /// A send has ended; how many bytes it had.
    pub fn sent(&self) -> usize {
        let sent_bytes = std::mem::take(&mut self.state.borrow_mut().in_flight_bytes);
        self.list();
        sent_bytes
    }

    /// Whether nothing more will be written and all that was is with the kernel or in flight.
    pub fn has_finished(&self) -> bool {
        let state = self.state.borrow();
        state.finished && state.bytes.is_empty()
    }

    pub fn is_in_flight(&self) -> bool {
        self.state.borrow().in_flight_bytes > 0
    }

    /// The actor is gone: what it has written is all.
    pub fn end_writing(&self) {
        self.state.borrow_mut().finished = true;
        self.list();
    }

    /// The connection is gone, and what was to be sent with it.
    pub fn connection_gone(&self) {
        let mut state = self.state.borrow_mut();
        state.gone = true;
        (state.bytes, state.committed_bytes) = (AlignedVec::new(), 0);
    }

    fn write(&self, bytes: &[u8]) -> Result<(), WriteRefused> {
        let (peer, limit_bytes) = (self.peer, self.limit_bytes);
        let mut state = self.state.borrow_mut();
        if state.gone {
            return Err(WriteRefused::Gone { peer });
        }
        if state.finished || state.finishes {
            return Err(WriteRefused::Finished { peer });
        }
        let (waiting_bytes, more_bytes) = (state.bytes.len() + state.in_flight_bytes, bytes.len());
        if more_bytes > limit_bytes {
            return Err(WriteRefused::TooLarge { peer, more_bytes, limit_bytes });
        }
        if waiting_bytes.saturating_add(more_bytes) > limit_bytes {
            state.was_full = true;
            return Err(WriteRefused::Full { peer, waiting_bytes, more_bytes, limit_bytes });
        }
        if state.bytes.capacity() == 0
            && let Some(spare) = self.notes.spare.borrow_mut().pop()
        {
            state.bytes = spare;
        }
        state.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&self) {
        self.state.borrow_mut().finishes = true;
    }

    /// Has the device look at this pipe before the sweep ends.
    fn list(&self) {
        if !std::mem::replace(&mut self.state.borrow_mut().is_listed, true) {
            self.notes.written.borrow_mut().push(self.socket);
        }
    }
}

impl Enlisted for Pipe {
    fn committed(&self) {
        self.in_turn.set(false);
        let mut state = self.state.borrow_mut();
        let finishes = state.finishes && !state.finished;
        state.finished |= state.finishes;
        let written = state.bytes.len() > state.committed_bytes;
        state.committed_bytes = state.bytes.len();
        drop(state);
        if written || finishes {
            self.list();
        }
    }

    fn aborted(&self) {
        self.in_turn.set(false);
        let mut state = self.state.borrow_mut();
        let committed_bytes = state.committed_bytes;
        state.bytes.resize(committed_bytes, 0);
        state.finishes = state.finished;
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
