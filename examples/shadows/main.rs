//! shadows: a million devices, each with a shadow that is durable and exists when it is needed, and none is lost.
//!
//! A shadow holds what a device was told to be and what it last said it is. It is an entity of
//! [`mainspring_sharding`], kept whole in a journal: it starts at its first message on the core that has its shard,
//! leaves memory when it is not used, moves with its shard while updates go on, and is found again after the process
//! was killed. The program does all of this to it, and proves in the end that every update that was acknowledged is
//! there. Exit codes: 0 proved, 1 not proved or the run failed, 2 the command line is bad.

mod blackout;
mod fleet;
mod flights;
mod gateway;
mod life;
mod memory;
mod mover;
mod options;
mod popularity;
mod progress;
mod proof;
mod report;
mod shadow;
mod site;
mod supervisor;
mod table;

#[cfg(test)]
mod lock_tests;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use mainspring_examples::run_directory::{RunDirectory, RunDirectoryError};
use mainspring_examples::warnings;
use tracing_subscriber::filter::LevelFilter;

use life::LifeError;
use options::{CoresRefused, Options};
use progress::Progress;
use report::Report;
use supervisor::RunError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Cores(#[from] CoresRefused),
    #[error(transparent)]
    Directory(#[from] RunDirectoryError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error("the result cannot be printed: {0}")]
    Print(#[from] std::io::Error),
}

fn main() -> ExitCode {
    let begun = Instant::now();
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::ERROR);
    match work(&options, begun) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("shadows: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn work(options: &Options, begun: Instant) -> Result<u8, Failure> {
    if let (Some(life), Some(data)) = (options.life, &options.data) {
        life::live(life, options, data, begun)?;
        return Ok(0);
    }
    options.core_count()?;
    let data = RunDirectory::fresh("shadows", options.data.as_deref())?;
    let mut progress = Progress::new();
    let (loaded, ledger) = supervisor::load(options, data.path(), &mut progress)?;
    let restarted = supervisor::read(options, data.path(), ledger, &mut progress)?;
    let report = Report::new(options, &loaded, restarted, data.bytes()?);
    let code = print(&mut std::io::stdout().lock(), options.json, &report)?;
    if code == 0 {
        data.remove()?;
    }
    Ok(code)
}

/// Prints the report; the exit code that goes with it.
fn print(out: &mut impl Write, json: bool, report: &Report) -> std::io::Result<u8> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", table::Table(report))?;
    }
    out.flush()?;
    let Some(violation) = report.violation() else { return Ok(0) };
    eprintln!("shadows: the proof fails: {violation}");
    Ok(1)
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Cores(_) | Failure::Directory(_) => 2,
            _ => 1,
        }
    }
}
