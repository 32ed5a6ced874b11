//! The programs between nodes of the comparison, written for ractor_cluster.
//!
//! Each node is a process, because ractor holds one table of actors in a process. They find each other's actors in
//! process groups, which the nodes keep in step.
#![forbid(unsafe_code)]

mod node;
mod ping_pong;
mod stream;

use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};
use mainspring_perf_contest::far_process;

const PROGRAMS: [Implementation; 2] =
    [("remote-ping-pong", ping_pong::round), ("remote-stream", stream::round)];

fn main() -> ExitCode {
    let Some(words) = far_process::own_words() else { return entrant::main(&PROGRAMS) };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [ping_pong::FAR, cpu] => node::far(cpu, ping_pong::far()),
        [stream::FAR, cpu] => node::far(cpu, stream::far()),
        _ => return ExitCode::from(2),
    }
    ExitCode::SUCCESS
}
