//! What the sockets below tell, told on.

use std::net::SocketAddr;

use mainspring::net::{
    AcceptFailure, CloseCause, DetachedSocket, ListenerId, SendBuffer, SendFailed, SocketError,
    SocketHandler, SocketId, Taken,
};

use super::line::{Flight, Stage};
use super::session::plaintext_within;
use super::sockets::TlsSockets;

/// The layer and the device above it, while the sockets below are polled.
pub(super) struct Below<'a> {
    pub above: &'a TlsSockets,
    pub handler: &'a mut dyn SocketHandler,
}

impl SocketHandler for Below<'_> {
    fn accepted(&mut self, listener: ListenerId, socket: SocketId, peer: SocketAddr) {
        self.above.accept(listener, socket, peer);
    }

    fn accept_failed(&mut self, listener: ListenerId, failure: AcceptFailure) {
        self.handler.accept_failed(listener, failure);
    }

    fn connected(&mut self, socket: SocketId) {
        self.above.begin(socket);
    }

    fn connect_failed(&mut self, socket: SocketId, error: SocketError) {
        self.above.not_reached(socket);
        self.handler.connect_failed(socket, error);
    }

    fn received(&mut self, socket: SocketId, bytes: &[u8]) -> Taken {
        let mut taken = 0;
        while taken < bytes.len() {
            let more = self.above.with(socket, |line| match line.stage {
                Stage::Leaving => 0,
                Stage::Securing | Stage::Open if line.doomed.is_none() => {
                    line.session.receive(&bytes[taken..]).unwrap_or_else(|failure| {
                        line.doomed = Some(failure);
                        bytes.len() - taken
                    })
                }
                // Nobody looks at it.
                _ => bytes.len() - taken,
            });
            self.above.attend(socket, self.handler);
            match more {
                Some(0) => break,
                Some(more) => taken += more,
                None => return Taken::of(bytes.len()),
            }
        }
        Taken::of(taken)
    }

    fn sent(&mut self, socket: SocketId, _: SendBuffer, result: Result<(), SendFailed>) {
        let held = self.above.with(socket, |line| {
            match std::mem::replace(&mut line.flight, Flight::None) {
                Flight::WithHeld => line.held.take(),
                _ => None,
            }
        });
        if let Some(held) = held.flatten() {
            let result = result.map_err(|failed| {
                let sent_bytes = plaintext_within(failed.sent_bytes).min(held.len());
                SendFailed { sent_bytes, ..failed }
            });
            self.handler.sent(socket, held, result);
        }
        self.above.attend(socket, self.handler);
    }

    fn peer_finished(&mut self, socket: SocketId) {
        self.above.with(socket, |line| {
            line.below_peer_finished = true;
            if matches!(line.stage, Stage::Securing | Stage::Open)
                && let Err(failure) = line.session.end_of_ciphertext()
            {
                line.doomed = Some(failure);
            }
        });
        self.above.attend(socket, self.handler);
    }

    fn closed(&mut self, socket: SocketId, cause: CloseCause) {
        self.above.gone(socket, cause, self.handler);
    }

    fn detached(&mut self, socket: SocketId, connection: DetachedSocket) {
        if let Some(connection) = self.above.moved(socket, connection) {
            self.handler.detached(socket, connection);
        }
    }
}
