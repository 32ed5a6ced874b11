//! The rounds in which a program counts: one for allocations, one under trace, some under callgrind.
//!
//! Each is a child of its own, so programs of other revisions are counted in the same way as this one, and no count
//! disturbs another. What cannot be counted here has its reason; what should have been counted and was not has failed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::report::ReportError;

use super::callgrind::{self, CallgrindError, Profile};
use super::count::{Count, Missing, Quantity, ScenarioCounts};
use crate::comparison::child::{self, ChildError};
use crate::raw;
use crate::raw::trace::{self, SystemCalls, TraceError};
use crate::scenario::Description;

/// How long one round may take.
pub const PASS_LIMIT: Duration = Duration::from_secs(120);

/// Behind this no other round is begun to see whether instructions come out alike.
pub const TRIES_LIMIT: Duration = Duration::from_secs(30);

/// Under callgrind a round has at most so many messages, which is slow by a factor of some fifty.
pub const MOST_MESSAGES_UNDER_CALLGRIND: u64 = 50_000;

/// Counts a program's scenarios.
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    /// The program: this one, or that of another revision.
    pub program: &'a Path,
    /// The CPUs that may be used; a scenario takes as many as it needs from the front.
    pub cpus: &'a [usize],
    /// The version of valgrind; none where it is not installed.
    pub valgrind: Option<&'a str>,
}

/// Why a round has counted nothing.
#[derive(Debug, thiserror::Error)]
enum PassError {
    #[error(transparent)]
    Child(#[from] ChildError),
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error("the round reports no allocations")]
    NoAllocations,
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error(transparent)]
    Callgrind(#[from] CallgrindError),
}

impl Counter<'_> {
    /// Counts all quantities of one scenario. Takes as long as its rounds do; `progress` is told which comes next.
    pub fn count(
        &self,
        description: &Description,
        progress: &mut dyn FnMut(&str),
    ) -> ScenarioCounts {
        let name = description.name;
        if self.cpus.len() < description.cpus_needed {
            let (needed, given) = (description.cpus_needed, self.cpus.len());
            let reason = format!("it needs {needed} CPUs and may use {given}");
            return ScenarioCounts::without(name, Missing::NotPossible(reason));
        }
        let crosses_no_wire = "its messages cross no wire".to_owned();
        let mut counts = ScenarioCounts::without(name, Missing::NotPossible(crosses_no_wire));
        progress(&format!("{name}: counting allocations"));
        let memory = self.allocations(description);
        let messages = memory.as_ref().map_or(description.counted_messages, |count| count.messages);
        counts.put(Quantity::Allocations, memory.map_err(failed));
        progress(&format!("{name}: counting system calls"));
        let calls = self.system_calls(description);
        for (quantity, numbers) in KINDS_OF_CALLS {
            let of_calls = |calls: &SystemCalls| Count { total: numbers(calls), messages };
            counts.put(quantity, calls.as_ref().map(of_calls).map_err(Clone::clone));
        }
        let outcome = self.instructions(description, &mut counts.remarks, progress);
        counts.put(Quantity::Instructions, outcome);
        counts
    }

    fn allocations(&self, description: &Description) -> Result<Count, PassError> {
        let report = self.round(Command::new(self.program), "memory", description, None)?;
        let total = report.allocations.ok_or(PassError::NoAllocations)?;
        Ok(Count { total, messages: report.messages })
    }

    fn system_calls(&self, description: &Description) -> Result<SystemCalls, Missing> {
        let mut child = Command::new(self.program);
        child.arg("counted").args(self.arguments(description, description.counted_messages));
        child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        trace::count_system_calls(child, PASS_LIMIT).map_err(|error| match error {
            TraceError::NotStarted(_) => Missing::NotPossible(error.to_string()),
            error => failed(error.into()),
        })
    }

    fn instructions(
        &self,
        description: &Description,
        remarks: &mut Vec<String>,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Count, Missing> {
        let not_possible = |reason: &str| Err(Missing::NotPossible(reason.to_owned()));
        if description.cpus_needed != 1 {
            return not_possible(NOT_ON_TWO_CORES);
        }
        if !raw::callgrind::IS_AVAILABLE {
            return not_possible(NOT_ON_THIS_PROCESSOR);
        }
        if self.valgrind.is_none() {
            return not_possible(NO_VALGRIND);
        }
        let (profile, mut totals, began) =
            (Profile::of(description.name), Vec::new(), Instant::now());
        loop {
            let (name, number) = (description.name, totals.len() + 1);
            progress(&format!("{name}: counting instructions, round {number}"));
            let (total, messages) =
                self.instructions_once(&profile, description).map_err(failed)?;
            totals.push(total);
            if let Some(total) = callgrind::settled(&totals) {
                return Ok(Count { total, messages });
            }
            if totals.len() == callgrind::MOST_TRIES || began.elapsed() >= TRIES_LIMIT {
                let (total, remark) = callgrind::unsettled(&totals);
                remarks.push(remark);
                return Ok(Count { total, messages });
            }
        }
    }

    fn instructions_once(
        &self,
        profile: &Profile,
        description: &Description,
    ) -> Result<(u64, u64), PassError> {
        let most = Some(MOST_MESSAGES_UNDER_CALLGRIND);
        let command = profile.command(self.program);
        let report = self.round(command, INSTRUCTIONS, description, most)?;
        Ok((profile.instructions()?, report.messages))
    }

    fn round(
        &self,
        mut command: Command,
        purpose: &str,
        description: &Description,
        most: Option<u64>,
    ) -> Result<RoundReport, PassError> {
        let messages = description.counted_messages.min(most.unwrap_or(u64::MAX));
        command.arg("round").args(self.arguments(description, messages));
        command.args(["--purpose", purpose]);
        // A core that sleeps in the kernel's ring stops all threads under valgrind, also the one that would wake it.
        if purpose == INSTRUCTIONS && description.idle.is_some() {
            command.args(["--idle", "busy"]);
        }
        Ok(RoundReport::in_output(&child::run(command, &[], PASS_LIMIT)?.stdout)?)
    }

    fn arguments(&self, description: &Description, messages: u64) -> [String; 5] {
        let cpus: Vec<String> =
            self.cpus.iter().take(description.cpus_needed).map(usize::to_string).collect();
        let name = description.name.to_owned();
        [name, "--messages".into(), messages.to_string(), "--cores".into(), cpus.join(",")]
    }
}

