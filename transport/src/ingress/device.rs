//! The device of one core: its listener, its connections and their actors.
//!
//! A thin driver: it shows bytes to actors and sends what their turns have written. Each poll first takes in what has
//! come, then sends what the turns of that have written, one send for each connection.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::device::{Device, DeviceTurn, TurnEnd};
use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenOptions, ListenerId, SendBuffer, SendFailed,
    SocketError, SocketHandler, SocketId, Sockets, Taken,
};
use mainspring::prelude::*;

use super::connection::{Connection, ConnectionEnd, Received};
use super::figures::{Counters, IngressHandle, add};
use super::line::{Line, Owed};
use super::settings::IngressLimits;
use super::warden::{Ends, Nothing, Warden};
use super::writer::{ConnectionWriter, Notes, Pipe};

/// Sockets that are looked after in one poll.
const SOCKETS_A_POLL: usize = 256;

/// Turns that one connection has with the bytes of one receive, before others go on.
const TURNS_A_RECEIVE: usize = 256;

/// Makes the actor of a connection from a peer.
pub(super) type Factory<C> = Arc<dyn Fn(SocketAddr) -> C + Send + Sync>;

/// What a device is made of.
pub(super) struct Parts<C> {
    pub sockets: Rc<dyn Sockets>,
    pub address: SocketAddr,
    pub limits: IngressLimits,
    pub factory: Factory<C>,
    pub warden: ActorRef<Nothing>,
    pub ends: Ends,
    pub handle: IngressHandle,
    pub counters: Arc<Counters>,
}

enum Listening {
    /// On core 0 at once, elsewhere when core 0 has the port.
    Soon,
    On(ListenerId),
    Off,
}

/// See the module's header.
pub(super) struct IngressDevice<C: Connection> {
    parts: Parts<C>,
    is_first: bool,
    listening: Listening,
    lines: BTreeMap<SocketId, Line<C>>,
    by_actor: BTreeMap<Address, SocketId>,
    notes: Rc<Notes>,
    deadlines: BTreeSet<(u64, SocketId)>,
    drain_until_ns: Option<u64>,
}

impl<C: Connection> IngressDevice<C> {
    pub fn new(core: u16, parts: Parts<C>) -> IngressDevice<C> {
        IngressDevice {
            parts,
            is_first: core == 0,
            listening: Listening::Soon,
            lines: BTreeMap::new(),
            by_actor: BTreeMap::new(),
            notes: Rc::default(),
            deadlines: BTreeSet::new(),
            drain_until_ns: None,
        }
    }

    /// Where to listen, when it is time to.
    fn address(&self) -> Option<SocketAddr> {
        match self.is_first {
            true => Some(self.parts.address),
            false => self.parts.handle.address(),
        }
    }

    fn listen(&mut self) {
        let (Listening::Soon, Some(address)) = (&self.listening, self.address()) else { return };
        let accepted = self.parts.limits.socket_options();
        let options = ListenOptions { accepted, reuse_port: true, ..ListenOptions::default() };
        self.listening = match self.parts.sockets.listen(address, options) {
            Ok((listener, address)) => {
                self.parts.handle.listens(address);
                Listening::On(listener)
            }
            Err(error) => {
                tracing::error!(%error, "a core takes no connections");
                Listening::Off
            }
        };
    }

    fn accept(&mut self, socket: SocketId, peer: SocketAddr, turn: &mut DeviceTurn<'_>) {
        let made = match self.lines.len() < self.parts.limits.connections {
            true => self.make_actor(peer, turn),
            false => None,
        };
        let Some(actor) = made else {
            add(&self.parts.counters.refused, 1);
            return self.parts.sockets.abort(socket);
        };
        let pipe = Pipe::new(socket, peer, self.parts.limits.output_bytes, Rc::clone(&self.notes));
        let line = Line::new(socket, actor, ConnectionWriter::new(pipe), turn.now_ns());
        self.lines.insert(socket, line);
        self.by_actor.insert(actor.address(), socket);
        add(&self.parts.counters.accepted, 1);
        if let Some(idle) = self.parts.limits.idle {
            self.look_after(socket, turn.now_ns().saturating_add(nanoseconds(idle)));
        }
        if self.drain_until_ns.is_some()
            && let Some(line) = self.lines.get_mut(&socket)
        {
            line.owed.push_back(Owed::Draining);
        }
        self.advance(socket, turn);
    }

