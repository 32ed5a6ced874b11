//! TCP sockets on the core's ring: [`crate::net`] for a real kernel.
//!
//! Promises, beyond those of [`crate::net`]:
//! - Starting anything is no system call: the ring submits it with its next turn or sleep, together with everything
//!   else that is queued. Exceptions are what happens once in a connection's life: making, shutting down and closing
//!   its descriptor, and giving it buffers.
//! - Buffers and descriptors belong to the driver until the kernel has returned every part of what was asked: what is
//!   given up is cancelled first, and its slot is used again when the last completion is there. If the driver is
//!   dropped before, they are leaked.
//! - A socket has no memory for received bytes until it receives, then one kibibyte, and gets what its options allow
//!   when it is used. All of a core together have no more than the core's limit beyond that first kibibyte each.
//!
//! How bytes come in: a socket that is used gets buffers of its own that the kernel fills one after the other while
//! one receive stays armed, if the kernel does that right ([`UringFeatures::incremental_buffers`], found out at start);
//! otherwise, and before, each receive is asked for by itself and goes behind what was not taken.
//!
//! Refuses: more sockets, listeners or memory than its limits. Descriptors are not registered with the ring.
//!
//! Invariants: the tags of `NET_TAGS` belong to the one network of a ring. No handler is called while the state is
//! borrowed, so it may call back.
//!
//! [`UringFeatures::incremental_buffers`]: super::uring::UringFeatures::incremental_buffers

mod connection;
mod incremental;
mod listener;
mod memory;
mod plain;
pub(super) mod probe;
mod receive;
mod state;
mod table;
mod tags;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use self::connection::{Connection, Ending};
use self::listener::Listener;
use self::state::{Due, LISTENERS_LIMIT, News, State};
use super::host::CoreRing;
use super::uring::{Completion, Uring};
use crate::net::{
    AdoptRefused, CloseCause, ConnectRefused, DetachedSocket, LEAST_RECEIVE_BYTES, ListenError,
    ListenOptions, ListenerId, MOST_RECEIVE_BYTES, Network, SendBuffer, SendRefusal, SendRefused,
    SocketCounters, SocketError, SocketHandler, SocketId, SocketOptions, Sockets, Taken,
};

/// What the sockets of one core may use.
#[derive(Debug, Clone, Copy)]
pub struct NetLimits {
    /// Sockets at a time.
    pub sockets: usize,
    /// Memory for received bytes of all sockets together, beyond the first kibibyte of each.
    pub receive_memory_bytes: usize,
}

/// What is asked of the kernel once for many completions, as far as it can.
#[derive(Debug, Clone, Copy)]
struct Ways {
    incremental: bool,
    lasting_accept: bool,
}

/// The network of one core. Clones are handles on the same one; it stays on its core's thread.
#[derive(Clone)]
pub struct CoreNet {
    shared: Rc<Shared>,
}

impl CoreNet {
    /// The network of the core that owns `ring`; to be made once for a ring. [`CoreLoop::completed`] hands it what the
    /// ring completes.
    ///
    /// [`CoreLoop::completed`]: super::host::CoreLoop::completed
    pub(crate) fn new(ring: CoreRing, limits: NetLimits) -> CoreNet {
        let incremental = ring.borrow().features().incremental_buffers;
        CoreNet::with_ways(ring, limits, Ways { incremental, lasting_accept: true })
    }

    fn with_ways(ring: CoreRing, limits: NetLimits, ways: Ways) -> CoreNet {
        let state = State::new(limits.sockets, limits.receive_memory_bytes, ways);
        let (state, polling) = (RefCell::new(state), Cell::new(false));
        CoreNet { shared: Rc::new(Shared { ring, state, polling }) }
    }

    /// Where devices get their sockets.
    pub fn network(&self) -> Network {
        let shared = self.shared.clone();
        Network::new(move || {
            let owner = shared.state.borrow_mut().add_owner();
            Rc::new(DeviceSockets { shared: shared.clone(), owner })
        })
    }

    /// What was asked of the kernel and has not ended.
    pub fn in_flight(&self) -> usize {
        self.shared.state.borrow().in_flight()
    }

    /// Whether a device would be told something.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        self.shared.state.borrow().has_work()
    }

    /// Takes in what the ring has completed; `false` when the tag is not the network's.
    pub(crate) fn completed(&self, completion: Completion) -> bool {
        let mut ring = self.shared.ring.borrow_mut();
        self.shared.state.borrow_mut().completed(completion, &mut ring)
    }

    /// Takes all sockets down and waits until the kernel has nothing of them, but not longer than `patience`; whether
    /// it has not. For the end of a core. Completions of others that come meanwhile go to `others`.
    pub(crate) fn settle(&self, patience: Duration, others: &mut dyn FnMut(Completion)) -> bool {
        let start = Instant::now();
        let mut completions = Vec::new();
        // A core that ends in a panic may hold its ring or its sockets.
        let Ok(mut state) = self.shared.state.try_borrow_mut() else { return false };
        let Ok(mut ring) = self.shared.ring.try_borrow_mut() else { return false };
        state.take_down(&mut ring, |_| true);
        while state.in_flight() > 0 {
            let left = patience.saturating_sub(start.elapsed());
            let parked = ring.park(Some(left), &mut completions);
            for completion in completions.drain(..) {
                if !state.completed(completion, &mut ring) {
                    others(completion);
                }
            }
            state.drive_stalled(&mut ring);
            if left.is_zero() || parked.is_err() {
                break;
            }
        }
        state.release_all(&mut ring);
        state.in_flight() == 0
    }
}

