//! The directory under which the kernel's files lie: `/` of this machine, or a recorded machine in a test.
//!
//! Promises: no file is read beyond [`FILE_LIMIT_BYTES`], and a file that is missing is told apart from one that cannot
//! be read. A recorded machine never shows anything of the machine on which the test runs.

use crate::cpu_set::CpuSet;
use crate::note::Problem;
use crate::system;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most bytes of a file that are accepted. The longest file read is `mountinfo`, of a machine with many containers.
pub const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Where the kernel's files lie.
#[derive(Debug, Clone)]
pub struct SysRoot {
    directory: PathBuf,
    recorded: bool,
}

/// A file of the kernel could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such file.
    #[error("is missing")]
    Missing,
    /// The file exists, but reading it failed.
    #[error("cannot be read: {reason}")]
    Unreadable {
        /// The kernel's reason.
        reason: String,
    },
    /// The file is longer than a file of its kind can be.
    #[error("is longer than {FILE_LIMIT_BYTES} bytes")]
    TooLong,
    /// The file holds something other than text.
    #[error("is not text")]
    NotText,
}

impl SysRoot {
    /// This machine.
    pub fn real() -> SysRoot {
        SysRoot { directory: PathBuf::from("/"), recorded: false }
    }

    /// A recorded machine: a directory with the files of its `/sys` and `/proc`, in `sys` and `proc`.
    pub fn recorded(directory: impl Into<PathBuf>) -> SysRoot {
        SysRoot { directory: directory.into(), recorded: true }
    }

    /// The text of the file at `path`, which is absolute on the machine meant.
    ///
    /// # Errors
    /// [`ReadError`] says why it could not be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String, ReadError> {
        let path = path.as_ref();
        let file = File::open(self.directory.join(path.strip_prefix("/").unwrap_or(path)))?;
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT_BYTES {
            return Err(ReadError::TooLong);
        }
        String::from_utf8(bytes).map_err(|_| ReadError::NotText)
    }

    /// The CPUs on which the calling thread may run; of a recorded machine, what its `/proc/self/status` says.
    pub(crate) fn affinity(&self) -> Result<CpuSet, Problem> {
        if !self.recorded {
            return Ok(system::affinity().map_err(ReadError::from)?);
        }
        let status = self.read(STATUS_PATH)?;
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Ok(list.ok_or(ReadError::Missing)?.parse()?)
    }
}

/// Where a recorded machine keeps the affinity mask.
pub(crate) const STATUS_PATH: &str = "/proc/self/status";

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> ReadError {
        match error.kind() {
            // A component of the path that is a file: there is nothing below it.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ReadError::Missing,
            _ => ReadError::Unreadable { reason: error.to_string() },
        }
    }
}
