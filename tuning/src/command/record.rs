//! `record`: a machine as a folder, for a test or for somebody who is to judge it from afar.

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
        let mut files = 0;
        for (path, kept) in root.kept() {
            let place = self.folder.join(path.strip_prefix("/").unwrap_or(&path));
            let Kept::File(text) = kept else {
                std::fs::create_dir_all(&place).map_err(|error| failed(&place, error))?;
                continue;
            };
            let parent = place.parent().unwrap_or(&self.folder);
            std::fs::create_dir_all(parent).map_err(|error| failed(parent, error))?;
            std::fs::write(&place, text).map_err(|error| failed(&place, error))?;
            files += 1;
        }
        writeln!(out, "{files} files in {}", self.folder.display())?;
        Ok(AS_WANTED)
    }
}

fn failed(path: &Path, source: std::io::Error) -> CommandError {
    CommandError::Unwritable { path: path.to_owned(), source }
}
