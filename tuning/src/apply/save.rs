//! What an apply keeps so that it can be taken back: for each step what its place held before.
//!
//! The file `save` in the state folder holds lines of JSON: a header, one line a step, and after them one line for each
//! step that was made, as it is made.
//!
//! Invariants: the lines of the steps are synced under the file's name before the first step is made. A file with that
//! name is always whole up to its last step's line; of the lines behind, a crash may cut off the last.

use crate::plan::{STEP_LIMIT, Step};
use crate::sys_root::{ReadError, SysRoot};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The most bytes of a save.
pub const SAVE_LIMIT_BYTES: u64 = 64 << 20;

/// Where saves lie, on the machine on which this runs.
#[derive(Debug)]
pub struct State {
    folder: PathBuf,
    files: SysRoot,
}

/// What an apply keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    /// The profile that was applied.
    pub profile: String,
    /// Which machine it was.
    pub machine: String,
    /// Which of its boots.
    pub boot: String,
    /// The steps, in the order in which they are made.
    pub steps: Vec<SavedStep>,
}

/// A step, and what was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SavedStep {
    /// The checks that asked for it.
    pub id: String,
    /// What is done.
    pub step: Step,
    /// What its place held; nothing when it was not there. It has to stand in the save, be it as nothing: an original
    /// that was lost is no file that was missing.
    #[serde(deserialize_with = "Option::deserialize")]
    pub before: Option<String>,
    /// What its place held right after it was made, as far as that was still written down.
    #[serde(skip)]
    pub after: Option<String>,
}

/// The state folder cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SaveError {
    /// Another process applies or undoes now.
    #[error("another apply or undo is at work with {}; wait for it to end", .folder.display())]
    Busy {
        /// The state folder.
        folder: PathBuf,
    },
    /// The folder or a file in it cannot be made, read or written.
    #[error("{}: {source}; name a folder where you may write by --state", .folder.display())]
    Folder {
        /// The state folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The save cannot be read.
    #[error("the save {} {source}", .path.display())]
    Unreadable {
        /// The save.
        path: PathBuf,
        /// Why.
        source: ReadError,
    },
    /// The save is not one.
    #[error(
        "the save {} is damaged in line {line}: {reason}; nothing was changed, and its readable lines name what was \
         there before",
        .path.display()
    )]
    Damaged {
        /// The save.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        reason: String,
    },
    /// The save would be longer than it may be.
    #[error(
        "the originals are longer than {SAVE_LIMIT_BYTES} bytes; apply fewer checks at a time by --only"
    )]
    TooLong,
}

/// While it lives, no other process applies or undoes with the same state folder.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    /// Closing would not do: a program that another thread is just starting has the file open too, until it has become
    /// that program, and the lock is the file's.
    fn drop(&mut self) {
        // A lock that cannot be taken off goes when the last one closes the file.
        let _ = self.file.unlock();
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    profile: String,
    machine: String,
    boot: String,
    steps: usize,
}

/// A step that was made.
#[derive(Serialize, Deserialize)]
struct Made {
    made: usize,
    after: String,
}

const FORMAT: u32 = 1;
const SAVE: &str = "/save";
const LOCK: &str = "lock";

impl State {
    /// The state in this folder; `root` is the machine whose state it is.
    pub fn at(root: &SysRoot, folder: impl Into<PathBuf>) -> State {
        let folder = folder.into();
        State { files: root.beside(&folder), folder }
    }

    /// Keeps others from applying or undoing, without waiting for them.
    ///
    /// # Errors
    /// [`SaveError::Busy`], or [`SaveError::Folder`] when the folder cannot be made.
    pub fn lock(&self) -> Result<Lock, SaveError> {
        self.make_folder().map_err(|source| self.failed(source))?;
        let file = File::create(self.folder.join(LOCK)).map_err(|source| self.failed(source))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { file }),
            Err(TryLockError::WouldBlock) => Err(SaveError::Busy { folder: self.folder.clone() }),
            Err(TryLockError::Error(source)) => Err(self.failed(source)),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the last apply keeps; nothing when there was none, or when it was undone.
    ///
    /// # Errors
    /// [`SaveError`] when there is a save that cannot be understood.
    pub fn load(&self) -> Result<Option<Save>, SaveError> {
        match self.files.read_up_to(SAVE, SAVE_LIMIT_BYTES) {
            Ok(text) => self.parse(&text).map(Some),
            Err(ReadError::Missing) => Ok(None),
            Err(source) => Err(SaveError::Unreadable { path: self.save_path(), source }),
        }
    }

