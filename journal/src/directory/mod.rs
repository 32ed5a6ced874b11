//! A journal on real files: one directory with a manifest, a lock, and one folder for each core's log.
//!
//! ```text
//! DIRECTORY/journal.toml                       whose journal it is
//! DIRECTORY/lock                               held by the process that has it open
//! DIRECTORY/core-0/0000000000000001.segment    the segments of the first core's log, by number
//! DIRECTORY/core-0/*.tmp                       what was not completed; removed at the next opening
//! ```
//!
//! Promises: a journal is opened by one process at a time, by the system that made it, with as many shards and cores
//! as it was made for; whatever is read after [`Directory::open`] is durable. A directory that lacks something it
//! had is an error and never a journal that begins.
//!
//! Refuses: to run on a core. Everything here blocks.

pub mod durable_file;
pub mod lock;
mod making;
pub mod manifest;
pub mod probe;
pub mod reader;
#[cfg(test)]
pub(crate) mod scratch;
pub mod segment_files;
pub mod segment_maker;

use std::fs;
use std::path::{Path, PathBuf};

pub use self::durable_file::FileError;
pub use self::lock::{DirectoryLock, LockError};
pub use self::making::{MakerEvent, Request, Work};
pub use self::manifest::{Identity, Manifest, ManifestError};
pub use self::probe::{DeviceError, DeviceFacts, DeviceOptions, DirectIo, probe};
pub use self::reader::DirectoryReader;
pub use self::segment_files::{
    open_segment, remove_stale, repair, segment_name, segment_of, segments_in,
};
pub use self::segment_maker::{MakerClient, MakerSettings, Refusal, RequestRefused, SegmentMaker};
use crate::format::segment_header::CommitMethod;
use crate::log::LogIdentity;

/// A journal that this process has open. Dropping it lets others open it.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    manifest: Manifest,
    device: DeviceFacts,
    commit_method: CommitMethod,
    _lock: DirectoryLock,
}

/// Why a journal is not opened. A directory that was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// It belongs to somebody else, or cannot be told whose it is.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The device does not do what was asked.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The log of a core is gone.
    #[error(
        "the log of core {core} is missing: there is no folder {}; restore it from a copy of the journal",
        path.display()
    )]
    NoCoreFolder {
        /// The core.
        core: u32,
        /// Its folder.
        path: PathBuf,
    },
    /// A file or folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Directory {
    /// Opens the journal in a directory, or makes one there when there is none.
    ///
    /// # Errors
    /// [`OpenError`], with the remedy.
    pub fn open(
        path: &Path,
        identity: &Identity,
        options: &DeviceOptions,
    ) -> Result<Directory, OpenError> {
        make_folder(path)?;
        let lock = DirectoryLock::take(path)?;
        let manifest = match Manifest::read(path)? {
            Some(manifest) => {
                manifest.check(path, identity)?;
                check_core_folders(path, identity.cores)?;
                manifest
            }
            None => begin(path, identity)?,
        };
        let device = probe(path)?;
        let commit_method = device.choose(options)?;
        for core in 0..identity.cores {
            segment_files::settle(&core_folder(path, core))?;
        }
        match commit_method {
            CommitMethod::Buffered => tracing::warn!(
                path = %path.display(), %device,
                "the journal commits through the page cache: allow_buffered = true"
            ),
            _ => tracing::info!(path = %path.display(), %device, %commit_method, "journal opened"),
        }
        Ok(Directory { path: path.to_owned(), manifest, device, commit_method, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the device can do.
    pub fn device(&self) -> &DeviceFacts {
        &self.device
    }

    /// How commits are made durable.
    pub fn commit_method(&self) -> CommitMethod {
        self.commit_method
    }

    /// Whether segments are opened for direct I/O.
    pub fn is_direct(&self) -> bool {
        self.commit_method != CommitMethod::Buffered
    }

    /// The identity of a core's log; `None` when the journal has no such core.
    pub fn log_identity(&self, core: u32) -> Option<LogIdentity> {
        let Identity { system, shard_count, .. } = self.manifest.identity.clone();
        let log_id = *self.manifest.log_ids.get(core as usize)?;
        Some(LogIdentity { system, log_id, core, shard_count })
    }

    /// The folder of a core's log.
    pub fn core_folder(&self, core: u32) -> PathBuf {
        core_folder(&self.path, core)
    }
}

/// The folder of a core's log in a journal's directory.
pub fn core_folder(path: &Path, core: u32) -> PathBuf {
    path.join(format!("{CORE_PREFIX}{core}"))
}

const CORE_PREFIX: &str = "core-";

/// Makes a folder and those above it, each durably.
fn make_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    make_folder(parent)?;
    fs::create_dir(path).map_err(FileError::at("make the folder", path))?;
    durable_file::sync_folder(parent)
}

/// Makes a journal: folders first, so that a manifest never stands beside a folder that is missing.
fn begin(path: &Path, identity: &Identity) -> Result<Manifest, OpenError> {
    let manifest = Manifest::new(identity)?;
    let listed = fs::read_dir(path).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    for entry in listed.map_err(FileError::at("list", path))? {
        let is_core = entry.file_name().to_string_lossy().starts_with(CORE_PREFIX);
        if is_core && entry.path().is_dir() && !segments_in(&entry.path())?.is_empty() {
            return Err(ManifestError::Missing { path: entry.path() }.into());
        }
    }
    for core in 0..identity.cores {
        make_folder(&core_folder(path, core))?;
    }
    manifest.write(path)?;
    Ok(manifest)
}

fn check_core_folders(path: &Path, cores: u32) -> Result<(), OpenError> {
    for core in 0..cores {
        let folder = core_folder(path, core);
        if !folder.is_dir() {
            return Err(OpenError::NoCoreFolder { core, path: folder });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
