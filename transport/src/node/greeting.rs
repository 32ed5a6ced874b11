//! A connection whose handshake is under way.

use std::net::SocketAddr;

use mainspring::net::{SendBuffer, Taken};

use super::hub::Attempt;
use crate::handshake::{Handshake, HandshakeError, Hello, Peer, RefusalReason};

/// See the module's header.
pub(super) struct Greeting {
    pub attempt: Option<Attempt>,
    /// The address of the other end.
    pub address: SocketAddr,
    handshake: Handshake,
    to_send: Vec<u8>,
    pub in_flight: bool,
    /// The connection ends when all is sent.
    pub ends: bool,
    /// The other end, when the handshake is over.
    pub peer: Option<Box<Peer>>,
}

impl Greeting {
    pub fn new(
        attempt: Option<Attempt>,
        address: SocketAddr,
        handshake: Handshake,
        to_send: Vec<u8>,
    ) -> Greeting {
        Greeting { attempt, address, handshake, to_send, in_flight: false, ends: false, peer: None }
    }

    pub fn deadline_ns(&self) -> u64 {
        self.handshake.deadline_ns()
    }

    /// Takes bytes of the peer.
    ///
    /// # Errors
    /// Why the handshake failed; its answer is to be sent.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now_ns: u64,
        verdict: &mut dyn FnMut(&Hello) -> Result<(), RefusalReason>,
    ) -> Result<Taken, HandshakeError> {
        if self.ends {
            // Nothing more is read of it, nor does it wait in memory.
            return Ok(Taken::of(bytes.len()));
        }
        if self.peer.is_some() {
            return Ok(Taken::of(0));
        }
        let progress = self.handshake.receive(bytes, now_ns, verdict)?;
        self.to_send.extend_from_slice(&progress.to_send);
        self.peer = progress.peer;
        Ok(Taken { bytes: progress.consumed_bytes, wanted: progress.wanted_bytes })
    }

    /// # Errors
    /// The handshake takes too long.
    pub fn tick(&mut self, now_ns: u64) -> Result<(), HandshakeError> {
        self.handshake.tick(now_ns)
    }

    /// Sends this and ends the connection.
    pub fn end_with(&mut self, answer: Option<Vec<u8>>) {
        self.to_send.extend(answer.into_iter().flatten());
        self.ends = true;
    }

    /// What is to be sent, if no send is under way.
    pub fn next_send(&mut self) -> Option<SendBuffer> {
        if self.in_flight || self.to_send.is_empty() {
            return None;
        }
        self.in_flight = true;
        let bytes = SendBuffer::from(self.to_send.as_slice());
        self.to_send.clear();
        Some(bytes)
    }

    /// Whether everything has been given to the kernel.
    pub fn is_sent(&self) -> bool {
        self.to_send.is_empty() && !self.in_flight
    }
}
