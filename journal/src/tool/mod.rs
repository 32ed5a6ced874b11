//! The command `mainspring-journal`: looks at the log of one core while nobody writes it, and saves what is left of one
//! that is corrupt.
//!
//! Promises: a log is only ever read. `salvage` writes to a new directory and nowhere else. Every answer is one line a
//! fact, or one JSON object a fact. The exit code is the verdict on the log: 0 it is whole, 1 it has a torn tail,
//! 2 it is corrupt, 3 it could not be read or the command line is wrong.

mod arguments;
mod blocks;
mod catalogue;
mod dump;
mod info;
mod names;
mod opened;
mod output;
mod salvage;
mod scan;
mod scrub;
mod verdict;
mod writer;

use std::ffi::OsString;
use std::io::{self, Write};

use clap::Parser;

use self::arguments::{Arguments, Command};
use self::output::Output;
use crate::directory::FileError;
use crate::log::recovery::ReadError;

/// Runs one command line, the program's name first, and returns the exit code.
pub fn run(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    errors: &mut dyn Write,
) -> u8 {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let lines: Vec<&str> =
                text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
            let text = lines.join(" ");
            let text = text.trim_start_matches("error: ");
            // Nobody is left to be told when this cannot be written.
            let _ = writeln!(errors, "mainspring-journal: {text}; see --help");
            return NOT_READ;
        }
        Err(help) => {
            let _ = write!(out, "{help}");
            return 0;
        }
    };
    let mut output = Output::new(out, arguments.json);
    let done = match arguments.command {
        Command::Info { directory } => info::info(&directory, &mut output),
        Command::Dump { directory, entity } => {
            dump::dump(&directory, entity.as_deref(), &mut output)
        }
        Command::Verify { directory } => info::verify(&directory, &mut output),
        Command::Scrub { directory } => scrub::scrub(&directory, &mut output),
        Command::Salvage { directory, new_directory } => {
            salvage::salvage(&directory, &new_directory, &mut output)
        }
    };
    let done = done.and_then(|verdict| {
        output.flush()?;
        Ok(verdict)
    });
    match done {
        Ok(verdict) => verdict.exit_code(),
        // Whoever reads the output has seen enough.
        Err(ToolError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => {
            let _ = writeln!(errors, "mainspring-journal: {error}");
            NOT_READ
        }
    }
}

/// The exit code when there is no verdict.
const NOT_READ: u8 = 3;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
enum ToolError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(
        "{0} holds no segment of a core log; name the folder of one core, such as JOURNAL/core-0"
    )]
    NoLog(String),
    #[error("segment file {file}: {reason}")]
    Unreadable { file: u64, reason: String },
    #[error("\"{0}\" names no entity; write TYPE/ID as `dump` shows it")]
    Entity(String),
    #[error("{0} is there and not empty; name a new directory")]
    NotNew(String),
    #[error("{0}; remove the new directory and try again")]
    Salvage(String),
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}
