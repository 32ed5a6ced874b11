//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use mainspring::node::cores::{Cores, CoresError};
use mainspring_tuning::{SysRoot, Topology};

/// Moves of a run, if nobody says how many.
const MOVES: u32 = 100;

/// A million shadows of devices, durable and spread over all cores, and a proof that nothing was lost.
///
/// Every device gets its first update; then they speak, some far more often than others, while shards move from core
/// to core and the shadows of quiet devices leave memory. In the midst of it the process is killed with SIGKILL and
/// started again, and every shadow is asked: what was acknowledged must be there. Exit codes: 0 proved, 1 something was
/// lost or the run failed, 2 the command line is bad.
#[derive(Debug, Clone, Parser)]
#[command(name = "shadows", version)]
pub struct Options {
    /// How many devices.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub devices: u32,

    /// Updates that are acknowledged after the first one of each device, before the process is killed. Default: twice
    /// as many as there are devices.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    pub updates: Option<u64>,

    /// How unequally the devices speak: the exponent of Zipf's law, from 0 (all the same) to 2.
    #[arg(long, value_name = "EXPONENT", default_value_t = 1.0, value_parser = exponent)]
    pub skew: f64,

    /// Shards that are moved to another core while updates go on. With one core none are.
    #[arg(long, value_name = "N", default_value_t = MOVES)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub moves: u32,

    /// Shadows that are in memory on each core; those that are least likely to be used leave. Default: as many as make
    /// a tenth of all, together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub active: Option<u32>,

    /// A shadow that had no message for so many seconds leaves memory.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub idle: u64,

    /// Updates that are under way at the same time, on each core.
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=16_384))]
    pub window: u16,

    /// Which CPUs: `all`, `suggested`, `n:2` for so many, `0-3,6` for these.
    #[arg(long, value_name = "CPUS", default_value = "all")]
    pub cores: Cores,

    /// Decides which devices speak, what they measure, which shards move and when the process is killed.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,

    /// Where the journal lies: a directory that is empty or not there yet. It is kept. Default: a new one in the
    /// current directory, removed when all is proved.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,

    /// Go through the page cache where the file system has no direct I/O, instead of refusing.
    #[arg(long)]
    pub allow_buffered: bool,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,

    /// Of every so many reports one is acknowledged and not stored, so that the proof has something to find.
    #[arg(long, hide = true, value_name = "N", default_value_t = 0)]
    pub forget_every: u64,

    /// One life of the shadows; the program starts itself so.
    #[arg(long, hide = true, requires = "data")]
    pub life: Option<Life>,
}

/// What a life does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Life {
    /// Takes updates until it is killed.
    Load,
    /// Asks every shadow what it is.
    Read,
}

/// The CPUs that were asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CoresRefused {
    #[error("the machine cannot be looked at: {0}")]
    Topology(#[from] mainspring_tuning::TopologyError),
    #[error("--cores: {0}")]
    Choice(#[from] CoresError),
}

fn exponent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(exponent) if (0.0..=2.0).contains(&exponent) => Ok(exponent),
        _ => Err("a number from 0 to 2".to_owned()),
    }
}

impl Options {
    /// How many cores that will be.
    ///
    /// # Errors
    /// [`CoresRefused`].
    pub fn core_count(&self) -> Result<u16, CoresRefused> {
        let topology = Topology::read(&SysRoot::real())?;
        Ok(self.cores.resolve(&topology)?.cpus.len() as u16)
    }

    /// Updates after the first one of each device.
    pub fn updates(&self) -> u64 {
        self.updates.unwrap_or(2 * u64::from(self.devices))
    }

    /// Shadows that are in memory on each of so many cores.
    pub fn active_on_each(&self, cores: u16) -> u32 {
        let tenth = self.devices.div_ceil(10 * u32::from(cores.max(1)));
        self.active.unwrap_or(tenth).max(1)
    }

    /// After how long without a message a shadow leaves.
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("shadows").chain(text.split_whitespace()))
    }

    #[test]
    fn what_is_not_said_follows_from_the_number_of_devices() {
        let options = parse("--devices 1000").expect("a good line");
        assert_eq!((options.updates(), options.active_on_each(4)), (2_000, 25));
        let options = parse("--devices 1000 --updates 7 --active 3").expect("a good line");
        assert_eq!((options.updates(), options.active_on_each(4)), (7, 3));
        assert_eq!(parse("--devices 1").expect("a good line").active_on_each(64), 1);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for text in [
            "--devices 0",
            "--devices 10000001",
            "--updates 0",
            "--skew 2.1",
            "--skew -1",
            "--skew nan",
            "--moves 100001",
            "--active 0",
            "--idle 0",
            "--window 0",
            "--cores none",
            "--life load",
            "--colour",
        ] {
            assert_eq!(parse(text).unwrap_err().exit_code(), 2, "{text}");
        }
    }
}
