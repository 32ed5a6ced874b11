//! Sockets that are secured, over any others: what a device does with them is the same.
//!
//! A device hears of a connection when its handshake is over; one whose handshake fails it never hears of, or hears of
//! as one that could not be made. Every failure is reported once, with the peer's address.
//!
//! Promises those of [`Sockets`]. Beyond what the sockets below hold, a connection holds at most the plaintext that it
//! was given room for, the undecided ciphertext of one handshake message, and the ciphertext of one send. An idle one
//! holds none.
//!
//! Refuses: connections that were detached from other sockets than these.
//!
//! Invariant: no line is borrowed while a handler runs, which may call everything here but [`Sockets::poll`].

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use mainspring::net::{
    AdoptRefused, CloseCause, ConnectRefused, DetachedSocket, ListenError, ListenOptions,
    ListenerId, SendBuffer, SendFailed, SendRefusal, SendRefused, SocketCounters, SocketError,
    SocketHandler, SocketId, SocketOptions, Sockets,
};

use super::below::Below;
use super::credentials::Credentials;
use super::failure::TlsFailure;
use super::line::{Flight, Line, News, Origin, Stage};
use super::session::Session;

/// How long a handshake may take, from the connection on. Less than the handshake of a link, around it, so that who
/// dials is told which of the two took too long.
pub const HANDSHAKE_DEADLINE_NS: u64 = 4_000_000_000;

/// How long a connection that has failed stays, for its peer to read why.
pub const LINGER_NS: u64 = 1_000_000_000;

/// Ciphertext that the sockets below show together. A record has less.
const RECEIVE_BYTES: usize = 64 << 10;

/// A connection was not secured, or did not stay so.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incident {
    /// Whose, if that is known.
    pub peer: Option<SocketAddr>,
    /// Whether this side dialled.
    pub dialled: bool,
    /// What was wrong.
    pub failure: TlsFailure,
}

/// A connection between two cores, with all that its two ends have agreed on.
struct Secured {
    below: DetachedSocket,
    session: Session,
    peer: Option<SocketAddr>,
    below_peer_finished: bool,
}

/// See the module's header.
pub(crate) struct TlsSockets {
    below: Rc<dyn Sockets>,
    credentials: Arc<Credentials>,
    handshakes_limit: usize,
    report: Box<dyn Fn(Incident)>,
    lines: RefCell<BTreeMap<SocketId, Line>>,
    /// What connections of a listener may hold.
    listeners: RefCell<BTreeMap<ListenerId, usize>>,
    /// Those with something to tell that the sockets below do not know of.
    ready: RefCell<BTreeSet<SocketId>>,
    /// Handshakes and connections that have failed, by when they end.
    deadlines: RefCell<BTreeSet<(u64, SocketId)>>,
    now_ns: Cell<u64>,
    is_polling: Cell<bool>,
}

impl TlsSockets {
    /// Secures what `below` connects and accepts. At most `handshakes_limit` connections are in their handshake at a
    /// time; one more is closed. `report` hears of every failure.
    pub fn over(
        below: Rc<dyn Sockets>,
        credentials: Arc<Credentials>,
        handshakes_limit: usize,
        report: impl Fn(Incident) + 'static,
    ) -> TlsSockets {
        TlsSockets {
            below,
            credentials,
            handshakes_limit,
            report: Box::new(report),
            lines: RefCell::default(),
            listeners: RefCell::default(),
            ready: RefCell::default(),
            deadlines: RefCell::default(),
            now_ns: Cell::new(0),
            is_polling: Cell::new(false),
        }
    }

    pub(super) fn with<T>(&self, socket: SocketId, act: impl FnOnce(&mut Line) -> T) -> Option<T> {
        self.lines.borrow_mut().get_mut(&socket).map(act)
    }