    fn make_actor(
        &self,
        peer: SocketAddr,
        turn: &mut DeviceTurn<'_>,
    ) -> Option<ActorRef<C::Message>> {
        let factory = &self.parts.factory;
        // The factory is the program's code: its panic costs this connection.
        let actor = catch_unwind(AssertUnwindSafe(|| factory(peer))).ok()?;
        let mut made = None;
        turn.run::<Warden>(self.parts.warden, |_, ctx| {
            made = ctx.spawn_value(actor).ok();
            Next::Same
        });
        made
    }

    /// Runs what a connection is owed, as far as its actor takes turns now, and reads on if it may.
    fn advance(&mut self, socket: SocketId, turn: &mut DeviceTurn<'_>) {
        let Some(line) = self.lines.get_mut(&socket) else { return };
        while let Some(owed) = line.owed.front().copied() {
            if line.actor_gone {
                return;
            }
            match line.run_owed(owed, turn) {
                TurnEnd::Busy => return wait(line, &self.notes, turn),
                TurnEnd::Ran | TurnEnd::Failed | TurnEnd::Gone => line.owed.pop_front(),
            };
        }
        if line.is_paused && !line.waits && !line.is_choked && !line.socket_gone {
            line.is_paused = false;
            self.parts.sockets.resume(socket);
        }
    }

    fn show(&mut self, socket: SocketId, bytes: &[u8], turn: &mut DeviceTurn<'_>) -> Taken {
        let now_ns = turn.now_ns();
        let Some(line) = self.lines.get_mut(&socket) else { return Taken::of(bytes.len()) };
        line.last_active_ns = now_ns;
        if line.is_ending {
            return Taken::of(bytes.len());
        }
        let taken = show_to_actor(line, bytes, &self.notes, turn);
        add(&self.parts.counters.received_bytes, taken.bytes);
        if line.is_paused {
            self.parts.sockets.pause(socket);
        }
        taken
    }

    /// What turns have left: ends of actors, connections that may go on.
    fn read_notes(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let ends = std::mem::take(&mut *self.parts.ends.borrow_mut());
        let ready = std::mem::take(&mut *self.notes.ready.borrow_mut());
        let count = ends.len() + ready.len();
        for (actor, reason) in ends {
            self.actor_gone(actor, reason, turn.now_ns());
        }
        for socket in ready {
            if let Some(line) = self.lines.get_mut(&socket) {
                line.waits = false;
            }
            self.advance(socket, turn);
        }
        count
    }

    fn actor_gone(&mut self, actor: Address, reason: StopReason, now_ns: u64) {
        let Some(socket) = self.by_actor.remove(&actor) else { return };
        let Some(line) = self.lines.get_mut(&socket) else { return };
        line.actor_gone = true;
        line.is_ending = true;
        line.owed.clear();
        line.last_active_ns = now_ns;
        if line.socket_gone {
            return self.forget(socket);
        }
        if reason == StopReason::Failed {
            add(&self.parts.counters.failed, 1);
            return self.parts.sockets.abort(socket);
        }
        line.writer.pipe().end_writing();
        if std::mem::replace(&mut line.is_paused, false) {
            // What the peer still sends is read and dropped, so that it gets the end and not a reset.
            self.parts.sockets.resume(socket);
        }
        let linger = nanoseconds(self.parts.limits.linger);
        self.look_after(socket, now_ns.saturating_add(linger));
    }

