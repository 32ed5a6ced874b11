//! `run`: one scenario beside its raw limit, in rounds of a fixed number of messages.

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use super::round::{CpuList, RoundArguments};
use super::{COUNTING_LIMIT, CommandError};
use crate::raw::trace::{self, SystemCalls, TraceError};
use crate::result::RunResult;
use crate::run::{self, Surroundings};
use crate::scenario;
use crate::verdict::Verdict;

/// The arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
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

impl RunArguments {
    /// Runs the scenario and prints what was found.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
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
                count_system_calls: &mut |messages| self.count_in_a_child(messages),
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

    /// Runs this program once more, traced, for one counting pass.
    fn count_in_a_child(&self, messages: u64) -> Result<SystemCalls, TraceError> {
        let program = env::current_exe().map_err(TraceError::NotStarted)?;
        let mut child = Command::new(program);
        child.args(["counted", &self.round.scenario, "--messages", &messages.to_string()]);
        if let Some(CpuList(cpus)) = &self.round.cores {
            let numbers: Vec<String> = cpus.iter().map(usize::to_string).collect();
            child.args(["--cores", &numbers.join(",")]);
        }
        if let Some(idle) = self.round.idle {
            child.args(["--idle", &idle.to_string()]);
        }
        child.stdin(Stdio::null()).stdout(Stdio::null());
        trace::count_system_calls(child, COUNTING_LIMIT)
    }
}
