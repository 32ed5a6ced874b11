//! A folder that is either whole or looks like none of ours.
//!
//! Promises: the files are written into a folder whose name starts with [`UNFINISHED`], brought to the disk, and
//! only then does the folder get its name. Nothing is ever overwritten: where the name is taken, a number is put
//! behind it.
//!
//! Invariant: whoever finds a folder without that prefix finds all its files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::repository::Repository;
use super::timestamp::Timestamp;

/// How the name of a folder starts while it is being written.
pub const UNFINISHED: &str = ".unfinished-";

/// How many folders may have the same name but for the number behind it.
pub const MOST_OF_A_NAME: usize = 100;

/// Why a result was not written. Nothing that was there before has changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// No folder can be made there.
    #[error(
        "no result can be written to {}: {source}; name a folder that can be written with --out", parent.display()
    )]
    Parent {
        /// Where the folder should have been made.
        parent: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file or the folder itself cannot be written.
    #[error("{}: {source}; the result is not complete", path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// There are too many folders of this name.
    #[error("{}: there are {MOST_OF_A_NAME} results of this name already; move them away", .0.display())]
    NameTaken(PathBuf),
}

/// A folder that is being written. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub struct ResultFolder {
    parent: PathBuf,
    name: String,
    unfinished: PathBuf,
    is_finished: bool,
}

impl ResultFolder {
    /// Makes a folder that will be named `<utc>-<subject>-<revision>`, and finds out that it can be written. The
    /// parent is made where it is missing.
    ///
    /// # Errors
    /// [`FolderError::Parent`], [`FolderError::NameTaken`].
    pub fn create(parent: &Path, subject: &str) -> Result<ResultFolder, FolderError> {
        let revision = Repository::of_this_program().short_name();
        let name = format!("{}-{subject}-{revision}", Timestamp::now().for_a_name());
        ResultFolder::with_name(parent, &name)
    }

    /// Makes a folder that will have this name.
    ///
    /// # Errors
    /// [`FolderError::Parent`], [`FolderError::NameTaken`].
    pub fn with_name(parent: &Path, name: &str) -> Result<ResultFolder, FolderError> {
        let refused = |source| FolderError::Parent { parent: parent.to_owned(), source };
        fs::create_dir_all(parent).map_err(refused)?;
        for number in 1..=MOST_OF_A_NAME {
            let name = numbered(name, number);
            let unfinished = parent.join(format!("{UNFINISHED}{name}"));
            if parent.join(&name).exists() {
                continue;
            }
            match fs::create_dir(&unfinished) {
                Ok(()) => {
                    let parent = parent.to_owned();
                    return Ok(ResultFolder { parent, name, unfinished, is_finished: false });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(refused(source)),
            }
        }
        Err(FolderError::NameTaken(parent.join(name)))
    }

    /// The name that the folder will have, unless it is taken by then.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the folder is while it is being written.
    pub fn path(&self) -> &Path {
        &self.unfinished
    }

    /// Writes a file and brings it to the disk. A file of that name must not exist yet.
    ///
    /// # Errors
    /// [`FolderError::Unwritable`].
    pub fn write(&self, file: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.unfinished.join(file);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|source| FolderError::Unwritable { path: path.clone(), source })
    }

    /// Gives the folder its name; where it is then.
    ///
    /// # Errors
    /// [`FolderError::Unwritable`], [`FolderError::NameTaken`].
    pub fn finish(mut self) -> Result<PathBuf, FolderError> {
        let unfinished = self.unfinished.clone();
        let wrong = move |source| FolderError::Unwritable { path: unfinished.clone(), source };
        sync_folder(&self.unfinished).map_err(&wrong)?;
        for number in 1..=MOST_OF_A_NAME {
            let path = self.parent.join(numbered(&self.name, number));
            // The kernel replaces an empty folder only: a result that came there meanwhile stays.
            match fs::rename(&self.unfinished, &path) {
                Ok(()) => {
                    self.is_finished = true;
                    sync_folder(&self.parent).map_err(&wrong)?;
                    return Ok(path);
                }
                Err(error) if is_taken(&error) => {}
                Err(source) => return Err(wrong(source)),
            }
        }
        Err(FolderError::NameTaken(self.parent.join(&self.name)))
    }
}

impl Drop for ResultFolder {
    fn drop(&mut self) {
        if !self.is_finished {
            // What stays behind cannot be taken for a result: its name says so.
            _ = fs::remove_dir_all(&self.unfinished);
        }
    }
}

fn numbered(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    [AlreadyExists, DirectoryNotEmpty, NotADirectory].contains(&error.kind())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone when the test is over.
    struct Parent(PathBuf);

    impl Parent {
        fn new(test: &str) -> Parent {
            let name = format!("mainspring-results-{}-{test}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a temporary folder");
            Parent(path)
        }

        fn names(&self) -> Vec<String> {
            let entries =
                fs::read_dir(&self.0).expect("readable").map(|entry| entry.expect("readable"));
            let mut names: Vec<String> =
                entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Parent {
        fn drop(&mut self) {
            _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_folder_has_another_name_until_it_is_whole() {
        let parent = Parent::new("whole");
        let folder = ResultFolder::with_name(&parent.0, "run").expect("it can be made");
        folder.write("run.json", b"{}").expect("it can be written");
        assert_eq!(parent.names(), [".unfinished-run"]);
        let path = folder.finish().expect("it can be named");
        assert_eq!(path, parent.0.join("run"));
        assert_eq!(parent.names(), ["run"]);
        assert_eq!(fs::read(path.join("run.json")).expect("readable"), b"{}");
    }

    #[test]
    fn a_folder_that_is_given_up_is_gone() {
        let parent = Parent::new("given-up");
        let folder = ResultFolder::with_name(&parent.0, "run").expect("it can be made");
        folder.write("run.json", b"{}").expect("it can be written");
        drop(folder);
        assert_eq!(parent.names(), [""; 0]);
    }

    #[test]
    fn nothing_is_overwritten() {
        let parent = Parent::new("twice");
        let make = || ResultFolder::with_name(&parent.0, "run").expect("it can be made");
        let (first, second) = (make(), make());
        first.write("run.json", b"1").expect("it can be written");
        assert!(first.write("run.json", b"2").is_err());
        second.write("run.json", b"2").expect("it can be written");
        first.finish().expect("it can be named");
        // A result of the second one's name appears while it is being written.
        fs::create_dir(parent.0.join("run-2")).expect("it can be made");
        fs::write(parent.0.join("run-2/run.json"), b"0").expect("it can be written");
        let path = second.finish().expect("it can be named");
        assert_eq!(parent.names(), ["run", "run-2", "run-2-2"]);
        assert_eq!(fs::read(path.join("run.json")).expect("readable"), b"2");
        assert_eq!(fs::read(parent.0.join("run-2/run.json")).expect("readable"), b"0");
    }

    #[test]
    fn where_no_folder_can_be_made_the_remedy_is_named() {
        let parent = Parent::new("refused");
        let file = parent.0.join("file");
        fs::write(&file, b"").expect("it can be written");
        let error = ResultFolder::create(&file, "run").expect_err("a file is no folder");
        assert!(error.to_string().contains("with --out"), "{error}");
    }
}
