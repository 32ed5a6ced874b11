//! two_nodes: what a link between two nodes costs, on the path that it will take.
//!
//! One process listens, the other connects: on one machine, or on two. The one that connects first speaks over a bare
//! TCP connection on the same path, then over a link between nodes: a round trip of two messages at a time, and a
//! stream of messages. It prints both, and how they compare. Without an address both run in one process over loopback.
//! Exit codes: 0 measured, 1 a message was lost or came out of order, 2 the command line is bad, 3 something failed.

mod far;
mod latency;
mod message;
mod near;
mod options;
mod raw;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;
use mainspring_examples::warnings;
use options::Options;
use run::RunError;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::WARN);
    match run::run(&options, &mut std::io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("two_nodes: {error}");
            ExitCode::from(match error {
                RunError::OutOfOrder { .. } => 1,
                RunError::Impossible { .. } => 2,
                _ => 3,
            })
        }
    }
}