    /// A connection was made to this side.
    pub(super) fn accept(&self, listener: ListenerId, socket: SocketId, peer: SocketAddr) {
        let refuse = |failure| {
            self.below.abort(socket);
            (self.report)(Incident { peer: Some(peer), dialled: false, failure });
        };
        if self.deadlines.borrow().len() >= self.handshakes_limit {
            return refuse(TlsFailure::TooMany);
        }
        let limit_bytes = self.listeners.borrow().get(&listener).copied();
        let Some(limit_bytes) = limit_bytes else { return self.below.abort(socket) };
        match Session::answer(Arc::clone(&self.credentials.current().server), limit_bytes) {
            Ok(session) => {
                let origin = Origin::Accepted(listener);
                let line = Line::new(session, origin, Some(peer), Stage::Securing);
                self.lines.borrow_mut().insert(socket, line);
                self.look_after(socket, HANDSHAKE_DEADLINE_NS);
            }
            Err(failure) => refuse(failure),
        }
    }

    /// The connection below is there; its handshake begins.
    pub(super) fn begin(&self, socket: SocketId) {
        self.with(socket, |line| line.stage = Stage::Securing);
        self.look_after(socket, HANDSHAKE_DEADLINE_NS);
        self.pump(socket);
    }

    /// Tells the device above all that there is to tell of a socket, and sends what is to be sent.
    pub(super) fn attend(&self, socket: SocketId, handler: &mut dyn SocketHandler) {
        while let Some(news) = self.with(socket, Line::next_news).flatten() {
            match news {
                News::Secured(origin, peer) => {
                    self.settle(socket);
                    match (origin, peer) {
                        (Origin::Accepted(listener), Some(peer)) => {
                            handler.accepted(listener, socket, peer);
                        }
                        _ => handler.connected(socket),
                    }
                }
                News::Sent(held) => handler.sent(socket, held, Ok(())),
                News::Bytes(mut plaintext) => {
                    let taken = handler.received(socket, plaintext.view());
                    let bytes = plaintext.len();
                    plaintext.take(taken.bytes);
                    let took = self.with(socket, |line| {
                        line.session.put_back(plaintext);
                        line.took(bytes, taken.bytes, taken.wanted)
                    });
                    if let Some(Err(cause)) = took {
                        self.end_for_above(socket, cause, handler);
                        self.below.abort(socket);
                    }
                }
                News::Failed(failure) => self.fail(socket, failure, handler),
                News::PeerFinished => handler.peer_finished(socket),
            }
        }
        self.pump(socket);
    }

    /// The connection below is gone.
    pub(super) fn gone(
        &self,
        socket: SocketId,
        cause: CloseCause,
        handler: &mut dyn SocketHandler,
    ) {
        self.settle(socket);
        let Some(mut line) = self.lines.borrow_mut().remove(&socket) else { return };
        self.ready.borrow_mut().remove(&socket);
        let error = match cause {
            CloseCause::Failed(error) => error,
            _ => SocketError::Aborted,
        };
        match line.stage {
            Stage::Lingering => {}
            Stage::Connecting | Stage::Securing => {
                if let CloseCause::Failed(_) = cause {
                    self.report_of(&line, TlsFailure::Left);
                }
                if line.origin == Origin::Dialled {
                    handler.connect_failed(socket, error);
                }
            }
            Stage::Open | Stage::Leaving | Stage::Closing => {
                if let Some(held) = line.held.take() {
                    handler.sent(socket, held, Err(SendFailed { sent_bytes: 0, error }));
                }
                handler.closed(socket, cause);
            }
        }
    }

    /// The connection below could not be made.
    pub(super) fn not_reached(&self, socket: SocketId) {
        self.settle(socket);
        self.lines.borrow_mut().remove(&socket);
        self.ready.borrow_mut().remove(&socket);
    }

    /// The connection below was given up, to go to another core with what belongs to it.
    pub(super) fn moved(&self, socket: SocketId, below: DetachedSocket) -> Option<DetachedSocket> {
        let line = self.lines.borrow_mut().remove(&socket)?;
        self.ready.borrow_mut().remove(&socket);
        let Line { session, peer, below_peer_finished, .. } = line;
        let unread = session.plaintext().view().to_vec();
        let (position, limit) =
            (session.plaintext().position_bytes(), session.plaintext_limit_bytes());
        let peer_finished = session.peer_finished();
        let secured = Secured { below, session, peer, below_peer_finished };
        Some(DetachedSocket::new(secured, unread, position, peer_finished, limit))
    }

