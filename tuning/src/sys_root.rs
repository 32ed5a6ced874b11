//! The directory under which the kernel's files lie: `/` of this machine, or a recorded machine in a test.
//!
//! Promises: no file is read beyond [`FILE_LIMIT_BYTES`], and a file that is missing is told apart from one that cannot
//! be read. A recorded machine never shows anything of the machine on which the test runs.

use crate::cpu_set::CpuSet;
use crate::note::Problem;
use crate::system;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use thiserror::Error;

/// The most entries of a directory that are accepted. The longest listed is that of the interrupts of a large server.
pub const ENTRY_LIMIT: usize = 1 << 16;

/// The most bytes of a file that are accepted. The longest file read is `mountinfo`, of a machine with many containers.
pub const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Where the kernel's files lie.
#[derive(Debug, Clone)]
pub struct SysRoot {
    directory: PathBuf,
    recorded: bool,
    kept: Option<Arc<Mutex<BTreeMap<PathBuf, Kept>>>>,
    #[cfg(feature = "command")]
    pub(crate) allowance: crate::write::Allowance,
}

/// What was read of a machine that is being recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// A file, or a link or an answer for which a file stands in, with this text.
    File(String),
    /// A directory that was listed, with the names in it.
    Directory(Vec<String>),
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
    /// The directory has more entries than one of its kind can have.
    #[error("has more than {ENTRY_LIMIT} entries")]
    TooMany,
}

impl SysRoot {
    /// This machine.
    pub fn real() -> SysRoot {
        SysRoot::at(PathBuf::from("/"), false)
    }

    /// A recorded machine: a directory with the files of its `/sys` and `/proc`, in `sys` and `proc`.
    pub fn recorded(directory: impl Into<PathBuf>) -> SysRoot {
        SysRoot::at(directory.into(), true)
    }

    fn at(directory: PathBuf, recorded: bool) -> SysRoot {
        SysRoot {
            directory,
            recorded,
            kept: None,
            #[cfg(feature = "command")]
            allowance: None,
        }
    }

    /// The same machine, which from now on keeps what is read of it, until [`SysRoot::kept`] is asked.
    #[must_use]
    pub fn keeping(self) -> SysRoot {
        SysRoot { kept: Some(Arc::default()), ..self }
    }

    /// What was read since [`SysRoot::keeping`], by path. Written to a folder, it is a recorded machine.
    pub fn kept(&self) -> BTreeMap<PathBuf, Kept> {
        let kept = self.kept.as_ref().and_then(|kept| kept.lock().ok().map(|kept| kept.clone()));
        kept.unwrap_or_default()
    }

    /// The text of the file at `path`, which is absolute on the machine meant.
    ///
    /// # Errors
    /// [`ReadError`] says why it could not be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String, ReadError> {
        let path = path.as_ref();
        let file = File::open(self.place(path))?;
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_LIMIT_BYTES {
            return Err(ReadError::TooLong);
        }
        self.keep_text(path, String::from_utf8(bytes).map_err(|_| ReadError::NotText)?)
    }

    /// The first bytes of the file at `path`, up to the last whole line: for files that grow with the machine, when the
    /// beginning tells enough.
    ///
    /// # Errors
    /// [`ReadError`] says why it could not be read.
    pub fn read_beginning(
        &self,
        path: impl AsRef<Path>,
        limit_bytes: u64,
    ) -> Result<String, ReadError> {
        let path = path.as_ref();
        let file = File::open(self.place(path))?;
        let mut bytes = Vec::new();
        file.take(limit_bytes.min(FILE_LIMIT_BYTES)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == limit_bytes {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            bytes.truncate(end);
        }
        self.keep_text(path, String::from_utf8(bytes).map_err(|_| ReadError::NotText)?)
    }

    /// The names in the directory at `path`, in ascending order.
    ///
    /// # Errors
    /// [`ReadError`] says why it could not be listed; a file that is no directory is missing.
    pub fn list(&self, path: impl AsRef<Path>) -> Result<Vec<String>, ReadError> {
        let path = path.as_ref();
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.place(path))? {
            if names.len() == ENTRY_LIMIT {
                return Err(ReadError::TooMany);
            }
            names.push(entry?.file_name().into_string().map_err(|_| ReadError::NotText)?);
        }
        names.sort_unstable();
        if self.kept.is_some() {
            self.keep(path, Kept::Directory(names.clone()));
        }
        Ok(names)
    }

    /// What the symbolic link at `path` says. On a recorded machine a file with that text may stand in for the link.
    ///
    /// # Errors
    /// [`ReadError`] says why it could not be read.
    pub fn link(&self, path: impl AsRef<Path>) -> Result<String, ReadError> {
        let path = path.as_ref();
        match std::fs::read_link(self.place(path)) {
            Ok(target) => {
                let target = target.into_os_string().into_string();
                self.keep_text(path, target.map_err(|_| ReadError::NotText)?)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && self.recorded => {
                Ok(self.read(path)?.trim_end().to_owned())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// How long a network device holds interrupts back, as lines `property: value` in the words of `ethtool`. A
    /// recorded machine keeps them in `ethtool/DEVICE/coalesce`.
    pub(crate) fn coalescing(&self, device: &str) -> Result<String, ReadError> {
        if self.recorded {
            return self.read(format!("/ethtool/{device}/coalesce"));
        }
        let coalescing = system::coalescing(device).map_err(|error| match error.kind() {
            // The driver has no such settings.
            io::ErrorKind::Unsupported => ReadError::Missing,
            _ => error.into(),
        })?;
        let text = format!(
            "adaptive-rx: {}\nadaptive-tx: {}\nrx-usecs: {}\ntx-usecs: {}\n",
            on_or_off(coalescing.is_receiving_adaptive),
            on_or_off(coalescing.is_sending_adaptive),
            coalescing.receiving_us,
            coalescing.sending_us,
        );
        self.keep_text(Path::new(&format!("/ethtool/{device}/coalesce")), text)
    }

    fn keep_text(&self, path: &Path, text: String) -> Result<String, ReadError> {
        if self.kept.is_some() {
            self.keep(path, Kept::File(text.clone()));
        }
        Ok(text)
    }

    fn keep(&self, path: &Path, what: Kept) {
        if let Some(Ok(mut kept)) = self.kept.as_ref().map(|kept| kept.lock()) {
            kept.insert(path.to_owned(), what);
        }
    }

    /// Whether this is a recorded machine, to which no system call can be put.
    pub fn is_recorded(&self) -> bool {
        self.recorded
    }

    /// Where the file at `path` of the machine meant lies on this one.
    pub(crate) fn place(&self, path: &Path) -> PathBuf {
        self.directory.join(path.strip_prefix("/").unwrap_or(path))
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

fn on_or_off(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
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