    fn forget(&mut self, socket: SocketId) {
        if let Some(line) = self.lines.remove(&socket)
            && let Some(deadline_ns) = line.deadline_ns
        {
            self.deadlines.remove(&(deadline_ns, socket));
        }
    }

    /// Sends what was written, one send for each connection.
    fn send_all(&mut self) -> usize {
        let written = std::mem::take(&mut *self.notes.written.borrow_mut());
        let mut sends = 0;
        for socket in written {
            let Some(line) = self.lines.get_mut(&socket) else { continue };
            let pipe = line.writer.pipe();
            if let Some(bytes) = pipe.next_send() {
                sends += 1;
                if self.parts.sockets.send(socket, bytes).is_err() {
                    // It is closing: what its end says is still to come.
                    pipe.connection_gone();
                    pipe.sent();
                }
            }
            self.finish(socket);
        }
        add(&self.parts.counters.sends, sends);
        sends
    }

    /// Ends the sending of a connection that has written all, and closes it when the peer has ended too.
    fn finish(&mut self, socket: SocketId) {
        let Some(line) = self.lines.get_mut(&socket) else { return };
        if !line.writer.pipe().has_finished() || line.socket_gone {
            return;
        }
        if !std::mem::replace(&mut line.sending_finished, true) {
            self.parts.sockets.finish_sending(socket);
        }
        if !line.peer_finished {
            return;
        }
        if line.is_ending {
            self.parts.sockets.close(socket);
        } else if !line.owed.contains(&Owed::Closed(ConnectionEnd::Finished)) {
            line.owe_end(ConnectionEnd::Finished);
            note_ready(line, &self.notes);
        }
    }

    /// Has a connection looked at, at the latest then.
    fn look_after(&mut self, socket: SocketId, deadline_ns: u64) {
        let Some(line) = self.lines.get_mut(&socket) else { return };
        match line.deadline_ns {
            Some(earlier_ns) if earlier_ns <= deadline_ns => return,
            Some(later_ns) => self.deadlines.remove(&(later_ns, socket)),
            None => false,
        };
        line.deadline_ns = Some(deadline_ns);
        self.deadlines.insert((deadline_ns, socket));
    }

    fn end_overdue(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let now_ns = turn.now_ns();
        let mut count = 0;
        while let Some((_, socket)) = self.deadlines.first().copied().filter(|due| due.0 <= now_ns)
        {
            self.deadlines.pop_first();
            count += 1;
            self.end_if_overdue(socket, turn);
        }
        count
    }

    fn end_if_overdue(&mut self, socket: SocketId, turn: &mut DeviceTurn<'_>) {
        let (now_ns, limits) = (turn.now_ns(), self.parts.limits);
        let Some(line) = self.lines.get_mut(&socket) else { return };
        line.deadline_ns = None;
        let patience = if line.is_ending { Some(limits.linger) } else { limits.idle };
        let Some(patience_ns) = patience.map(nanoseconds) else { return };
        let due_ns = line.last_active_ns.saturating_add(patience_ns);
        let is_busy = line.waits && !line.is_ending;
        if now_ns < due_ns || is_busy {
            let next_ns = if is_busy { now_ns.saturating_add(patience_ns) } else { due_ns };
            return self.look_after(socket, next_ns);
        }
        if !line.is_ending {
            add(&self.parts.counters.idle, 1);
            line.owe_end(ConnectionEnd::Idle);
            return self.advance(socket, turn);
        }
        match line.writer.pipe().is_in_flight() {
            true => self.parts.sockets.abort(socket),
            false => self.parts.sockets.close(socket),
        }
    }

