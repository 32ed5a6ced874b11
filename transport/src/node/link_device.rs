//! The device of one core: its connections to other nodes, and on core 0 the door through which all of them come.
//!
//! A thin driver: it moves bytes between sockets, connections and outboxes, and does what the [`Hub`] wants. Each poll
//! first takes in what has come, then sends what the turns of that have written, so that an answer goes out in the
//! poll in which its question came.

mod goodbye;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn};
use mainspring::net::{ListenOptions, ListenerId, SendBuffer, SocketId, SocketOptions, Sockets};
use mainspring::peer::{BulkBudget, Outbox, OutboxLimits};
use rustix::rand::GetRandomFlags;

use super::bulk::BulkLanes;
use super::connection::{Connection, Facts, Source};
use super::exchange::{Exchange, Letter, Outgoing};
use super::figures::{Count, Counters};
use super::greeting::Greeting;
use super::hub::{Attempt, Hub, Order, Placed};
use super::polling::Polling;
use super::settings::Settings;
use crate::handshake::{Dialled, Handshake, HandshakeError, NONCE_BYTES, RefusalReason, refusal};
use crate::link::credit::Volume;
use crate::link::events::DownReason;
use crate::link::slow_peer::SlowStep;
use crate::wire::{GoodbyeReason, Lane};

/// Sockets that are looked after in one poll.
const SOCKETS_A_POLL: usize = 256;

/// Letters that are read in one poll.
const LETTERS_A_POLL: usize = 256;

/// What a socket is for.
pub(super) enum Line {
    Greeting(Box<Greeting>),
    /// Greeted, and on its way to another core.
    Leaving {
        core: u16,
        facts: Box<Facts>,
    },
    Standing(Box<Connection>),
    /// Its connection has ended; the socket closes.
    Ended,
}

/// See the module's header.
pub(super) struct LinkDevice {
    core: u16,
    pub(super) sockets: Rc<dyn Sockets>,
    pub(super) lines: BTreeMap<SocketId, Line>,
    /// The lines that stand, and some that stood: each poll goes through these, not through all that are being greeted.
    standing: Vec<SocketId>,
    outboxes: BTreeMap<u32, Rc<RefCell<Outbox>>>,
    bulk: BulkLanes,
    /// Connections with frames that wait for the next poll.
    pub(super) blocked: Vec<SocketId>,
    exchange: Arc<Exchange>,
    pub(super) outgoing: Outgoing,
    pub(super) settings: Settings,
    pub(super) hub: Option<Hub>,
    pub(super) counters: Arc<Counters>,
    /// No greeting takes too long before this.
    greetings_due_ns: u64,
    listening: Listening,
    /// The node has ended but for its devices: each connection ends with a goodbye.
    leaves: bool,
}

/// What has become of the address to listen on.
#[derive(Clone, Copy)]
enum Listening {
    Soon,
    On(ListenerId),
    Off,
}

impl LinkDevice {
    pub fn new(
        core: u16,
        sockets: Rc<dyn Sockets>,
        exchange: Arc<Exchange>,
        settings: Settings,
        hub: Option<Hub>,
        counters: Arc<Counters>,
    ) -> LinkDevice {
        LinkDevice {
            core,
            sockets,
            lines: BTreeMap::new(),
            standing: Vec::new(),
            outboxes: BTreeMap::new(),
            bulk: BulkLanes::new(core, settings.chunks),
            blocked: Vec::new(),
            outgoing: Outgoing::new(Arc::clone(&exchange)),
            exchange,
            listening: match (&hub, settings.listen) {
                (Some(_), Some(_)) => Listening::Soon,
                _ => Listening::Off,
            },
            settings,
            hub,
            counters,
            greetings_due_ns: u64::MAX,
            leaves: false,
        }
    }

    fn listen(&mut self) {
        let (Some(hub), Some(address)) = (&mut self.hub, self.settings.listen) else { return };
        if !matches!(self.listening, Listening::Soon) {
            return;
        }
        self.listening = Listening::Off;
        let accepted = socket_options(&self.settings);
        match self.sockets.listen(address, ListenOptions { accepted, ..ListenOptions::default() }) {
            Ok((listener, address)) => {
                self.listening = Listening::On(listener);
                hub.listening(address);
            }
            Err(error) => tracing::error!(%error, "this node cannot be linked to"),
        }
    }

