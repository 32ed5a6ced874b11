//! `jitter`: how long a thread that never waits is kept from running, and by whom.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{AS_WANTED, CommandError, Context, interrupt};
use crate::cpu_set::CpuSet;
use crate::figures::hgrm;
use crate::jitter::{self, JitterError, Measured, Resolution, Settings};
use crate::system;

/// The arguments of `jitter`.
#[derive(Debug, clap::Args)]
pub(super) struct JitterArguments {
    /// The CPUs to measure, such as 2-5,8; all that this process may use when left out.
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuSet>,
    /// For how long; at most an hour.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Readings of the clock that are so far apart have a gap between them.
    #[arg(long, default_value_t = 1_000, value_name = "NS")]
    #[arg(value_parser = clap::value_parser!(u64).range(100..=1_000_000_000))]
    threshold_ns: u64,
    /// A folder for the percentiles of each CPU, in the form of HdrHistogram: cpu-N.hgrm.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl JitterArguments {
    pub(super) fn execute(
        self,
        context: &Context,
        out: &mut dyn Write,
    ) -> Result<u8, CommandError> {
        if context.root.is_recorded() {
            return Err(CommandError::OnlyHere { command: "jitter" });
        }
        let cpus = match self.cpus {
            Some(cpus) => cpus,
            None => system::affinity().map_err(JitterError::Mask)?,
        };
        let resolutions = jitter::resolutions(&cpus)?;
        let files = match &self.out {
            Some(folder) => open_files(folder, &cpus)?,
            None => Vec::new(),
        };
        let settings = Settings {
            cpus,
            duration: Duration::from_secs(self.seconds),
            threshold_ns: threshold_ns(self.threshold_ns, &resolutions),
        };
        if !context.is_json {
            write_resolutions(&resolutions, settings.threshold_ns, out)?;
            out.flush()?;
        }
        let stop = interrupt::stop_flag()?;
        let measured = jitter::measure(&settings, &stop)?;
        if context.is_json {
            let json = json_of(&resolutions, settings.threshold_ns, &measured);
            serde_json::to_writer_pretty(&mut *out, &json)?;
            writeln!(out)?;
        } else {
            for measured in &measured {
                write_measured(measured, out)?;
            }
        }
        for ((path, mut file), measured) in files.into_iter().zip(&measured) {
            file.write_all(hgrm::text(measured.meter.gaps_ns()).as_bytes())
                .map_err(|source| CommandError::Unwritable { path, source })?;
        }
        Ok(AS_WANTED)
    }
}

/// The files, before anything is measured: an hour must not end with a folder that cannot be written.
fn open_files(folder: &Path, cpus: &CpuSet) -> Result<Vec<(PathBuf, File)>, CommandError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        |source| CommandError::Unwritable { path, source }
    };
    fs::create_dir_all(folder).map_err(unwritable(folder))?;
    let open = |cpu| {
        let path = folder.join(format!("cpu-{cpu}.hgrm"));
        let file = File::create_new(&path).map_err(unwritable(&path))?;
        Ok((path, file))
    };
    cpus.iter().map(open).collect()
}

/// What was asked for, unless the clock itself takes that long to read.
fn threshold_ns(asked_ns: u64, resolutions: &[Resolution]) -> u64 {
    let slowest_ns = resolutions.iter().map(|resolution| resolution.median_ns).max();
    asked_ns.max(slowest_ns.unwrap_or_default().saturating_mul(READINGS_IN_A_GAP))
}

/// A gap shorter than so many readings of the clock may be one that was slow.
const READINGS_IN_A_GAP: u64 = 4;

fn write_resolutions(
    resolutions: &[Resolution],
    threshold_ns: u64,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    writeln!(out, "between two readings of the clock, when nothing comes between them")?;
    for Resolution { cpu, median_ns, p99_ns } in resolutions {
        writeln!(out, "  CPU {cpu:<5} half within {median_ns} ns, 99 % within {p99_ns} ns")?;
    }
    writeln!(out, "a gap lasts at least {threshold_ns} ns")?;
    Ok(())
}

