//! Where the journal of a run lies.
//!
//! A directory with something in it is refused and stays as it is; one that was named is never removed.

use std::io;
use std::path::{Path, PathBuf};

/// The directory of a run.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    /// Whether it goes when all is proved.
    is_removed: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum RunDirectoryError {
    /// Something lies there.
    #[error(
        "{} is not empty: an earlier run may lie there. Name another directory, or remove it",
        path.display()
    )]
    NotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// There is no such directory.
    #[error("there is no directory {}: name the one that a run with --data has left", path.display())]
    Missing {
        /// Where none is.
        path: PathBuf,
    },
    /// The file system refused something.
    #[error("{} cannot be used: {source}", path.display())]
    Use {
        /// Where.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl RunDirectory {
    /// The directory that was named, if it is empty or not there yet; otherwise a new one in the current directory,
    /// which has the program's name.
    ///
    /// # Errors
    /// [`RunDirectoryError::NotEmpty`] and [`RunDirectoryError::Use`].
    pub fn fresh(program: &str, named: Option<&Path>) -> Result<RunDirectory, RunDirectoryError> {
        let own = || PathBuf::from(format!("{program}-data-{}", std::process::id()));
        let path = named.map_or_else(own, Path::to_owned);
        let used = |source| RunDirectoryError::Use { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(used)?;
        if std::fs::read_dir(&path).map_err(used)?.next().is_some() {
            return Err(RunDirectoryError::NotEmpty { path });
        }
        Ok(RunDirectory { path, is_removed: named.is_none() })
    }

    /// The directory that an earlier run was given.
    ///
    /// # Errors
    /// [`RunDirectoryError::Missing`].
    pub fn existing(path: &Path) -> Result<RunDirectory, RunDirectoryError> {
        let path = path.to_owned();
        match path.is_dir() {
            true => Ok(RunDirectory { path, is_removed: false }),
            false => Err(RunDirectoryError::Missing { path }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes lie there.
    ///
    /// # Errors
    /// [`RunDirectoryError::Use`].
    pub fn bytes(&self) -> Result<u64, RunDirectoryError> {
        bytes_in(&self.path)
            .map_err(|source| RunDirectoryError::Use { path: self.path.clone(), source })
    }

    /// All is proved: removes the directory, unless it was named.
    ///
    /// # Errors
    /// [`RunDirectoryError::Use`].
    pub fn remove(self) -> Result<(), RunDirectoryError> {
        let RunDirectory { path, is_removed } = self;
        if is_removed {
            std::fs::remove_dir_all(&path)
                .map_err(|source| RunDirectoryError::Use { path, source })?;
        }
        Ok(())
    }
}

fn bytes_in(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_in(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}