    fn read_letters(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        for read in 0..LETTERS_A_POLL {
            let Some(letter) = self.exchange.take(self.core) else { return read };
            self.read_letter(letter, turn);
        }
        LETTERS_A_POLL
    }

    fn read_letter(&mut self, letter: Letter, turn: &mut DeviceTurn<'_>) {
        match letter {
            Letter::Open { incarnation, max_frame_bytes, bulk } => {
                self.open(incarnation, max_frame_bytes, turn);
                if let Some(budget) = bulk {
                    self.bulk.open(incarnation, budget, turn);
                }
            }
            Letter::Bulk { incarnation, message } => {
                if !self.bulk.push(incarnation, *message) {
                    turn.count_lost(1);
                }
            }
            Letter::Stands { serial } => {
                if let Some(hub) = &mut self.hub {
                    hub.confirmed(serial);
                }
            }
            Letter::Gone { incarnation, is_over } => {
                match is_over {
                    true => turn.node_over(incarnation),
                    false => turn.node_gone(incarnation),
                }
                turn.count_lost(self.bulk.close(incarnation));
                if let Some(outbox) = self.outboxes.remove(&incarnation) {
                    turn.count_lost(outbox.borrow().frames());
                }
            }
            Letter::Adopt { facts, connection } => match self.sockets.adopt(connection) {
                Ok(socket) => self.stand(socket, *facts, false, turn),
                Err(refused) => {
                    tracing::warn!(%refused, "a link could not be handed to its core");
                    self.tell_ended(facts.serial, DownReason::Closed, Volume::NONE);
                }
            },
            Letter::Drop { serial, reason } => self.drop_connection(serial, reason, turn),
            Letter::Ended { serial, reason, maybe_lost } => {
                let now_ns = turn.now_ns();
                if let Some(hub) = &mut self.hub {
                    hub.ended(serial, reason, maybe_lost, now_ns);
                }
            }
            Letter::Slow { serial, waiting_bytes } => {
                if let Some(hub) = &mut self.hub {
                    hub.slow(serial, waiting_bytes);
                }
            }
        }
    }

    /// From now on this core's actors reach a life of a node.
    fn open(&mut self, incarnation: u32, max_frame_bytes: u32, turn: &mut DeviceTurn<'_>) {
        if !self.outboxes.contains_key(&incarnation) {
            // A payload has its header in front.
            let frame_bytes = max_frame_bytes as usize + mainspring::frame::HEADER_BYTES;
            let limits = OutboxLimits { bytes: self.settings.outbox_bytes, frame_bytes };
            self.outboxes.insert(incarnation, turn.open_outbox(incarnation, limits));
        }
    }

    /// A greeted connection is this core's from now on. What comes by it may be answered at once.
    pub(super) fn stand(
        &mut self,
        socket: SocketId,
        facts: Facts,
        in_flight: bool,
        turn: &mut DeviceTurn<'_>,
    ) {
        if facts.key.lane == Lane::Ordinary {
            self.open(facts.peer.incarnation, facts.peer.ordinary_frame_bytes, turn);
        }
        if facts.key.lane == Lane::Bulk {
            turn.count_lost(self.bulk.stands(facts.peer.incarnation, facts.serial));
        }
        let serial = facts.serial;
        match Connection::new(facts, in_flight) {
            Ok(connection) => {
                self.counters.count(Count::Connections);
                self.lines.insert(socket, Line::Standing(Box::new(connection)));
                self.standing.push(socket);
            }
            Err(broken) => {
                tracing::warn!(%broken, "a link ends");
                self.lines.insert(socket, Line::Ended);
                self.sockets.abort(socket);
                self.tell_ended(serial, DownReason::ProtocolBroken, Volume::NONE);
            }
        }
    }

    fn drop_connection(&mut self, serial: u64, reason: DownReason, turn: &mut DeviceTurn<'_>) {
        let found = self.lines.iter().find_map(|(socket, line)| match line {
            Line::Standing(connection) if connection.facts.serial == serial => Some(*socket),
            Line::Leaving { facts, .. } if facts.serial == serial => Some(*socket),
            _ => None,
        });
        match found {
            Some(socket) => self.end(socket, reason, turn),
            None => self.tell_ended(serial, reason, Volume::NONE),
        }
    }

