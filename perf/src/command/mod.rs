//! The command line; one file a command.
//!
//! Exit codes: 0 when figures were printed, 1 when a run failed or is invalid, 2 when the command line asks for
//! something impossible. Every error is one line on stderr that says what to do.

mod compare;
mod counts;
mod curve;
mod gate;
mod interrupt;
mod list;
mod pair;
mod rate;
mod record;
mod report;
mod round;
mod run;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::counts::baseline::BaselineError;
use crate::load::settings::LoadError;
use crate::raw::affinity::AffinityError;
use crate::report::ReportError;
use crate::result_folder::FolderError;
use crate::revision::RevisionError;
use crate::run::RunError;
use crate::verdict::Verdict;

/// How long the child in which system calls are counted may take.
pub const COUNTING_LIMIT: Duration = Duration::from_secs(120);

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match CommandLine::parse().what.execute() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mainspring-perf: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

/// Measures what a message costs in mainspring, beside what the machine itself needs for it.
#[derive(Debug, Parser)]
#[command(name = "mainspring-perf", version, about)]
struct CommandLine {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lists the scenarios: what each measures, the CPUs it needs and its raw limit.
    List,
    /// Runs one scenario beside its raw limit, or under load at a rate, and prints its figures.
    Run(run::RunArguments),
    /// Lets mainspring, its raw limit and the peers take turns and prints how their times relate.
    Compare(compare::CompareArguments),
    /// Lets two revisions take turns and says whether the second is faster, slower, or one cannot tell.
    Pair(pair::PairArguments),
    /// Finds out what a scenario can do at most, and what its responses take at parts of that.
    Curve(curve::CurveArguments),
    /// Makes one page of many results.
    Report(report::ReportArguments),
    /// Counts what a thousand messages take: instructions, allocations, system calls; also of another revision.
    Counts(counts::CountsArguments),
    /// Fails when a count has risen over the baseline that is kept in the repository.
    Gate(gate::GateArguments),
    /// Does one round of a scenario for a tracer; `run` starts it to count system calls.
    #[command(hide = true)]
    Counted(round::RoundArguments),
    /// Does one round of a scenario and prints one line of report; `compare` starts it, as it starts a peer's
    /// program.
    #[command(hide = true)]
    Round(round::SingleArguments),
}

/// Why a command did not print what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// No scenario has this name.
    #[error("there is no scenario \"{0}\"; `mainspring-perf list` shows all")]
    UnknownScenario(String),
    /// The affinity mask of this process leaves out some of the CPUs.
    #[error(
        "CPUs {asked:?} were asked for, but this process may use only {allowed:?}; choose among these"
    )]
    CpusNotAllowed {
        /// The CPUs of the command line.
        asked: Vec<usize>,
        /// What this process may use.
        allowed: Vec<usize>,
    },
    /// The affinity mask cannot be read or set.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// A run gave no result.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Contestants were not compared.
    #[error(transparent)]
    Compare(#[from] compare::CompareError),
    /// Revisions were not compared.
    #[error(transparent)]
    Pair(#[from] pair::PairError),
    /// A load gave no result.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The flag says something about a load, and no rate was given.
    #[error("{0} says something about a load; give its --rate too, or leave {0} out")]
    FlagWithoutRate(&'static str),
    /// The flag says something about rounds, and a rate was given.
    #[error("{0} says something about rounds; a load with --rate has none, so leave {0} out")]
    FlagWithRate(&'static str),
    /// There is no result folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no program of a revision.
    #[error(transparent)]
    Revision(#[from] RevisionError),
    /// There is no baseline to compare with.
    #[error(transparent)]
    Baseline(#[from] BaselineError),
    /// A result cannot be written down.
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// There is no page of these results.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A file cannot be written.
    #[error("{}: {source}; choose a folder that you may write to", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A result cannot be printed.
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        use CommandError::*;
        match self {
            UnknownScenario(_) | CpusNotAllowed { .. } | Report(_) | Unwritable { .. } => 2,
            FlagWithoutRate(_) | FlagWithRate(_) => 2,
            Folder(FolderError::Parent { .. } | FolderError::NameTaken(_)) => 2,
            Load(error) if error.is_refusal() => 2,
            Run(RunError::Rounds { .. } | RunError::Messages { .. } | RunError::NoCores { .. }) => {
                2
            }
            Compare(error) if error.is_of_the_command_line() => 2,
            Pair(error) if error.is_of_the_command_line() => 2,
            Baseline(_) => 2,
            Revision(error) if error.is_of_the_name() => 2,
            Affinity(_) | Run(_) | Compare(_) | Pair(_) | Load(_) | Folder(_) => 1,
            Revision(_) | Json(_) | Output(_) => 1,
        }
    }
}

/// An invalid run has failed.
fn exit_code_of(verdict: Verdict) -> ExitCode {
    if verdict == Verdict::Invalid { ExitCode::from(1) } else { ExitCode::SUCCESS }
}

impl What {
    fn execute(self) -> Result<ExitCode, CommandError> {
        match self {
            What::List => {
                io::stdout().write_all(list::list().as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
            What::Run(arguments) => arguments.execute(),
            What::Curve(arguments) => arguments.execute(),
            What::Report(arguments) => arguments.execute(),
            What::Compare(arguments) => arguments.execute(),
            What::Pair(arguments) => arguments.execute(),
            What::Counts(arguments) => arguments.execute(),
            What::Gate(arguments) => arguments.execute(),
            What::Counted(round) => round.execute_counted(),
            What::Round(single) => single.execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }
}
