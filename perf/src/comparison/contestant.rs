//! A contestant: a program that does one round as a process of its own and prints a report.
//!
//! mainspring, its raw limit and the harness's empty scenario are this program or another revision of it; a peer is
//! what its `peer.toml` names. All are asked in the same words (`perf/contest/PROGRAMS.md`), are started on the same
//! CPUs and are checked alike: a report is believed only when messages and sum are what the program comes to.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mainspring_perf_contest::report::ReportError;
use mainspring_perf_contest::{Program, RoundReport, program};
use serde::Serialize;

use super::child::{self, ChildError};
use super::peer::Peer;
use crate::raw::usage::{self, Usage};

/// What a contestant is in a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What all others are compared with.
    Mainspring,
    /// The least that the machine needs for the same work.
    Limit,
    /// What people would use instead.
    Peer,
    /// The harness itself: its rounds have nothing in them.
    Empty,
}

/// Something that does rounds of one program.
#[derive(Clone, Debug)]
pub struct Contestant {
    /// Its name in tables.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// What exactly is measured.
    pub measured: String,
    /// With which settings, where there is something to say.
    pub settings: Option<String>,
    command: Vec<String>,
    scenario: String,
    program: Option<&'static Program>,
}

/// A round that was done and checked.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// What the contestant says.
    pub report: RoundReport,
    /// What its process has used.
    pub usage: Usage,
    /// From before its start until it had ended.
    pub wall: Duration,
}

impl Finished {
    /// Time of the measured section, a message.
    pub fn ns_per_message(&self) -> f64 {
        self.report.elapsed_ns as f64 / self.report.messages.max(1) as f64
    }
}

/// Why a round is worth nothing. The contestant's process has ended.
#[derive(Debug, thiserror::Error)]
pub enum ContestantError {
    /// The process did not end well.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// It printed no report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// It did another number of messages than it was asked for.
    #[error("it did {found} messages where {asked} were asked for")]
    Messages {
        /// What was asked for.
        asked: u64,
        /// What it reports.
        found: u64,
    },
    /// Its work came to something else than that of the others.
    #[error("its sum is wrong: the work came to {found}, expected {expected}")]
    Sum {
        /// What it should come to.
        expected: u64,
        /// What it came to.
        found: u64,
    },
    /// It reports that no time has passed.
    #[error("it reports that the round took no time")]
    NoTime,
    /// The kernel does not say what it has used.
    #[error("what it has used cannot be read: {0}")]
    Usage(std::io::Error),
}

impl Contestant {
    /// This harness, or that of another revision, with a scenario of its own.
    pub fn of_harness(name: &str, kind: Kind, harness: &Path, scenario: &str) -> Contestant {
        Contestant {
            name: name.to_owned(),
            kind,
            measured: format!("{scenario} of mainspring-perf {}", env!("CARGO_PKG_VERSION")),
            settings: None,
            command: vec![harness.display().to_string()],
            scenario: scenario.to_owned(),
            program: program::find(scenario),
        }
    }

    /// A peer with a program that it has.
    pub fn of_peer(peer: &Peer, program: &'static Program) -> Contestant {
        Contestant {
            name: peer.name.clone(),
            kind: Kind::Peer,
            measured: peer.measured.clone(),
            settings: Some(peer.settings.clone()),
            command: peer.run.clone(),
            scenario: program.name.to_owned(),
            program: Some(program),
        }
    }

    /// What is measured, said in other words.
    pub fn measuring(self, measured: String) -> Contestant {
        Contestant { measured, ..self }
    }

    /// How many messages an iteration has; rounds have whole ones only.
    pub fn messages_an_iteration(&self) -> u64 {
        self.program.map_or(1, |program| program.messages_an_iteration)
    }

    /// Does one round on these CPUs and checks it. Blocks until the process has ended, at most `limit`.
    pub fn round(
        &self,
        messages: u64,
        cpus: &[usize],
        limit: Duration,
    ) -> Result<Finished, ContestantError> {
        let before = usage::of_children().map_err(ContestantError::Usage)?;
        let done = child::run(self.command(messages, cpus), cpus, limit)?;
        let after = usage::of_children().map_err(ContestantError::Usage)?;
        let report = RoundReport::in_output(&done.stdout)?;
        check(&report, messages, self.program)?;
        Ok(Finished { report, usage: after.since(before), wall: done.wall })
    }

    fn command(&self, messages: u64, cpus: &[usize]) -> Command {
        let cores: Vec<String> = cpus.iter().map(usize::to_string).collect();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]);
        command.args(["round", &self.scenario, "--messages", &messages.to_string()]);
        command.args(["--cores", &cores.join(",")]);
        command
    }
}

/// Succeeds when a report is that of the work that was asked for. Scenarios that are no program of the contest may do
/// a few messages more, and check their sums themselves.
fn check(
    report: &RoundReport,
    asked: u64,
    program: Option<&Program>,
) -> Result<(), ContestantError> {
    let found = report.messages;
    let is_right = if program.is_some() { found == asked } else { found >= asked };
    if !is_right {
        return Err(ContestantError::Messages { asked, found });
    }
    if let Some(program) = program {
        let expected = program.expected_sum(found);
        if report.sum != expected {
            return Err(ContestantError::Sum { expected, found: report.sum });
        }
    }
    if report.elapsed_ns == 0 {
        return Err(ContestantError::NoTime);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RIGHT: RoundReport =
        RoundReport { messages: 200_000, elapsed_ns: 5, sum: 200_000, allocations: None };

    fn checked(report: RoundReport) -> Result<(), ContestantError> {
        check(&report, 200_000, program::find("savina-thread-ring"))
    }

    #[test]
    fn a_report_is_believed_only_when_it_is_that_of_the_work_asked_for() {
        assert!(checked(RIGHT).is_ok());
        let few = checked(RoundReport { messages: 100_000, sum: 100_000, ..RIGHT });
        assert!(matches!(few, Err(ContestantError::Messages { found: 100_000, .. })), "{few:?}");
        let wrong = checked(RoundReport { sum: 199_999, ..RIGHT });
        assert!(matches!(wrong, Err(ContestantError::Sum { found: 199_999, .. })), "{wrong:?}");
        let timeless = checked(RoundReport { elapsed_ns: 0, ..RIGHT });
        assert!(matches!(timeless, Err(ContestantError::NoTime)), "{timeless:?}");
    }

    #[test]
    fn a_scenario_that_is_no_program_may_do_a_few_messages_more() {
        assert!(check(&RIGHT, 199_990, None).is_ok());
        assert!(check(&RIGHT, 200_010, None).is_err());
    }
}
