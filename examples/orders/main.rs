//! orders: a shop whose process is killed again and again, and that loses nothing.
//!
//! An order is a saga as an event-sourced actor; the services are event-sourced ledgers behind a way that cannot be
//! relied on. The program runs them in a process of its own, kills it with SIGKILL at random points, and proves in the
//! end that every order is done or undone and that no step had an effect twice. Exit codes: 0 proved, 1 not proved or
//! the run failed, 2 the command line is bad.

mod clerk;
mod desk;
mod details;
mod ledger;
mod life;
mod mark;
mod meter;
mod options;
mod order;
mod progress;
mod proof;
mod report;
mod service;
mod shop;
mod step;
mod supervisor;
mod table;

#[cfg(test)]
mod lock_tests;
#[cfg(test)]
mod proof_tests;
#[cfg(test)]
mod saga_tests;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use mainspring_examples::run_directory::{RunDirectory, RunDirectoryError};
use mainspring_examples::warnings;
use tracing_subscriber::filter::LevelFilter;

use life::LifeError;
use options::{Options, TooManyCrashes};
use progress::Progress;
use report::Report;
use shop::{Shop, ShopError};
use supervisor::RunError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    TooManyCrashes(#[from] TooManyCrashes),
    #[error("{0}{hint}", hint = prove_hint(.0))]
    Directory(#[from] RunDirectoryError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Life(#[from] LifeError),
    #[error("the journal could not be asked: {0}")]
    Prove(#[from] ShopError),
    #[error("the result cannot be printed: {0}")]
    Print(#[from] std::io::Error),
}

/// What else can be done with a directory that is taken.
fn prove_hint(error: &RunDirectoryError) -> &'static str {
    match error {
        RunDirectoryError::NotEmpty { .. } => ", or look at it with --prove",
        _ => "",
    }
}

fn main() -> ExitCode {
    let started = Instant::now();
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::ERROR);
    match work(&options, started) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("orders: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn work(options: &Options, started: Instant) -> Result<u8, Failure> {
    options.check()?;
    if let (true, Some(data)) = (options.child, &options.data) {
        life::live(options, data.clone(), started)?;
        return Ok(0);
    }
    let data = match options.prove {
        true => RunDirectory::existing(options.data.as_deref().unwrap_or(Path::new(".")))?,
        false => RunDirectory::fresh("orders", options.data.as_deref())?,
    };
    let report = report(options, &data)?;
    let code = print(&mut std::io::stdout().lock(), options.json, &report)?;
    if code == 0 {
        data.remove()?;
    }
    Ok(code)
}

fn report(options: &Options, data: &RunDirectory) -> Result<Report, Failure> {
    let measured = match options.prove {
        true => None,
        false => {
            let bar = Progress::new(options.orders);
            Some(supervisor::run(options, data.path(), &mut |ended, crashes| {
                bar.set(ended, crashes);
            })?)
        }
    };
    let started = Instant::now();
    let shop = Shop::open(options, data.path().to_owned())?;
    let proof = shop.prove(options.orders)?;
    let proof_seconds = started.elapsed().as_secs_f64();
    shop.close()?;
    Ok(Report::new(options, measured.as_ref(), proof_seconds, proof))
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
    if report.is_proved() {
        return Ok(0);
    }
    let first = report.proof.first_violations.first().map_or("not all orders were found", |it| it);
    eprintln!("orders: the proof fails: {first}");
    Ok(1)
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::TooManyCrashes(_) | Failure::Directory(_) => 2,
            _ => 1,
        }
    }
}
