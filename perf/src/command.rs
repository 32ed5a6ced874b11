//! The command line: `list` and `run`.
//!
//! Exit codes: 0 when figures were printed, 1 when a run failed or is invalid, 2 when the command line asks for
//! something impossible. Every error is one line on stderr that says what to do.

use std::env;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::raw::affinity::{self, AffinityError};
use crate::raw::trace::{self, SystemCalls, TraceError};
use crate::result::RunResult;
use crate::run::{self, RunError, RunSettings, Surroundings};
use crate::scenario::{self, IdleProfile, Scenario};
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

/// The text of `list`: every scenario with what it measures, the CPUs it needs and its raw limit.
pub fn list() -> String {
    let mut text =
        format!("{:<24} {:>4}  {:<16}  {}\n", "scenario", "CPUs", "raw limit", "what is measured");
    for scenario in scenario::all() {
        let it = scenario.description();
        let limit = it.limit.unwrap_or("-");
        // Writing to a string does not fail.
        _ = writeln!(text, "{:<24} {:>4}  {:<16}  {}", it.name, it.cpus_needed, limit, it.measures);
    }
    text
}

/// Reads a list of CPUs such as `0,2-3`. Ascending, each once.
pub fn parse_cpus(text: &str) -> Result<Vec<usize>, String> {
    let wrong = |part: &str| format!("\"{part}\" is no CPU and no range of CPUs; write 0,2 or 0-3");
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| wrong(part))?;
        let last: usize = last.trim().parse().map_err(|_| wrong(part))?;
        if first > last || last >= CPUS_IN_A_LIST {
            return Err(wrong(part));
        }
        cpus.extend(first..=last);
    }
    cpus.sort_unstable();
    cpus.dedup();
    Ok(cpus)
}

const CPUS_IN_A_LIST: usize = 4_096;

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
    /// Runs one scenario beside its raw limit and prints its figures.
    Run(RunArguments),
    /// Does one round of a scenario for a tracer; `run` starts it to count system calls.
    #[command(hide = true)]
    Counted(RoundArguments),
}

#[derive(Args, Debug)]
struct RunArguments {
    #[command(flatten)]
    round: RoundArguments,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How many rounds; the figures are the median and the best of them.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Shows the times of an invalid run too. They say nothing about the scenario, only about a machine that is busy.
    #[arg(long)]
    show_invalid: bool,
}

#[derive(Args, Debug)]
struct RoundArguments {
    /// The scenario's name; `list` shows all.
    scenario: String,
    /// Messages a round; the scenario's own number when absent.
    #[arg(long)]
    messages: Option<u64>,
    /// The CPUs to use, as in 0,2-3; all allowed ones when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    cores: Option<CpuList>,
    /// What idle cores do: busy, hybrid or eco; the scenario's own profile when absent.
    #[arg(long)]
    idle: Option<IdleProfile>,
}

/// One value of the command line, although it holds many CPUs.
#[derive(Clone, Debug)]
struct CpuList(Vec<usize>);

fn parse_cpu_list(text: &str) -> Result<CpuList, String> {
    parse_cpus(text).map(CpuList)
}

/// Why a command did not print what it was asked for.
#[derive(Debug, thiserror::Error)]
enum CommandError {
    #[error("there is no scenario \"{0}\"; `mainspring-perf list` shows all")]
    UnknownScenario(String),
    #[error(
        "CPUs {asked:?} were asked for, but this process may use only {allowed:?}; choose among these"
    )]
    CpusNotAllowed { asked: Vec<usize>, allowed: Vec<usize> },
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("the result cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the result cannot be printed: {0}")]
    Output(#[from] io::Error),
}

impl CommandError {
    fn exit_code(&self) -> u8 {
        use CommandError::*;
        match self {
            UnknownScenario(_) | CpusNotAllowed { .. } => 2,
            Run(RunError::Rounds { .. } | RunError::Messages { .. } | RunError::NoCores { .. }) => {
                2
            }
            Affinity(_) | Run(_) | Json(_) | Output(_) => 1,
        }
    }
}

