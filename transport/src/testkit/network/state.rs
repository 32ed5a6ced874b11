//! Everything that a simulated network knows: sockets and listeners of all cores, and the streams between them.
//!
//! Time moves in [`State::advance`] alone: what is due happens then, in the order of its times. Every choice follows
//! from the seed.
//!
//! Invariants: a socket has a stream until it leaves it, and the stream names the socket meanwhile; a socket is in its
//! owner's list once, and is when there is something to tell; a stream goes when nobody is at either end.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mainspring::net::{
    AcceptFailure, CloseCause, ListenOptions, ListenerId, SocketCounters, SocketError,
};

use super::conduct::NetworkConduct;
use super::slots::Slots;
use super::socket::{Announce, Ending, Sending, Socket, Told};
use super::stream::{Cargo, End, Holder, Stream};
use super::{CONNECT_TIMEOUT, SOCKETS_LIMIT};

/// A node and a core of it.
pub(super) type Place = (usize, u16);

/// A device with sockets.
pub(super) struct Owner {
    pub place: Place,
    is_gone: bool,
    /// Sockets with something to tell.
    pub listed: Vec<u32>,
    /// Listeners that could not accept.
    pub failures: Vec<(ListenerId, AcceptFailure)>,
}

pub(super) struct Listener {
    pub owner: usize,
    pub address: SocketAddr,
    pub options: ListenOptions,
}

/// Ends that were dropped between two cores.
pub(super) type Dropped = Arc<Mutex<Vec<(u64, usize)>>>;

/// What happens next by itself.
#[derive(Clone, Copy)]
enum Event {
    /// The first piece of a direction arrives.
    Arrival(u64, usize),
    /// An end gives up.
    TimeOut(u64, usize),
}

/// See the module's header.
pub(super) struct State {
    pub now_ns: u64,
    pub random: fastrand::Rng,
    pub conduct: NetworkConduct,
    pub owners: Vec<Owner>,
    pub sockets: Slots<Socket>,
    pub listeners: Slots<Listener>,
    pub streams: BTreeMap<u64, Stream>,
    streams_made: u64,
    /// Ways, from node to node, on which nothing arrives.
    pub cuts: BTreeSet<(usize, usize)>,
    /// Which node listens, or has listened, at an address.
    pub homes: BTreeMap<SocketAddr, usize>,
    pub counters: BTreeMap<Place, SocketCounters>,
    pub dropped: Dropped,
    ports: u16,
    /// When something happens next, unless anything has changed since.
    next_due_ns: Cell<Option<Option<u64>>>,
}

impl State {
    pub fn new(seed: u64) -> State {
        State {
            now_ns: 0,
            random: fastrand::Rng::with_seed(seed),
            conduct: NetworkConduct::default(),
            owners: Vec::new(),
            sockets: Slots::new(),
            listeners: Slots::new(),
            streams: BTreeMap::new(),
            streams_made: 0,
            cuts: BTreeSet::new(),
            homes: BTreeMap::new(),
            counters: BTreeMap::new(),
            dropped: Dropped::default(),
            ports: 40_000,
            next_due_ns: Cell::new(None),
        }
    }

    pub fn add_owner(&mut self, place: Place) -> usize {
        let owner = Owner { place, is_gone: false, listed: Vec::new(), failures: Vec::new() };
        self.owners.push(owner);
        self.owners.len() - 1
    }

    /// A device is gone: all that it had ends, as when a process does.
    pub fn remove_owner(&mut self, owner: usize) {
        self.owners[owner].is_gone = true;
        let of_owner = |socket: &Socket| socket.owner == owner;
        let slots: Vec<u32> = self
            .sockets
            .iter()
            .filter(|(_, socket)| of_owner(socket))
            .map(|(slot, _)| slot)
            .collect();
        for slot in slots {
            self.discard(slot);
        }
        let of_owner = |listener: &Listener| listener.owner == owner;
        let slots: Vec<u32> =
            self.listeners.iter().filter(|(_, of)| of_owner(of)).map(|(slot, _)| slot).collect();
        for slot in slots {
            self.listeners.remove(slot);
        }
    }

    /// A socket goes without telling anybody here.
    pub fn discard(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.at(slot) {
            socket.end(Ending::Close(CloseCause::Aborted));
            self.pump(slot);
            self.release(slot);
        }
    }

    /// A port that nobody has.
    pub fn next_port(&mut self) -> u16 {
        self.ports = self.ports.checked_add(1).unwrap_or(40_001);
        self.ports
    }

