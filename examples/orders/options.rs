//! The command line.

use std::path::PathBuf;

use clap::Parser;

/// The most crashes that a run may be expected to have.
const CRASHES_LIMIT: u64 = 1_000;

/// A shop whose process is killed again and again, and that loses nothing.
///
/// Every order is a saga: reserve pieces, charge money, schedule a parcel, and undo what was done when a step fails.
/// The services fail at random. The program runs the shop in a process of its own, kills it with SIGKILL at random
/// points, starts it again, and when all orders have ended it proves from the journal that each is done or undone, and
/// that no step had an effect twice. Exit codes: 0 proved, 1 not proved or the run failed, 2 the command line is bad.
#[derive(Debug, Clone, Parser)]
#[command(name = "orders", version)]
pub struct Options {
    /// How many orders.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub orders: u64,

    /// The process is killed when about so many more orders have ended. 0 for never.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub crash_every: u64,

    /// Decides what the orders are about, which requests fail, and when the process is killed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// Where the journal lies: a directory that is empty or not there yet. It is kept. Default: a new one in the
    /// current directory, removed when the proof is made.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// How many cores the shop runs on.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub cores: u16,

    /// Orders that are open at the same time.
    #[arg(long, value_name = "N", default_value_t = 1_024)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=65_536))]
    pub window: u64,

    /// Go through the page cache where the file system has no direct I/O, instead of refusing.
    #[arg(long)]
    pub allow_buffered: bool,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,

    /// Only prove: read what a run with the same orders and seed has left in DIR.
    #[arg(long, requires = "data", conflicts_with = "child")]
    pub prove: bool,

    /// One life of the shop; the program starts itself so.
    #[arg(long, hide = true, requires = "data")]
    pub child: bool,
}

/// What is asked for is impossible.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "--orders {orders} with --crash-every {crash_every} means about {crashes} crashes, and {CRASHES_LIMIT} is the \
     most: raise --crash-every to at least {least}"
)]
pub struct TooManyCrashes {
    orders: u64,
    crash_every: u64,
    crashes: u64,
    least: u64,
}

impl Options {
    /// Whether the values go together.
    ///
    /// # Errors
    /// [`TooManyCrashes`].
    pub fn check(&self) -> Result<(), TooManyCrashes> {
        let (orders, crash_every) = (self.orders, self.crash_every);
        let crashes = orders.checked_div(crash_every).unwrap_or(0);
        if crashes > CRASHES_LIMIT {
            let least = orders.div_ceil(CRASHES_LIMIT);
            return Err(TooManyCrashes { orders, crash_every, crashes, least });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("orders").chain(text.split_whitespace()))
    }

    #[test]
    fn every_option_is_read() {
        let text = "--orders 300 --crash-every 80 --seed 7 --data d --cores 2 --window 16 --json";
        let options = parse(text).unwrap();
        assert_eq!((options.orders, options.crash_every, options.seed), (300, 80, 7));
        assert_eq!((options.data, options.cores, options.window), (Some("d".into()), 2, 16));
        assert!(options.json && !options.prove && !options.child && !options.allow_buffered);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "--orders 0",
            "--orders 1000001",
            "--orders -1",
            "--crash-every -1",
            "--cores 0",
            "--window 0",
            "--prove",
            "--child",
            "--colour",
        ] {
            assert_eq!(parse(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn more_crashes_than_a_run_may_have_are_refused_with_the_least_distance_that_is_allowed() {
        let refused = parse("--orders 100001 --crash-every 99").unwrap().check().unwrap_err();
        assert!(refused.to_string().ends_with("raise --crash-every to at least 101"), "{refused}");
        assert_eq!(parse("--orders 100001 --crash-every 101").unwrap().check(), Ok(()));
        assert_eq!(parse("--crash-every 0").unwrap().check(), Ok(()));
    }
}