    /// Ends a connection for the device above, and has its peer told why.
    fn fail(&self, socket: SocketId, failure: TlsFailure, handler: &mut dyn SocketHandler) {
        let error = match failure {
            TlsFailure::CutOff => SocketError::CutOff,
            failure => SocketError::Insecure { what: failure.what() },
        };
        self.with(socket, |line| self.report_of(line, failure));
        self.end_for_above(socket, CloseCause::Failed(error), handler);
        self.look_after(socket, LINGER_NS);
    }

    /// The last that the device above hears of a socket. Below it lingers.
    fn end_for_above(&self, socket: SocketId, cause: CloseCause, handler: &mut dyn SocketHandler) {
        self.settle(socket);
        let ended = self.with(socket, |line| {
            if line.flight == Flight::WithHeld {
                line.flight = Flight::Own;
            }
            (std::mem::replace(&mut line.stage, Stage::Lingering), line.held.take(), line.origin)
        });
        let Some((stage, held, origin)) = ended else { return };
        let error = match cause {
            CloseCause::Failed(error) => error,
            _ => SocketError::Aborted,
        };
        match stage {
            Stage::Lingering => {}
            Stage::Connecting | Stage::Securing => {
                if origin == Origin::Dialled {
                    handler.connect_failed(socket, error);
                }
            }
            Stage::Open | Stage::Leaving | Stage::Closing => {
                if let Some(held) = held {
                    handler.sent(socket, held, Err(SendFailed { sent_bytes: 0, error }));
                }
                handler.closed(socket, cause);
            }
        }
    }

    fn report_of(&self, line: &Line, failure: TlsFailure) {
        let dialled = line.origin == Origin::Dialled;
        (self.report)(Incident { peer: line.peer, dialled, failure });
    }

    /// Sends what is to be sent, and ends what is to be ended behind it.
    pub(super) fn pump(&self, socket: SocketId) {
        let mut lines = self.lines.borrow_mut();
        let Some(line) = lines.get_mut(&socket) else { return };
        if line.stage == Stage::Connecting {
            return;
        }
        if line.flight == Flight::None {
            let ends = line.finishing || line.stage == Stage::Closing;
            if ends && line.held.is_none() {
                line.session.finish();
            }
            // On the way to another core, what nobody waits for goes along.
            let stays = line.stage != Stage::Leaving || line.held.is_some();
            if stays && let Some(bytes) = line.session.take_outgoing() {
                line.flight = match line.held {
                    Some(_) => Flight::WithHeld,
                    None => Flight::Own,
                };
                // If it is refused the connection below is ending, and says so.
                let _ = self.below.send(socket, bytes);
            }
        }
        self.end_below(socket, line);
        let holds_back = line.holds_back();
        if std::mem::replace(&mut line.below_paused, holds_back) != holds_back {
            match holds_back {
                true => self.below.pause(socket),
                false => self.below.resume(socket),
            }
        }
    }

    /// Ends the connection below when everything before that has been sent or is in flight.
    fn end_below(&self, socket: SocketId, line: &mut Line) {
        let is_free = line.held.is_none() && !line.below_ends;
        let is_all = !line.session.has_outgoing();
        match line.stage {
            Stage::Leaving if is_free => {
                line.below_ends = true;
                self.below.detach(socket);
            }
            Stage::Closing if line.session.has_finished() && is_all && is_free => {
                line.below_ends = true;
                self.below.close(socket);
            }
            Stage::Lingering if is_all => {
                if !std::mem::replace(&mut line.below_ends, true) {
                    self.below.finish_sending(socket);
                }
                if line.below_peer_finished {
                    self.below.close(socket);
                }
            }
            Stage::Open if line.finishing && line.session.has_finished() && is_all => {
                line.finishing = false;
                self.below.finish_sending(socket);
            }
            _ => {}
        }
    }

