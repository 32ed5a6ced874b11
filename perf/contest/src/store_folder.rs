//! Where a contestant keeps what must be durable: an empty folder on a disk, which is gone when the round has ended.
//!
//! The folder is made in the one that [`FOLDER_VARIABLE`] names, or else in the current one, where result folders are
//! made too. All contestants of a comparison inherit both, so they write to the same file system.
//!
//! Refuses: file systems that live in memory, where syncing costs nothing and nothing is durable.
//!
//! Invariant: what is made here is removed when the [`StoreFolder`] is dropped. A process that is killed leaves a
//! folder behind whose name begins with [`NAME_START`].

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::Advice;

/// The environment variable that names the folder in which stores are made.
pub const FOLDER_VARIABLE: &str = "MAINSPRING_PERF_DIRECTORY";
/// What the names of all folders made here begin with.
pub const NAME_START: &str = ".mainspring-perf-store-";

/// An empty folder of a store; removed with what is in it when dropped.
#[derive(Debug)]
pub struct StoreFolder {
    path: PathBuf,
}

/// Why there is no folder for a store. Nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum StoreFolderError {
    /// The folder is not there, or cannot be asked or written.
    #[error(
        "\"{}\" cannot hold a store: {source}; name a folder on a disk with {FOLDER_VARIABLE}",
        path.display()
    )]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The folder lies in memory.
    #[error(
        "\"{}\" is on {file_system}, where nothing is ever durable; name a folder on a disk with {FOLDER_VARIABLE}",
        path.display()
    )]
    InMemory {
        /// The folder.
        path: PathBuf,
        /// The file system.
        file_system: &'static str,
    },
}

impl StoreFolder {
    /// Makes an empty folder in the one that [`FOLDER_VARIABLE`] names, or in the current one.
    ///
    /// # Errors
    /// [`StoreFolderError`]: nothing can be made there, or it lies in memory.
    pub fn make() -> Result<StoreFolder, StoreFolderError> {
        let parent = env::var_os(FOLDER_VARIABLE).unwrap_or_else(|| ".".into());
        StoreFolder::make_in(Path::new(&parent))
    }

    /// Makes an empty folder in another one.
    ///
    /// # Errors
    /// As of [`StoreFolder::make`].
    pub fn make_in(parent: &Path) -> Result<StoreFolder, StoreFolderError> {
        let unusable = |source| StoreFolderError::Unusable { path: parent.to_owned(), source };
        let facts = rustix::fs::statfs(parent).map_err(|error| unusable(error.into()))?;
        if let Some(file_system) = memory_file_system(facts.f_type as u64) {
            return Err(StoreFolderError::InMemory { path: parent.to_owned(), file_system });
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{NAME_START}{}-{number}", process::id()));
        fs::create_dir(&path).map_err(unusable)?;
        Ok(StoreFolder { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Syncs every file in the folder and takes it out of the page cache, so that what is read next comes from the
    /// device. The store must be closed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget_cached(&self) -> io::Result<()> {
        forget_cached_below(&self.path)
    }
}

impl Drop for StoreFolder {
    fn drop(&mut self) {
        // Nobody is left to be told; the next round does not depend on it.
        _ = fs::remove_dir_all(&self.path);
    }
}

static MADE: AtomicU64 = AtomicU64::new(0);

/// Magic numbers of `statfs` (linux/magic.h).
const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;

fn memory_file_system(kind: u64) -> Option<&'static str> {
    match kind {
        TMPFS => Some("tmpfs"),
        RAMFS => Some("ramfs"),
        _ => None,
    }
}

fn forget_cached_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            forget_cached_below(&entry.path())?;
        } else {
            let file = File::open(entry.path())?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_empty_its_own_and_gone_with_what_is_in_it() {
        let parent = Path::new(env!("CARGO_MANIFEST_DIR"));
        let first = match StoreFolder::make_in(parent) {
            Ok(folder) => folder,
            Err(refused @ StoreFolderError::InMemory { .. }) => {
                println!("skipped: {refused}");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        let second = StoreFolder::make_in(parent).expect("as the first");
        assert_ne!(first.path(), second.path());
        assert_eq!(fs::read_dir(first.path()).expect("readable").count(), 0);
        fs::create_dir(first.path().join("inner")).expect("writable");
        fs::write(first.path().join("inner/file"), [1; 5_000]).expect("writable");
        first.forget_cached().expect("the kernel takes the advice");
        let path = first.path().to_owned();
        drop(first);
        assert!(!path.exists() && second.path().exists());
    }

    #[test]
    fn a_folder_in_memory_is_refused_with_a_remedy() {
        assert_eq!(memory_file_system(0xef53), None, "ext4 is on a disk");
        let shared = Path::new("/dev/shm");
        let found = rustix::fs::statfs(shared).ok().map(|facts| facts.f_type as u64);
        if found.and_then(memory_file_system).is_none() {
            println!("skipped: /dev/shm is not in memory here");
            return;
        }
        let refused = StoreFolder::make_in(shared).expect_err("tmpfs").to_string();
        assert!(refused.contains("nothing is ever durable; name a folder on a disk"), "{refused}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_refused_by_name() {
        let refused = StoreFolder::make_in(Path::new("no-such-folder")).expect_err("missing");
        assert!(refused.to_string().starts_with("\"no-such-folder\" cannot hold a store"));
    }
}