    /// When something happens by itself.
    pub fn next_due_ns(&self) -> Option<u64> {
        if let Some(known) = self.next_due_ns.get() {
            return known;
        }
        let due_ns = self.next_event().map(|(at_ns, _)| at_ns);
        self.next_due_ns.set(Some(due_ns));
        due_ns
    }

    /// Something has changed.
    pub fn stir(&self) {
        self.next_due_ns.set(None);
    }

    /// Everything happens that is due until then.
    pub fn advance(&mut self, now_ns: u64) {
        self.bury_dropped();
        while self.next_due_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let Some((at_ns, event)) = self.next_event() else { break };
            self.now_ns = self.now_ns.max(at_ns);
            match event {
                Event::Arrival(id, direction) => self.arrive(id, direction),
                Event::TimeOut(id, side) => self.time_out(id, side),
            }
            self.stir();
        }
        self.now_ns = self.now_ns.max(now_ns);
    }

    fn next_event(&self) -> Option<(u64, Event)> {
        let mut next: Option<(u64, Event)> = None;
        let mut offer = |at_ns: Option<u64>, event| {
            if let Some(at_ns) = at_ns
                && next.is_none_or(|(next_ns, _)| at_ns < next_ns)
            {
                next = Some((at_ns, event));
            }
        };
        for (&id, stream) in &self.streams {
            for side in 0..2 {
                if !self.cuts.contains(&stream.way(side)) {
                    offer(stream.directions[side].next_arrival_ns(), Event::Arrival(id, side));
                }
                offer(stream.gives_up_ns(side), Event::TimeOut(id, side));
            }
        }
        next
    }

    /// A stream begins to be, from a socket's side 0.
    pub fn add_stream(&mut self, ends: [End; 2]) -> u64 {
        self.streams_made += 1;
        let id = self.streams_made;
        self.streams.insert(id, Stream { ends, directions: Default::default() });
        self.push(id, 0, Cargo::Open);
        id
    }

    fn push(&mut self, id: u64, direction: usize, cargo: Cargo) {
        self.stir();
        let latency_ns = self.conduct.latency_ns(&mut self.random);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let way = stream.way(direction);
        let direction = &mut stream.directions[direction];
        if matches!(cargo, Cargo::Reset) && self.cuts.contains(&way) {
            // Neither a reset nor what its sender had sent before is sent again. Who still wishes for a connection
            // goes on asking, and is answered.
            direction.flights.retain(|flight| matches!(flight.cargo, Cargo::Opened));
            return;
        }
        direction.push(cargo, self.now_ns, latency_ns);
    }

    fn arrive(&mut self, id: u64, direction: usize) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let holder = stream.ends[1 - direction].holder;
        let flow = &mut stream.directions[direction];
        let Some(flight) = flow.flights.pop_front() else { return };
        match (flight.cargo, holder) {
            (Cargo::Open, Holder::Awaited) => return self.accept(id),
            (Cargo::Bytes(bytes), Holder::Gone { .. }) => {
                flow.outstanding_bytes -= bytes.len();
                self.answer(id, 1 - direction);
            }
            (Cargo::Finish | Cargo::Opened, Holder::Gone { .. }) => self.answer(id, 1 - direction),
            (Cargo::Bytes(bytes), _) => flow.arrived.push_back(bytes),
            (Cargo::Finish, _) => flow.is_finished = true,
            (Cargo::Reset, Holder::Detached) => flow.is_reset = true,
            (Cargo::Opened, Holder::Socket(slot)) => self.opened(slot),
            (Cargo::Refused, Holder::Socket(slot)) => {
                self.fail(slot, SocketError::Refused);
            }
            (Cargo::Reset, Holder::Socket(slot)) => self.fail(slot, SocketError::Reset),
            _ => {}
        }
        if let Holder::Socket(slot) = holder {
            self.pump(slot);
        }
        self.settle(id);
    }

    /// Nobody is there any more: who sent something is told.
    fn answer(&mut self, id: u64, side: usize) {
        let Some(stream) = self.streams.get(&id) else { return };
        let told = |cargo: &Cargo| matches!(cargo, Cargo::Reset);
        let is_told = stream.directions[side].flights.iter().any(|flight| told(&flight.cargo));
        if stream.ends[side].holder == (Holder::Gone { answers: true }) && !is_told {
            self.push(id, side, Cargo::Reset);
        }
    }

    fn time_out(&mut self, id: u64, side: usize) {
        let Some(stream) = self.streams.get(&id) else { return };
        if let Holder::Socket(slot) = stream.ends[side].holder {
            self.fail(slot, SocketError::TimedOut);
            self.pump(slot);
        }
    }

    fn fail(&mut self, slot: u32, error: SocketError) {
        let Some(socket) = self.sockets.at(slot) else { return };
        socket.end(match socket.is_connecting {
            true => Ending::ConnectFailed(error),
            false => Ending::Close(CloseCause::Failed(error)),
        });
    }

    fn opened(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at(slot).filter(|socket| socket.ending.is_none()) else {
            return;
        };
        socket.is_connecting = false;
        socket.announce = Some(Announce::Connected);
        self.count(slot, |counters| counters.connected += 1);
    }

    /// The wish for a connection has arrived.
    fn accept(&mut self, id: u64) {
        let Some(stream) = self.streams.get(&id) else { return };
        let (to, peer) = (stream.ends[1].address, stream.ends[0].address);
        let there: Vec<u32> = self
            .listeners
            .iter()
            .filter(|(_, listener)| listener.address == to)
            .map(|(slot, _)| slot)
            .collect();
        let chosen = self.random.choice(&there).copied();
        let Some((slot, listener)) = chosen.and_then(|slot| Some((slot, self.listeners.at(slot)?)))
        else {
            self.hold(id, 1, Holder::Gone { answers: true });
            self.push(id, 1, Cargo::Refused);
            return self.settle(id);
        };
        let (owner, accepted) = (listener.owner, listener.options.accepted);
        let listener = ListenerId::new(slot, self.listeners.generation(slot));
        if self.sockets.used() >= SOCKETS_LIMIT {
            self.hold(id, 1, Holder::Gone { answers: true });
            self.push(id, 1, Cargo::Reset);
            let failure = AcceptFailure::Full { limit: SOCKETS_LIMIT };
            self.owners[owner].failures.push((listener, failure));
            return self.settle(id);
        }
        let mut socket = Socket::new(owner, (id, 1), accepted.receive_bytes);
        socket.announce = Some(Announce::Accepted(listener, peer));
        let (slot, _) = self.sockets.insert(socket);
        self.hold(id, 1, Holder::Socket(slot));
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ends[1].node = self.owners[owner].place.0;
            stream.ends[1].patience_ns = accepted.user_timeout.map(super::nanoseconds);
        }
        self.push(id, 1, Cargo::Opened);
        self.count(slot, |counters| counters.accepted += 1);
        self.list(slot);
    }

    pub fn hold(&mut self, id: u64, side: usize, holder: Holder) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.ends[side].holder = holder;
        }
    }

    /// Does for a socket what can be done now: sends, receives, leaves.
    pub fn pump(&mut self, slot: u32) {
        self.stir();
        self.pump_out(slot);
        let freed = self.pump_in(slot);
        self.leave(slot);
        self.list(slot);
        if let Some(other) = freed {
            // There is room for more of what it sends.
            self.pump_out(other);
            self.list(other);
        }
    }

    fn pump_out(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let Some((id, side)) = socket.stream.filter(|_| !socket.is_connecting) else { return };
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let flow = &mut stream.directions[side];
        while let Some(Sending { buffer, done_bytes }) = &mut socket.sending {
            let rest = &buffer.as_slice()[*done_bytes..];
            let room = self.conduct.window_bytes.saturating_sub(flow.outstanding_bytes);
            if !rest.is_empty() && room == 0 {
                return;
            }
            if let Some(bytes) = Some(rest.len().min(room)).filter(|bytes| *bytes > 0) {
                let bytes = self.conduct.piece_bytes(bytes, &mut self.random);
                let latency_ns = self.conduct.latency_ns(&mut self.random);
                flow.push(Cargo::Bytes(rest[..bytes].to_vec()), self.now_ns, latency_ns);
                *done_bytes += bytes;
            }
            if *done_bytes == buffer.len()
                && let Some(Sending { buffer, done_bytes }) = socket.sending.take()
            {
                socket.sent = Some((buffer, Ok(())));
                let counters = self.counters.entry(self.owners[socket.owner].place).or_default();
                counters.sends += 1;
                counters.sent_bytes += done_bytes as u64;
            }
        }
        if socket.finish == Told::Due {
            socket.finish = Told::Done;
            let latency_ns = self.conduct.latency_ns(&mut self.random);
            flow.push(Cargo::Finish, self.now_ns, latency_ns);
        }
    }

    /// Takes in what has arrived; who may send more because of that.
    fn pump_in(&mut self, slot: u32) -> Option<u32> {
        let socket = self.sockets.at(slot)?;
        let (id, side) = socket.stream?;
        let stream = self.streams.get_mut(&id)?;
        let flow = &mut stream.directions[1 - side];
        let mut came = 0;
        while let Some(room) = Some(socket.room_bytes()).filter(|room| *room > 0)
            && let Some(piece) = flow.take_arrived(room)
        {
            socket.received.append(&piece);
            came += piece.len();
        }
        let at_end = flow.is_finished && flow.arrived.is_empty();
        if at_end && socket.peer_finished == Told::No && socket.ending.is_none() {
            socket.peer_finished = Told::Due;
        }
        if came == 0 {
            return None;
        }
        let counters = self.counters.entry(self.owners[socket.owner].place).or_default();
        counters.receives += 1;
        counters.received_bytes += came as u64;
        match stream.ends[1 - side].holder {
            Holder::Socket(other) => Some(other),
            _ => None,
        }
    }

    /// A socket that ends leaves its stream, when it may.
    fn leave(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let (Some(ending), Some((id, side))) = (socket.ending, socket.stream) else { return };
        let last_word = match ending {
            Ending::Detach => return,
            Ending::Close(CloseCause::Closed) if socket.sending.is_some() => return,
            Ending::Close(CloseCause::Closed) => {
                let arrived =
                    self.streams.get(&id).map(|stream| &stream.directions[1 - side].arrived);
                let has_unread =
                    socket.received.len() > 0 || arrived.is_some_and(|arrived| !arrived.is_empty());
                let is_finished = socket.finish == Told::Done;
                if has_unread {
                    Some(Cargo::Reset)
                } else {
                    (!is_finished).then_some(Cargo::Finish)
                }
            }
            Ending::Close(CloseCause::Failed(_)) | Ending::ConnectFailed(_) => None,
            Ending::Close(_) => Some(Cargo::Reset),
        };
        socket.stream = None;
        if let Some(cargo) = last_word {
            self.push(id, side, cargo);
        }
        self.hold(id, side, Holder::Gone { answers: true });
        self.settle(id);
    }

    /// A stream that nobody is at goes.
    pub fn settle(&mut self, id: u64) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let opens = |cargo: &Cargo| matches!(cargo, Cargo::Open);
        let comes = stream.directions[0].flights.iter().any(|flight| opens(&flight.cargo));
        if stream.ends[1].holder == Holder::Awaited && !comes {
            stream.ends[1].holder = Holder::Gone { answers: true };
        }
        if stream.is_over() {
            self.streams.remove(&id);
        }
        self.stir();
    }

    /// Lists a socket that has something to tell.
    pub fn list(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at(slot) else { return };
        let owner = &mut self.owners[socket.owner];
        if !socket.is_listed && !owner.is_gone && socket.has_news() {
            socket.is_listed = true;
            owner.listed.push(slot);
        }
    }

    /// Empties a slot.
    pub fn release(&mut self, slot: u32) -> Option<Socket> {
        let ending = self.sockets.get(slot)?.ending;
        self.count(slot, |counters| match ending {
            Some(Ending::ConnectFailed(_)) => counters.connects_failed += 1,
            Some(Ending::Close(CloseCause::Closed | CloseCause::Aborted)) => counters.closed += 1,
            Some(Ending::Close(_)) => {
                counters.closed += 1;
                counters.failed += 1;
            }
            Some(Ending::Detach) | None => {}
        });
        self.sockets.remove(slot)
    }

    fn count(&mut self, slot: u32, change: impl FnOnce(&mut SocketCounters)) {
        if let Some(socket) = self.sockets.get(slot) {
            change(self.counters.entry(self.owners[socket.owner].place).or_default());
        }
    }

    /// What was dropped between two cores is closed.
    fn bury_dropped(&mut self) {
        let dropped = {
            let mut dropped = self.dropped.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *dropped)
        };
        for (id, side) in dropped {
            self.push(id, side, Cargo::Reset);
            self.hold(id, side, Holder::Gone { answers: true });
            self.settle(id);
        }
    }

    /// How long a connection may take to be made.
    pub fn connect_patience_ns() -> Option<u64> {
        Some(super::nanoseconds(CONNECT_TIMEOUT))
    }
}
