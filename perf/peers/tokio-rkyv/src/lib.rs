//! What one would write without an actor library: two nodes that are each a thread with a current-thread runtime of
//! tokio, actors that are tasks with a channel, and a TCP connection on loopback with length-delimited frames of rkyv.
//!
//! There are two ways to write it, and each is a contestant: [`Way::Plain`] is that of the documentation of tokio-util,
//! [`Way::Tuned`] is the fastest that was found.
//!
//! Invariants: a frame's content is checked before it is believed; nothing that was sent is lost, because a sender
//! waits while the connection takes no more.
#![forbid(unsafe_code)]

mod connection;
mod message;
mod node;
mod ping_pong;
mod stream;

use std::process::ExitCode;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::{self, Implementation, Task};

/// How the connection is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `LengthDelimitedCodec`, rkyv's own `to_bytes` and `access`, a flush behind each message; runtimes that sleep.
    Plain,
    /// A codec of its own for the same frames, which writes and checks in place; a flush when nothing is left to send;
    /// large reads; runtimes that poll their socket.
    Tuned,
}

/// The command line of the contestant that does it this way.
pub fn main(way: Way) -> ExitCode {
    entrant::main(&implementations(way))
}

fn implementations(way: Way) -> [Implementation; 2] {
    match way {
        Way::Plain => [("remote-ping-pong", plain_ping_pong), ("remote-stream", plain_stream)],
        Way::Tuned => [("remote-ping-pong", tuned_ping_pong), ("remote-stream", tuned_stream)],
    }
}

fn plain_ping_pong(task: &Task) -> RoundReport {
    ping_pong::round(task, Way::Plain)
}

fn tuned_ping_pong(task: &Task) -> RoundReport {
    ping_pong::round(task, Way::Tuned)
}

fn plain_stream(task: &Task) -> RoundReport {
    stream::round(task, Way::Plain)
}

fn tuned_stream(task: &Task) -> RoundReport {
    stream::round(task, Way::Tuned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_programs_come_to_their_sums_whichever_way() {
        for way in [Way::Plain, Way::Tuned] {
            assert_eq!(entrant::check(&implementations(way)), Ok(()), "{way:?}");
        }
    }
}
