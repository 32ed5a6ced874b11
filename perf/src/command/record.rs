//! The result folder of one command, from before its run to its name.

use std::path::{Path, PathBuf};

use super::CommandError;
use crate::report;
use crate::result_folder::{Environment, FolderError, ResultFolder};

/// A result in the making.
pub struct Record {
    folder: ResultFolder,
}

impl Record {
    /// Makes the folder and writes down the machine, as it is before the run.
    pub fn open(parent: &Path, subject: &str, cpus: &[usize]) -> Result<Record, CommandError> {
        let folder = ResultFolder::create(parent, subject)?;
        folder.write("env.json", Environment::of_this_machine(cpus).to_json()?.as_bytes())?;
        Ok(Record { folder })
    }

    /// Adds a file.
    pub fn write(&self, file: &str, bytes: impl AsRef<[u8]>) -> Result<(), FolderError> {
        self.folder.write(file, bytes.as_ref())
    }

    /// Adds the page and gives the folder its name. Where it is then.
    pub fn finish(self) -> Result<PathBuf, CommandError> {
        let page = report::page_of_new(self.folder.path(), self.folder.name())?;
        self.folder.write("report.html", page.as_bytes())?;
        Ok(self.folder.finish()?)
    }
}