const INSTRUCTIONS: &str = "instructions";

const NOT_ON_TWO_CORES: &str =
    "busy cores that wait for each other spin for a time that is never the same";
const NOT_ON_THIS_PROCESSOR: &str = "sections are marked for callgrind on x86_64 only; count there";
const NO_VALGRIND: &str =
    "valgrind is not installed; install it (Debian, Ubuntu: apt-get install valgrind)";

/// Which of the calls that were seen belong to a quantity.
type CallsOf = fn(&SystemCalls) -> u64;

const KINDS_OF_CALLS: [(Quantity, CallsOf); 3] = [
    (Quantity::SystemCalls, SystemCalls::total),
    (Quantity::IoUringEnter, |calls| sum_of(calls, &[libc::SYS_io_uring_enter])),
    (Quantity::Syncs, |calls| sum_of(calls, &SYNCS)),
];

const SYNCS: [libc::c_long; 6] = [
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_msync,
    libc::SYS_syncfs,
    libc::SYS_sync,
];

fn sum_of(calls: &SystemCalls, numbers: &[libc::c_long]) -> u64 {
    numbers.iter().filter_map(|number| calls.by_number.get(&(*number as u64))).sum()
}

fn failed(error: PassError) -> Missing {
    Missing::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;
    use std::collections::BTreeMap;

    #[test]
    fn calls_are_sorted_into_their_quantities() {
        let numbers = [
            (libc::SYS_io_uring_enter, 5),
            (libc::SYS_fsync, 2),
            (libc::SYS_fdatasync, 1),
            (libc::SYS_write, 4),
        ];
        let by_number: BTreeMap<u64, u64> =
            numbers.into_iter().map(|(number, count)| (number as u64, count)).collect();
        let calls = SystemCalls { by_number };
        let sums: Vec<u64> = KINDS_OF_CALLS.iter().map(|(_, numbers)| numbers(&calls)).collect();
        assert_eq!(sums, [12, 5, 3]);
    }

    #[test]
    fn a_scenario_that_needs_more_cpus_is_not_counted_and_says_why() {
        let description = scenario::find("steady-state").expect("registered").description();
        let counter = Counter { program: Path::new("unused"), cpus: &[0], valgrind: None };
        let counts = counter.count(description, &mut |_| {});
        assert!(counts.counted.is_empty());
        assert_eq!(counts.failures().count(), 0);
        let why = counts.missing[&Quantity::Allocations].reason();
        assert_eq!(why, "it needs 2 CPUs and may use 1");
    }

    #[test]
    fn a_program_that_is_not_there_has_failed() {
        let description = scenario::find("tell-same-core").expect("registered").description();
        let program = Path::new("./no-such-program");
        let counter = Counter { program, cpus: &[0], valgrind: None };
        let counts = counter.count(description, &mut |_| {});
        let failures: Vec<String> = counts.failures().collect();
        assert!(failures[0].contains("allocations not counted"), "{failures:?}");
        let instructions = &counts.missing[&Quantity::Instructions];
        assert!(matches!(instructions, Missing::NotPossible(_)), "{instructions:?}");
    }
}
