//! `run`: one scenario beside its raw limit, in rounds of a fixed number of messages, or under load at a rate.

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use clap::Args;

use super::interrupt;
use super::rate::RateArguments;
use super::record::Record;
use super::round::{CpuList, RoundArguments};
use super::{COUNTING_LIMIT, CommandError, exit_code_of};
use crate::raw::trace::{self, SystemCalls, TraceError};
use crate::result_folder::hgrm;
use crate::run::{self, Run, Surroundings};
use crate::scenario;

/// The arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    #[command(flatten)]
    pub round: RoundArguments,
    #[command(flatten)]
    rate: RateArguments,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
    /// How many rounds; the figures are the median and the best of them. 9 when absent.
    #[arg(long)]
    rounds: Option<usize>,
    /// Shows the times of an invalid run too. They say nothing about the scenario, only about a machine that is busy.
    #[arg(long)]
    pub show_invalid: bool,
    /// Where the result folder is made.
    #[arg(long, default_value = DEFAULT_OUT)]
    pub out: PathBuf,
}

/// Where result folders are made when the command line does not say.
pub const DEFAULT_OUT: &str = "results";

const DEFAULT_ROUNDS: usize = 9;

impl RunArguments {
    /// Runs the scenario and prints what was found.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        if let Some(per_second) = self.rate.rate {
            if self.rounds.is_some() {
                return Err(CommandError::FlagWithRate("--rounds"));
            }
            return self.rate.execute(per_second, self);
        }
        match self.rate.flag_without_rate() {
            Some(flag) => Err(CommandError::FlagWithoutRate(flag)),
            None => self.execute_rounds(),
        }
    }

    fn execute_rounds(&self) -> Result<ExitCode, CommandError> {
        let scenario = self.round.scenario()?;
        let name = scenario.description().name;
        let settings =
            self.round.settings(self.rounds.unwrap_or(DEFAULT_ROUNDS), self.show_invalid)?;
        run::check(scenario, &settings)?;
        let stop = interrupt::stop_flag()?;
        let record = Record::open(&self.out, name, &settings.cpus)?;
        let show_progress = io::stderr().is_terminal();
        let mut progress = |step: &str| {
            if show_progress {
                eprint!("\r\x1b[K{name}: {step}");
            }
        };
        let outcome = run::run(
            scenario,
            &settings,
            &mut Surroundings {
                limit: scenario.description().limit.and_then(scenario::find),
                count_system_calls: &mut |messages| self.count_in_a_child(messages),
                progress: &mut progress,
                stop: &stop,
            },
        );
        if show_progress {
            eprint!("\r\x1b[K");
        }
        let Run { result, latencies_ns } = outcome?;
        record.write("run.json", result.to_json()?)?;
        if let Some(latencies_ns) = latencies_ns {
            record.write("service.hgrm", hgrm::text(&latencies_ns))?;
        }
        let path = record.finish()?;
        let text = if self.json { result.to_json()? + "\n" } else { result.to_string() };
        io::stdout().write_all(text.as_bytes())?;
        eprintln!("written to {}", path.display());
        Ok(exit_code_of(result.verdict))
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
