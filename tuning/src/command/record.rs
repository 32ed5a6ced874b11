//! `record`: a machine as a folder, for a test or for somebody who is to judge it from afar.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::{AS_WANTED, CommandError, Context};
use crate::check;
use crate::facts::Facts;
use crate::sys_root::Kept;

/// The arguments of `record`.
#[derive(Debug, clap::Args)]
pub(super) struct RecordArguments {
    /// A new folder; --root FOLDER then looks at this machine from anywhere.
    folder: PathBuf,
}

impl RecordArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        let root = context.root.clone().keeping();
        Facts::probe(&root, &check::all())?;
        std::fs::create_dir(&self.folder).map_err(|error| failed(&self.folder, error))?;
        let kept = root.kept();
        let mut files = 0;
        for (path, what) in &kept {
            match what {
                Kept::File(text) => files += self.write(path, text)?,
                // Of a directory in which nothing was read the names are all that matters.
                Kept::Directory(names) if is_leaf(&kept, path) => {
                    for name in names {
                        files += self.write(&path.join(name), "")?;
                    }
                }
                Kept::Directory(_) => {}
            }
        }
        writeln!(out, "{files} files in {}", self.folder.display())?;
        Ok(AS_WANTED)
    }

    /// Writes one file of the machine below the folder; how many files that makes.
    fn write(&self, path: &Path, text: &str) -> Result<usize, CommandError> {
        let place = self.folder.join(path.strip_prefix("/").unwrap_or(path));
        let parent = place.parent().unwrap_or(&self.folder);
        std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
        std::fs::write(&place, text).map_err(|error| failed(&place, error))?;
        Ok(1)
    }
}

/// Whether nothing was read below the directory.
fn is_leaf(kept: &BTreeMap<PathBuf, Kept>, directory: &Path) -> bool {
    let below =
        kept.range(directory.to_owned()..).take_while(|(path, _)| path.starts_with(directory));
    !below.into_iter().any(|(path, _)| path.components().ne(directory.components()))
}

fn failed(path: &Path, source: std::io::Error) -> CommandError {
    CommandError::Unwritable { path: path.to_owned(), source }
}