impl fmt::Debug for CoreNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreNet").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

struct Shared {
    ring: CoreRing,
    state: RefCell<State>,
    /// A handler is being told something.
    polling: Cell<bool>,
}

/// The sockets of one device.
struct DeviceSockets {
    shared: Rc<Shared>,
    owner: u32,
}

impl DeviceSockets {
    fn with<T>(&self, act: impl FnOnce(&mut State, &mut Uring) -> T) -> T {
        let mut ring = self.shared.ring.borrow_mut();
        act(&mut self.shared.state.borrow_mut(), &mut ring)
    }

    /// Does something to a socket that is there, and then what follows from it.
    fn with_socket(&self, socket: SocketId, act: impl FnOnce(&mut Connection)) {
        self.with(|state, ring| {
            if let Some(connection) = state.find(socket)
                && connection.owner == self.owner
            {
                act(connection);
                state.drive(socket.slot(), ring);
            }
        });
    }

    fn end(&self, socket: SocketId, cause: CloseCause) {
        self.with_socket(socket, |connection| {
            if connection.is_connecting() {
                connection.end(Ending::ConnectFailed(SocketError::Aborted));
            } else {
                connection.end(Ending::Close(cause));
            }
        });
    }

    /// Tells all that one socket or listener has to tell.
    fn tell(&self, due: Due, handler: &mut dyn SocketHandler) {
        while let Some(news) = self.with(|state, ring| state.next_news(due, ring)) {
            match news {
                News::Accepted(listener, socket, peer) => handler.accepted(listener, socket, peer),
                News::AcceptFailed(listener, failure) => handler.accept_failed(listener, failure),
                News::Connected(socket) => handler.connected(socket),
                News::ConnectFailed(socket, error) => handler.connect_failed(socket, error),
                News::Sent(socket, buffer, result) => handler.sent(socket, buffer, result),
                News::PeerFinished(socket) => handler.peer_finished(socket),
                News::Closed(socket, cause) => handler.closed(socket, cause),
                News::Detached(socket, connection) => handler.detached(socket, connection),
                News::Received(socket, view) => {
                    // SAFETY: the connection is marked as lent, so its memory stays as it is until `took`, and the
                    // kernel writes to other parts of it. The scratch memory changes in `next_news` alone, which no
                    // handler reaches: `poll` does nothing while one is told.
                    let bytes = unsafe { view.as_slice() };
                    let Taken { bytes: taken, wanted } = handler.received(socket, bytes);
                    self.with(|state, _| state.took(socket, view.bytes, taken, wanted));
                }
            }
        }
        self.with(|state, ring| match due {
            Due::Socket(slot) => state.drive(slot, ring),
            Due::Listener(slot) => state.drive_listener(slot, ring),
        });
    }
}

impl Sockets for DeviceSockets {
    fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(ListenerId, SocketAddr), ListenError> {
        options.accepted.check().map_err(|reason| ListenError::Options { address, reason })?;
        self.with(|state, ring| {
            if state.listeners.is_full() {
                return Err(ListenError::Full { address, limit: LISTENERS_LIMIT });
            }
            let (socket, local) = listening_socket(address, &options)
                .map_err(|source| ListenError::System { address, source })?;
            let listener = Listener::new(self.owner, socket, options, state.ways.lasting_accept);
            let Some((slot, generation)) = state.listeners.insert(listener) else {
                return Err(ListenError::Full { address, limit: LISTENERS_LIMIT });
            };
            state.drive_listener(slot, ring);
            Ok((ListenerId::new(slot, generation), local))
        })
    }

    fn stop_listening(&self, listener: ListenerId) {
        self.with(|state, ring| {
            let found = state.listeners.get_mut(listener.slot(), listener.generation());
            if found.is_some_and(|found| found.owner == self.owner) {
                state.stop_listening(listener, ring);
            }
        });
    }

    fn connect(&self, to: SocketAddr, options: SocketOptions) -> Result<SocketId, ConnectRefused> {
        let address = to;
        options.check().map_err(|reason| ConnectRefused::Options { address, reason })?;
        self.with(|state, ring| {
            let limit = state.connections.limit();
            if state.connections.is_full() {
                return Err(ConnectRefused::Full { address, limit });
            }
            let socket = socket_with(to, &options)
                .map_err(|source| ConnectRefused::System { address, source })?;
            let connection =
                Connection::new(self.owner, socket, options.receive_bytes).connecting(to);
            state.insert(connection, ring).ok_or(ConnectRefused::Full { address, limit })
        })
    }

