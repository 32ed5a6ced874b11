//! The command line.

use clap::Parser;
use std::path::PathBuf;

/// The most deposits of one run.
const MOST_DEPOSITS: u64 = 100_000_000;

/// Accounts that are actors, and their balances as a table in SQLite.
///
/// Deposits, waits until the table has caught up, holds every row against its actor, makes the table anew from the
/// journal, and prints the richest accounts. Run it again on the same folder: balances go on where they were. Exit
/// codes: 0 all balances are equal, 1 one differs, 2 the command line is bad, 3 something cannot be used.
#[derive(Debug, Clone, Parser)]
#[command(name = "ledger", version)]
pub struct Options {
    /// Where the journal and the table are kept. It is made if it is not there.
    #[arg(long, value_name = "DIR", default_value = "./ledger-data")]
    pub data: PathBuf,

    /// How many accounts.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub accounts: u64,

    /// How many deposits.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = deposits())]
    pub deposits: u64,

    /// Decides who gets how much.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// How many cores to run on. A folder is for as many cores as it was made with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cores: u16,

    /// End the process, as a crash would, in the middle of this batch's transaction.
    #[arg(long, value_name = "BATCH")]
    pub abort_in_batch: Option<u64>,
}

fn deposits() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(0..=MOST_DEPOSITS)
}
