//! `compare`: mainspring, the raw limit and the peers in one run, round by round in turn.

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;

use super::record::Record;
use super::round::{CpuList, chosen_cpus, parse_cpu_list};
use super::run::DEFAULT_OUT;
use super::{CommandError, exit_code_of, interrupt};
use crate::comparison::contest::{self, ContestError, ContestSettings, Watch};
use crate::comparison::line_up::{self, Chosen, LineUpError};
use crate::comparison::result::ComparisonResult;
use crate::raw::affinity;
use crate::run::MOST_ROUNDS;
use crate::scenario::{self, Scenario};
use crate::verdict::Verdict;

/// The fewest blocks from which an interval is told.
pub const FEWEST_BLOCKS: usize = 3;
/// The longest round that may be asked for, in milliseconds.
pub const LONGEST_ROUND_MS: u64 = 60_000;
/// The longest deadline of a round, in seconds.
pub const LONGEST_DEADLINE_SECONDS: u64 = 3_600;

/// The arguments of `compare`.
#[derive(Args, Debug)]
pub struct CompareArguments {
    #[command(flatten)]
    contest: ContestArguments,
    /// The peers to compare with, as in tokio,actix, or none; all that are installed when absent.
    #[arg(long)]
    peers: Option<Chosen>,
    /// The folder of the peers; that of the source tree when absent.
    #[arg(long, value_name = "FOLDER")]
    peers_folder: Option<PathBuf>,
    /// Shows the times of an invalid comparison too.
    #[arg(long)]
    show_invalid: bool,
}

/// What every command is told that lets contestants take turns.
#[derive(Args, Debug)]
pub struct ContestArguments {
    /// The scenario's name; `list` shows all.
    pub scenario: String,
    /// The CPUs of every contestant, as in 0,1; as many of the allowed ones as the scenario needs when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    cores: Option<CpuList>,
    /// How many blocks of one round each.
    #[arg(long, default_value_t = 11)]
    rounds: usize,
    /// How long a round should take; rounds have whole iterations and at least one.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 200)]
    round_ms: u64,
    /// How long a contestant may take for a round, with its start and its warm-up, before it is out.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    deadline_seconds: u64,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the result folder is made.
    #[arg(long, value_name = "FOLDER", default_value = DEFAULT_OUT)]
    out: PathBuf,
}

/// A result as it is written and printed.
pub struct Printed {
    /// For a program.
    pub json: String,
    /// For a person.
    pub table: String,
    /// An invalid result has failed.
    pub verdict: Verdict,
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Those who should take part cannot.
    #[error(transparent)]
    LineUp(#[from] LineUpError),
    /// The number of blocks is out of bounds.
    #[error("{blocks} rounds cannot be compared; choose {FEWEST_BLOCKS} to {MOST_ROUNDS}")]
    Blocks {
        /// The number that was asked for.
        blocks: usize,
    },
    /// The length of a round is out of bounds.
    #[error("a round cannot take {round_ms} ms; choose 1 to {LONGEST_ROUND_MS}")]
    Round {
        /// What was asked for.
        round_ms: u64,
    },
    /// The deadline is out of bounds.
    #[error("a deadline of {seconds} s cannot be set; choose 1 to {LONGEST_DEADLINE_SECONDS}")]
    Deadline {
        /// What was asked for.
        seconds: u64,
    },
    /// This program does not know where it is.
    #[error("this program cannot find itself to start rounds: {0}")]
    Itself(io::Error),
    /// The contest came to no end.
    #[error(transparent)]
    Contest(#[from] ContestError),
}

impl CompareError {
    /// Whether the command line is at fault, and not a round.
    pub fn is_of_the_command_line(&self) -> bool {
        use CompareError::*;
        match self {
            LineUp(LineUpError::NotBuilt { .. }) => false,
            LineUp(_) | Blocks { .. } | Round { .. } | Deadline { .. } => true,
            Itself(_) | Contest(_) => false,
        }
    }
}

impl CompareArguments {
    /// Compares and prints what was found.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let scenario = self.contest.scenario()?;
        let name = scenario.description().name;
        let settings = self.contest.settings(scenario)?;
        let harness = env::current_exe().map_err(CompareError::Itself)?;
        let folder = self.peers_folder.clone().unwrap_or_else(own_peers);
        let chosen = self.peers.clone().unwrap_or_default();
        let progress = Progress::new(name);
        let stop = interrupt::stop_flag()?;
        let record = self.contest.record("compare", &settings)?;
        let line_up =
            line_up::line_up(scenario, &chosen, &harness, &folder, &mut |text| progress.note(text))
                .map_err(CompareError::LineUp)?;
        let contested =
            progress.watching(&stop, |watch| contest::hold(&line_up.contestants, &settings, watch));
        let contested = contested.map_err(CompareError::Contest)?;
        let result = ComparisonResult::new(name, line_up, &settings, &contested, self.show_invalid);
        let found =
            Printed { json: result.to_json()?, table: result.to_string(), verdict: result.verdict };
        self.contest.conclude(record, "compare.json", &found)
    }
}

impl ContestArguments {
    /// The scenario that is named.
    pub fn scenario(&self) -> Result<&'static dyn Scenario, CommandError> {
        let unknown = || CommandError::UnknownScenario(self.scenario.clone());
        scenario::find(&self.scenario).ok_or_else(unknown)
    }