    fn send(&self, socket: SocketId, bytes: SendBuffer) -> Result<(), SendRefused> {
        self.with(|state, ring| {
            let refused = |bytes, reason| Err(SendRefused { bytes, reason });
            let Some(connection) = state.find(socket) else {
                return refused(bytes, SendRefusal::Gone);
            };
            if connection.owner != self.owner || connection.ending.is_some() {
                return refused(bytes, SendRefusal::Gone);
            }
            if connection.is_connecting() {
                return refused(bytes, SendRefusal::Connecting);
            }
            if connection.has_finished_sending() {
                return refused(bytes, SendRefusal::Finished);
            }
            if connection.has_send() {
                return refused(bytes, SendRefusal::InFlight);
            }
            connection.begin_send(bytes);
            state.drive(socket.slot(), ring);
            Ok(())
        })
    }

    fn finish_sending(&self, socket: SocketId) {
        self.with_socket(socket, Connection::finish_sending);
    }

    fn pause(&self, socket: SocketId) {
        self.with_socket(socket, |connection| connection.paused = true);
    }

    fn resume(&self, socket: SocketId) {
        self.with_socket(socket, |connection| {
            if connection.paused {
                connection.resume();
            }
        });
    }

    fn close(&self, socket: SocketId) {
        self.end(socket, CloseCause::Closed);
    }

    fn abort(&self, socket: SocketId) {
        self.end(socket, CloseCause::Aborted);
    }

    fn detach(&self, socket: SocketId) {
        self.with_socket(socket, |connection| {
            if !connection.is_connecting() {
                connection.end(Ending::Detach);
            }
        });
    }

    fn adopt(&self, connection: DetachedSocket) -> Result<SocketId, AdoptRefused> {
        self.with(|state, ring| {
            let limit = state.connections.limit();
            if state.connections.is_full() {
                let reason =
                    format!("the core has {limit} sockets, which is the limit; close one first");
                return Err(AdoptRefused { connection, reason });
            }
            let (stream, rest) = match connection.into_connection::<TcpStream>() {
                Ok(taken) => taken,
                Err(connection) => {
                    let reason = "it belongs to another kind of network".to_owned();
                    return Err(AdoptRefused { connection, reason });
                }
            };
            // The ring would hand every wait back to us.
            if let Err(error) = stream.set_nonblocking(false) {
                let reason = format!("its descriptor cannot be set up: {error}");
                return Err(AdoptRefused { connection: rest.with_connection(stream), reason });
            }
            let stream = Socket::from(stream);
            let receive_bytes = rest.receive_bytes().clamp(LEAST_RECEIVE_BYTES, MOST_RECEIVE_BYTES);
            let mut adopted = Connection::new(self.owner, stream, receive_bytes);
            adopted.continues(rest.unread(), rest.position_bytes(), rest.peer_finished());
            state.insert(adopted, ring).ok_or_else(|| {
                let reason = "the core has no room for it".to_owned();
                AdoptRefused { connection: rest, reason }
            })
        })
    }

    fn poll(&self, handler: &mut dyn SocketHandler, budget: usize) -> usize {
        if self.shared.polling.get() {
            return 0;
        }
        let waiting = self.with(|state, ring| {
            state.drive_stalled(ring);
            state.due(self.owner).min(budget)
        });
        if waiting == 0 {
            return 0;
        }
        self.shared.polling.set(true);
        let mut told = 0;
        while told < waiting {
            let Some(due) = self.with(|state, _| state.next_due(self.owner)) else { break };
            self.tell(due, handler);
            told += 1;
        }
        self.shared.polling.set(false);
        told
    }

    fn has_events(&self) -> bool {
        self.shared.state.borrow().has_news(self.owner)
    }

    fn counters(&self) -> SocketCounters {
        self.shared.state.borrow().counters
    }
}

impl Drop for DeviceSockets {
    fn drop(&mut self) {
        // At the end of a core that has panicked, somebody may hold both.
        let ring = self.shared.ring.try_borrow_mut();
        if let (Ok(mut ring), Ok(mut state)) = (ring, self.shared.state.try_borrow_mut()) {
            state.remove_owner(self.owner, &mut ring);
        }
    }
}

fn socket_with(address: SocketAddr, options: &SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(options.no_delay)?;
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    Ok(socket)
}

/// What is accepted inherits the options.
fn listening_socket(
    address: SocketAddr,
    options: &ListenOptions,
) -> io::Result<(Socket, SocketAddr)> {
    let socket = socket_with(address, &options.accepted)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(options.reuse_port)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    let local = socket.local_addr()?.as_socket();
    Ok((socket, local.unwrap_or(address)))
}

#[cfg(test)]
mod tests;
