//! Small files that are there as a whole or not at all, whatever happens while they are written.
//!
//! Promises: after [`replace`] the file is durable under its name. A crash in the middle leaves what was there
//! before, and perhaps a temporary file, which the next opening of the directory removes.
//!
//! Refuses: names that are not plain file names, and names of temporary files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The ending of files that are not complete yet.
pub const TEMPORARY: &str = "tmp";

/// Something in a journal's directory could not be done.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct FileError {
    /// What was to be done.
    pub what: &'static str,
    /// With which file or folder.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl FileError {
    /// Whether the file system has no room, or this user may not have more of it.
    pub fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
        move |source| FileError { what, path: path.to_owned(), source }
    }
}

/// Writes the file `name` of `folder` anew, durably.
///
/// # Errors
/// [`FileError`]. The file is what it was before.
pub fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), FileError> {
    replace_with(folder, name, |writer| writer.write_all(bytes))
}

/// Writes the file `name` of `folder` anew, durably; `fill` gives its content.
///
/// # Errors
/// [`FileError`], also when `fill` fails. The file is what it was before.
pub fn replace_with(
    folder: &Path,
    name: &str,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), FileError> {
    let path = plain(folder, name)?;
    let temporary = temporary_of(&path);
    let written = write_and_sync(&temporary, fill)
        .map_err(FileError::at("write", &temporary))
        .and_then(|()| fs::rename(&temporary, &path).map_err(FileError::at("rename to", &path)));
    if let Err(error) = written {
        // It is removed when the directory is opened, if not now; what failed is worth more.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(folder)
}

/// Removes files of `folder` durably, one after the other: after a crash none is gone while an earlier one is there.
/// A file that is not there counts as removed.
///
/// # Errors
/// [`FileError`] of the first that cannot be removed; those after it are left.
pub fn remove(folder: &Path, names: &[String]) -> Result<(), FileError> {
    for name in names {
        let path = plain(folder, name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::at("remove", &path)(error));
            }
            _ => sync_folder(folder)?,
        }
    }
    Ok(())
}

/// Makes durable which files a folder has.
///
/// # Errors
/// [`FileError`].
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(FileError::at("sync the folder", folder))
}

/// Where the file stands until it is complete.
pub(super) fn temporary_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(TEMPORARY);
    PathBuf::from(name)
}

fn write_and_sync(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    fill(&mut writer)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn plain(folder: &Path, name: &str) -> Result<PathBuf, FileError> {
    let path = folder.join(name);
    let is_plain = Path::new(name).file_name().is_some_and(|last| last == name);
    if is_plain && Path::new(name).extension().is_none_or(|ending| ending != TEMPORARY) {
        return Ok(path);
    }
    let refusal = io::Error::new(io::ErrorKind::InvalidInput, "this is no name of a complete file");
    Err(FileError::at("use", &path)(refusal))
}

const BUFFER_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    #[test]
    fn a_file_that_is_replaced_has_the_new_content_and_nothing_else_is_left() {
        let scratch = Scratch::new("replace");
        for content in [b"first".as_slice(), b"a second, longer one", b""] {
            replace(scratch.path(), "footer", content).expect("it can be written");
            assert_eq!(fs::read(scratch.path().join("footer")).expect("it is there"), content);
        }
        assert_eq!(scratch.names(), ["footer"]);
    }

    #[test]
    fn a_file_whose_content_fails_is_what_it_was_before() {
        let scratch = Scratch::new("replace-fails");
        replace(scratch.path(), "footer", b"old").expect("it can be written");
        let failed = replace_with(scratch.path(), "footer", |writer| {
            writer.write_all(b"half")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert!(failed.expect_err("the content fails").is_no_space());
        assert_eq!(fs::read(scratch.path().join("footer")).expect("it is there"), b"old");
        assert_eq!(scratch.names(), ["footer"]);
    }

    #[test]
    fn removing_goes_in_order_and_passes_over_what_is_gone() {
        let scratch = Scratch::new("remove");
        for name in ["a", "c"] {
            replace(scratch.path(), name, b"x").expect("it can be written");
        }
        let names = ["a", "b", "../c"].map(String::from);
        let error = remove(scratch.path(), &names).expect_err("the last is outside");
        assert!(error.to_string().contains("../c: this is no name"), "{error}");
        assert_eq!(scratch.names(), ["c"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let scratch = Scratch::new("names");
        for name in ["", ".", "..", "a/b", "/etc/x", "x.tmp"] {
            let error = replace(scratch.path(), name, b"").expect_err(name);
            assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
        assert!(scratch.names().is_empty());
    }
}
