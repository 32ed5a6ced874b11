//! How connections end in order, by this node's goodbye or by the peer's.

use mainspring::device::DeviceTurn;
use mainspring::net::SocketId;

use super::{Line, LinkDevice, Listening};
use crate::link::events::DownReason;
use crate::wire::{GoodbyeReason, Lane};

impl LinkDevice {
    /// The node shuts down: nobody new is let in. When its actors have stopped and every message has its connection,
    /// nobody is dialled any more, and every connection says goodbye behind what still waits; the control connections
    /// are last.
    pub(super) fn leave(&mut self, turn: &DeviceTurn<'_>) {
        if let Some(hub) = &mut self.hub {
            hub.close_to_strangers();
        }
        if !turn.have_actors_stopped() || self.bulk.waiting().next().is_some() {
            return;
        }
        self.leaves = true;
        if let Listening::On(listener) = std::mem::replace(&mut self.listening, Listening::Off) {
            self.sockets.stop_listening(listener);
        }
        if let Some(hub) = &mut self.hub {
            hub.leave();
        }
        for line in self.lines.values_mut() {
            let Line::Standing(connection) = line else { continue };
            let serial = connection.facts.serial;
            let may_leave = match connection.facts.key.lane {
                Lane::Control => self.hub.as_ref().is_some_and(|hub| hub.may_leave(serial)),
                Lane::Ordinary | Lane::Bulk => true,
            };
            if may_leave {
                connection.leave(GoodbyeReason::Shutdown);
            }
        }
    }

    /// Ends a connection because of what its peer does, and tells it so if that goes at once.
    pub(in crate::node) fn end_with_words(
        &mut self,
        socket: SocketId,
        words: (GoodbyeReason, &str),
        reason: DownReason,
        turn: &mut DeviceTurn<'_>,
    ) {
        let Some(mut line) = self.lines.insert(socket, Line::Ended) else { return };
        let words = match &mut line {
            Line::Standing(connection) => connection.last_words(words.0, words.1),
            _ => None,
        };
        match words {
            Some(words) => {
                // It is closed in any case, when this is sent.
                let _ = self.sockets.send(socket, words);
                self.sockets.close(socket);
            }
            None => self.sockets.abort(socket),
        }
        self.ended(line, reason, turn);
    }

    /// The peer has said goodbye on a connection: it has sent all that it wanted to send, and all of that was taken.
    pub(in crate::node) fn peer_left(
        &mut self,
        socket: SocketId,
        reason: GoodbyeReason,
        turn: &mut DeviceTurn<'_>,
    ) {
        let Some(mut line) = self.lines.insert(socket, Line::Ended) else { return };
        if let Line::Standing(connection) = &mut line {
            let facts = &connection.facts;
            if reason == GoodbyeReason::Shutdown
                && facts.key.lane == Lane::Control
                && let Some(hub) = &mut self.hub
            {
                hub.peer_left(facts.serial, turn.now_ns());
            }
            if let Some(report) = connection.last_report() {
                let _ = self.sockets.send(socket, report);
            }
        }
        self.sockets.close(socket);
        self.ended(line, DownReason::ClosedByPeer, turn);
    }
}
