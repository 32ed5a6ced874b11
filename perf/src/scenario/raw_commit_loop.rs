//! The least that a durable commit can cost: blocks that are written past the page cache and made durable, one commit
//! after the other, without a log.
//!
//! The file has at most [`FILE_LIMIT_BYTES`], is full of zeroes that are durable, and is written in circles; each
//! commit overwrites blocks that are there. The thread yields its CPU while a commit is under way, as a core does.
//! How a commit is made durable is the choice of [`COMMIT_VARIABLE`], and where the file lies that of
//! `MAINSPRING_PERF_DIRECTORY`; a scenario that names one of these as its limit reads the same two.
//!
//! A round is refused where nothing is durable: on a file system in memory, or one without direct I/O.

use std::env;
use std::io;
use std::ops::RangeInclusive;
use std::thread;

use hdrhistogram::Histogram;
use mainspring_perf_contest::StoreFolder;

use super::pinned_pair::ask_all;
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use crate::raw::affinity;
use crate::raw::direct_file::{BLOCK_BYTES, CommitMethod, DirectFile};
use crate::section::Section;

/// The environment variable that says how commits are made durable: `write-through` or `write-then-sync`.
pub const COMMIT_VARIABLE: &str = "MAINSPRING_PERF_COMMIT";
/// What one latency sample of these scenarios is, and of those that they are the limit of.
pub const COMMIT_SAMPLE: &str = "commit";
/// The most that the file has.
pub const FILE_LIMIT_BYTES: u64 = 64 << 20;
/// Records of a commit of [`COMMIT_STREAM`]: 100 bytes of event with 48 bytes in front, rounded up to 16, behind 64
/// bytes of frame.
pub const RECORDS_A_STREAM_COMMIT: u64 = (STREAM_COMMIT_BYTES as u64 - 64) / 160;

/// One pinned thread commits blocks of one size.
pub struct RawCommitLoop {
    description: &'static Description,
    commit_bytes: usize,
    messages_a_commit: u64,
    file_limit_bytes: u64,
}

/// Commits of one block, each a message.
pub static COMMIT_LOOP: RawCommitLoop = RawCommitLoop {
    description: &Description {
        name: "raw-commit-loop",
        measures: "one durable write of 4 KiB past the page cache, one at a time",
        default_messages: 2_000,
        ..COMMON
    },
    commit_bytes: BLOCK_BYTES,
    messages_a_commit: 1,
    file_limit_bytes: FILE_LIMIT_BYTES,
};

/// Large commits; a message is a record's share of one.
pub static COMMIT_STREAM: RawCommitLoop = RawCommitLoop {
    description: &Description {
        name: "raw-commit-stream",
        measures: "160 bytes of a durable write of 256 KiB past the page cache, one write at a time",
        default_messages: 200 * RECORDS_A_STREAM_COMMIT,
        ..COMMON
    },
    commit_bytes: STREAM_COMMIT_BYTES,
    messages_a_commit: RECORDS_A_STREAM_COMMIT,
    file_limit_bytes: FILE_LIMIT_BYTES,
};

/// How commits are made durable in this process: what [`COMMIT_VARIABLE`] says, or by writing through.
///
/// # Errors
/// [`ScenarioError::Setting`] when the variable has another value.
pub fn commit_method() -> Result<CommitMethod, ScenarioError> {
    let value = env::var_os(COMMIT_VARIABLE).map(|value| value.to_string_lossy().into_owned());
    method_named(value.as_deref())
}

impl Scenario for RawCommitLoop {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let method = commit_method()?;
        let commits = round.messages.div_ceil(self.messages_a_commit).max(1);
        let work = || {
            affinity::pin_to(cpu)?;
            let mut file = self.make_file(WARM_UP_COMMITS + commits, method)?;
            commit_all(&mut file, 0..=WARM_UP_COMMITS - 1)?;
            let numbers = WARM_UP_COMMITS..=WARM_UP_COMMITS + commits - 1;
            let latencies = commit_measured(round.section, &mut file, numbers.clone())?;
            check_last(&mut file, numbers)?;
            Ok(latencies)
        };
        let latencies: Result<_, ScenarioError> = thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)?;
        let messages = commits * self.messages_a_commit;
        Ok(Outcome { messages, latencies: latencies?, sum: None })
    }
}

