//! What goes wrong with a simulated network.

use std::time::Duration;

use super::state::State;
use super::stream::{Cargo, Flight, Holder};
use super::{StreamId, nanoseconds};

/// What happens to one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamFault {
    /// It breaks: of what is under way only a part arrives, chosen by the seed, and nothing that is sent from now on.
    Break {
        /// After how long the dialling and the accepting side hear a reset. A side that does not hear it has a
        /// half-open connection, until it waits too long for an answer to what it sends.
        heard_after: [Option<Duration>; 2],
    },
    /// Nothing arrives for so long, in either direction; then all of it does.
    Stall(Duration),
    /// The dialling side (0) or the accepting one (1) hears that the other one has finished, after a part of what is
    /// under way; the rest is lost.
    EndOfStream {
        /// The side that hears it.
        heard_by: usize,
    },
}

impl State {
    pub fn partition(&mut self, ones: &[usize], others: &[usize]) {
        for &one in ones {
            for &other in others {
                self.cuts.insert((one, other));
                self.cuts.insert((other, one));
            }
        }
        self.stir();
    }

    /// Every way is open again. What could not arrive meanwhile is sent again, after a while.
    pub fn heal(&mut self) {
        self.cuts.clear();
        let now_ns = self.now_ns;
        for stream in self.streams.values_mut() {
            for direction in &mut stream.directions {
                if direction.next_arrival_ns().is_some_and(|due_ns| due_ns <= now_ns) {
                    direction.stalled_until_ns = now_ns + self.random.u64(0..200_000_000);
                }
            }
        }
        self.stir();
    }

    /// The streams between two nodes, oldest first.
    pub fn between(&self, one: usize, other: usize) -> Vec<StreamId> {
        let between = self.streams.iter().filter(|(_, stream)| {
            let (from, to) = stream.way(0);
            (from, to) == (one, other) || (from, to) == (other, one)
        });
        between.map(|(id, _)| StreamId(*id)).collect()
    }

    /// Something happens to a stream.
    pub fn afflict(&mut self, StreamId(id): StreamId, fault: StreamFault) {
        let now_ns = self.now_ns;
        let Some(stream) = self.streams.get_mut(&id) else { return };
        match fault {
            StreamFault::Stall(time) => {
                for direction in &mut stream.directions {
                    let until_ns = now_ns + nanoseconds(time);
                    direction.stalled_until_ns = direction.stalled_until_ns.max(until_ns);
                }
            }
            StreamFault::Break { heard_after } => {
                if let Holder::Socket(dialling) = stream.ends[0].holder
                    && self.sockets.get(dialling).is_some_and(|socket| socket.is_connecting)
                {
                    // It has asked for a connection, and waits for an answer.
                    stream.directions[0].lost_since_ns.get_or_insert(now_ns);
                }
                for (side, heard_after) in heard_after.into_iter().enumerate() {
                    let to_side = &mut stream.directions[1 - side];
                    let kept = self.random.usize(0..=to_side.flights.len());
                    to_side.lose_after(kept, now_ns);
                    if let Some(after) = heard_after {
                        let last_ns = to_side.flights.back().map_or(0, |last| last.arrives_ns);
                        let arrives_ns = last_ns.max(now_ns + nanoseconds(after));
                        let cargo = Cargo::Reset;
                        to_side.flights.push_back(Flight { sent_ns: now_ns, arrives_ns, cargo });
                    }
                }
            }
            StreamFault::EndOfStream { heard_by } => {
                let side = heard_by.min(1);
                if matches!(stream.ends[side].holder, Holder::Socket(_)) {
                    let to_side = &mut stream.directions[1 - side];
                    let kept = self.random.usize(0..=to_side.flights.len());
                    to_side.lose_after(kept, now_ns);
                    let arrives_ns = to_side.flights.back().map_or(now_ns, |last| last.arrives_ns);
                    let cargo = Cargo::Finish;
                    to_side.flights.push_back(Flight { sent_ns: now_ns, arrives_ns, cargo });
                }
            }
        }
        self.settle(id);
    }
}
