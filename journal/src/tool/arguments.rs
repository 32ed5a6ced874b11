//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Looks at the log of one core, and saves what is left of one that is corrupt.
///
/// DIRECTORY is the folder of one core, such as JOURNAL/core-0. Nothing in it is changed. Exit code: 0 the log is
/// whole, 1 it has a torn tail, 2 it is corrupt, 3 it could not be read.
#[derive(Debug, Parser)]
#[command(name = "mainspring-journal", version)]
pub struct Arguments {
    /// One JSON object a line instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Whose log it is, how much is in it, and what state it is in.
    Info {
        /// The folder of one core.
        directory: PathBuf,
    },
    /// Every record, one a line, in the order of the log.
    Dump {
        /// The folder of one core.
        directory: PathBuf,
        /// Only the records of this entity: TYPE/ID, as `dump` shows it.
        #[arg(long, value_name = "TYPE/ID")]
        entity: Option<String>,
    },
    /// Reads the log as its program would when it starts, and says whether it would.
    Verify {
        /// The folder of one core.
        directory: PathBuf,
    },
    /// Reads every block of every segment and reports all damage, not just the first.
    Scrub {
        /// The folder of one core.
        directory: PathBuf,
    },
    /// Writes every record that is provably whole into a new directory, and says what is missing.
    Salvage {
        /// The folder of one core.
        directory: PathBuf,
        /// Where the new log is written; made when it is not there.
        #[arg(value_name = "NEW_DIRECTORY")]
        new_directory: PathBuf,
    },
}
