//! What every command that does rounds is told about them, and the two hidden commands that do a single one:
//! `counted` for a tracer, and `round`, by which this program is a contestant like any peer.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::CommandError;
use crate::raw::affinity;
use crate::run::{self, RunSettings};
use crate::scenario::{self, IdleProfile, Scenario};
use crate::section::Purpose;

/// A scenario and what its rounds are like.
#[derive(Args, Debug)]
pub struct RoundArguments {
    /// The scenario's name; `list` shows all.
    pub scenario: String,
    /// Messages a round; the scenario's own number when absent.
    #[arg(long)]
    pub messages: Option<u64>,
    /// The CPUs to use, as in 0,2-3; all allowed ones when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    pub cores: Option<CpuList>,
    /// What idle cores do: busy, hybrid or eco; the scenario's own profile when absent.
    #[arg(long)]
    pub idle: Option<IdleProfile>,
}

/// The arguments of `round`.
#[derive(Args, Debug)]
pub struct SingleArguments {
    #[command(flatten)]
    round: RoundArguments,
    /// What the round is run for.
    #[arg(long, value_enum, default_value_t = SinglePurpose::Time)]
    purpose: SinglePurpose,
}

/// What a single round may be run for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SinglePurpose {
    Time,
    Memory,
    /// Under callgrind only; it counts nothing by itself.
    Instructions,
}

/// One value of the command line, although it holds many CPUs.
#[derive(Clone, Debug)]
pub struct CpuList(pub Vec<usize>);

impl RoundArguments {
    /// The scenario that is named.
    pub fn scenario(&self) -> Result<&'static dyn Scenario, CommandError> {
        let unknown = || CommandError::UnknownScenario(self.scenario.clone());
        scenario::find(&self.scenario).ok_or_else(unknown)
    }

    /// The settings of a run of so many rounds.
    pub fn settings(&self, rounds: usize, show_invalid: bool) -> Result<RunSettings, CommandError> {
        let cpus = chosen_cpus(self.cores.as_ref())?;
        Ok(RunSettings { rounds, messages: self.messages, cpus, idle: self.idle, show_invalid })
    }

    /// Does one round for a tracer that watches this process.
    pub fn execute_counted(&self) -> Result<ExitCode, CommandError> {
        run::run_single(self.scenario()?, &self.settings(1, false)?, Purpose::SystemCalls)?;
        Ok(ExitCode::SUCCESS)
    }
}

impl SingleArguments {
    /// Does one round and prints its report.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let purpose = match self.purpose {
            SinglePurpose::Time => Purpose::Time,
            SinglePurpose::Memory => Purpose::Memory,
            SinglePurpose::Instructions => Purpose::Instructions,
        };
        let settings = self.round.settings(1, false)?;
        println!("{}", run::run_single(self.round.scenario()?, &settings, purpose)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// The CPUs of the command line, or all that this process may use. Each is one that it may use.
pub fn chosen_cpus(list: Option<&CpuList>) -> Result<Vec<usize>, CommandError> {
    let allowed = affinity::allowed_cpus()?;
    let cpus = list.map_or_else(|| allowed.clone(), |list| list.0.clone());
    if cpus.iter().any(|cpu| !allowed.contains(cpu)) {
        return Err(CommandError::CpusNotAllowed { asked: cpus, allowed });
    }
    Ok(cpus)
}

/// Reads a list of CPUs such as `0,2-3` for the command line.
pub fn parse_cpu_list(text: &str) -> Result<CpuList, String> {
    parse_cpus(text).map(CpuList)
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
}
