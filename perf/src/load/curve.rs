//! Latency against load: what a service can do at most, and what its responses take at parts of that.
//!
//! The capacity is the rate of a closed loop with a window. Each point is then a load at a rate of its own, with its
//! own verdict. The knee is found by [`knee`], a pure function of the points.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::measure::Progress;
use super::result::LoadResult;
use super::run;
use super::schedule::Arrivals;
use super::settings::{Drive, LoadError, LoadSettings};
use crate::result::{grouped, row};
use crate::scenario::Scenario;
use crate::verdict::Verdict;

/// The parts of the capacity at which points are measured when none are named, in percent.
pub const DEFAULT_PERCENTS: [u32; 10] = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95];

/// The most points of a curve.
pub const MOST_POINTS: usize = 100;

/// The highest part of the capacity that may be asked for, in percent.
pub const MOST_PERCENT: u32 = 200;

/// The knee is the highest rate whose 99th percentile is at most this many times the lowest one.
pub const KNEE_TIMES: f64 = 3.0;

/// Fewer points than this that are not invalid make no curve.
pub const FEWEST_POINTS: usize = 3;

/// What is to be measured.
#[derive(Clone, Debug)]
pub struct CurveSettings {
    /// What every point has in common; its drive is that of the capacity.
    pub load: LoadSettings,
    /// How the messages of the points are spread.
    pub arrivals: Arrivals,
    /// The parts of the capacity, in percent, ascending.
    pub percents: Vec<u32>,
}

/// One load of a curve. Its times are those of the response, from when a message was due.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// The part of the capacity.
    pub percent: u32,
    /// The rate that was asked for.
    pub offered_per_second: f64,
    /// The rate at which answers came.
    pub achieved_per_second: Option<f64>,
    /// Half of the responses took no longer.
    pub p50_ns: Option<u64>,
    /// 90 % of the responses took no longer.
    pub p90_ns: Option<u64>,
    /// 99 % of the responses took no longer.
    pub p99_ns: Option<u64>,
    /// 99.9 % of the responses took no longer.
    pub p999_ns: Option<u64>,
    /// The longest response.
    pub max_ns: Option<u64>,
    /// How far the point may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
}

/// A whole curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurveResult {
    /// The scenario's name.
    pub scenario: String,
    /// What one response is.
    pub response: &'static str,
    /// Messages a second with a window of so many under way.
    pub capacity_per_second: f64,
    /// The window.
    pub window: u32,
    /// The knee, when there is one; see [`knee`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knee_per_second: Option<f64>,
    /// How the messages were spread.
    pub arrivals: String,
    /// Bytes that travelled with each message.
    pub payload_bytes: usize,
    /// How long each point was measured.
    pub seconds_per_point: f64,
    /// The points, by their rate.
    pub points: Vec<CurvePoint>,
    /// The CPUs that the run was given.
    pub cpus: Vec<usize>,
    /// How far the curve may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
}

/// Measures a curve. The flag ends it behind the points that are whole.
///
/// # Errors
/// [`LoadError`].
pub fn measure(
    scenario: &dyn Scenario,
    settings: &CurveSettings,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(&str, Option<Progress>),
) -> Result<CurveResult, LoadError> {
    let response = settings.load.check(scenario)?.response();
    let window = match settings.load.drive {
        Drive::Window(window) => window,
        Drive::Rate { .. } => return Err(LoadError::Window { window: 0 }),
    };
    progress("capacity", None);
    let mut load = |drive, step: &str| {
        let of_step = LoadSettings { drive, ..settings.load.clone() };
        let run = run::run(scenario, &of_step, true, stop, &mut |now| progress(step, Some(now)))?;
        Ok::<_, LoadError>(run.result)
    };
    let capacity = load(Drive::Window(window), "capacity")?.figures.achieved_per_second;
    let capacity = capacity.unwrap_or(0.0);
    let mut points = Vec::with_capacity(settings.percents.len());
    for percent in &settings.percents {
        let per_second = ((capacity * f64::from(*percent) / 100.0) as u64).max(1);
        let step = format!("{percent} % of {} a second", grouped(capacity as u64));
        let drive = Drive::Rate { per_second, arrivals: settings.arrivals };
        // A point that is cut short would be another one than its neighbours.
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let result = load(drive, &step)?;
        if stop.load(Ordering::Relaxed) {
            break;
        }
        points.push(CurvePoint::of(*percent, result));
    }
    let (verdict, reasons) = judge(&points, settings.percents.len());
    Ok(CurveResult {
        scenario: scenario.description().name.to_owned(),
        response,
        capacity_per_second: capacity.round(),
        window,
        knee_per_second: knee(&points).filter(|_| verdict != Verdict::Invalid),
        arrivals: settings.arrivals.to_string(),
        payload_bytes: settings.load.payload_bytes,
        seconds_per_point: settings.load.measured.as_secs_f64(),
        points,
        cpus: settings.load.cpus.clone(),
        verdict,
        reasons,
    })
}

