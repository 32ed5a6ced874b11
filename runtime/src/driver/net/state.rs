//! All sockets and listeners of a core, and which device is to be told of which.
//!
//! Invariants: a socket or listener is in its owner's queue once, and is when there is something to tell. A slot is
//! emptied only when the kernel has nothing of it. What belongs to nobody any more is taken down without being told.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::FromRawFd;

use io_uring::{cqueue, squeue};
use rkyv::util::AlignedVec;
use socket2::Socket;

use super::Ways;
use super::connection::{Announce, Connection, Ending, Told};
use super::incremental::Shape;
use super::listener::Listener;
use super::memory::View;
use super::table::Table;
use super::tags::{Part, parse};
use crate::driver::uring::{Completion, Uring};
use crate::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenerId, STREAM_ALIGN, SendBuffer, SendFailed,
    SocketCounters, SocketError, SocketId,
};

/// Listeners of one core at a time.
pub(super) const LISTENERS_LIMIT: usize = 256;

/// The owner of what is taken down without being told.
const NOBODY: u32 = u32::MAX;

pub(super) struct State {
    pub connections: Table<Connection>,
    pub listeners: Table<Listener>,
    /// By owner. An owner that is gone has none.
    queues: Vec<Option<VecDeque<Due>>>,
    /// What found no room in the ring.
    stalled: Vec<Due>,
    pub counters: SocketCounters,
    memory_limit_bytes: usize,
    pub ways: Ways,
    in_flight: usize,
    scratch: AlignedVec<STREAM_ALIGN>,
}

/// The part of the state that asks the kernel for something, apart from the thing it is asked for.
pub(super) struct Kernel<'a> {
    pub ring: &'a mut Uring,
    pub counters: &'a mut SocketCounters,
    memory_limit_bytes: usize,
    incremental: &'a mut bool,
    in_flight: &'a mut usize,
}

/// Somebody with something to tell or to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Socket(u32),
    Listener(u32),
}

/// The next thing that a handler is told.
pub(super) enum News {
    Accepted(ListenerId, SocketId, SocketAddr),
    AcceptFailed(ListenerId, AcceptFailure),
    Connected(SocketId),
    ConnectFailed(SocketId, SocketError),
    Sent(SocketId, SendBuffer, Result<(), SendFailed>),
    /// To be answered with [`State::took`].
    Received(SocketId, View),
    PeerFinished(SocketId),
    Closed(SocketId, CloseCause),
    Detached(SocketId, DetachedSocket),
}

macro_rules! kernel {
    ($state:ident, $ring:ident) => {
        &mut Kernel {
            ring: $ring,
            counters: &mut $state.counters,
            memory_limit_bytes: $state.memory_limit_bytes,
            incremental: &mut $state.ways.incremental,
            in_flight: &mut $state.in_flight,
        }
    };
}

