//! What the sockets of one core tell, handed to what each of them is for.
//!
//! Greetings go on with their handshake, connections hand their frames to the core and its control frames to the hub.
//! Bytes that a peer sends are never trusted: what breaks the protocol ends its own connection and nothing else.

use std::net::SocketAddr;

use mainspring::device::DeviceTurn;
use mainspring::frame::Header;
use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenerId, SendBuffer, SendFailed, SocketError,
    SocketHandler, SocketId, Taken,
};
use mainspring::peer::Belief;

use super::connection::{Broken, FrameSink, LargeHead};
use super::exchange::Letter;
use super::figures::Count;
use super::greeting::Greeting;
use super::hub::Hub;
use super::link_device::{Line, LinkDevice, nonce};
use crate::handshake::{Handshake, RefusalReason};
use crate::link::chunks::ChunkRefusal;
use crate::link::events::DownReason;
use crate::wire::{GoodbyeReason, Lane, LinkFrame};

/// The device and its core, while sockets tell what has happened.
pub(super) struct Polling<'a, 'b> {
    pub device: &'a mut LinkDevice,
    pub turn: &'a mut DeviceTurn<'b>,
}

/// Hands frames to the core, and control frames to the hub.
struct Sink<'a, 'b> {
    turn: &'a mut DeviceTurn<'b>,
    hub: Option<&'a mut Hub>,
    serial: u64,
    goodbye: Option<GoodbyeReason>,
}

impl FrameSink for Sink<'_, '_> {
    fn message(&mut self, header: Header, payload: &[u8], belief: Belief) -> bool {
        self.turn.deliver(header, payload, belief).is_ok()
    }

    fn large(&mut self, head: LargeHead, archive: &[u8], belief: Belief) -> bool {
        self.turn.deliver_large(head.header, head.prefix, archive, belief).is_ok()
    }

    fn refused(&mut self, head: LargeHead, reason: ChunkRefusal) {
        self.turn.count_oversized(head.header, head.prefix, head.header.len() as usize);
        if let Some(hub) = &self.hub {
            hub.large_refused(self.serial, reason);
        }
    }

    fn link(&mut self, frame: LinkFrame<'_>) -> Result<(), Broken> {
        let now_ns = self.turn.now_ns();
        if let LinkFrame::Goodbye { reason, text } = &frame {
            tracing::info!(%reason, text, "a peer ends a link");
            self.goodbye = Some(*reason);
        }
        if let Some(hub) = &mut self.hub
            && let Some(control) = hub.control_frame(self.serial, &frame, now_ns)?
        {
            self.turn.deliver_control(control);
        }
        Ok(())
    }
}

impl SocketHandler for Polling<'_, '_> {
    fn accepted(&mut self, _: ListenerId, socket: SocketId, peer: SocketAddr) {
        let device = &mut *self.device;
        device.counters.count(Count::Accepted);
        let (Some(hub), Some(nonce)) = (&device.hub, nonce()) else {
            device.lines.insert(socket, Line::Ended);
            return device.sockets.abort(socket);
        };
        let greetings = device.lines.values().filter(|line| matches!(line, Line::Greeting(_)));
        let limit = device.settings.greetings_limit;
        if device.lines.len() >= limit && greetings.count() >= limit {
            return device.turn_away(socket, peer);
        }
        let keys = device.settings.keys.clone();
        match Handshake::respond(hub.local().clone(), keys, nonce, self.turn.now_ns()) {
            Ok(handshake) => {
                device.greet(socket, Greeting::new(None, peer, handshake, Vec::new()));
            }
            Err(error) => {
                tracing::error!(%error, "this node cannot be linked");
                device.lines.insert(socket, Line::Ended);
                device.sockets.abort(socket);
            }
        }
    }

    fn accept_failed(&mut self, _: ListenerId, failure: AcceptFailure) {
        tracing::warn!(%failure, "a connection was not accepted");
    }

    fn connected(&mut self, socket: SocketId) {
        self.device.send_greeting(socket);
    }