    /// Ends a connection now. What the peer has sent and was not taken is gone with it.
    pub(super) fn end(&mut self, socket: SocketId, reason: DownReason, turn: &mut DeviceTurn<'_>) {
        let Some(line) = self.lines.insert(socket, Line::Ended) else { return };
        self.sockets.abort(socket);
        self.ended(line, reason, turn);
    }

    /// A connection is over: its messages are counted, and core 0 is told.
    pub(super) fn ended(&mut self, line: Line, reason: DownReason, turn: &mut DeviceTurn<'_>) {
        match line {
            Line::Standing(connection) => {
                self.counters.count(Count::Disconnections);
                if reason == DownReason::ProtocolBroken {
                    self.counters.count(Count::ProtocolErrors);
                }
                let reason = if connection.has_left() { DownReason::Closed } else { reason };
                let (maybe_lost, unsent) = connection.maybe_lost();
                let facts = &connection.facts;
                let cut_short = self.bulk.ended(facts.peer.incarnation, facts.serial);
                turn.count_lost(unsent + cut_short);
                self.tell_ended(connection.facts.serial, reason, maybe_lost);
            }
            Line::Leaving { facts, .. } => self.tell_ended(facts.serial, reason, Volume::NONE),
            Line::Greeting(greeting) => {
                let now_ns = turn.now_ns();
                if !greeting.ends {
                    let (peer, dialled) = (greeting.address, greeting.attempt.is_some());
                    tracing::info!(%peer, dialled, "a link was not made: its handshake broke off");
                    self.counters.count(Count::Left);
                }
                if let (Some(hub), Some(attempt)) = (&mut self.hub, greeting.attempt) {
                    hub.dial_failed(attempt, None, now_ns);
                }
            }
            Line::Ended => {}
        }
    }

    fn tell_ended(&mut self, serial: u64, reason: DownReason, maybe_lost: Volume) {
        self.outgoing.send(0, Letter::Ended { serial, reason, maybe_lost });
    }

    /// Does what the hub wants.
    fn obey(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let now_ns = turn.now_ns();
        let Some(hub) = &mut self.hub else { return 0 };
        hub.take_up_contacts(now_ns);
        while let Some(control) = turn.take_control() {
            hub.send_control(control, now_ns);
        }
        for (incarnation, waiting_bytes) in self.bulk.waiting() {
            hub.want_bulk(incarnation, waiting_bytes, now_ns);
        }
        if !hub.is_due(now_ns) {
            return 0;
        }
        hub.tick(now_ns);
        let mut done = 0;
        while let Some(order) = self.hub.as_mut().and_then(Hub::next_order) {
            done += 1;
            match order {
                Order::Dial { attempt, to, dialled } => self.dial(attempt, to, dialled, now_ns),
                Order::Abandon(attempt) => self.abandon(attempt),
                Order::Open { incarnation, max_frame_bytes, takes_bulk } => {
                    let chunks = self.settings.chunks;
                    let budget = BulkBudget::new(chunks.message_limit_bytes, chunks.budget_bytes);
                    let bulk = takes_bulk.then(|| Arc::new(budget));
                    self.tell_all(|| {
                        let bulk = bulk.clone();
                        Letter::Open { incarnation, max_frame_bytes, bulk }
                    });
                }
                Order::Gone { incarnation, is_over } => {
                    self.tell_all(|| Letter::Gone { incarnation, is_over });
                }
                Order::Drop { core, serial, reason } => {
                    self.outgoing.send(core, Letter::Drop { serial, reason });
                }
                Order::Return(control) => turn.return_control(control),
            }
        }
        done
    }

    fn tell_all(&mut self, letter: impl Fn() -> Letter) {
        (0..self.outgoing.cores()).for_each(|core| self.outgoing.send(core, letter()));
    }

