//! Where the journal of a run lies.

use std::io;
use std::path::{Path, PathBuf};

/// The directory of a run.
#[derive(Debug)]
pub struct Data {
    path: PathBuf,
    /// Whether it goes when all is proved.
    is_removed: bool,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    #[error(
        "{} is not empty: an earlier run may lie there. Name another directory, or remove it",
        path.display()
    )]
    NotEmpty { path: PathBuf },
    #[error("{} cannot be used: {source}", path.display())]
    Use { path: PathBuf, source: io::Error },
}

impl Data {
    /// The directory that was named, if it is empty or not there yet; otherwise a new one in the current directory.
    pub fn fresh(named: Option<&Path>) -> Result<Data, DataError> {
        let own = || PathBuf::from(format!("shadows-data-{}", std::process::id()));
        let path = named.map_or_else(own, Path::to_owned);
        let used = |source| DataError::Use { path: path.clone(), source };
        std::fs::create_dir_all(&path).map_err(used)?;
        if std::fs::read_dir(&path).map_err(used)?.next().is_some() {
            return Err(DataError::NotEmpty { path });
        }
        Ok(Data { path, is_removed: named.is_none() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes lie there.
    pub fn bytes(&self) -> Result<u64, DataError> {
        bytes_in(&self.path).map_err(|source| DataError::Use { path: self.path.clone(), source })
    }

    /// All is proved.
    pub fn remove(self) -> Result<(), DataError> {
        let Data { path, is_removed } = self;
        if is_removed {
            std::fs::remove_dir_all(&path).map_err(|source| DataError::Use { path, source })?;
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