    /// At the shutdown of the node: nothing new, and what there is ends in time.
    fn drain(&mut self, turn: &mut DeviceTurn<'_>) {
        let now_ns = turn.now_ns();
        let Some(until_ns) = self.drain_until_ns else {
            self.drain_until_ns = Some(now_ns.saturating_add(nanoseconds(self.parts.limits.drain)));
            if let Listening::On(listener) = std::mem::replace(&mut self.listening, Listening::Off)
            {
                self.parts.sockets.stop_listening(listener);
            }
            for socket in self.lines.keys().copied().collect::<Vec<_>>() {
                if let Some(line) = self.lines.get_mut(&socket) {
                    line.owed.push_back(Owed::Draining);
                }
                self.advance(socket, turn);
            }
            return;
        };
        if !turn.is_living(self.parts.warden) {
            // It ended with its node, and nobody is told of the connections' ends any more.
            let gone = |line: &&Line<C>| !line.actor_gone && !turn.is_living(line.actor);
            let gone: Vec<Address> =
                self.lines.values().filter(gone).map(|line| line.actor.address()).collect();
            gone.into_iter().for_each(|actor| self.actor_gone(actor, StopReason::Shutdown, now_ns));
        }
        if now_ns >= until_ns {
            self.drain_until_ns = Some(u64::MAX);
            let late: Vec<Address> = self.lines.values().map(|line| line.actor.address()).collect();
            turn.run::<Warden>(self.parts.warden, |_, ctx| {
                late.into_iter().for_each(|actor| ctx.stop_address(actor));
                Next::Same
            });
            self.lines.keys().for_each(|socket| self.parts.sockets.abort(*socket));
        }
    }
}

impl<C: Connection> Device for IngressDevice<C> {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        match turn.is_shutting_down() {
            false => self.listen(),
            true => self.drain(turn),
        }
        let mut work = self.read_notes(turn);
        let sockets = Rc::clone(&self.parts.sockets);
        sockets.tick(turn.now_ns());
        work += sockets.poll(&mut Polling { device: self, turn }, SOCKETS_A_POLL);
        work += self.end_overdue(turn);
        work += self.send_all();
        let open = self.lines.len() as u64;
        self.parts.counters.open.store(open, std::sync::atomic::Ordering::Relaxed);
        work
    }

    fn has_work(&mut self) -> bool {
        let is_late = matches!(self.listening, Listening::Soon) && self.address().is_some();
        is_late
            || self.parts.sockets.has_events()
            || !self.notes.is_empty()
            || !self.parts.ends.borrow().is_empty()
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let line = self.deadlines.first().map(|(due_ns, _)| *due_ns);
        let drain = self.drain_until_ns.filter(|until_ns| *until_ns != u64::MAX);
        line.into_iter().chain(drain).chain(self.parts.sockets.next_deadline_ns()).min()
    }

    fn is_quiet(&self) -> bool {
        self.drain_until_ns.is_none() || self.lines.is_empty()
    }
}

/// Shows bytes to the actor until it wants more of them, or cannot go on; then the line is paused.
fn show_to_actor<C: Connection>(
    line: &mut Line<C>,
    bytes: &[u8],
    notes: &Rc<Notes>,
    turn: &mut DeviceTurn<'_>,
) -> Taken {
    let mut done = 0;
    for _ in 0..TURNS_A_RECEIVE {
        if !line.owed.is_empty() || line.waits || line.actor_gone {
            line.is_paused = true;
            return Taken::of(done);
        }
        if line.writer.pipe().is_above_high_water() {
            (line.is_choked, line.is_paused) = (true, true);
            return Taken::of(done);
        }
        let rest = &bytes[done..];
        let (mut taken_bytes, mut wanted_bytes, mut goes_on) = (0, 0, false);
        let end = line.run(turn, |actor, ctx, out| {
            let received: Received<C> = actor.received(ctx, rest, out);
            (taken_bytes, wanted_bytes) = (received.taken_bytes, received.wanted_bytes);
            goes_on = !matches!(received.next, Next::Stop);
            received.next
        });
        match end {
            TurnEnd::Ran if goes_on => done += taken_bytes.min(rest.len()),
            TurnEnd::Busy => {
                wait(line, notes, turn);
                return Taken::of(done);
            }
            // The rest is nobody's; the end of the actor is told soon.
            TurnEnd::Ran | TurnEnd::Failed | TurnEnd::Gone => {
                line.is_paused = true;
                return Taken::of(bytes.len());
            }
        }
        let is_choked = line.writer.pipe().is_above_high_water();
        if turn.is_busy(line.actor) {
            wait(line, notes, turn);
            return Taken::of(done);
        }
        let left_bytes = bytes.len() - done;
        if !is_choked && (taken_bytes == 0 || left_bytes == 0 || wanted_bytes > left_bytes) {
            return Taken { bytes: done, wanted: wanted_bytes };
        }
    }
    line.is_paused = true;
    note_ready(line, notes);
    Taken::of(done)
}