    fn dial(&mut self, attempt: Attempt, to: SocketAddr, dialled: Dialled, now_ns: u64) {
        let options = socket_options(&self.settings);
        let (Some(hub), Some(nonce)) = (&self.hub, nonce()) else { return };
        let (local, keys) = (hub.local().clone(), self.settings.keys.clone());
        let (handshake, hello) = match Handshake::initiate(local, dialled, keys, nonce, now_ns) {
            Ok(begun) => begun,
            Err(error) => return tracing::error!(%error, "this node cannot be linked"),
        };
        match self.sockets.connect(to, options) {
            Ok(socket) => {
                self.counters.count(Count::Dialled);
                self.greet(socket, Greeting::new(Some(attempt), to, handshake, hello));
            }
            Err(refused) => {
                tracing::warn!(%refused, "a link could not be dialled");
                if let Some(hub) = &mut self.hub {
                    hub.dial_failed(attempt, None, now_ns);
                }
            }
        }
    }

    fn abandon(&mut self, attempt: Attempt) {
        let found = self.lines.iter().find_map(|(socket, line)| match line {
            Line::Greeting(greeting) if greeting.attempt == Some(attempt) => Some(*socket),
            _ => None,
        });
        if let Some(socket) = found {
            self.lines.insert(socket, Line::Ended);
            self.sockets.abort(socket);
        }
    }

    /// As many are being greeted as may be. One more is told so, and nothing is read of it.
    pub(super) fn turn_away(&mut self, socket: SocketId, peer: SocketAddr) {
        self.counters.count(Count::TurnedAway);
        let reason = RefusalReason::TooManyConnections;
        self.counters.refused(reason);
        tracing::warn!(%peer, %reason, "a link was not made");
        self.lines.insert(socket, Line::Ended);
        let limit = self.settings.greetings_limit;
        let text = format!("{limit} connections are in their handshake");
        // It is closed in any case, when this is sent.
        let _ = self.sockets.send(socket, SendBuffer::from(refusal(reason, &text).as_slice()));
        self.sockets.close(socket);
    }

    pub(super) fn greet(&mut self, socket: SocketId, greeting: Greeting) {
        self.greetings_due_ns = self.greetings_due_ns.min(greeting.deadline_ns());
        self.lines.insert(socket, Line::Greeting(Box::new(greeting)));
    }

    /// Ends greetings that take too long.
    fn look_after_greetings(&mut self, now_ns: u64) -> usize {
        if now_ns < self.greetings_due_ns {
            return 0;
        }
        let mut late = Vec::new();
        for (socket, line) in &mut self.lines {
            if let Line::Greeting(greeting) = line
                && !greeting.ends
                && let Err(error) = greeting.tick(now_ns)
            {
                late.push((*socket, error));
            }
        }
        let count = late.len();
        for (socket, error) in late {
            self.greeting_failed(socket, &error, now_ns);
        }
        let waiting = self.lines.values().filter_map(|line| match line {
            Line::Greeting(greeting) if !greeting.ends => Some(greeting.deadline_ns()),
            _ => None,
        });
        self.greetings_due_ns = waiting.min().unwrap_or(u64::MAX);
        count
    }

    pub(super) fn greeting_failed(
        &mut self,
        socket: SocketId,
        error: &HandshakeError,
        now_ns: u64,
    ) {
        let Some(Line::Greeting(greeting)) = self.lines.get_mut(&socket) else { return };
        let attempt = greeting.attempt.take();
        let reason = error.reason();
        self.counters.failed(error);
        if reason != Some(RefusalReason::Duplicate) {
            let (peer, dialled) = (greeting.address, attempt.is_some());
            tracing::warn!(%peer, dialled, %error, "a link was not made");
        }
        greeting.end_with(error.answer());
        if let (Some(hub), Some(attempt)) = (&mut self.hub, attempt) {
            hub.dial_failed(attempt, reason, now_ns);
        }
        self.send_greeting(socket);
    }

    /// Sends what a greeting has to say, and closes it if that was the last.
    pub(super) fn send_greeting(&mut self, socket: SocketId) {
        let Some(Line::Greeting(greeting)) = self.lines.get_mut(&socket) else { return };
        if let Some(bytes) = greeting.next_send() {
            if self.sockets.send(socket, bytes).is_err() {
                greeting.in_flight = false;
                if greeting.ends {
                    // It has nobody to say it to: it is not even connected.
                    self.lines.insert(socket, Line::Ended);
                    self.sockets.abort(socket);
                }
            }
        } else if greeting.ends && greeting.is_sent() {
            self.lines.insert(socket, Line::Ended);
            self.sockets.close(socket);
        }
    }

