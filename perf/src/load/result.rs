//! What a load at a rate found, for a program (JSON) and for a person (a table).
//!
//! The order of the JSON keys is fixed and tested. An invalid run has no achieved rate, no response and no service
//! times, unless they are asked for in spite of it; what speaks about the generator stays, because it says why.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::measure::Measured;
use super::settings::{Drive, LoadSettings};
use crate::result::{grouped, row, to_thousandths};
use crate::verdict::{Judgement, LateAt, LoadFacts, Verdict};

/// What a load found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadResult {
    /// The scenario's name.
    pub scenario: String,
    /// What one response is.
    pub response: &'static str,
    /// The rate that was asked for.
    pub offered_per_second: f64,
    /// How the messages were spread.
    pub arrivals: String,
    /// Bytes that travelled with each message.
    pub payload_bytes: usize,
    /// How long messages were sent before those that count.
    pub warm_up_seconds: f64,
    /// How long messages were sent that count.
    pub measured_seconds: f64,
    /// The figures; in an invalid run there are none.
    #[serde(flatten)]
    pub figures: LoadFigures,
    /// Messages that were due in the measured stretch.
    pub scheduled: u64,
    /// Of these, how many were sent.
    pub sent: u64,
    /// Of these, how many were answered.
    pub answered: u64,
    /// How often the service would not take a message, which was then tried again.
    pub refused: u64,
    /// Messages that the generator sent more than an interval late.
    pub late: u64,
    /// 99 % of the messages were sent no later, for reasons of the generator's own.
    pub lateness_p99_ns: u64,
    /// 99.9 % of the messages were sent no later.
    pub lateness_p999_ns: u64,
    /// The latest message.
    pub lateness_max_ns: u64,
    /// The calibration loop, the median of those before and behind the load.
    pub calibration_ns: f64,
    /// The CPUs that the run was given.
    pub cpus: Vec<usize>,
    /// What idle cores did.
    pub idle: String,
    /// How far the figures may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
}

/// Times from the schedule and from the sending.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadFigures {
    /// The rate at which answers came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub achieved_per_second: Option<f64>,
    /// Half of the responses took no longer, from when they were due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p50_ns: Option<u64>,
    /// 90 % of the responses took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p90_ns: Option<u64>,
    /// 99 % of the responses took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p99_ns: Option<u64>,
    /// 99.9 % of the responses took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_p999_ns: Option<u64>,
    /// The longest response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_max_ns: Option<u64>,
    /// Half of the messages were answered so soon after they were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_p50_ns: Option<u64>,
    /// 90 % of the messages were answered so soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_p90_ns: Option<u64>,
    /// 99 % of the messages were answered so soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_p99_ns: Option<u64>,
    /// 99.9 % of the messages were answered so soon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_p999_ns: Option<u64>,
    /// The longest time from sending to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_max_ns: Option<u64>,
}

impl LoadFigures {
    /// The figures of what was measured.
    pub fn of(measured: &Measured, facts: &LoadFacts) -> LoadFigures {
        let (response, service) = (&measured.answered.response_ns, &measured.answered.service_ns);
        let at = |histogram: &Histogram<u64>, quantile| {
            (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile))
        };
        LoadFigures {
            achieved_per_second: facts.achieved_per_second().map(to_thousandths),
            response_p50_ns: at(response, 0.5),
            response_p90_ns: at(response, 0.9),
            response_p99_ns: at(response, 0.99),
            response_p999_ns: at(response, 0.999),
            response_max_ns: at(response, 1.0),
            service_p50_ns: at(service, 0.5),
            service_p90_ns: at(service, 0.9),
            service_p99_ns: at(service, 0.99),
            service_p999_ns: at(service, 0.999),
            service_max_ns: at(service, 1.0),
        }
    }
}

/// What is to be judged of a load.
pub fn facts(measured: &Measured, settings: &LoadSettings) -> LoadFacts {
    let (sent, answered) = (&measured.sent, &measured.answered);
    let stretches = settings.stretches();
    let planned_ns = stretches.warm_up_ns + stretches.measured_ns;
    let late_at = |(name, quantile): (&'static str, f64)| LateAt {
        name,
        is_single: quantile >= 1.0,
        lateness_ns: sent.lateness_ns.value_at_quantile(quantile),
        response_ns: answered.response_ns.value_at_quantile(quantile),
    };
    LoadFacts {
        scheduled: sent.scheduled,
        sent: sent.sent,
        answered: answered.answered,
        failed_in_all: sent.failed_in_all,
        measured_ns: sent.measured_ns,
        last_answer_ns: answered.last_ns,
        late: sent.late,
        interval_ns: sent.interval_ns,
        late_at: SHOWN.map(late_at).into(),
        interrupted: sent.stopped_after_ns.map(|after_ns| (after_ns, planned_ns)),
    }
}

