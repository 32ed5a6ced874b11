//! One connection: a request comes in, its answer goes out, and that is all.
//!
//! Invariants: it answers once; it keeps at most [`INBOUND_LIMIT_BYTES`] of what comes; it is over
//! [`WITHIN_NS`] after it began at the latest, whatever the other side does. Who was too slow with its request is told
//! so, as far as that goes out at once.

use super::refusal::Refusal;
use super::request::{BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, Reading, Request, read};
use super::response::Response;

/// How long a connection may take.
pub(super) const WITHIN_NS: u64 = 5_000_000_000;
/// Bytes that are kept of what comes.
const INBOUND_LIMIT_BYTES: usize = HEAD_LIMIT_BYTES + BODY_LIMIT_BYTES + 1;

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The rest of a request.
    Reading,
    /// To be rid of the answer.
    Answering,
    /// The other side to close: one that closed first could lose the answer with what it had not read.
    Ending,
    Over,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Connection {
    phase: Phase,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
    sent: usize,
    until_ns: u64,
}

impl Connection {
    /// A new one.
    pub fn new(now_ns: u64) -> Connection {
        Connection {
            phase: Phase::Reading,
            inbound: Vec::new(),
            outbound: Vec::new(),
            sent: 0,
            until_ns: now_ns.saturating_add(WITHIN_NS),
        }
    }

    /// Bytes have come. `answer` is asked when they make a request.
    pub fn received(&mut self, bytes: &[u8], answer: impl FnOnce(&Request) -> Response) {
        if self.phase != Phase::Reading {
            return;
        }
        let room = INBOUND_LIMIT_BYTES - self.inbound.len();
        self.inbound.extend_from_slice(&bytes[..bytes.len().min(room)]);
        match read(&self.inbound) {
            // Never of what is as long as the limit: see `read`.
            Reading::More => {}
            Reading::Whole(request) => self.respond(answer(&request)),
            Reading::Refused(refusal) => self.respond(Response::refused(&refusal)),
        }
    }

    /// The other side sends nothing more.
    pub fn ended(&mut self) {
        if matches!(self.phase, Phase::Reading | Phase::Ending) {
            self.phase = Phase::Over;
        }
    }

    /// The connection is broken.
    pub fn broke(&mut self) {
        self.phase = Phase::Over;
    }

    /// What is to be sent.
    pub fn unsent(&self) -> &[u8] {
        match self.phase {
            Phase::Answering => self.outbound.get(self.sent..).unwrap_or_default(),
            _ => &[],
        }
    }

    /// So much of it was sent. Whether that was all: this side sends nothing more.
    pub fn sent(&mut self, bytes: usize) -> bool {
        self.sent = self.sent.saturating_add(bytes);
        let is_all = self.phase == Phase::Answering && self.sent >= self.outbound.len();
        if is_all {
            self.phase = Phase::Ending;
            self.outbound = Vec::new();
        }
        is_all
    }

    /// Looks at the time. Whoever has not said yet what it wants has an answer waiting now.
    pub fn look(&mut self, now_ns: u64) {
        if now_ns < self.until_ns {
            return;
        }
        match self.phase {
            Phase::Reading => self.respond(Response::refused(&Refusal::TooSlow)),
            _ => self.phase = Phase::Over,
        }
    }

    /// Whether what comes is still read, if only to be passed over.
    pub fn reads(&self) -> bool {
        matches!(self.phase, Phase::Reading | Phase::Ending)
    }

    /// When the time is to be looked at.
    pub fn deadline_ns(&self) -> u64 {
        self.until_ns
    }

    /// Whether the connection can be closed.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    fn respond(&mut self, response: Response) {
        self.inbound = Vec::new();
        self.outbound = response.into_bytes();
        self.phase = Phase::Answering;
    }
}