/// The highest rate whose 99th percentile is at most [`KNEE_TIMES`] the lowest one, when there is a higher rate that
/// is beyond it: up to there load costs little, from there on messages wait for each other. Invalid points say
/// nothing. None when no rate is beyond.
pub fn knee(points: &[CurvePoint]) -> Option<f64> {
    let valid = points.iter().filter(|point| point.verdict != Verdict::Invalid);
    let times: Vec<(f64, u64)> =
        valid.filter_map(|point| Some((point.offered_per_second, point.p99_ns?))).collect();
    let lowest_ns = times.iter().map(|(_, p99_ns)| *p99_ns).min()?;
    let is_fine = |p99_ns: u64| p99_ns as f64 <= lowest_ns as f64 * KNEE_TIMES;
    let fine = times.iter().filter(|(_, p99_ns)| is_fine(*p99_ns)).map(|(rate, _)| *rate);
    let highest = fine.fold(None, |highest: Option<f64>, rate| {
        Some(highest.map_or(rate, |highest| highest.max(rate)))
    })?;
    times.iter().any(|(rate, _)| *rate > highest).then_some(highest)
}

fn judge(points: &[CurvePoint], planned: usize) -> (Verdict, Vec<String>) {
    let count = |verdict| points.iter().filter(|point| point.verdict == verdict).count();
    let (invalid, degraded) = (count(Verdict::Invalid), count(Verdict::Degraded));
    let mut reasons = Vec::new();
    if points.len() < planned {
        reasons.push(format!("interrupted after {} of {planned} points", points.len()));
    }
    for (number, word) in [(invalid, "invalid"), (degraded, "degraded")] {
        if number > 0 {
            reasons.push(format!("{number} of {} points are {word}", points.len()));
        }
    }
    let verdict = if points.len() - invalid < FEWEST_POINTS.min(planned) {
        Verdict::Invalid
    } else if reasons.is_empty() {
        Verdict::Valid
    } else {
        Verdict::Degraded
    };
    (verdict, reasons)
}

impl CurvePoint {
    fn of(percent: u32, result: LoadResult) -> CurvePoint {
        let figures = result.figures;
        CurvePoint {
            percent,
            offered_per_second: result.offered_per_second,
            achieved_per_second: figures.achieved_per_second,
            p50_ns: figures.response_p50_ns,
            p90_ns: figures.response_p90_ns,
            p99_ns: figures.response_p99_ns,
            p999_ns: figures.response_p999_ns,
            max_ns: figures.response_max_ns,
            verdict: result.verdict,
            reasons: result.reasons,
        }
    }

    fn times(&self) -> [Option<u64>; 5] {
        [self.p50_ns, self.p90_ns, self.p99_ns, self.p999_ns, self.max_ns]
    }
}

impl CurveResult {
    /// One JSON object, indented.
    ///
    /// # Errors
    /// What the writer says.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// One line a point. A figure that there is not stays empty.
    pub fn to_csv(&self) -> String {
        let mut text = String::from(
            "offered_per_second,achieved_per_second,p50_ns,p90_ns,p99_ns,p999_ns,max_ns,verdict\n",
        );
        for point in &self.points {
            let achieved = point.achieved_per_second.map(|rate| rate.to_string());
            // Writing to a string does not fail.
            _ = write!(text, "{},{}", point.offered_per_second, achieved.unwrap_or_default());
            for time in point.times() {
                _ = write!(text, ",{}", time.map(|time| time.to_string()).unwrap_or_default());
            }
            _ = writeln!(text, ",{}", point.verdict.word());
        }
        text
    }
}

