//! `run --rate`: one scenario under load at a rate.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::interrupt;
use super::record::Record;
use super::run::RunArguments;
use super::{CommandError, exit_code_of};
use crate::load::measure::Progress;
use crate::load::run::{self, LoadRun};
use crate::load::schedule::Arrivals;
use crate::load::settings::{Drive, LoadError, LoadSettings};
use crate::result_folder::hgrm;

/// The flags of a load.
#[derive(Args, Debug)]
pub struct RateArguments {
    /// Sends so many messages a second, when they are due, instead of rounds in which each waits for the one before.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Bytes that travel with each message of a load; none when absent.
    #[arg(long)]
    payload: Option<usize>,
    /// How long a load is measured, behind its warm-up; 10 when absent.
    #[arg(long)]
    seconds: Option<f64>,
    /// How the messages of a load are spread: uniform, poisson or burst:N; uniform when absent.
    #[arg(long)]
    arrivals: Option<Arrivals>,
}

const DEFAULT_SECONDS: f64 = 10.0;

impl RateArguments {
    /// A flag that means nothing without a rate.
    pub fn flag_without_rate(&self) -> Option<&'static str> {
        let flags = [
            ("--payload", self.payload.is_some()),
            ("--seconds", self.seconds.is_some()),
            ("--arrivals", self.arrivals.is_some()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    /// Drives the load and prints what was found.
    pub fn execute(&self, per_second: u64, run: &RunArguments) -> Result<ExitCode, CommandError> {
        let scenario = run.round.scenario()?;
        if run.round.messages.is_some() {
            return Err(CommandError::FlagWithRate("--messages"));
        }
        let arrivals = self.arrivals.unwrap_or(Arrivals::Uniform);
        let settings = LoadSettings {
            drive: Drive::Rate { per_second, arrivals },
            measured: measured(self.seconds.unwrap_or(DEFAULT_SECONDS))?,
            payload_bytes: self.payload.unwrap_or(0),
            cpus: super::round::chosen_cpus(run.round.cores.as_ref())?,
            idle: run.round.idle,
        };
        settings.check(scenario)?;
        let name = scenario.description().name;
        let stop = interrupt::stop_flag()?;
        let record = Record::open(&run.out, name, &settings.cpus)?;
        let mut line = ProgressLine::new(name);
        let outcome = run::run(scenario, &settings, run.show_invalid, &stop, &mut |progress| {
            line.show(&progress)
        });
        line.clear();
        let outcome = outcome?;
        write(&record, &outcome)?;
        let path = record.finish()?;
        let text =
            if run.json { outcome.result.to_json()? + "\n" } else { outcome.result.to_string() };
        io::stdout().write_all(text.as_bytes())?;
        eprintln!("written to {}", path.display());
        Ok(exit_code_of(outcome.result.verdict))
    }
}

/// A length of time from the command line.
pub fn measured(seconds: f64) -> Result<Duration, LoadError> {
    Duration::try_from_secs_f64(seconds).map_err(|_| LoadError::Length { seconds })
}

fn write(record: &Record, run: &LoadRun) -> Result<(), CommandError> {
    record.write("run.json", run.result.to_json()?)?;
    let measured = &run.measured;
    let log = measured.log.text(measured.began).map_err(LoadError::from)?;
    record.write("response.hlog", log)?;
    record.write("response.hgrm", hgrm::text(&measured.answered.response_ns))?;
    record.write("service.hgrm", hgrm::text(&measured.answered.service_ns))?;
    Ok(())
}

/// One line that is written over once a second, when a person looks at it.
pub struct ProgressLine {
    name: String,
    is_shown: bool,
}

impl ProgressLine {
    /// Nothing is shown yet.
    pub fn new(name: &str) -> ProgressLine {
        ProgressLine { name: name.to_owned(), is_shown: io::stderr().is_terminal() }
    }

    /// How the load goes.
    pub fn show(&mut self, progress: &Progress) {
        self.show_step("", Some(progress));
    }

    /// Which of several loads is under way, and how it goes.
    pub fn show_step(&mut self, step: &str, progress: Option<&Progress>) {
        if !self.is_shown {
            return;
        }
        let between = if step.is_empty() { "" } else { ": " };
        eprint!("\r\x1b[K{}{between}{step}", self.name);
        if let Some(Progress { seconds, per_second, p50_ns, p99_ns }) = progress {
            eprint!(": {seconds:.0} s, {per_second:.0} a second, p50 {p50_ns} ns, p99 {p99_ns} ns");
        }
    }

    /// Leaves the line as it was.
    pub fn clear(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