/// Nothing is read until the actor takes turns again.
fn wait<C: Connection>(line: &mut Line<C>, notes: &Rc<Notes>, turn: &mut DeviceTurn<'_>) {
    line.is_paused = true;
    if !std::mem::replace(&mut line.waits, true) {
        let (socket, notes) = (line.socket, Rc::clone(notes));
        turn.when_free(line.actor, move || notes.ready.borrow_mut().push(socket));
    }
}

/// A connection goes on in the next poll.
fn note_ready<C: Connection>(line: &Line<C>, notes: &Notes) {
    notes.ready.borrow_mut().push(line.socket);
}

/// The device and its core, while sockets tell what has happened.
struct Polling<'a, 'b, C: Connection> {
    device: &'a mut IngressDevice<C>,
    turn: &'a mut DeviceTurn<'b>,
}

impl<C: Connection> SocketHandler for Polling<'_, '_, C> {
    fn accepted(&mut self, _: ListenerId, socket: SocketId, peer: SocketAddr) {
        self.device.accept(socket, peer, self.turn);
    }

    fn accept_failed(&mut self, _: ListenerId, failure: AcceptFailure) {
        add(&self.device.parts.counters.refused, 1);
        tracing::warn!(%failure, "a connection was not accepted");
    }

    fn connected(&mut self, _: SocketId) {}

    fn connect_failed(&mut self, _: SocketId, _: SocketError) {}

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        self.device.show(socket, bytes, self.turn)
    }

    fn sent(&mut self, socket: SocketId, bytes: SendBuffer, result: Result<(), SendFailed>) {
        let device = &mut *self.device;
        let sent_bytes = match result {
            Ok(()) => bytes.len(),
            Err(failed) => failed.sent_bytes,
        };
        add(&device.parts.counters.sent_bytes, sent_bytes);
        device.notes.give_back(bytes);
        let Some(line) = device.lines.get_mut(&socket) else { return };
        line.last_active_ns = self.turn.now_ns();
        let pipe = line.writer.pipe();
        pipe.sent();
        if line.is_ending {
            return;
        }
        if pipe.take_room_notice() {
            line.owed.push_back(Owed::Writable);
        }
        if pipe.is_below_low_water() && (line.is_choked || !line.owed.is_empty()) {
            line.is_choked = false;
            note_ready(line, &device.notes);
        }
    }

    fn peer_finished(&mut self, socket: SocketId) {
        let Some(line) = self.device.lines.get_mut(&socket) else { return };
        line.peer_finished = true;
        if !line.is_ending && !line.writer.pipe().has_finished() {
            line.owed.push_back(Owed::HalfClosed);
        }
        self.device.advance(socket, self.turn);
        self.device.finish(socket);
    }

    fn closed(&mut self, socket: SocketId, cause: CloseCause) {
        let Some(line) = self.device.lines.get_mut(&socket) else { return };
        line.socket_gone = true;
        line.writer.pipe().connection_gone();
        if line.actor_gone {
            return self.device.forget(socket);
        }
        if !matches!(cause, CloseCause::Closed | CloseCause::Aborted) {
            add(&self.device.parts.counters.lost, 1);
        }
        line.owe_end(ConnectionEnd::Lost(cause));
        self.device.advance(socket, self.turn);
    }

    fn detached(&mut self, _: SocketId, _: DetachedSocket) {}
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