impl fmt::Display for CurveResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.scenario, self.verdict.word())?;
        for reason in &self.reasons {
            writeln!(f, "  because {reason}")?;
        }
        let capacity = grouped(self.capacity_per_second as u64);
        row(f, "capacity", format!("{capacity} a second with {} under way", self.window))?;
        let knee = match self.knee_per_second {
            Some(knee) => format!("{} a second", grouped(knee as u64)),
            None if self.verdict == Verdict::Invalid => "not known".to_owned(),
            None => "beyond the highest rate".to_owned(),
        };
        row(f, "knee", knee)?;
        let heads = ["offered", "achieved", "p50 ns", "p90 ns", "p99 ns", "p99.9 ns", "max ns"];
        for head in heads {
            write!(f, "{head:>13}")?;
        }
        writeln!(f)?;
        for point in &self.points {
            let achieved = point.achieved_per_second.map(|rate| rate.round() as u64);
            let rates = [Some(point.offered_per_second as u64), achieved];
            for figure in rates.into_iter().chain(point.times()) {
                write!(f, "{:>13}", figure.map_or("-".to_owned(), grouped))?;
            }
            writeln!(f, "  {}", point.verdict.word())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(offered: f64, p99_ns: u64, verdict: Verdict) -> CurvePoint {
        CurvePoint {
            percent: 10,
            offered_per_second: offered,
            achieved_per_second: Some(offered - 0.5),
            p50_ns: Some(p99_ns / 2),
            p90_ns: Some(p99_ns / 2),
            p99_ns: Some(p99_ns),
            p999_ns: None,
            max_ns: Some(p99_ns * 2),
            verdict,
            reasons: Vec::new(),
        }
    }

    fn curve(times: &[u64]) -> Vec<CurvePoint> {
        let of = |(number, time): (usize, &u64)| point((number + 1) as f64, *time, Verdict::Valid);
        times.iter().enumerate().map(of).collect()
    }

    #[test]
    fn the_knee_is_the_highest_rate_before_the_99th_percentile_runs_away() {
        assert_eq!(knee(&curve(&[1_000, 900, 1_100, 2_600, 9_000, 50_000])), Some(4.0));
        assert_eq!(knee(&curve(&[900, 9_000])), Some(1.0));
    }

    #[test]
    fn one_bad_point_before_good_ones_is_no_knee() {
        assert_eq!(knee(&curve(&[900, 9_000, 1_000, 1_100, 9_000])), Some(4.0));
    }

    #[test]
    fn a_curve_that_stays_flat_has_no_knee() {
        assert_eq!(knee(&curve(&[900, 1_000, 2_700])), None);
        assert_eq!(knee(&[]), None);
    }

    #[test]
    fn invalid_points_say_nothing_about_the_knee() {
        let mut points = curve(&[900, 1_000, 9_000]);
        points[2].verdict = Verdict::Invalid;
        assert_eq!(knee(&points), None);
    }

    #[test]
    fn a_curve_is_as_good_as_its_points() {
        let valid = curve(&[1, 1, 1, 1]);
        assert_eq!(judge(&valid, 4), (Verdict::Valid, Vec::new()));
        let (verdict, reasons) = judge(&valid, 10);
        assert_eq!(verdict, Verdict::Degraded);
        assert_eq!(reasons, ["interrupted after 4 of 10 points"]);
        let mut mixed = valid.clone();
        mixed[0].verdict = Verdict::Invalid;
        mixed[1].verdict = Verdict::Degraded;
        let (verdict, reasons) = judge(&mixed, 4);
        assert_eq!(verdict, Verdict::Degraded);
        assert_eq!(reasons, ["1 of 4 points are invalid", "1 of 4 points are degraded"]);
        mixed[2].verdict = Verdict::Invalid;
        assert_eq!(judge(&mixed, 4).0, Verdict::Invalid);
        assert_eq!(judge(&[], 4).0, Verdict::Invalid);
    }

    #[test]
    fn a_curve_is_written_as_one_line_a_point() {
        let result = CurveResult {
            scenario: "a".into(),
            response: "b",
            capacity_per_second: 20_000.0,
            window: 256,
            knee_per_second: Some(1_000.0),
            arrivals: "uniform".into(),
            payload_bytes: 0,
            seconds_per_point: 5.0,
            points: vec![
                point(1_000.0, 900, Verdict::Valid),
                point(2_000.0, 9_000, Verdict::Invalid),
            ],
            cpus: vec![0, 1],
            verdict: Verdict::Degraded,
            reasons: Vec::new(),
        };
        let csv = result.to_csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "1000,999.5,450,450,900,,1800,valid");
        assert_eq!(lines[2], "2000,1999.5,4500,4500,9000,,18000,invalid");
        let text = result.to_string();
        assert!(text.contains("knee              1 000 a second"), "{text}");
        assert!(text.lines().last().expect("a line").ends_with("18 000  invalid"), "{text}");
    }
}