    /// The socket is looked at when so much time has passed.
    fn look_after(&self, socket: SocketId, after_ns: u64) {
        let deadline_ns = self.now_ns.get().saturating_add(after_ns);
        self.settle(socket);
        if self.with(socket, |line| line.deadline_ns = Some(deadline_ns)).is_some() {
            self.deadlines.borrow_mut().insert((deadline_ns, socket));
        }
    }

    /// The socket has no deadline any more.
    fn settle(&self, socket: SocketId) {
        if let Some(deadline_ns) = self.with(socket, |line| line.deadline_ns.take()).flatten() {
            self.deadlines.borrow_mut().remove(&(deadline_ns, socket));
        }
    }

    fn end_overdue(&self, handler: &mut dyn SocketHandler) -> usize {
        let mut count = 0;
        loop {
            let first = self.deadlines.borrow().first().copied();
            let Some((_, socket)) = first.filter(|due| due.0 <= self.now_ns.get()) else { break };
            count += 1;
            let is_late = self.with(socket, |line| line.stage == Stage::Securing);
            self.settle(socket);
            if is_late == Some(true) {
                self.with(socket, |line| self.report_of(line, TlsFailure::Late));
                let error = SocketError::Insecure { what: TlsFailure::Late.what() };
                self.end_for_above(socket, CloseCause::Failed(error), handler);
            }
            self.below.abort(socket);
        }
        count
    }
}

impl Sockets for TlsSockets {
    fn listen(
        &self,
        address: SocketAddr,
        options: ListenOptions,
    ) -> Result<(ListenerId, SocketAddr), ListenError> {
        let refused = |reason| ListenError::Options { address, reason };
        options.accepted.check().map_err(refused)?;
        let receive_bytes = options.accepted.receive_bytes;
        let accepted = below_options(options.accepted);
        let listening = self.below.listen(address, ListenOptions { accepted, ..options })?;
        self.listeners.borrow_mut().insert(listening.0, receive_bytes);
        Ok(listening)
    }

    fn stop_listening(&self, listener: ListenerId) {
        self.below.stop_listening(listener);
        self.listeners.borrow_mut().remove(&listener);
        let unannounced = |line: &Line| {
            line.stage == Stage::Securing && line.origin == Origin::Accepted(listener)
        };
        for (socket, line) in &*self.lines.borrow() {
            if unannounced(line) {
                self.below.abort(*socket);
            }
        }
    }

    fn connect(&self, to: SocketAddr, options: SocketOptions) -> Result<SocketId, ConnectRefused> {
        let refused = |reason| ConnectRefused::Options { address: to, reason };
        options.check().map_err(refused)?;
        let material = self.credentials.current();
        let Some((config, name)) = &material.client else {
            return Err(refused(
                "these certificates are a server's, which does not dial".to_owned(),
            ));
        };
        let session = Session::dial(Arc::clone(config), name.clone(), options.receive_bytes)
            .map_err(|failure| refused(failure.to_string()))?;
        let socket = self.below.connect(to, below_options(options))?;
        let line = Line::new(session, Origin::Dialled, Some(to), Stage::Connecting);
        self.lines.borrow_mut().insert(socket, line);
        Ok(socket)
    }

    fn send(&self, socket: SocketId, bytes: SendBuffer) -> Result<(), SendRefused> {
        let mut lines = self.lines.borrow_mut();
        let refusal = match lines.get_mut(&socket) {
            None => SendRefusal::Gone,
            Some(line) => match line.stage {
                Stage::Connecting | Stage::Securing => SendRefusal::Connecting,
                Stage::Leaving | Stage::Closing | Stage::Lingering => SendRefusal::Gone,
                Stage::Open if line.held.is_some() => SendRefusal::InFlight,
                Stage::Open if line.finishing || line.session.has_finished() => {
                    SendRefusal::Finished
                }
                Stage::Open => match line.session.send(bytes.as_slice()) {
                    Ok(()) => {
                        if bytes.is_empty() {
                            self.ready.borrow_mut().insert(socket);
                        }
                        line.held = Some(bytes);
                        drop(lines);
                        self.pump(socket);
                        return Ok(());
                    }
                    Err(failure) => {
                        line.doomed = Some(failure);
                        self.ready.borrow_mut().insert(socket);
                        SendRefusal::Gone
                    }
                },
            },
        };
        Err(SendRefused { bytes, reason: refusal })
    }