impl State {
    pub(super) fn new(sockets_limit: usize, memory_limit_bytes: usize, ways: Ways) -> State {
        State {
            connections: Table::new(sockets_limit),
            listeners: Table::new(LISTENERS_LIMIT),
            queues: Vec::new(),
            stalled: Vec::new(),
            counters: SocketCounters::default(),
            memory_limit_bytes,
            ways,
            in_flight: 0,
            scratch: AlignedVec::new(),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(super) fn add_owner(&mut self) -> u32 {
        self.queues.push(Some(VecDeque::new()));
        (self.queues.len() - 1) as u32
    }

    /// A device is gone: all that it had is taken down.
    pub(super) fn remove_owner(&mut self, owner: u32, ring: &mut Uring) {
        if let Some(queue) = self.queues.get_mut(owner as usize) {
            *queue = None;
        }
        self.take_down(ring, |of| of == owner);
    }

    /// Connections that were accepted and not announced go without a word.
    pub(super) fn stop_listening(&mut self, id: ListenerId, ring: &mut Uring) {
        let Some(listener) = self.listeners.get_mut(id.slot(), id.generation()) else { return };
        listener.stopped = true;
        self.drive_listener(id.slot(), ring);
        for slot in self.connections.slots() {
            if let Some(connection) = self.connections.at(slot)
                && matches!(connection.announce, Some(Announce::Accepted(of, _)) if of == id)
            {
                connection.announce = None;
                connection.owner = NOBODY;
                connection.end(Ending::Close(CloseCause::Failed(SocketError::Aborted)));
                self.drive(slot, ring);
            }
        }
    }

    /// Ends what belongs to those owners now, whatever is in flight.
    pub(super) fn take_down(&mut self, ring: &mut Uring, which: impl Fn(u32) -> bool) {
        for slot in self.connections.slots() {
            if let Some(connection) = self.connections.at(slot)
                && which(connection.owner)
            {
                connection.end(Ending::Close(CloseCause::Failed(SocketError::Aborted)));
                self.drive(slot, ring);
            }
        }
        for slot in self.listeners.slots() {
            if let Some(listener) = self.listeners.at(slot)
                && which(listener.owner)
            {
                listener.stopped = true;
                self.drive_listener(slot, ring);
            }
        }
    }

    pub(super) fn has_news(&self, owner: u32) -> bool {
        self.queues
            .get(owner as usize)
            .is_some_and(|queue| queue.as_ref().is_some_and(|queue| !queue.is_empty()))
    }

    /// Whether anybody has to be polled, or something has to be asked again.
    pub(super) fn has_work(&self) -> bool {
        !self.stalled.is_empty() || self.queues.iter().flatten().any(|queue| !queue.is_empty())
    }

    /// A new connection begins.
    pub(super) fn insert(&mut self, connection: Connection, ring: &mut Uring) -> Option<SocketId> {
        let (slot, generation) = self.connections.insert(connection)?;
        self.counters.open += 1;
        if let Some(connection) = self.connections.at(slot) {
            self.counters.receive_memory_bytes += connection.receive.memory_bytes() as u64;
        }
        self.drive(slot, ring);
        Some(SocketId::new(slot, generation))
    }

    pub(super) fn find(&mut self, socket: SocketId) -> Option<&mut Connection> {
        self.connections.get_mut(socket.slot(), socket.generation())
    }

    /// Asks for what is missing, and queues the connection if there is something to tell.
    pub(super) fn drive(&mut self, slot: u32, ring: &mut Uring) {
        let Some(connection) = self.connections.at(slot) else { return };
        let asked = connection.drive(slot, kernel!(self, ring));
        if !asked {
            self.stall(Due::Socket(slot));
        }
        self.queue(slot, ring);
    }

    pub(super) fn drive_listener(&mut self, slot: u32, ring: &mut Uring) {
        let Some(listener) = self.listeners.at(slot) else { return };
        let asked = listener.drive(slot, kernel!(self, ring));
        if !asked {
            self.stall(Due::Listener(slot));
        }
        self.queue_listener(slot);
    }

    /// What found no room in the ring before.
    #[inline]
    pub(super) fn drive_stalled(&mut self, ring: &mut Uring) {
        if !self.stalled.is_empty() {
            self.drive_again(ring);
        }
    }

    #[cold]
    fn drive_again(&mut self, ring: &mut Uring) {
        for due in std::mem::take(&mut self.stalled) {
            match due {
                Due::Socket(slot) => self.drive(slot, ring),
                Due::Listener(slot) => self.drive_listener(slot, ring),
            }
        }
    }

    /// Takes in a completion; `false` when it is not for a socket.
    pub(super) fn completed(&mut self, completion: Completion, ring: &mut Uring) -> bool {
        let Some((slot, part)) = parse(completion.tag) else { return false };
        let more = cqueue::more(completion.flags);
        if !more {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        match part {
            Part::Receive | Part::Send | Part::Connect | Part::Cancel => {
                if let Some(connection) = self.connections.at(slot) {
                    let (result, flags) = (completion.result, completion.flags);
                    connection.completed(part, result, flags, more, kernel!(self, ring));
                    self.drive(slot, ring);
                }
            }
            Part::Accept | Part::AcceptPause | Part::CancelAccept => {
                let accepted = self.listeners.at(slot).and_then(|listener| {
                    listener.completed(slot, part, completion.result, more, kernel!(self, ring))
                });
                if let Some(descriptor) = accepted {
                    // SAFETY: the kernel has just made this descriptor for us.
                    self.accept(slot, unsafe { Socket::from_raw_fd(descriptor) }, ring);
                }
                self.drive_listener(slot, ring);
            }
        }
        true
    }

    /// The next one that has something to tell to an owner.
    pub(super) fn next_due(&mut self, owner: u32) -> Option<Due> {
        loop {
            let due = self.queues.get_mut(owner as usize)?.as_mut()?.pop_front()?;
            let its_owner = match due {
                Due::Socket(slot) => self.connections.at(slot).map(|connection| {
                    connection.queued = false;
                    connection.owner
                }),
                Due::Listener(slot) => self.listeners.at(slot).map(|listener| {
                    listener.queued = false;
                    listener.owner
                }),
            };
            // Others may have the slot by now.
            if its_owner == Some(owner) {
                return Some(due);
            }
        }
    }

    /// How many wait to tell something to an owner.
    pub(super) fn due(&self, owner: u32) -> usize {
        let queue = self.queues.get(owner as usize).and_then(Option::as_ref);
        queue.map_or(0, VecDeque::len)
    }

    /// The next thing that `due` has to tell. Asked until there is nothing.
    pub(super) fn next_news(&mut self, due: Due, ring: &mut Uring) -> Option<News> {
        let slot = match due {
            Due::Socket(slot) => slot,
            Due::Listener(slot) => return self.listener_news(slot),
        };
        let id = SocketId::new(slot, self.connections.generation(slot));
        let connection = self.connections.at(slot)?;
        match connection.announce.take() {
            Some(Announce::Accepted(listener, peer)) => {
                return Some(News::Accepted(listener, id, peer));
            }
            Some(Announce::Connected) => return Some(News::Connected(id)),
            None => {}
        }
        if let Some((buffer, result)) = connection.sent.take() {
            return Some(News::Sent(id, buffer, result));
        }
        if connection.may_show() {
            let needed = connection.needed;
            let (mut view, moved_bytes) = connection.receive.view(needed, &mut self.scratch);
            // Whoever takes one byte of a full view can always be shown one more.
            view.bytes = view.bytes.min(connection.receive_bytes);
            connection.lent = true;
            self.counters.moved_bytes += moved_bytes as u64;
            return Some(News::Received(id, view));
        }
        if connection.may_tell_end_of_stream() {
            connection.peer_finished = Told::Done;
            return Some(News::PeerFinished(id));
        }
        if connection.is_over() {
            return self.release(slot, ring).map(|released| last_news(id, released));
        }
        None
    }

    /// The handler is done with a view.
    pub(super) fn took(&mut self, id: SocketId, shown: usize, taken: usize, wanted: usize) {
        if let Some(connection) = self.find(id) {
            connection.lent = false;
            connection.took(shown, taken, wanted);
        }
    }

    /// Gives up everything that is there, without telling; nothing of it is in flight.
    pub(super) fn release_all(&mut self, ring: &mut Uring) {
        for slot in self.connections.slots() {
            let free = self.connections.at(slot).is_some_and(|connection| connection.is_free());
            if free {
                self.release(slot, ring);
            }
        }
    }

    /// Empties a slot of which the kernel has nothing.
    fn release(&mut self, slot: u32, ring: &mut Uring) -> Option<Released> {
        let mut connection = self.connections.remove(slot)?;
        let ending = connection.ending.unwrap_or(Ending::Close(CloseCause::Closed));
        self.counters.open -= 1;
        self.counters.receive_memory_bytes -= connection.receive.memory_bytes() as u64;
        match ending {
            Ending::ConnectFailed(_) => self.counters.connects_failed += 1,
            Ending::Close(CloseCause::Closed | CloseCause::Aborted) => self.counters.closed += 1,
            Ending::Close(_) => {
                self.counters.closed += 1;
                self.counters.failed += 1;
            }
            Ending::Detach => {}
        }
        connection.prepare_reset();
        let unread = match ending {
            Ending::Detach => connection.receive.to_vec(),
            _ => Vec::new(),
        };
        connection.retire_buffers(ring);
        Some(Released { ending, connection, unread })
    }

    fn listener_news(&mut self, slot: u32) -> Option<News> {
        let id = ListenerId::new(slot, self.listeners.generation(slot));
        let failure = self.listeners.at(slot)?.failure.take()?;
        Some(News::AcceptFailed(id, failure))
    }

    /// A connection has come in.
    fn accept(&mut self, slot: u32, stream: Socket, ring: &mut Uring) {
        let id = ListenerId::new(slot, self.listeners.generation(slot));
        let (full, limit) = (self.connections.is_full(), self.connections.limit());
        let Some(listener) = self.listeners.at(slot) else { return };
        if listener.stopped {
            return;
        }
        let peer = stream.peer_addr().ok().and_then(|address| address.as_socket());
        let (Some(peer), false) = (peer, full) else {
            // Whoever has no address any more has gone already.
            let gone = AcceptFailure::System(SocketError::Reset);
            listener.failure = Some(if full { AcceptFailure::Full { limit } } else { gone });
            self.counters.accepts_failed += 1;
            return;
        };
        let receive_bytes = listener.options.accepted.receive_bytes;
        let mut connection = Connection::new(listener.owner, stream, receive_bytes);
        connection.announce = Some(Announce::Accepted(id, peer));
        self.counters.accepted += 1;
        self.insert(connection, ring);
    }

    fn stall(&mut self, due: Due) {
        if !self.stalled.contains(&due) {
            self.stalled.push(due);
        }
    }

    fn queue(&mut self, slot: u32, ring: &mut Uring) {
        let Some(connection) = self.connections.at(slot) else { return };
        match self.queues.get_mut(connection.owner as usize) {
            Some(Some(queue)) => {
                if !connection.queued && connection.has_news() {
                    connection.queued = true;
                    queue.push_back(Due::Socket(slot));
                }
            }
            // Nobody is there to be told.
            _ => {
                if connection.is_over() {
                    self.release(slot, ring);
                }
            }
        }
    }

    fn queue_listener(&mut self, slot: u32) {
        let Some(listener) = self.listeners.at(slot) else { return };
        if listener.stopped {
            if listener.is_free() {
                self.listeners.remove(slot);
            }
            return;
        }
        let due = listener.failure.is_some() && !listener.queued;
        if let (true, Some(Some(queue))) = (due, self.queues.get_mut(listener.owner as usize)) {
            listener.queued = true;
            queue.push_back(Due::Listener(slot));
        }
    }
}

/// A connection that is over, and what it had received if somebody else is to go on with it.
struct Released {
    ending: Ending,
    connection: Connection,
    unread: Vec<u8>,
}

fn last_news(id: SocketId, released: Released) -> News {
    let Released { ending, connection, unread } = released;
    match ending {
        Ending::ConnectFailed(error) => News::ConnectFailed(id, error),
        Ending::Close(cause) => News::Closed(id, cause),
        Ending::Detach => {
            let finished = connection.peer_finished != Told::No;
            let (position, receive_bytes) = (connection.position, connection.receive_bytes);
            let stream = TcpStream::from(connection.stream);
            let detached = DetachedSocket::new(stream, unread, position, finished, receive_bytes);
            News::Detached(id, detached)
        }
    }
}

impl Drop for State {
    /// What the kernel still has is never freed.
    fn drop(&mut self) {
        for slot in self.connections.slots() {
            if let Some(connection) = self.connections.remove(slot)
                && !connection.is_free()
            {
                std::mem::forget(connection);
            }
        }
        for slot in self.listeners.slots() {
            if let Some(listener) = self.listeners.remove(slot)
                && !listener.is_free()
            {
                std::mem::forget(listener);
            }
        }
    }
}

impl Kernel<'_> {
    /// Queues an entry, which carries its tag; `false` if there is no room.
    ///
    /// # Safety
    /// As for [`Uring::push`].
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry) -> bool {
        // SAFETY: passed on to the caller.
        let queued = unsafe { self.ring.push_making_room(&entry) };
        *self.in_flight += usize::from(queued);
        queued
    }

    /// How much memory a socket that has `has_bytes` may have.
    pub(super) fn memory_allowance(&self, has_bytes: usize) -> usize {
        let used_by_others =
            (self.counters.receive_memory_bytes as usize).saturating_sub(has_bytes);
        self.memory_limit_bytes.saturating_sub(used_by_others)
    }

    pub(super) fn memory_changed(&mut self, before_bytes: usize, after_bytes: usize) {
        self.counters.receive_memory_bytes += after_bytes as u64;
        self.counters.receive_memory_bytes -= before_bytes as u64;
    }

    /// Whether a socket that has `has_bytes` of memory may have buffers that the kernel fills.
    pub(super) fn may_be_incremental(
        &self,
        slot: u32,
        receive_bytes: usize,
        has_bytes: usize,
    ) -> bool {
        *self.incremental
            && u16::try_from(slot).is_ok()
            && Shape::for_bytes(receive_bytes).memory_bytes() <= self.memory_allowance(has_bytes)
    }

    /// The kernel gives no more of these buffers, and is not asked again.
    #[cold]
    pub(super) fn refused_incremental(&mut self, error: &io::Error) {
        *self.incremental = false;
        tracing::warn!(%error, "the kernel takes no more receive buffers; new sockets receive without them");
    }
}
