//! tokio as a contestant: an actor is a task that owns its state and the receiver of an mpsc channel, as in
//! tokio's own tutorial ("Channels"), and an address is the sender.
//!
//! Invariant: nothing is shared between actors but channels and tables of their senders.
#![forbid(unsafe_code)]

mod ask;
mod ping_pong;
mod stage;
mod tell;

use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};

const IMPLEMENTATIONS: [Implementation; 4] = [
    ("ping-pong-same-core", ping_pong::same_core),
    ("tell-same-core", tell::same_core),
    ("ask-same-core", ask::same_core),
    ("savina-ping-pong", ping_pong::savina),
];

fn main() -> ExitCode {
    entrant::main(&IMPLEMENTATIONS)
}