    /// Keeps it; when this returns, it survives.
    pub(super) fn store(&self, save: &Save) -> Result<(), SaveError> {
        let header = Header {
            format: FORMAT,
            profile: save.profile.clone(),
            machine: save.machine.clone(),
            boot: save.boot.clone(),
            steps: save.steps.len(),
        };
        let mut text = self.line(&header)?;
        for step in &save.steps {
            text.push_str(&self.line(step)?);
        }
        // The lines of the steps that were made are to fit, too.
        if text.len() as u64 > SAVE_LIMIT_BYTES / 2 {
            return Err(SaveError::TooLong);
        }
        self.files.write_durably(SAVE, &text).map_err(|source| self.failed(source))
    }

    /// Notes that the step with this index was made, and what its place shows since.
    pub(super) fn note_made(&self, made: usize, after: &str) -> Result<(), SaveError> {
        let line = self.line(&Made { made, after: after.to_owned() })?;
        self.files.append(SAVE, &line).map_err(|source| self.failed(source))
    }

    /// Forgets the save: everything was taken back.
    pub(super) fn forget(&self) -> Result<(), SaveError> {
        self.files.remove_file(SAVE).map_err(|source| self.failed(source))
    }

    /// Makes the folder, so that a save in it is found after a loss of power.
    fn make_folder(&self) -> io::Result<()> {
        let missing: Vec<&Path> =
            self.folder.ancestors().take_while(|folder| !folder.exists()).collect();
        fs::create_dir_all(&self.folder)?;
        for parent in missing.iter().filter_map(|folder| folder.parent()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    fn parse(&self, text: &str) -> Result<Save, SaveError> {
        let mut lines = text.lines().enumerate();
        let header: Header = self.read(lines.next())?;
        if header.format != FORMAT || header.steps > STEP_LIMIT {
            let reason = format!("format {} with {} steps", header.format, header.steps);
            return Err(self.damaged(0, reason));
        }
        let mut steps: Vec<SavedStep> = Vec::new();
        for _ in 0..header.steps {
            steps.push(self.read(lines.next())?);
        }
        // What follows is only told by whole lines: the last may have been cut off.
        let whole = lines.filter_map(|(_, line)| serde_json::from_str::<Made>(line).ok());
        for Made { made, after } in whole {
            if let Some(step) = steps.get_mut(made) {
                step.after = Some(after);
            }
        }
        let Header { profile, machine, boot, .. } = header;
        Ok(Save { profile, machine, boot, steps })
    }

    fn read<'a, T: Deserialize<'a>>(&self, line: Option<(usize, &'a str)>) -> Result<T, SaveError> {
        let Some((index, line)) = line else {
            return Err(self.damaged(0, "it ends before its last step".to_owned()));
        };
        serde_json::from_str(line).map_err(|error| self.damaged(index, error.to_string()))
    }

    fn line(&self, value: &impl Serialize) -> Result<String, SaveError> {
        let line = serde_json::to_string(value).map_err(|error| self.failed(error.into()))?;
        Ok(line + "\n")
    }

    fn save_path(&self) -> PathBuf {
        self.folder.join(SAVE.trim_start_matches('/'))
    }

    fn damaged(&self, index: usize, reason: String) -> SaveError {
        SaveError::Damaged { path: self.save_path(), line: index + 1, reason }
    }

    fn failed(&self, source: io::Error) -> SaveError {
        SaveError::Folder { folder: self.folder.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the system's that is gone when the test ends.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Folder {
            let name = format!("mainspring-save-{test}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&folder);
            Folder(folder)
        }

        fn state(&self) -> State {
            State::at(&SysRoot::recorded("/nowhere"), self.0.join("state"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_lock_that_was_given_back_is_free_also_while_a_program_that_is_being_started_has_its_file()
    {
        let folder = Folder::new("lock");
        let state = folder.state();
        let lock = state.lock().expect("nobody else");
        // As between the fork and the exec of another thread.
        let inherited = lock.file.try_clone().expect("a descriptor");
        assert!(matches!(state.lock(), Err(SaveError::Busy { .. })));
        drop(lock);
        state.lock().expect("it was given back");
        drop(inherited);
    }
}
