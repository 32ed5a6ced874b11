//! A folder under the build's own, which is on a real file system.

use std::fs;
use std::path::{Path, PathBuf};

use mainspring_journal::Journal;

use crate::notebook;

/// It is removed when nobody needs it any more.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let path = path.join(format!("{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Folder(path)
    }

    /// The journal in it, through the page cache where it must be.
    pub fn journal(&self) -> Journal {
        notebook::journal(&self.0).allow_buffered(true)
    }

    /// The folder of the journal's only core.
    pub fn core(&self) -> PathBuf {
        self.0.join("journal/core-0")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
