//! flights: a year of real flights, and what every aircraft, airport and carrier has seen of them.
//!
//! Reads the file once, adds up the totals, and prints them as tables or as JSON.
// The options for cores, the progress bar and the comparison wait for the actors that use them.
#![allow(dead_code)]

mod code;
mod compare;
mod fold;
mod latency;
mod minute;
mod options;
mod pace;
mod party;
mod progress;
mod reader;
#[cfg(test)]
mod reader_tests;
mod record;
mod report;
mod route;
mod table;
mod totals;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = options::Options::parse();
    let fold = match fold::Fold::of_file(&options.data) {
        Ok(fold) => fold,
        Err(error) => {
            eprintln!("flights: {error}");
            return ExitCode::from(2);
        }
    };
    let data = options.data.display().to_string();
    let ledger = fold.after(options.repeat);
    let report = report::Report::new(data, fold.flights, options.repeat, &ledger);
    if options.json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("flights: {error}"),
        }
    } else {
        print!("{}", table::Table(&report));
    }
    ExitCode::SUCCESS
}
