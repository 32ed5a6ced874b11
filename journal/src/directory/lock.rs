//! One process at a time has a journal.
//!
//! The lock is the kernel's (`flock` on a file of its own): it goes with its process, however that ends, so none is
//! ever left over. It does not reach other machines on every network file system; a journal belongs on a local one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::durable_file::FileError;

/// The name of the lock's file.
pub const LOCK_FILE: &str = "lock";

/// Why the journal is not ours. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it open.
    #[error(
        "the journal in {} is open in another process ({holder}); end that one first, or give this one a directory of \
         its own",
        path.display()
    )]
    Held {
        /// The journal's directory.
        path: PathBuf,
        /// What the other process says of itself.
        holder: String,
    },
    /// The lock cannot be tried.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Holds a journal until it is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of a directory. It waits a moment for it, because a holder may be ending: when a process of
    /// many threads starts another one, that one has the holder's files until it runs a program of its own.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(folder: &Path) -> Result<DirectoryLock, LockError> {
        DirectoryLock::take_within(folder, PATIENCE, || std::thread::park_timeout(TRY_EVERY))
    }

    /// `rest` comes between two tries.
    fn take_within(
        folder: &Path,
        patience: Duration,
        mut rest: impl FnMut(),
    ) -> Result<DirectoryLock, LockError> {
        let path = folder.join(LOCK_FILE);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(FileError::at("open", &path))?;
        let start = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if start.elapsed() < patience => rest(),
                Err(TryLockError::WouldBlock) => {
                    let holder = holder_in(&file);
                    return Err(LockError::Held { path: folder.to_owned(), holder });
                }
                Err(TryLockError::Error(error)) => {
                    return Err(FileError::at("lock", &path)(error).into());
                }
            }
        }
        // For people alone: who holds the lock is known to the kernel.
        let named = file
            .set_len(0)
            .and_then(|()| file.seek(SeekFrom::Start(0)))
            .and_then(|_| writeln!(file, "process {}", std::process::id()));
        named.map_err(FileError::at("write", &path))?;
        Ok(DirectoryLock { _file: file })
    }
}

fn holder_in(file: &File) -> String {
    let mut text = String::new();
    let _ = file.take(MOST_HOLDER_BYTES).read_to_string(&mut text);
    let holder: String = text.trim().chars().filter(|letter| !letter.is_control()).collect();
    if holder.is_empty() { "which has not said who it is".to_owned() } else { holder }
}

const MOST_HOLDER_BYTES: u64 = 64;
const PATIENCE: Duration = Duration::from_millis(250);
const TRY_EVERY: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    #[test]
    fn a_journal_has_one_holder_at_a_time() {
        let scratch = Scratch::new("lock");
        let held = DirectoryLock::take(scratch.path()).expect("nobody has it");
        let error = DirectoryLock::take(scratch.path()).map(drop).expect_err("we have it");
        let me = format!("(process {})", std::process::id());
        assert!(
            matches!(error, LockError::Held { .. }) && error.to_string().contains(&me),
            "{error}"
        );
        drop(held);
        DirectoryLock::take(scratch.path()).expect("it was given back");
    }

    #[test]
    fn a_holder_that_is_ending_is_waited_for() {
        let scratch = Scratch::new("lock-ending");
        let mut held = DirectoryLock::take(scratch.path()).ok();
        let mut rests = 0;
        let long = Duration::from_secs(60);
        let taken = DirectoryLock::take_within(scratch.path(), long, || {
            rests += 1;
            if rests == 3 {
                held = None;
            }
        });
        taken.expect("the holder has ended");
        assert_eq!(rests, 3);
    }
}
