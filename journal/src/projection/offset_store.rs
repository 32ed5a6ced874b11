//! Where projections keep how far they have come.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::directory::durable_file::{FileError, replace};
use crate::format::checksum;
use crate::query::{Offset, OffsetError};

/// Keeps the offset of each projection, by the projection's name.
pub trait OffsetStore {
    /// The offset that was stored last; none when there was none.
    ///
    /// # Errors
    /// [`OffsetStoreError`].
    fn load(&mut self, projection: &str) -> Result<Option<Offset>, OffsetStoreError>;

    /// Keeps an offset. When this returns it is kept as durably as the store keeps anything.
    ///
    /// # Errors
    /// [`OffsetStoreError`]; the offset before it may still be there.
    fn store(&mut self, projection: &str, offset: &Offset) -> Result<(), OffsetStoreError>;
}

/// Why an offset was not loaded or not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OffsetStoreError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// What was stored is no offset.
    #[error(
        "the offset in {} is damaged; restore the file, or remove it: then the projection begins anew", path.display()
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// What is wrong, where its text is what is wrong.
        source: Option<OffsetError>,
    },
    /// Another store has failed.
    #[error("the offset was not stored or not loaded: {0}")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Offsets in memory: for tests, and for read sides that are in memory too. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryOffsets {
    offsets: Arc<Mutex<BTreeMap<String, Offset>>>,
}

impl MemoryOffsets {
    /// A store without offsets.
    pub fn new() -> Self {
        MemoryOffsets::default()
    }
}

impl OffsetStore for MemoryOffsets {
    fn load(&mut self, projection: &str) -> Result<Option<Offset>, OffsetStoreError> {
        let offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(offsets.get(projection).cloned())
    }

    fn store(&mut self, projection: &str, offset: &Offset) -> Result<(), OffsetStoreError> {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        offsets.insert(projection.to_owned(), offset.clone());
        Ok(())
    }
}

/// Offsets in small files of one folder, one for each projection. Each is there as a whole, the new one or the old
/// one, whatever happens while it is written.
#[derive(Clone, Debug)]
pub struct FileOffsets {
    folder: PathBuf,
}

impl FileOffsets {
    /// A store in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(folder: &Path) -> Result<Self, FileError> {
        let path = || folder.to_owned();
        fs::create_dir_all(folder).map_err(|source| FileError {
            what: "make the folder",
            path: path(),
            source,
        })?;
        Ok(FileOffsets { folder: path() })
    }

    fn name_of(projection: &str) -> String {
        format!("{projection}.offset")
    }
}

impl OffsetStore for FileOffsets {
    fn load(&mut self, projection: &str) -> Result<Option<Offset>, OffsetStoreError> {
        let path = self.folder.join(FileOffsets::name_of(projection));
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(FileError { what: "read", path, source }.into()),
        };
        let text = std::str::from_utf8(&bytes).ok().and_then(|text| text.split_once('\n'));
        let whole = text.filter(|(offset, sum)| *sum == sum_of(offset));
        let Some((offset, _)) = whole else {
            return Err(OffsetStoreError::Damaged { path, source: None });
        };
        match offset.parse() {
            Ok(offset) => Ok(Some(offset)),
            Err(error) => Err(OffsetStoreError::Damaged { path, source: Some(error) }),
        }
    }

    fn store(&mut self, projection: &str, offset: &Offset) -> Result<(), OffsetStoreError> {
        let offset = offset.to_string();
        let text = format!("{offset}\n{}", sum_of(&offset));
        Ok(replace(&self.folder, &FileOffsets::name_of(projection), text.as_bytes())?)
    }
}

/// The second line of a file.
fn sum_of(offset: &str) -> String {
    format!("crc32c {:08x}\n", checksum(offset.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_in_a_file_is_the_last_one_that_was_stored_or_an_error() {
        let name = format!("mainspring-offsets-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let mut offsets = FileOffsets::open(&folder).expect("a folder");
        assert!(offsets.load("ledger").expect("nothing").is_none());
        let later = Offset::beginning().with(0, 8_192).with(1, 64);
        for offset in [Offset::beginning(), Offset::beginning().with(0, 4_096), later.clone()] {
            offsets.store("ledger", &offset).expect("it is stored");
            assert_eq!(offsets.load("ledger").expect("it is there"), Some(offset));
        }
        assert!(offsets.load("other").expect("nothing").is_none());
        assert!(matches!(offsets.store("../ledger", &later), Err(OffsetStoreError::File(_))));
        let path = folder.join("ledger.offset");
        let text = fs::read_to_string(&path).expect("it is there");
        for damaged in [text.replace("8192", "8193"), String::new(), text[..9].to_owned()] {
            fs::write(&path, damaged).expect("a file");
            assert!(matches!(offsets.load("ledger"), Err(OffsetStoreError::Damaged { .. })));
        }
        fs::remove_dir_all(&folder).expect("it was there");
    }
}
