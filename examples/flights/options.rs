//! The command line.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// The data that comes with the program.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/flights/data/flights.csv.gz");

/// Every flight that left New York in 2013, told to an actor for its aircraft, its airports and its carrier.
///
/// Prints the carriers by mean arrival delay, the ten busiest aircraft, counts for every airport, and how fast the
/// messages went. Every total is checked against a plain fold of the same file. Exit codes: 0 all equal, 1 a total
/// differs, 2 the file or the command line is bad, 3 the node failed.
#[derive(Debug, Clone, Parser)]
#[command(name = "flights", version)]
pub struct Options {
    /// The flights: gzip-compressed CSV.
    #[arg(long, value_name = "FILE", default_value = DATA)]
    pub data: PathBuf,

    /// How many cores to run on. Default: every CPU that this process may use.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cores: Option<u16>,

    /// What a core does when it has nothing to do: spin, spin and then park, or park at once.
    #[arg(long, value_enum, default_value_t = Idle::Hybrid)]
    pub idle: Idle,

    /// How many passes over the data.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub repeat: u32,

    /// Send each flight at its scheduled time, X times as fast as it was. Default: as fast as it goes.
    #[arg(long, value_name = "X", value_parser = parse_pace)]
    pub pace: Option<f64>,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a core does when it has nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Idle {
    /// Spin and never park.
    Busy,
    /// Spin for a while, then park.
    Hybrid,
    /// Park at once.
    Eco,
}

fn parse_pace(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(pace) if pace.is_finite() && pace > 0.0 => Ok(pace),
        _ => {
            Err("a number above 0 is expected; 1 is real time, 1000000 takes half a minute".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from(["flights"].iter().chain(arguments))
    }

    #[test]
    fn defaults_run_one_pass_over_the_data_beside_the_program() {
        let options = parse(&[]).unwrap();
        assert!(options.data.is_file(), "{}", options.data.display());
        assert_eq!((options.repeat, options.idle, options.cores), (1, Idle::Hybrid, None));
        assert!(options.pace.is_none() && !options.json);
    }

    #[test]
    fn every_option_is_read() {
        let text = "--data x.gz --cores 2 --idle busy --repeat 3 --pace 1e6 --json";
        let options = parse(&text.split(' ').collect::<Vec<_>>()).unwrap();
        assert_eq!((options.data, options.cores), (PathBuf::from("x.gz"), Some(2)));
        assert_eq!((options.idle, options.repeat), (Idle::Busy, 3));
        assert_eq!((options.pace, options.json), (Some(1e6), true));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "--cores 0",
            "--repeat 0",
            "--repeat 100001",
            "--pace 0",
            "--pace -1",
            "--pace NaN",
            "--pace inf",
            "--idle lazy",
            "--colour",
        ] {
            assert_eq!(
                parse(&text.split(' ').collect::<Vec<_>>()).unwrap_err().exit_code(),
                2,
                "{text}"
            );
        }
    }
}
