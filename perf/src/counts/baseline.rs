//! The counts that are kept in the repository, and against which a change is held.
//!
//! Invariants: a file that was read has only counts over at least one message; a file is replaced as a whole or not at
//! all.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::circumstances::Circumstances;
use super::count::{Count, Quantity, ScenarioCounts};

/// The largest file that is read.
pub const MOST_BYTES: u64 = 1 << 20;

/// Counts by scenario and quantity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// How and where they were counted.
    pub circumstances: Circumstances,
    /// What was counted; a quantity that is not there is not held against anything.
    pub scenarios: BTreeMap<String, BTreeMap<Quantity, Count>>,
}

/// Why there is no baseline. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// There is no such file.
    #[error("{}: no such file; name the scenarios and make it with `gate --update SCENARIO..`", .0.display())]
    NotThere(PathBuf),
    /// The file cannot be read or written.
    #[error("{}: {source}; choose another file with --baseline", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file is larger than a baseline can be.
    #[error("{}: {bytes} bytes are no baseline; at most {MOST_BYTES} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is no baseline.
    #[error("{}: {source}; make it anew with `gate --update`", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// A count cannot be.
    #[error("{}: {scenario} was counted over 0 messages; make it anew with `gate --update`", path.display())]
    NoMessages {
        /// The file.
        path: PathBuf,
        /// Which scenario.
        scenario: String,
    },
}

impl Baseline {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let io = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => BaselineError::NotThere(path.to_owned()),
            _ => BaselineError::Io { path: path.to_owned(), source },
        };
        let bytes = fs::metadata(path).map_err(io)?.len();
        if bytes > MOST_BYTES {
            return Err(BaselineError::TooLarge { path: path.to_owned(), bytes });
        }
        let text = fs::read_to_string(path).map_err(io)?;
        let baseline: Baseline = serde_json::from_str(&text)
            .map_err(|source| BaselineError::Malformed { path: path.to_owned(), source })?;
        let is_empty =
            |counts: &BTreeMap<Quantity, Count>| counts.values().any(|c| c.messages == 0);
        match baseline.scenarios.iter().find(|(_, counts)| is_empty(counts)) {
            Some((scenario, _)) => {
                let (path, scenario) = (path.to_owned(), scenario.clone());
                Err(BaselineError::NoMessages { path, scenario })
            }
            None => Ok(baseline),
        }
    }

    /// Takes in what was counted of a scenario, in place of what was known of it.
    pub fn take(&mut self, counts: &ScenarioCounts) {
        self.scenarios.insert(counts.scenario.clone(), counts.counted.clone());
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let malformed = |source| BaselineError::Malformed { path: path.to_owned(), source };
        let io = |source| BaselineError::Io { path: path.to_owned(), source };
        let text = serde_json::to_string_pretty(self).map_err(malformed)? + "\n";
        let mut half = path.as_os_str().to_owned();
        half.push(".half");
        fs::write(&half, text).map_err(io)?;
        fs::rename(&half, path).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::count::Missing;

    struct File(PathBuf);

    impl File {
        fn new(name: &str, text: &str) -> Self {
            let name = format!("mainspring-perf-baseline-{}-{name}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, text).expect("writable");
            File(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            _ = fs::remove_file(&self.0);
        }
    }

    fn baseline() -> Baseline {
        let why = Missing::NotPossible("not asked for".into());
        let mut counts = ScenarioCounts::without("tell", why);
        counts.put(Quantity::Instructions, Ok(Count { total: 127_000, messages: 1_000 }));
        let (circumstances, scenarios) = (Circumstances::here(), BTreeMap::new());
        let mut baseline = Baseline { circumstances, scenarios };
        baseline.take(&counts);
        baseline
    }

    #[test]
    fn what_is_written_is_read_again() {
        let file = File::new("round", "");
        baseline().write(&file.0).expect("writable");
        let read = Baseline::read(&file.0).expect("readable");
        assert_eq!(read.circumstances, Circumstances::here());
        assert_eq!(read.scenarios["tell"][&Quantity::Instructions].total, 127_000);
        assert_eq!(read.scenarios["tell"].len(), 1, "what was not counted is not kept");
    }

    #[test]
    fn a_file_that_is_not_there_is_said_to_be_made() {
        let error = Baseline::read(Path::new("no-such-file.json")).expect_err("not there");
        assert!(error.to_string().contains("gate --update SCENARIO"), "{error}");
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        let file = File::new("malformed", "{\"circumstances\": 1}");
        let error = Baseline::read(&file.0).expect_err("malformed");
        assert!(matches!(error, BaselineError::Malformed { .. }), "{error}");
        let text = serde_json::to_string(&baseline()).expect("JSON");
        let file = File::new("empty", &text.replace("\"messages\":1000", "\"messages\":0"));
        let error = Baseline::read(&file.0).expect_err("no messages");
        assert!(matches!(error, BaselineError::NoMessages { .. }), "{error}");
        let file = File::new("large", &" ".repeat(MOST_BYTES as usize + 1));
        let error = Baseline::read(&file.0).expect_err("too large");
        assert!(matches!(error, BaselineError::TooLarge { .. }), "{error}");
    }
}