    fn finish_sending(&self, socket: SocketId) {
        let finishes = self.with(socket, |line| {
            let finishes = line.is_open() && !line.session.has_finished();
            line.finishing |= finishes;
            finishes
        });
        if finishes == Some(true) {
            self.pump(socket);
        }
    }

    fn pause(&self, socket: SocketId) {
        self.with(socket, |line| line.paused = true);
        self.pump(socket);
    }

    fn resume(&self, socket: SocketId) {
        if self.with(socket, Line::resume).is_some() {
            self.ready.borrow_mut().insert(socket);
        }
    }

    fn close(&self, socket: SocketId) {
        let stage = self.with(socket, |line| {
            let stage = line.stage;
            if matches!(stage, Stage::Open | Stage::Leaving) && !line.below_ends {
                line.stage = Stage::Closing;
            }
            stage
        });
        match stage {
            Some(Stage::Connecting | Stage::Securing) => self.below.abort(socket),
            Some(Stage::Open | Stage::Leaving) => self.pump(socket),
            Some(Stage::Closing | Stage::Lingering) | None => {}
        }
    }

    fn abort(&self, socket: SocketId) {
        let is_known = self.with(socket, |line| line.stage != Stage::Lingering);
        if is_known == Some(true) {
            self.below.abort(socket);
        }
    }

    fn detach(&self, socket: SocketId) {
        let leaves = self.with(socket, |line| {
            let leaves = line.is_open();
            if leaves {
                line.stage = Stage::Leaving;
            }
            leaves
        });
        if leaves == Some(true) {
            self.pump(socket);
        }
    }

    fn adopt(&self, connection: DetachedSocket) -> Result<SocketId, AdoptRefused> {
        let (secured, rest) = match connection.into_connection::<Secured>() {
            Ok(taken) => taken,
            Err(connection) => {
                let reason = "it is not secured, and these sockets are".to_owned();
                return Err(AdoptRefused { connection, reason });
            }
        };
        let Secured { below, session, peer, below_peer_finished } = secured;
        match self.below.adopt(below) {
            Ok(socket) => {
                let mut line = Line::new(session, Origin::Adopted, peer, Stage::Open);
                line.below_peer_finished = below_peer_finished;
                self.lines.borrow_mut().insert(socket, line);
                self.ready.borrow_mut().insert(socket);
                Ok(socket)
            }
            Err(AdoptRefused { connection: below, reason }) => {
                let secured = Secured { below, session, peer, below_peer_finished };
                Err(AdoptRefused { connection: rest.with_connection(secured), reason })
            }
        }
    }

    fn poll(&self, handler: &mut dyn SocketHandler, budget: usize) -> usize {
        if self.is_polling.replace(true) {
            return 0;
        }
        let mut told = self.end_overdue(handler);
        let ready = std::mem::take(&mut *self.ready.borrow_mut());
        told += ready.len();
        ready.into_iter().for_each(|socket| self.attend(socket, handler));
        told += self.below.poll(&mut Below { above: self, handler }, budget);
        self.is_polling.set(false);
        told
    }

    fn has_events(&self) -> bool {
        self.below.has_events() || !self.ready.borrow().is_empty()
    }

    fn tick(&self, now_ns: u64) {
        self.now_ns.set(now_ns);
        self.below.tick(now_ns);
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let own = self.deadlines.borrow().first().map(|(deadline_ns, _)| *deadline_ns);
        own.into_iter().chain(self.below.next_deadline_ns()).min()
    }

    fn counters(&self) -> SocketCounters {
        self.below.counters()
    }
}

/// The sockets below hold ciphertext for one record and a little more.
fn below_options(options: SocketOptions) -> SocketOptions {
    SocketOptions { receive_bytes: RECEIVE_BYTES, ..options }
}

#[cfg(test)]
#[path = "sockets_tests.rs"]
mod tests;
