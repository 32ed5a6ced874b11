//! The sockets of one device, as it uses them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use mainspring::net::{
    AdoptRefused, CloseCause, ConnectRefused, DetachedSocket, ListenError, ListenOptions,
    ListenerId, SendBuffer, SendFailed, SendRefusal, SendRefused, SocketCounters, SocketError,
    SocketHandler, SocketId, SocketOptions, Sockets, Taken,
};

use super::received::ReceivedBytes;
use super::socket::{Announce, Ending, Sending, Socket, Told};
use super::state::{Dropped, Listener, Place, State};
use super::stream::{End, Holder};
use super::{SOCKETS_LIMIT, nanoseconds};

/// See the module's header.
pub(super) struct SimulatedSockets {
    state: Rc<RefCell<State>>,
    place: Place,
    owner: usize,
    is_polling: Cell<bool>,
}

/// An end of a stream that goes from one core to another. Dropping it closes it.
struct DetachedEnd {
    stream: u64,
    side: usize,
    dropped: Option<Dropped>,
}

impl Drop for DetachedEnd {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take()
            && let Ok(mut dropped) = dropped.lock()
        {
            dropped.push((self.stream, self.side));
        }
    }
}

/// What a handler is told next.
enum News {
    Announce(Announce),
    Sent(SendBuffer, Result<(), SendFailed>),
    /// Lent; to be given back with what was taken.
    Received(ReceivedBytes),
    PeerFinished,
    Last(Ending, Option<DetachedSocket>),
}

impl SimulatedSockets {
    pub fn new(state: Rc<RefCell<State>>, place: Place) -> SimulatedSockets {
        let owner = state.borrow_mut().add_owner(place);
        SimulatedSockets { state, place, owner, is_polling: Cell::new(false) }
    }

    /// Changes a socket of this device, and does what follows.
    fn change<T>(&self, id: SocketId, change: impl FnOnce(&mut Socket) -> T) -> Option<T> {
        let mut state = self.state.borrow_mut();
        if state.sockets.generation(id.slot()) != id.generation() {
            return None;
        }
        let socket = state.sockets.at(id.slot()).filter(|socket| socket.owner == self.owner)?;
        let changed = change(socket);
        state.pump(id.slot());
        Some(changed)
    }

    /// A socket with something to tell, by chance.
    fn next_listed(&self) -> Option<SocketId> {
        let mut state = self.state.borrow_mut();
        let State { owners, random, sockets, .. } = &mut *state;
        let listed = &mut owners[self.owner].listed;
        while !listed.is_empty() {
            let slot = listed.swap_remove(random.usize(0..listed.len()));
            let generation = sockets.generation(slot);
            if let Some(socket) = sockets.at(slot).filter(|socket| socket.owner == self.owner) {
                socket.is_listed = false;
                return Some(SocketId::new(slot, generation));
            }
        }
        None
    }

    fn next_news(&self, id: SocketId) -> Option<News> {
        let mut state = self.state.borrow_mut();
        if state.sockets.generation(id.slot()) != id.generation() {
            return None;
        }
        let socket = state.sockets.at(id.slot())?;
        if let Some(announce) = socket.announce.take() {
            return Some(News::Announce(announce));
        }
        if let Some((buffer, result)) = socket.sent.take() {
            return Some(News::Sent(buffer, result));
        }
        if socket.may_show() {
            socket.is_lent = true;
            return Some(News::Received(std::mem::take(&mut socket.received)));
        }
        if socket.may_tell_end_of_stream() {
            socket.peer_finished = Told::Done;
            return Some(News::PeerFinished);
        }
        if socket.is_over() {
            let released = state.release(id.slot())?;
            let ending = released.ending.unwrap_or(Ending::Close(CloseCause::Closed));
            let detached = (ending == Ending::Detach).then(|| detach(released, &mut state));
            return Some(News::Last(ending, detached.flatten()));
        }
        None
    }