/// The percentiles that are shown.
const SHOWN: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// What a result consists of beside its verdict.
pub struct Parts<'a> {
    /// The scenario's name.
    pub scenario: &'static str,
    /// What one response is.
    pub response: &'static str,
    /// What was asked for.
    pub settings: &'a LoadSettings,
    /// What idle cores did.
    pub idle: String,
    /// What was measured.
    pub measured: &'a Measured,
    /// What is judged.
    pub facts: &'a LoadFacts,
    /// The calibration loop.
    pub calibration_ns: f64,
    /// Whether an invalid run keeps its figures.
    pub show_invalid: bool,
}

impl LoadResult {
    /// The result with its verdict.
    pub fn new(parts: &Parts<'_>, judgement: Judgement) -> LoadResult {
        let (settings, sent) = (parts.settings, &parts.measured.sent);
        let (offered, arrivals) = match settings.drive {
            Drive::Rate { per_second, arrivals } => (per_second as f64, arrivals.to_string()),
            Drive::Window(window) => (0.0, format!("window:{window}")),
        };
        let lateness = |quantile| sent.lateness_ns.value_at_quantile(quantile);
        let hidden = judgement.verdict == Verdict::Invalid && !parts.show_invalid;
        LoadResult {
            scenario: parts.scenario.to_owned(),
            response: parts.response,
            offered_per_second: offered,
            arrivals,
            payload_bytes: settings.payload_bytes,
            warm_up_seconds: settings.stretches().warm_up_ns as f64 / 1e9,
            measured_seconds: to_thousandths(sent.measured_ns as f64 / 1e9),
            figures: if hidden {
                LoadFigures::default()
            } else {
                LoadFigures::of(parts.measured, parts.facts)
            },
            scheduled: sent.scheduled,
            sent: sent.sent,
            answered: parts.measured.answered.answered,
            refused: sent.refused,
            late: sent.late,
            lateness_p99_ns: lateness(0.99),
            lateness_p999_ns: lateness(0.999),
            lateness_max_ns: lateness(1.0),
            calibration_ns: parts.calibration_ns,
            cpus: settings.cpus.clone(),
            idle: parts.idle.clone(),
            verdict: judgement.verdict,
            reasons: judgement.reasons,
        }
    }

    /// One JSON object, indented.
    ///
    /// # Errors
    /// What the writer says.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl fmt::Display for LoadResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        writeln!(f, "{}: {}", self.scenario, self.verdict.word())?;
        for reason in &self.reasons {
            writeln!(f, "  because {reason}")?;
        }
        let offered = grouped(self.offered_per_second as u64);
        let payload = self.payload_bytes;
        row(
            f,
            "offered",
            format!("{offered} a second, {}, payload {payload} bytes", self.arrivals),
        )?;
        if let Some(achieved) = figures.achieved_per_second {
            row(f, "achieved", format!("{} a second", grouped(achieved.round() as u64)))?;
        }
        let counts = [self.scheduled, self.sent, self.answered].map(grouped);
        let [scheduled, sent, answered] = counts;
        row(f, "messages", format!("{scheduled} due, {sent} sent, {answered} answered"))?;
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        row(f, "CPUs", format!("{}, idle profile {}", cpus.join(","), self.idle))?;
        if let Some(times) = times([
            figures.response_p50_ns,
            figures.response_p90_ns,
            figures.response_p99_ns,
            figures.response_p999_ns,
            figures.response_max_ns,
        ]) {
            row(f, "response", format!("ns, {}", self.response))?;
            row(f, "", times)?;
        }
        if let Some(times) = times([
            figures.service_p50_ns,
            figures.service_p90_ns,
            figures.service_p99_ns,
            figures.service_p999_ns,
            figures.service_max_ns,
        ]) {
            row(f, "service", "ns, from when it was sent to its answer".to_owned())?;
            row(f, "", times)?;
        }
        row(
            f,
            "generator late",
            format!(
                "ns, p99 {}, p99.9 {}, max {}",
                grouped(self.lateness_p99_ns),
                grouped(self.lateness_p999_ns),
                grouped(self.lateness_max_ns)
            ),
        )?;
        row(f, "calibration", format!("{} ns", grouped(self.calibration_ns as u64)))
    }
}

fn times(values: [Option<u64>; 5]) -> Option<String> {
    let mut text = Vec::new();
    for ((name, _), value) in SHOWN.iter().zip(values) {
        text.push(format!("{name} {}", grouped(value?)));
    }
    Some(text.join(", "))
}

#[cfg(test)]
#[path = "result_tests.rs"]
mod tests;