    /// The handshake is over: the connection goes to its core, or is refused.
    pub(super) fn greeted(&mut self, socket: SocketId, turn: &mut DeviceTurn<'_>) {
        let now_ns = turn.now_ns();
        let (Some(Line::Greeting(greeting)), Some(hub)) =
            (self.lines.get_mut(&socket), &mut self.hub)
        else {
            return;
        };
        let Some(mut peer) = greeting.peer.take() else { return };
        peer.authenticated |= self.settings.is_mutual_tls;
        let (name, address) = (peer.name.clone(), greeting.address);
        match hub.greeted(*peer, greeting.attempt, now_ns) {
            Placed::On { core, facts } if core == self.core => {
                let in_flight = greeting.in_flight;
                self.stand(socket, *facts, in_flight, turn);
            }
            Placed::On { core, facts } => {
                self.lines.insert(socket, Line::Leaving { core, facts });
                self.sockets.detach(socket);
            }
            Placed::Refused(reason) => {
                self.counters.refused(reason);
                let attempt = greeting.attempt.take();
                if reason != RefusalReason::Duplicate {
                    let dialled = attempt.is_some();
                    tracing::warn!(peer = %address, name, dialled, %reason, "a node was not let in");
                }
                greeting.end_with(Some(refusal(reason, "")));
                if let Some(attempt) = attempt {
                    hub.dial_failed(attempt, Some(reason), now_ns);
                }
                self.send_greeting(socket);
            }
        }
    }

    /// Sends all that waits, one send for each connection.
    fn send_all(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let now_ns = turn.now_ns();
        let (mut sent, mut slow) = (0, Vec::new());
        self.standing.retain(|socket| matches!(self.lines.get(socket), Some(Line::Standing(_))));
        for socket in &self.standing {
            let Some(Line::Standing(connection)) = self.lines.get_mut(socket) else { continue };
            let facts = &connection.facts;
            if facts.key.lane == Lane::Control
                && let Some(hub) = &mut self.hub
                && hub.is_due(now_ns)
            {
                let (serial, may_send) = (facts.serial, connection.may_send());
                hub.write_control(serial, now_ns, may_send, |frame| connection.say(frame));
            }
            let facts = &connection.facts;
            let outbox = facts.sends.then(|| self.outboxes.get(&facts.peer.incarnation)).flatten();
            let (sent_before, _) = connection.carried();
            let mut outbox = outbox.map(|outbox| outbox.borrow_mut());
            let mut source = source_of(facts, outbox.as_deref_mut(), &mut self.bulk);
            let next = connection.next_send(&mut source, now_ns);
            let waiting_bytes = source.waiting_bytes();
            if let Some(bytes) = next {
                sent += 1;
                self.counters.sent(connection.carried().0.since(sent_before));
                if let Err(refused) = self.sockets.send(*socket, bytes) {
                    // It is closing: what its end says is still to come.
                    connection.sent(refused.bytes);
                }
            }
            if let Some(step) = connection.observe(waiting_bytes, now_ns) {
                slow.push((*socket, connection.facts.serial, waiting_bytes, step));
            }
        }
        for (socket, serial, waiting_bytes, step) in slow {
            match step {
                SlowStep::Slow => self.outgoing.send(0, Letter::Slow { serial, waiting_bytes }),
                SlowStep::Disconnect => {
                    let words = (GoodbyeReason::SlowPeer, "");
                    self.end_with_words(socket, words, DownReason::SlowPeer, turn);
                }
                SlowStep::Recovered => {}
            }
        }
        sent
    }

    fn wants_to_send(&mut self) -> bool {
        let (lines, outboxes, bulk) = (&self.lines, &self.outboxes, &mut self.bulk);
        self.standing.iter().any(|socket| {
            let Some(Line::Standing(connection)) = lines.get(socket) else { return false };
            let facts = &connection.facts;
            let outbox = outboxes.get(&facts.peer.incarnation).filter(|_| facts.sends);
            let mut outbox = outbox.map(|outbox| outbox.borrow_mut());
            let source = source_of(facts, outbox.as_deref_mut(), bulk);
            connection.wants_to_send(&source)
        })
    }