    /// Makes the result folder of this command, and finds out that it can be written.
    pub fn record(
        &self,
        command: &str,
        settings: &ContestSettings,
    ) -> Result<Record, CommandError> {
        Record::open(&self.out, &format!("{command}-{}", self.scenario), &settings.cpus)
    }

    /// Writes what was found to the result folder, gives the folder its name, and prints what was found.
    pub fn conclude(
        &self,
        record: Record,
        file: &str,
        found: &Printed,
    ) -> Result<ExitCode, CommandError> {
        record.write(file, &found.json)?;
        let path = record.finish()?;
        let text = if self.json { &found.json } else { found.table.trim_end() };
        writeln!(io::stdout(), "{text}")?;
        eprintln!("written to {}", path.display());
        Ok(exit_code_of(found.verdict))
    }

    /// The settings of a contest, checked.
    pub fn settings(&self, scenario: &dyn Scenario) -> Result<ContestSettings, CommandError> {
        if !(FEWEST_BLOCKS..=MOST_ROUNDS).contains(&self.rounds) {
            return Err(CompareError::Blocks { blocks: self.rounds }.into());
        }
        if !(1..=LONGEST_ROUND_MS).contains(&self.round_ms) {
            return Err(CompareError::Round { round_ms: self.round_ms }.into());
        }
        let seconds = self.deadline_seconds;
        if !(1..=LONGEST_DEADLINE_SECONDS).contains(&seconds) {
            return Err(CompareError::Deadline { seconds }.into());
        }
        let asked = match &self.cores {
            Some(_) => Some(chosen_cpus(self.cores.as_ref())?),
            None => None,
        };
        let allowed = affinity::allowed_cpus()?;
        let cpus =
            line_up::cpus_of(scenario, asked.as_deref(), &allowed).map_err(CompareError::LineUp)?;
        Ok(ContestSettings {
            blocks: self.rounds,
            round: Duration::from_millis(self.round_ms),
            deadline: Duration::from_secs(seconds),
            cpus,
            yields: scenario.yields(),
        })
    }
}

/// Tells a person who waits what is going on: every step on a terminal, what takes minutes anywhere.
pub struct Progress {
    name: String,
    is_terminal: bool,
}

impl Progress {
    /// For a person at stderr.
    pub fn new(name: &str) -> Progress {
        Progress { name: name.to_owned(), is_terminal: io::stderr().is_terminal() }
    }

    /// The next of many short steps.
    pub fn step(&self, text: &str) {
        if self.is_terminal {
            eprint!("\r\x1b[K{}: {text}", self.name);
        }
    }

    /// Something that may take minutes.
    pub fn note(&self, text: &str) {
        if self.is_terminal {
            self.step(text);
        } else {
            eprintln!("{}: {text}", self.name);
        }
    }

    /// Shows the steps of a contest that ends early once `stop` is raised.
    pub fn watching<R>(&self, stop: &AtomicBool, hold: impl FnOnce(&mut Watch<'_>) -> R) -> R {
        let found = hold(&mut Watch { progress: &mut |text| self.step(text), stop });
        self.clear();
        found
    }

    /// There is no next step.
    pub fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

/// The peers of the source tree that this program was built from.
/// The folder of the peers in the source tree that this program was built from.
pub fn own_peers() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers")
}
