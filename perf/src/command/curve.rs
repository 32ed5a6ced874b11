//! `curve`: latency against load.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::interrupt;
use super::rate::{ProgressLine, measured};
use super::record::Record;
use super::round::{CpuList, chosen_cpus, parse_cpu_list};
use super::run::DEFAULT_OUT;
use super::{CommandError, exit_code_of};
use crate::load::curve::{self, CurveSettings, DEFAULT_PERCENTS, MOST_PERCENT, MOST_POINTS};
use crate::load::schedule::Arrivals;
use crate::load::settings::{Drive, LoadSettings};
use crate::report;
use crate::scenario::{self, IdleProfile};

/// The arguments of `curve`.
#[derive(Args, Debug)]
pub struct CurveArguments {
    /// The scenario's name; `list` shows all.
    scenario: String,
    /// How long each point is measured, behind its warm-up.
    #[arg(long, default_value_t = 5.0)]
    seconds_per_point: f64,
    /// The points, in percent of the capacity, as in 10,50,90; 10 to 90 and 95 when absent.
    #[arg(long, value_parser = parse_percents)]
    points: Option<Percents>,
    /// How many messages are under way while the capacity is measured.
    #[arg(long, default_value_t = 256)]
    window: u32,
    /// Bytes that travel with each message.
    #[arg(long, default_value_t = 0)]
    payload: usize,
    /// How the messages are spread: uniform, poisson or burst:N.
    #[arg(long, default_value_t = Arrivals::Uniform)]
    arrivals: Arrivals,
    /// The CPUs to use, as in 0,2-3; all allowed ones when absent.
    #[arg(long, value_parser = parse_cpu_list)]
    cores: Option<CpuList>,
    /// What idle cores do: busy, hybrid or eco; the scenario's own profile when absent.
    #[arg(long)]
    idle: Option<IdleProfile>,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Where the result folder is made.
    #[arg(long, default_value = DEFAULT_OUT)]
    out: PathBuf,
}

/// One value of the command line, although it holds many parts.
#[derive(Clone, Debug)]
struct Percents(Vec<u32>);

impl CurveArguments {
    /// Measures the curve and prints it.
    pub fn execute(&self) -> Result<ExitCode, CommandError> {
        let unknown = || CommandError::UnknownScenario(self.scenario.clone());
        let scenario = scenario::find(&self.scenario).ok_or_else(unknown)?;
        let settings = self.settings()?;
        settings.load.check(scenario)?;
        let stop = interrupt::stop_flag()?;
        let subject = format!("curve-{}", scenario.description().name);
        let record = Record::open(&self.out, &subject, &settings.load.cpus)?;
        let mut line = ProgressLine::new(scenario.description().name);
        let result = curve::measure(scenario, &settings, &stop, &mut |step, progress| {
            line.show_step(step, progress.as_ref());
        });
        line.clear();
        let result = result?;
        record.write("curve.json", result.to_json()?)?;
        record.write("curve.csv", result.to_csv())?;
        record.write("curve.svg", report::curve_svg(&serde_json::to_value(&result)?))?;
        let path = record.finish()?;
        let text = if self.json { result.to_json()? + "\n" } else { result.to_string() };
        io::stdout().write_all(text.as_bytes())?;
        eprintln!("written to {}", path.display());
        Ok(exit_code_of(result.verdict))
    }

    fn settings(&self) -> Result<CurveSettings, CommandError> {
        let load = LoadSettings {
            drive: Drive::Window(self.window),
            measured: measured(self.seconds_per_point)?,
            payload_bytes: self.payload,
            cpus: chosen_cpus(self.cores.as_ref())?,
            idle: self.idle,
        };
        let percents =
            self.points.as_ref().map_or(DEFAULT_PERCENTS.to_vec(), |points| points.0.clone());
        Ok(CurveSettings { load, arrivals: self.arrivals, percents })
    }
}

fn parse_percents(text: &str) -> Result<Percents, String> {
    let wrong = |part: &str| {
        format!(
            "\"{part}\" is no part of the capacity; write percents such as 10,50,90, from 1 to {MOST_PERCENT}"
        )
    };
    let parse = |part: &str| match part.trim().parse() {
        Ok(percent) if (1..=MOST_PERCENT).contains(&percent) => Ok(percent),
        _ => Err(wrong(part)),
    };
    let mut percents = text.split(',').map(parse).collect::<Result<Vec<u32>, String>>()?;
    percents.sort_unstable();
    percents.dedup();
    if percents.len() > MOST_POINTS {
        return Err(format!("{} points are too many; name at most {MOST_POINTS}", percents.len()));
    }
    Ok(Percents(percents))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_in_any_order_each_once() {
        assert_eq!(parse_percents("90,10, 50,10").expect("a list").0, [10, 50, 90]);
        for text in ["", "0", "201", "10,,20", "ten"] {
            let error = parse_percents(text).expect_err(text);
            assert!(error.contains("write percents such as 10,50,90"), "{error}");
        }
    }
}