    fn standing(&self) -> impl Iterator<Item = &Connection> {
        self.standing.iter().filter_map(|socket| match self.lines.get(socket) {
            Some(Line::Standing(connection)) => Some(&**connection),
            _ => None,
        })
    }
}

impl Device for LinkDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        match turn.is_shutting_down() {
            false => self.listen(),
            true => self.leave(turn),
        }
        let mut work = self.read_letters(turn);
        for socket in std::mem::take(&mut self.blocked) {
            if let Some(Line::Standing(connection)) = self.lines.get_mut(&socket) {
                connection.blocked = false;
                self.sockets.resume(socket);
            }
        }
        let sockets = Rc::clone(&self.sockets);
        sockets.tick(turn.now_ns());
        work += sockets.poll(&mut Polling { device: self, turn }, SOCKETS_A_POLL);
        work += self.look_after_greetings(turn.now_ns());
        work += self.bulk.collect(&mut self.outgoing);
        work += self.obey(turn);
        work += self.send_all(turn);
        if let Some(hub) = &mut self.hub
            && hub.is_due(turn.now_ns())
            && !hub.has_orders()
        {
            hub.settle();
        }
        self.outgoing.flush();
        work
    }

    fn has_work(&mut self) -> bool {
        matches!(self.listening, Listening::Soon)
            || self.sockets.has_events()
            || self.exchange.has_letters(self.core)
            || self.outgoing.waits()
            || !self.blocked.is_empty()
            || self.hub.as_ref().is_some_and(|hub| hub.has_orders() || hub.has_new_contacts())
            || self.wants_to_send()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let hub = self.hub.as_ref().and_then(Hub::due_ns);
        let connections = self.standing().filter_map(Connection::next_deadline_ns);
        let greetings = Some(self.greetings_due_ns).filter(|due_ns| *due_ns != u64::MAX);
        let layers = self.sockets.next_deadline_ns();
        connections.chain(hub).chain(greetings).chain(layers).min()
    }

    fn is_quiet(&self) -> bool {
        let is_open = |line: &Line| matches!(line, Line::Standing(_) | Line::Leaving { .. });
        self.bulk.is_empty()
            && self.outboxes.values().all(|outbox| outbox.borrow().is_empty())
            && (!self.leaves || !self.lines.values().any(is_open))
    }
}

/// Where the messages come from that a connection sends.
fn source_of<'a>(
    facts: &Facts,
    outbox: Option<&'a mut Outbox>,
    bulk: &'a mut BulkLanes,
) -> Source<'a> {
    match outbox {
        Some(outbox) => Source::Outbox(outbox),
        None if facts.key.lane == Lane::Bulk => {
            let queue = bulk.queue(facts.peer.incarnation, facts.serial);
            queue.map_or(Source::Nothing, Source::Bulk)
        }
        None => Source::Nothing,
    }
}

/// The largest frame has to be there as a whole.
fn socket_options(settings: &Settings) -> SocketOptions {
    let frame_bytes = settings.max_frame_bytes.max(Lane::Bulk.limit_bytes());
    let receive_bytes = 2 * (frame_bytes as usize).next_power_of_two();
    // Finds a connection that is dead on the other side, as soon as something is under way.
    let user_timeout = Some(Duration::from_nanos(settings.liveness.unreachable_after_ns));
    SocketOptions { receive_bytes, user_timeout, ..SocketOptions::default() }
}

/// Fresh random bytes from the system. Without them a recorded handshake could be played again, so there is none.
pub(super) fn nonce() -> Option<[u8; NONCE_BYTES]> {
    let mut nonce = [0; NONCE_BYTES];
    let mut filled = 0;
    while filled < nonce.len() {
        match rustix::rand::getrandom(&mut nonce[filled..], GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(error) => {
                tracing::error!(%error, "the system gives no random bytes; no link is made");
                return None;
            }
        }
    }
    Some(nonce)
}
