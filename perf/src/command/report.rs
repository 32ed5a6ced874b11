//! `report`: one page of many results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::CommandError;
use crate::report;

/// The arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArguments {
    /// The result folders, in the order in which they are shown.
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// The page that is written; an older one of this name is replaced.
    #[arg(long, default_value = "report.html")]
    output: PathBuf,
}

impl ReportArguments {
    /// Writes the page and prints its name.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let folders: Vec<&Path> = self.folders.iter().map(PathBuf::as_path).collect();
        let page = report::page(&folders)?;
        let unwritable = |source| CommandError::Unwritable { path: self.output.clone(), source };
        // Written aside and renamed: nobody finds half a page.
        let aside = self.output.with_extension("html.unfinished");
        fs::write(&aside, page).map_err(unwritable)?;
        fs::rename(&aside, &self.output).map_err(unwritable)?;
        println!("{}", self.output.display());
        Ok(ExitCode::SUCCESS)
    }
}
