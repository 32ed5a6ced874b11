//! One simulated connection on its way between two nodes: what is under way in each direction, and who is at the ends.
//!
//! Side 0 has dialled, side 1 is where it went. Direction `d` goes from side `d` to the other one.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;

/// What is under way.
#[derive(Debug)]
pub(super) enum Cargo {
    /// Somebody wants a connection.
    Open,
    /// Here it is.
    Opened,
    /// Nobody listens there.
    Refused,
    Bytes(Vec<u8>),
    /// Nothing more comes.
    Finish,
    /// The connection is no more.
    Reset,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub sent_ns: u64,
    pub arrives_ns: u64,
    pub cargo: Cargo,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Direction {
    pub flights: VecDeque<Flight>,
    /// Bytes in the receiver's kernel.
    pub arrived: VecDeque<Vec<u8>>,
    /// Bytes of `flights` and `arrived`, and those that were lost: nobody has told the sender that they have come.
    pub outstanding_bytes: usize,
    /// Nothing arrives before this.
    pub stalled_until_ns: u64,
    /// Since when something is missing at the far end, though nothing has been heard of a loss.
    pub lost_since_ns: Option<u64>,
    /// What is sent from now on is lost without a word.
    pub loses: bool,
    /// All bytes before the end of the stream have arrived.
    pub is_finished: bool,
    /// A reset has arrived, and nobody was there to hear it.
    pub is_reset: bool,
}

impl Direction {
    /// Something is sent. What is sent last arrives last.
    pub fn push(&mut self, cargo: Cargo, now_ns: u64, latency_ns: u64) {
        if let Cargo::Bytes(bytes) = &cargo {
            self.outstanding_bytes += bytes.len();
        }
        if self.loses {
            self.lost_since_ns.get_or_insert(now_ns);
            return;
        }
        let last_ns = self.flights.back().map_or(0, |flight| flight.arrives_ns);
        let arrives_ns = last_ns.max(now_ns + latency_ns);
        self.flights.push_back(Flight { sent_ns: now_ns, arrives_ns, cargo });
    }

    /// When the next piece arrives, if nothing is in its way.
    pub fn next_arrival_ns(&self) -> Option<u64> {
        self.flights.front().map(|flight| flight.arrives_ns.max(self.stalled_until_ns))
    }

    /// Since when the sender has heard nothing of something that it has sent.
    pub fn unanswered_since_ns(&self) -> Option<u64> {
        let sent_ns = self.flights.front().map(|flight| flight.sent_ns);
        sent_ns.into_iter().chain(self.lost_since_ns).min()
    }

    /// Of what is under way only the first `kept` pieces arrive, and nothing that is sent from now on.
    pub fn lose_after(&mut self, kept: usize, now_ns: u64) {
        if kept < self.flights.len() {
            self.flights.truncate(kept);
            self.lost_since_ns.get_or_insert(now_ns);
        }
        self.loses = true;
    }

    /// The first bytes that have arrived, at most so many.
    pub fn take_arrived(&mut self, most: usize) -> Option<Vec<u8>> {
        let mut piece = self.arrived.pop_front()?;
        if piece.len() > most {
            let rest = piece.split_off(most);
            self.arrived.push_front(rest);
        }
        self.outstanding_bytes -= piece.len();
        Some(piece)
    }
}

/// Who is at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody yet: the wish for a connection is under way.
    Awaited,
    /// The socket in this slot.
    Socket(u32),
    /// It goes from one core to another.
    Detached,
    /// Nobody any more. Who sends something to it is told so, or is left to find out.
    Gone { answers: bool },
}

#[derive(Debug)]
pub(super) struct End {
    pub node: usize,
    pub address: SocketAddr,
    pub holder: Holder,
    /// After so long without an answer to what it has sent, this end gives up.
    pub patience_ns: Option<u64>,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Stream {
    pub ends: [End; 2],
    pub directions: [Direction; 2],
}

impl Stream {
    pub fn is_over(&self) -> bool {
        self.ends.iter().all(|end| matches!(end.holder, Holder::Gone { .. }))
    }

    /// From and to which node a direction goes.
    pub fn way(&self, direction: usize) -> (usize, usize) {
        (self.ends[direction].node, self.ends[1 - direction].node)
    }

    /// When the holder of an end gives up.
    pub fn gives_up_ns(&self, side: usize) -> Option<u64> {
        let end = &self.ends[side];
        if !matches!(end.holder, Holder::Socket(_)) {
            return None;
        }
        let since_ns = self.directions[side].unanswered_since_ns()?;
        Some(since_ns.saturating_add(end.patience_ns?))
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (end, direction) in self.ends.iter().zip(&self.directions) {
            let (node, holder, bytes) = (end.node, end.holder, direction.outstanding_bytes);
            let (pieces, loses) = (direction.flights.len(), direction.loses);
            write!(f, "node {node} {holder:?}: {pieces} pieces, {bytes} bytes, loses: {loses}; ")?;
        }
        Ok(())
    }
}