fn write_measured(measured: &Measured, out: &mut dyn Write) -> Result<(), CommandError> {
    let Measured { cpu, meter } = measured;
    let gaps_ns = meter.gaps_ns();
    writeln!(
        out,
        "\nCPU {cpu}: {} measured, {} more went into reading counters",
        time(meter.spun_ns()),
        time(meter.looking_ns())
    )?;
    if gaps_ns.is_empty() {
        writeln!(out, "  no gap")?;
        return Ok(());
    }
    let share = meter.lost_ns() as f64 * 100.0 / meter.spun_ns().max(1) as f64;
    writeln!(out, "  {} gaps took {}, {share:.3} %", gaps_ns.len(), time(meter.lost_ns()))?;
    let at = |quantile| time(gaps_ns.value_at_quantile(quantile));
    writeln!(
        out,
        "  half of them up to {}, 90 % {}, 99 % {}, 99.9 % {}, the longest {}",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        time(gaps_ns.max())
    )?;
    writeln!(out, "  {:>10} {:>10} {:>10}  cause", "gaps", "time", "longest")?;
    let mut causes: Vec<_> = meter.by_cause().iter().collect();
    causes.sort_by_key(|(_, lost)| std::cmp::Reverse(lost.lost_ns));
    for (cause, lost) in causes {
        let (sum, longest) = (time(lost.lost_ns), time(lost.longest_ns));
        writeln!(out, "  {:>10} {sum:>10} {longest:>10}  {cause}", lost.gaps)?;
    }
    Ok(())
}

fn json_of(resolutions: &[Resolution], threshold_ns: u64, measured: &[Measured]) -> Value {
    let cpus: Vec<Value> = resolutions.iter().zip(measured).map(cpu_json).collect();
    json!({ "threshold_ns": threshold_ns, "cpus": cpus })
}

fn cpu_json((resolution, measured): (&Resolution, &Measured)) -> Value {
    let meter = &measured.meter;
    let gaps_ns = meter.gaps_ns();
    let at = |quantile| gaps_ns.value_at_quantile(quantile);
    let causes: Vec<Value> = meter
        .by_cause()
        .iter()
        .map(|(cause, lost)| {
            json!({
                "cause": cause.to_string(),
                "gaps": lost.gaps,
                "lost_ns": lost.lost_ns,
                "longest_ns": lost.longest_ns,
            })
        })
        .collect();
    json!({
        "cpu": measured.cpu,
        "resolution_median_ns": resolution.median_ns,
        "resolution_p99_ns": resolution.p99_ns,
        "measured_ns": meter.spun_ns(),
        "looking_ns": meter.looking_ns(),
        "gaps": gaps_ns.len(),
        "lost_ns": meter.lost_ns(),
        "p50_ns": at(0.5),
        "p90_ns": at(0.9),
        "p99_ns": at(0.99),
        "p999_ns": at(0.999),
        "max_ns": gaps_ns.max(),
        "causes": causes,
    })
}

/// A time in the unit that suits it.
fn time(ns: u64) -> String {
    match ns {
        0..10_000 => format!("{ns} ns"),
        10_000..10_000_000 => format!("{:.1} us", ns as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_clock_raises_the_threshold() {
        let clock = |median_ns| [Resolution { cpu: 0, median_ns, p99_ns: median_ns }];
        assert_eq!(threshold_ns(1_000, &clock(30)), 1_000);
        assert_eq!(threshold_ns(1_000, &clock(600)), 2_400);
    }

    #[test]
    fn times_have_a_unit_that_can_be_read() {
        let times: Vec<_> = [950, 10_500, 12_345_678, 61_000_000_000].map(time).into();
        assert_eq!(times, ["950 ns", "10.5 us", "12.3 ms", "61.0 s"]);
    }
}