impl RawCommitLoop {
    /// A file for so many commits, or for as many as it may hold. It has no name any more: nothing is left behind.
    fn make_file(&self, commits: u64, method: CommitMethod) -> Result<DirectFile, ScenarioError> {
        let folder = StoreFolder::make()?;
        let held = commits.min(self.file_limit_bytes / self.commit_bytes as u64);
        let path = folder.path().join("blocks");
        DirectFile::create(&path, self.commit_bytes / BLOCK_BYTES, held, method)
            .map_err(ScenarioError::DirectFile)
    }
}

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 0,
    counted_messages: 1_000,
    latency_sample: Some(COMMIT_SAMPLE),
    actor_state_bytes: None,
    idle: None,
};

const STREAM_COMMIT_BYTES: usize = 256 << 10;
const WARM_UP_COMMITS: u64 = 20;
/// So many of the last commits are read back, as far as the file still holds them.
const COMMITS_CHECKED: u64 = 16;

fn method_named(value: Option<&str>) -> Result<CommitMethod, ScenarioError> {
    match value {
        None | Some("write-through") => Ok(CommitMethod::WriteThrough),
        Some("write-then-sync") => Ok(CommitMethod::WriteThenSync),
        Some(other) => Err(ScenarioError::Setting {
            variable: COMMIT_VARIABLE,
            value: other.to_owned(),
            choices: "write-through, write-then-sync",
        }),
    }
}

fn commit_all(
    file: &mut DirectFile,
    mut numbers: RangeInclusive<u64>,
) -> Result<(), ScenarioError> {
    numbers.try_for_each(|number| file.commit(number)).map_err(commit)
}

/// The measured section. Behind a commit that has failed there are no others.
fn commit_measured(
    section: &Section,
    file: &mut DirectFile,
    numbers: RangeInclusive<u64>,
) -> Result<Option<Histogram<u64>>, ScenarioError> {
    let mut failed = None;
    let latencies = ask_all(section, numbers, |number| {
        if failed.is_none() {
            failed = file.commit(number).err();
        }
    });
    failed.map_or(Ok(latencies), |source| Err(commit(source)))
}

fn check_last(file: &mut DirectFile, numbers: RangeInclusive<u64>) -> Result<(), ScenarioError> {
    let checked = COMMITS_CHECKED.min(file.commits_held());
    for number in numbers.rev().take(checked as usize) {
        let found = file.number_at(number).map_err(|source| ScenarioError::Io {
            doing: "read back what was committed",
            source,
        })?;
        check("the number of a commit that was read back", number, found)?;
    }
    Ok(())
}

fn commit(source: io::Error) -> ScenarioError {
    ScenarioError::Io { doing: "commit", source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::section::Purpose;
    use std::sync::Arc;

    #[test]
    fn how_commits_are_made_durable_is_named_or_refused_with_the_choices() {
        assert_eq!(method_named(None).expect("the default"), CommitMethod::WriteThrough);
        let named = method_named(Some("write-then-sync"));
        assert_eq!(named.expect("a choice"), CommitMethod::WriteThenSync);
        let refused = method_named(Some("never")).expect_err("no choice").to_string();
        assert!(refused.contains("MAINSPRING_PERF_COMMIT is \"never\"; write one of"), "{refused}");
    }

    #[test]
    fn a_file_that_is_written_in_circles_is_checked_as_far_as_it_holds_commits() {
        let small = RawCommitLoop { file_limit_bytes: 3 * BLOCK_BYTES as u64, ..COMMIT_LOOP };
        let cpus = affinity::allowed_cpus().expect("readable");
        let section = Arc::new(Section::new(Purpose::Latency));
        let round = Round { messages: 100, cpus: &cpus, idle: None, section: &section };
        match small.round(&round) {
            Ok(outcome) => {
                assert_eq!(outcome.messages, 100);
                assert_eq!(outcome.latencies.expect("timed").len(), 100);
            }
            Err(refused) if refused.is_of_the_place() => println!("skipped: {refused}"),
            Err(error) => panic!("{error}"),
        }
    }
}
