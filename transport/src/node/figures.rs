//! What a node's links have counted: connections, how their handshakes ended, and what went over them.
//!
//! Each core counts for itself, in memory that it alone writes; whoever asks gets the sum. Numbers only rise.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::handshake::{HandshakeError, RefusalReason};
use crate::link::credit::Volume;

/// Reasons of refusals are counted by their number; what is not below this counts as 0.
const REASONS: usize = 32;

/// What a node's links have counted since it started, over all cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LinkFigures {
    /// Connections that others made to this node.
    pub accepted: u64,
    /// Of those, closed at once: as many were being greeted as the limit allows.
    pub turned_away: u64,
    /// Connections that this node began.
    pub dialled: u64,
    /// Of those, never there: nobody listens, or there is no way.
    pub unreached: u64,
    /// Handshakes that were none: something else than a node is at the other end.
    pub garbage: u64,
    /// Handshakes that the peer or the network ended without a word.
    pub left: u64,
    /// Connections that came to stand.
    pub connections: u64,
    /// Connections that stood and ended.
    pub disconnections: u64,
    /// Of those, ended because the peer sent what no node sends.
    pub protocol_errors: u64,
    /// Messages given to sockets, and the bytes of their frames.
    pub sent: Volume,
    /// Messages that came and were handed to this node's cores, and the bytes of their frames.
    pub received: Volume,
    refused: [u64; REASONS],
    refused_by_peers: [u64; REASONS],
}

impl LinkFigures {
    /// Handshakes that this node ended, by the reason that it gave.
    pub fn refused(&self, reason: RefusalReason) -> u64 {
        self.refused[place(reason)]
    }

    /// Handshakes that the other node ended, by the reason that it gave.
    pub fn refused_by_peers(&self, reason: RefusalReason) -> u64 {
        self.refused_by_peers[place(reason)]
    }

    /// Handshakes that this node ended, for any reason.
    pub fn all_refused(&self) -> u64 {
        self.refused.iter().sum()
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Count {
    Accepted,
    TurnedAway,
    Dialled,
    Unreached,
    Garbage,
    Left,
    Connections,
    Disconnections,
    ProtocolErrors,
    SentFrames,
    SentBytes,
    ReceivedFrames,
    ReceivedBytes,
}

const COUNTS: usize = Count::ReceivedBytes as usize + 1;

/// The counters of one core.
#[derive(Debug)]
pub(super) struct Counters {
    counts: [AtomicU64; COUNTS],
    refused: [AtomicU64; REASONS],
    refused_by_peers: [AtomicU64; REASONS],
}

impl Counters {
    pub fn new() -> Counters {
        Counters {
            counts: [const { AtomicU64::new(0) }; COUNTS],
            refused: [const { AtomicU64::new(0) }; REASONS],
            refused_by_peers: [const { AtomicU64::new(0) }; REASONS],
        }
    }

    /// One more. Only the core whose counters these are calls this and what follows.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// A handshake has failed.
    pub fn failed(&self, error: &HandshakeError) {
        match error {
            HandshakeError::Garbage => self.count(Count::Garbage),
            HandshakeError::Refused { reason, .. } => self.refused(*reason),
            HandshakeError::RefusedByPeer { reason, .. } => {
                rise(&self.refused_by_peers[place(*reason)], 1);
            }
        }
    }

    /// This node has refused a connection.
    pub fn refused(&self, reason: RefusalReason) {
        rise(&self.refused[place(reason)], 1);
    }

    /// Messages went.
    pub fn sent(&self, more: Volume) {
        self.add(Count::SentFrames, more.frames);
        self.add(Count::SentBytes, more.bytes);
    }

    /// Messages came.
    pub fn received(&self, more: Volume) {
        self.add(Count::ReceivedFrames, more.frames);
        self.add(Count::ReceivedBytes, more.bytes);
    }

    /// Adds what this core has counted.
    pub fn add_to(&self, sum: &mut LinkFigures) {
        let of = |what: Count| self.counts[what as usize].load(Ordering::Relaxed);
        sum.accepted += of(Count::Accepted);
        sum.turned_away += of(Count::TurnedAway);
        sum.dialled += of(Count::Dialled);
        sum.unreached += of(Count::Unreached);
        sum.garbage += of(Count::Garbage);
        sum.left += of(Count::Left);
        sum.connections += of(Count::Connections);
        sum.disconnections += of(Count::Disconnections);
        sum.protocol_errors += of(Count::ProtocolErrors);
        sum.sent.frames += of(Count::SentFrames);
        sum.sent.bytes += of(Count::SentBytes);
        sum.received.frames += of(Count::ReceivedFrames);
        sum.received.bytes += of(Count::ReceivedBytes);
        let both = [
            (&self.refused, &mut sum.refused),
            (&self.refused_by_peers, &mut sum.refused_by_peers),
        ];
        for (counters, sums) in both {
            for (counter, sum) in counters.iter().zip(sums) {
                *sum += counter.load(Ordering::Relaxed);
            }
        }
    }

    fn add(&self, what: Count, more: u64) {
        rise(&self.counts[what as usize], more);
    }
}

/// Adds to a counter that one core alone writes.
fn rise(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

fn place(reason: RefusalReason) -> usize {
    let code = usize::from(reason.code());
    if code < REASONS { code } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cores_count_is_summed_by_what_it_is() {
        let (one, two) = (Counters::new(), Counters::new());
        one.count(Count::Accepted);
        two.count(Count::Accepted);
        two.received(Volume { bytes: 32, frames: 1 });
        one.refused(RefusalReason::System);
        let reason = RefusalReason::KeyWanted;
        two.failed(&HandshakeError::RefusedByPeer { reason, text: String::new() });
        two.failed(&HandshakeError::Garbage);
        let mut sum = LinkFigures::default();
        [&one, &two].iter().for_each(|counters| counters.add_to(&mut sum));
        assert_eq!((sum.accepted, sum.garbage, sum.sent), (2, 1, Volume::NONE));
        assert_eq!(sum.received, Volume { bytes: 32, frames: 1 });
        assert_eq!((sum.refused(RefusalReason::System), sum.all_refused()), (1, 1));
        assert_eq!((sum.refused_by_peers(reason), sum.refused(reason)), (1, 0));
    }

    #[test]
    fn a_reason_of_a_newer_version_is_counted_with_the_others() {
        let counters = Counters::new();
        [200, 255].iter().for_each(|code| counters.refused(RefusalReason::Other(*code)));
        let mut sum = LinkFigures::default();
        counters.add_to(&mut sum);
        assert_eq!(sum.refused(RefusalReason::Other(100)), 2);
    }
}