impl What {
    fn execute(self) -> Result<ExitCode, CommandError> {
        match self {
            What::List => {
                io::stdout().write_all(list().as_bytes())?;
                Ok(ExitCode::SUCCESS)
            }
            What::Run(arguments) => arguments.execute(),
            What::Counted(round) => {
                run::run_counted(round.scenario()?, &round.settings(1, false)?)?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl RunArguments {
    fn execute(&self) -> Result<ExitCode, CommandError> {
        let scenario = self.round.scenario()?;
        let settings = self.round.settings(self.rounds, self.show_invalid)?;
        let show_progress = io::stderr().is_terminal();
        let mut progress = |step: &str| {
            if show_progress {
                eprint!("\r\x1b[K{}: {step}", scenario.description().name);
            }
        };
        let outcome = run::run(
            scenario,
            &settings,
            &mut Surroundings {
                limit: scenario.description().limit.and_then(scenario::find),
                count_system_calls: &mut |messages| self.round.count_in_a_child(messages),
                progress: &mut progress,
            },
        );
        if show_progress {
            eprint!("\r\x1b[K");
        }
        self.print(&outcome?)
    }

    fn print(&self, result: &RunResult) -> Result<ExitCode, CommandError> {
        let text = if self.json { result.to_json()? + "\n" } else { result.to_string() };
        io::stdout().write_all(text.as_bytes())?;
        let is_invalid = result.verdict == Verdict::Invalid;
        Ok(if is_invalid { ExitCode::from(1) } else { ExitCode::SUCCESS })
    }
}

impl RoundArguments {
    fn scenario(&self) -> Result<&'static dyn Scenario, CommandError> {
        let unknown = || CommandError::UnknownScenario(self.scenario.clone());
        scenario::find(&self.scenario).ok_or_else(unknown)
    }

    fn settings(&self, rounds: usize, show_invalid: bool) -> Result<RunSettings, CommandError> {
        let allowed = affinity::allowed_cpus()?;
        let cpus = self.cores.as_ref().map_or_else(|| allowed.clone(), |list| list.0.clone());
        if cpus.iter().any(|cpu| !allowed.contains(cpu)) {
            return Err(CommandError::CpusNotAllowed { asked: cpus, allowed });
        }
        Ok(RunSettings { rounds, messages: self.messages, cpus, idle: self.idle, show_invalid })
    }

    /// Runs this program once more, traced, for one counting pass.
    fn count_in_a_child(&self, messages: u64) -> Result<SystemCalls, TraceError> {
        let program = env::current_exe().map_err(TraceError::NotStarted)?;
        let mut child = Command::new(program);
        child.args(["counted", &self.scenario, "--messages", &messages.to_string()]);
        if let Some(CpuList(cpus)) = &self.cores {
            let numbers: Vec<String> = cpus.iter().map(usize::to_string).collect();
            child.args(["--cores", &numbers.join(",")]);
        }
        if let Some(idle) = self.idle {
            child.args(["--idle", &idle.to_string()]);
        }
        child.stdin(Stdio::null()).stdout(Stdio::null());
        trace::count_system_calls(child, COUNTING_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cpus_is_read_in_any_order() {
        assert_eq!(parse_cpus("3,0-1,1"), Ok(vec![0, 1, 3]));
        assert_eq!(parse_cpus("7"), Ok(vec![7]));
    }

    #[test]
    fn what_is_no_list_of_cpus_is_refused_with_the_part_that_is_wrong() {
        for text in ["", "a", "1-", "3-1", "0,,1", "0-99999999"] {
            let error = parse_cpus(text).expect_err(text);
            assert!(error.contains("write 0,2 or 0-3"), "{error}");
        }
    }

    #[test]
    fn the_list_names_every_scenario_with_its_cpus_and_limit() {
        let text = list();
        assert_eq!(text.lines().count(), 1 + scenario::all().len());
        let row = text.lines().find(|line| line.starts_with("raw-two-atomics ")).expect("a row");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[..5], ["raw-two-atomics", "2", "-", "one", "hop"]);
    }

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }
}
