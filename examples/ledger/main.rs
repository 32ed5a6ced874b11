//! ledger: accounts that are actors, and their balances as a table in SQLite.
//!
//! Every account is an event-sourced actor. A projection makes a table of their events, and keeps its place in the
//! journal in the same transactions; so the table is right to the cent whenever the process ends. The program deposits,
//! waits until the table has caught up, and holds every row against the actor's own balance. Exit codes: 0 all balances
//! are equal, 1 one differs, 2 the command line is bad, 3 something cannot be used.

mod account;
mod options;
mod read_side;
mod run;

#[cfg(test)]
mod lock_tests;

use clap::Parser;
use mainspring_examples::warnings;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

fn main() -> ExitCode {
    let options = options::Options::parse();
    warnings::to_stderr(LevelFilter::WARN);
    match run::run(&options, &mut std::io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("ledger: {error}");
            ExitCode::from(3)
        }
    }
}