    fn connect_failed(&mut self, socket: SocketId, error: SocketError) {
        let now_ns = self.turn.now_ns();
        if let Some(Line::Greeting(greeting)) = self.device.lines.remove(&socket)
            && let (Some(hub), Some(attempt)) = (&mut self.device.hub, greeting.attempt)
        {
            tracing::debug!(peer = %greeting.address, %error, "a peer was not reached");
            self.device.counters.count(Count::Unreached);
            hub.dial_failed(attempt, None, now_ns);
        }
    }

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        let now_ns = self.turn.now_ns();
        let device = &mut *self.device;
        match device.lines.get_mut(&socket) {
            Some(Line::Greeting(greeting)) => {
                let hub = &device.hub;
                let mut verdict = |hello: &_| match hub {
                    Some(hub) => hub.verdict(hello),
                    None => Err(RefusalReason::Shutdown),
                };
                match greeting.receive(bytes, now_ns, &mut verdict) {
                    Ok(taken) => {
                        device.send_greeting(socket);
                        device.greeted(socket, self.turn);
                        let rest = &bytes[taken.bytes.min(bytes.len())..];
                        let is_standing =
                            matches!(self.device.lines.get(&socket), Some(Line::Standing(_)));
                        if !is_standing || rest.is_empty() {
                            return Taken { bytes: taken.bytes, wanted: taken.wanted };
                        }
                        // What is behind the handshake is the connection's.
                        let further = self.received(socket, rest);
                        Taken { bytes: taken.bytes + further.bytes, wanted: further.wanted }
                    }
                    Err(error) => {
                        device.greeting_failed(socket, &error, now_ns);
                        Taken::of(bytes.len())
                    }
                }
            }
            Some(Line::Standing(connection)) => {
                let (serial, was_heard) = (connection.facts.serial, connection.is_heard);
                let goodbye = None;
                let hub = device.hub.as_mut();
                let mut sink = Sink { turn: self.turn, hub, serial, goodbye };
                let (_, before) = connection.carried();
                let received = connection.receive(bytes, now_ns, &mut sink);
                device.counters.received(connection.carried().1.since(before));
                let goodbye = sink.goodbye;
                if connection.is_heard && !was_heard {
                    device.outgoing.send(0, Letter::Stands { serial });
                }
                match received {
                    Ok(taken) => {
                        if connection.blocked {
                            device.sockets.pause(socket);
                            device.blocked.push(socket);
                        }
                        if let Some(reason) = goodbye {
                            device.peer_left(socket, reason, self.turn);
                        }
                        taken
                    }
                    Err(broken) => {
                        let peer = &connection.facts.peer.name;
                        tracing::warn!(peer, %broken, "a link ends");
                        let text = broken.to_string();
                        let words = (GoodbyeReason::ProtocolError, text.as_str());
                        device.end_with_words(socket, words, DownReason::ProtocolBroken, self.turn);
                        Taken::of(bytes.len())
                    }
                }
            }
            // Nothing is taken of what goes to another core. Nor is more wanted: a peer that sends at once could fill
            // the memory for it before the connection is there.
            Some(Line::Leaving { .. }) => Taken::of(0),
            Some(Line::Ended) | None => Taken::of(bytes.len()),
        }
    }

    fn sent(&mut self, socket: SocketId, bytes: SendBuffer, result: Result<(), SendFailed>) {
        if let Err(error) = result {
            // What has become of the socket comes next.
            tracing::debug!(%error, "a send of a link ended early");
        }
        match self.device.lines.get_mut(&socket) {
            Some(Line::Standing(connection)) => {
                connection.sent(bytes);
                if connection.has_left() {
                    self.device.sockets.finish_sending(socket);
                }
                if connection.facts.key.lane == Lane::Control
                    && let Some(hub) = &mut self.device.hub
                {
                    // What could not be written while this was under way.
                    hub.stir();
                }
            }
            Some(Line::Greeting(greeting)) => {
                greeting.in_flight = false;
                self.device.send_greeting(socket);
            }
            _ => {}
        }
    }

    fn peer_finished(&mut self, socket: SocketId) {
        self.device.end(socket, DownReason::ClosedByPeer, self.turn);
    }

    fn closed(&mut self, socket: SocketId, cause: CloseCause) {
        let reason = match cause {
            CloseCause::Closed | CloseCause::Aborted => DownReason::Closed,
            _ => DownReason::Reset,
        };
        if let Some(line) = self.device.lines.remove(&socket) {
            self.device.ended(line, reason, self.turn);
        }
    }

    fn detached(&mut self, socket: SocketId, connection: DetachedSocket) {
        if let Some(Line::Leaving { core, facts }) = self.device.lines.remove(&socket) {
            self.device.outgoing.send(core, Letter::Adopt { facts, connection });
        }
    }
}
