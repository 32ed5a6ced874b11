//! flights: a year of real flights, told to actors.
//!
//! Every aircraft, airport and carrier is an actor that keeps totals of what it has seen. The program reads the file,
//! sends every flight to the actors it concerns, gathers their answers, and holds each of them against a plain fold of
//! the same file. Exit codes: 0 all totals are equal, 1 one differs, 2 the file or the command line is bad, 3 the node
//! failed.

mod code;
mod compare;
mod directory;
mod fold;
mod ingest;
mod latency;
mod minute;
mod options;
mod pace;
mod party;
mod progress;
mod reader;
mod record;
mod report;
mod route;
mod run;
mod shadow;
mod table;
mod totals;

#[cfg(test)]
mod actors_tests;
#[cfg(test)]
mod reader_tests;

use clap::Parser;
use mainspring_examples::warnings;
use options::Options;
use report::{Check, Report};
use std::io::Write;
use std::process::ExitCode;
use tracing_subscriber::filter::LevelFilter;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Read(#[from] reader::ReadError),
    #[error(transparent)]
    Run(#[from] run::RunError),
}

fn main() -> ExitCode {
    let options = Options::parse();
    warnings::to_stderr(LevelFilter::WARN);
    let out = &mut std::io::stdout().lock();
    match report(&options).map(|report| print(out, options.json, &report)) {
        Ok(Ok(code)) => ExitCode::from(code),
        Ok(Err(error)) => {
            eprintln!("flights: the result cannot be printed: {error}");
            ExitCode::from(3)
        }
        Err(failure) => {
            eprintln!("flights: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn report(options: &Options) -> Result<Report, Failure> {
    let fold = fold::Fold::of_file(&options.data)?;
    let text = reader::Text::read(&options.data)?;
    let answers = run::run(options, &text, &fold)?;
    let reference = fold.after(options.repeat);
    let difference = compare::first_difference(&answers.ledger, &reference);
    let check = Check {
        compared: reference.len(),
        first_difference: difference.map(|difference| difference.to_string()),
    };
    let data = options.data.display().to_string();
    let flights = fold.flights;
    Ok(Report::new(data, flights, options.repeat, &answers.ledger, answers.run, check))
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
    let Some(difference) = &report.check.first_difference else { return Ok(0) };
    eprintln!("flights: the actors' totals differ from those of the file: {difference}");
    Ok(1)
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Failure::Read(_) | Failure::Run(run::RunError::File(_)) => 2,
            Failure::Run(_) => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_printed_and_exits_1() {
        for json in [false, true] {
            let mut report = report::tests::small();
            let mut out = Vec::new();
            assert_eq!(print(&mut out, json, &report).unwrap(), 0);
            report.check.first_difference = Some("carrier UA: flights is 1".into());
            out.clear();
            assert_eq!(print(&mut out, json, &report).unwrap(), 1);
            assert!(String::from_utf8(out).unwrap().contains("carrier UA: flights is 1"));
        }
    }

    #[test]
    fn a_bad_file_exits_2_whoever_finds_it_and_a_failed_node_3() {
        let header = reader::ReadError::NoFlights { path: "x".into() };
        assert_eq!(Failure::from(header).exit_code(), 2);
        assert_eq!(Failure::from(run::RunError::File("x:2: bad".into())).exit_code(), 2);
        assert_eq!(Failure::from(run::RunError::Lost { sent: 2, handled: 1 }).exit_code(), 3);
    }
}