    /// Tells a handler all that a socket has to tell.
    fn tell(&self, id: SocketId, handler: &mut dyn SocketHandler) {
        while let Some(news) = self.next_news(id) {
            match news {
                News::Announce(Announce::Accepted(listener, peer)) => {
                    handler.accepted(listener, id, peer);
                }
                News::Announce(Announce::Connected) => handler.connected(id),
                News::Sent(buffer, result) => handler.sent(id, buffer, result),
                News::Received(received) => {
                    let shown = received.len();
                    let Taken { bytes, wanted } = handler.received(id, received.held());
                    self.change(id, |socket| {
                        socket.received = received;
                        socket.is_lent = false;
                        socket.took(shown, bytes, wanted);
                    });
                }
                News::PeerFinished => handler.peer_finished(id),
                News::Last(Ending::Close(cause), _) => handler.closed(id, cause),
                News::Last(Ending::ConnectFailed(error), _) => handler.connect_failed(id, error),
                News::Last(Ending::Detach, Some(detached)) => handler.detached(id, detached),
                News::Last(Ending::Detach, None) => {
                    handler.closed(id, CloseCause::Failed(SocketError::Reset));
                }
            }
        }
    }
}

/// What another core goes on with.
fn detach(mut socket: Socket, state: &mut State) -> Option<DetachedSocket> {
    let (stream, side) = socket.stream.take()?;
    state.hold(stream, side, Holder::Detached);
    let dropped = Some(state.dropped.clone());
    let end = DetachedEnd { stream, side, dropped };
    let is_finished = socket.peer_finished != Told::No;
    let unread = socket.received.held().to_vec();
    let detached =
        DetachedSocket::new(end, unread, socket.position, is_finished, socket.receive_bytes);
    Some(detached)
}

