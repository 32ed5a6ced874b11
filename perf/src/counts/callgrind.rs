//! Starts callgrind, valgrind's counter of instructions, and reads what it wrote.
//!
//! The child says where its section begins and ends ([`crate::raw::callgrind`]), so start, warm-up, other threads and
//! shutdown are left out. Under valgrind threads take turns, and clocks go on: a core that looks at the time while the
//! machine is busy may do a sweep more, which can only add. So a round is counted until [`AGREEING`] counts are alike,
//! and the lowest of them is the scenario's.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts are alike that lie above the lowest by one part in so many at most.
pub const ALIKE_PARTS: u64 = 1_000;
/// So many counts have to be alike.
pub const AGREEING: usize = 3;
/// So often a round is counted at most.
pub const MOST_TRIES: usize = 7;
/// The largest file of callgrind that is read.
pub const MOST_FILE_BYTES: u64 = 64 << 20;

/// Why there is no count.
#[derive(Debug, thiserror::Error)]
pub enum CallgrindError {
    /// The file that callgrind should have written cannot be read.
    #[error("{}: {source}; valgrind should have written it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is larger than a profile of ours can be.
    #[error("{}: {bytes} bytes; at most {MOST_FILE_BYTES} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file holds no sum of the event `Ir`.
    #[error("callgrind's file has no total of instructions; valgrind 3.19 is known to write one")]
    NoTotal,
    /// The section was never begun, or not on the thread that ended it.
    #[error("no instruction was counted: the section did not begin and end on one thread")]
    Nothing,
}

/// The version of the valgrind in PATH, such as `valgrind-3.19.0`; none when there is none.
pub fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
}

/// A file that callgrind writes. Deleted when dropped.
#[derive(Debug)]
pub struct Profile(PathBuf);

impl Profile {
    /// A file of its own in the folder for temporary files.
    pub fn of(scenario: &str) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let name = format!("mainspring-perf-{process}-{number}-{scenario}.callgrind");
        Profile(env::temp_dir().join(name))
    }

    /// The command that runs `program` under callgrind. Only sections are counted. The arguments are to be added.
    pub fn command(&self, program: &Path) -> Command {
        let mut file = OsString::from("--callgrind-out-file=");
        file.push(&self.0);
        let mut command = Command::new("valgrind");
        // One thread runs at a time under valgrind. Without the fair lock a core that spins can keep it for minutes
        // (valgrind manual, section 2.7.1, on scheduling).
        command.args(["-q", "--tool=callgrind", "--fair-sched=yes", "--collect-atstart=no"]);
        command.arg(file).arg(program);
        command
    }

    /// Instructions in all sections of the round that was run last.
    pub fn instructions(&self) -> Result<u64, CallgrindError> {
        let unreadable = |source| CallgrindError::Unreadable { path: self.0.clone(), source };
        let bytes = fs::metadata(&self.0).map_err(unreadable)?.len();
        if bytes > MOST_FILE_BYTES {
            return Err(CallgrindError::TooLarge { path: self.0.clone(), bytes });
        }
        parse_total(&fs::read_to_string(&self.0).map_err(unreadable)?)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

/// The total of instructions in a file of callgrind: the `totals:` line, in the order of the `events:` line
/// (Callgrind Format Specification, section 3.2, of the valgrind manual).
pub fn parse_total(text: &str) -> Result<u64, CallgrindError> {
    let after = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let column = |events: &str| events.split_whitespace().position(|event| event == "Ir");
    let column = after("events:").and_then(column).ok_or(CallgrindError::NoTotal)?;
    let totals = after("totals:").ok_or(CallgrindError::NoTotal)?;
    // A total of nothing is an empty line.
    match totals.split_whitespace().nth(column) {
        None if totals.trim().is_empty() => Err(CallgrindError::Nothing),
        Some("0") => Err(CallgrindError::Nothing),
        Some(total) => total.parse().map_err(|_| CallgrindError::NoTotal),
        None => Err(CallgrindError::NoTotal),
    }
}

/// The lowest of the counts, when enough of them are alike.
pub fn settled(counts: &[u64]) -> Option<u64> {
    let lowest = counts.iter().copied().min()?;
    let alike = counts.iter().filter(|count| *count - lowest <= lowest / ALIKE_PARTS).count();
    (alike >= AGREEING).then_some(lowest)
}

/// The lowest of counts that have not settled, and what has to be said of it.
pub fn unsettled(counts: &[u64]) -> (u64, String) {
    let lowest = counts.iter().copied().min().unwrap_or(0);
    let highest = counts.iter().copied().max().unwrap_or(0);
    let remark = match counts.len() {
        1 => "instructions were counted in one round only, because it took long".to_owned(),
        rounds => format!("instructions varied from {lowest} to {highest} in {rounds} rounds"),
    };
    (lowest, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# callgrind format\nversion: 1\ncreator: callgrind-3.19.0\n\
        positions: line\nevents: Ir\nsummary: 24133008\n\nfn=(1) main\n26 1320\n\
        totals: 24133008\n";

    #[test]
    fn the_total_of_instructions_is_read() {
        assert_eq!(parse_total(FILE).expect("a total"), 24_133_008);
        let more = FILE.replace("events: Ir", "events: Dr Ir").replace("totals: ", "totals: 5 ");
        assert_eq!(parse_total(&more).expect("a total"), 24_133_008);
    }

    #[test]
    fn a_file_without_a_total_is_refused() {
        for (wrong, right) in [
            (FILE.replace("totals:", "total:"), false),
            (FILE.replace("events: Ir", "events: Dw"), false),
            (FILE.replace("totals: 24133008", "totals: many"), false),
            (FILE.replace("totals: 24133008", "totals: 0"), true),
            (FILE.replace("totals: 24133008", "totals:"), true),
            (String::new(), false),
        ] {
            let error = parse_total(&wrong).expect_err("no total");
            assert_eq!(matches!(error, CallgrindError::Nothing), right, "{error}");
        }
    }

    #[test]
    fn three_counts_that_are_alike_settle_and_the_lowest_is_taken() {
        assert_eq!(settled(&[]), None);
        assert_eq!(settled(&[10_000, 10_001]), None);
        assert_eq!(settled(&[10_005, 10_400, 10_000, 10_010]), Some(10_000));
        assert_eq!(settled(&[10_400, 10_401, 10_402, 10_000]), None, "the lowest stands alone");
    }

    #[test]
    fn counts_that_do_not_settle_are_told_with_how_far_they_lie_apart() {
        let (lowest, remark) = unsettled(&[30, 10, 20]);
        assert_eq!(lowest, 10);
        assert_eq!(remark, "instructions varied from 10 to 30 in 3 rounds");
        assert!(unsettled(&[10]).1.contains("in one round only"));
    }

    #[test]
    fn a_profile_that_was_not_written_is_named() {
        let error = Profile::of("no-such-scenario").instructions().expect_err("not written");
        assert!(error.to_string().contains("no-such-scenario.callgrind"), "{error}");
    }
}