impl Sockets for SimulatedSockets {
    fn listen(
        &self,
        mut address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(ListenerId, SocketAddr), ListenError> {
        if let Err(reason) = options.accepted.check() {
            return Err(ListenError::Options { address, reason });
        }
        let mut state = self.state.borrow_mut();
        if address.port() == 0 {
            address.set_port(state.next_port());
        }
        let may_share = |other: &Listener| other.options.reuse_port && options.reuse_port;
        let is_in_the_way = |other: &Listener| other.address == address && !may_share(other);
        if state.listeners.iter().any(|(_, other)| is_in_the_way(other)) {
            let source = io::Error::from(io::ErrorKind::AddrInUse);
            return Err(ListenError::System { address, source });
        }
        state.homes.insert(address, self.place.0);
        let (slot, generation) =
            state.listeners.insert(Listener { owner: self.owner, address, options });
        Ok((ListenerId::new(slot, generation), address))
    }

    fn stop_listening(&self, listener: ListenerId) {
        let mut state = self.state.borrow_mut();
        if state.listeners.generation(listener.slot()) != listener.generation() {
            return;
        }
        state.listeners.remove(listener.slot());
        let of_listener = |socket: &Socket| match socket.announce {
            Some(Announce::Accepted(of, _)) => of == listener,
            _ => false,
        };
        let unannounced: Vec<u32> = state
            .sockets
            .iter()
            .filter(|(_, socket)| of_listener(socket))
            .map(|(slot, _)| slot)
            .collect();
        for slot in unannounced {
            state.discard(slot);
        }
    }

    fn connect(&self, to: SocketAddr, options: SocketOptions) -> Result<SocketId, ConnectRefused> {
        if let Err(reason) = options.check() {
            return Err(ConnectRefused::Options { address: to, reason });
        }
        let mut state = self.state.borrow_mut();
        if state.sockets.used() >= SOCKETS_LIMIT {
            return Err(ConnectRefused::Full { address: to, limit: SOCKETS_LIMIT });
        }
        let node = self.place.0;
        let own = IpAddr::V4(Ipv4Addr::new(10, 0, (node >> 8) as u8, node as u8 + 1));
        let address = SocketAddr::new(own, state.next_port());
        let there = state.homes.get(&to).copied().unwrap_or(node);
        let mut socket = Socket::new(self.owner, (0, 0), options.receive_bytes);
        socket.is_connecting = true;
        let (slot, generation) = state.sockets.insert(socket);
        let patience_ns = options.user_timeout.map(nanoseconds).or(State::connect_patience_ns());
        let holder = Holder::Socket(slot);
        let near = End { node, address, holder, patience_ns };
        let far = End { node: there, address: to, holder: Holder::Awaited, patience_ns: None };
        let stream = state.add_stream([near, far]);
        if let Some(socket) = state.sockets.at(slot) {
            socket.stream = Some((stream, 0));
        }
        Ok(SocketId::new(slot, generation))
    }

    fn send(&self, socket: SocketId, bytes: SendBuffer) -> Result<(), SendRefused> {
        let mut buffer = Some(bytes);
        let refusal = self.change(socket, |socket| {
            if socket.ending.is_some() {
                return Some(SendRefusal::Gone);
            }
            if socket.is_connecting {
                return Some(SendRefusal::Connecting);
            }
            if socket.sending.is_some() || socket.sent.is_some() {
                return Some(SendRefusal::InFlight);
            }
            if socket.finish != Told::No {
                return Some(SendRefusal::Finished);
            }
            socket.sending = buffer.take().map(|buffer| Sending { buffer, done_bytes: 0 });
            None
        });
        match (buffer, refusal) {
            (Some(bytes), refusal) => {
                let reason = refusal.flatten().unwrap_or(SendRefusal::Gone);
                Err(SendRefused { bytes, reason })
            }
            (None, _) => Ok(()),
        }
    }

    fn finish_sending(&self, socket: SocketId) {
        self.change(socket, |socket| {
            if socket.finish == Told::No && !socket.is_connecting {
                socket.finish = Told::Due;
            }
        });
    }

    fn pause(&self, socket: SocketId) {
        self.change(socket, |socket| socket.is_paused = true);
    }

    fn resume(&self, socket: SocketId) {
        self.change(socket, Socket::resume);
    }

    fn close(&self, socket: SocketId) {
        self.change(socket, |socket| {
            socket.end(match socket.is_connecting {
                true => Ending::ConnectFailed(SocketError::Aborted),
                false => Ending::Close(CloseCause::Closed),
            });
        });
    }

    fn abort(&self, socket: SocketId) {
        self.change(socket, |socket| {
            socket.end(match socket.is_connecting {
                true => Ending::ConnectFailed(SocketError::Aborted),
                false => Ending::Close(CloseCause::Aborted),
            });
        });
    }

    fn detach(&self, socket: SocketId) {
        self.change(socket, |socket| {
            socket.end(match socket.is_connecting {
                true => Ending::ConnectFailed(SocketError::Aborted),
                false => Ending::Detach,
            });
        });
    }

    fn adopt(&self, connection: DetachedSocket) -> Result<SocketId, AdoptRefused> {
        let (mut end, rest) = match connection.into_connection::<DetachedEnd>() {
            Ok(found) => found,
            Err(connection) => {
                let reason = "it is not a stream of this network".to_owned();
                return Err(AdoptRefused { connection, reason });
            }
        };
        let mut state = self.state.borrow_mut();
        if state.sockets.used() >= SOCKETS_LIMIT {
            let reason = format!("the network has {SOCKETS_LIMIT} sockets, which is the limit");
            return Err(AdoptRefused { connection: rest.with_connection(end), reason });
        }
        end.dropped = None;
        let (stream, side) = (end.stream, end.side);
        let mut socket = Socket::new(self.owner, (stream, side), rest.receive_bytes());
        socket.continues(rest.unread(), rest.position_bytes(), rest.peer_finished());
        let incoming = state.streams.get(&stream).map(|stream| &stream.directions[1 - side]);
        if incoming.is_none_or(|incoming| incoming.is_reset) {
            socket.end(Ending::Close(CloseCause::Failed(SocketError::Reset)));
        }
        let (slot, generation) = state.sockets.insert(socket);
        state.hold(stream, side, Holder::Socket(slot));
        state.pump(slot);
        Ok(SocketId::new(slot, generation))
    }

    fn poll(&self, handler: &mut dyn SocketHandler, budget: usize) -> usize {
        if self.is_polling.replace(true) {
            return 0;
        }
        let failures = std::mem::take(&mut self.state.borrow_mut().owners[self.owner].failures);
        let due = self.state.borrow().owners[self.owner].listed.len().min(budget);
        let mut told = failures.len();
        for (listener, failure) in failures {
            handler.accept_failed(listener, failure);
        }
        for _ in 0..due {
            let Some(id) = self.next_listed() else { break };
            self.tell(id, handler);
            told += 1;
        }
        self.is_polling.set(false);
        told
    }

    fn has_events(&self) -> bool {
        let state = self.state.borrow();
        let owner = &state.owners[self.owner];
        !owner.listed.is_empty() || !owner.failures.is_empty()
    }

    fn counters(&self) -> SocketCounters {
        super::counters_of(&self.state.borrow(), self.place)
    }
}

impl Drop for SimulatedSockets {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.remove_owner(self.owner);
        }
    }
}
