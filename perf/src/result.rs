//! What a run found, for a program (JSON) and for a person (a table).
//!
//! The order of the JSON keys is fixed and tested. A key that does not apply to a scenario is left out, and an
//! invalid run has no times but that of its calibration, unless they are asked for in spite of it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::verdict::{Judgement, Verdict};

/// What a run found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunResult {
    /// The scenario's name.
    pub scenario: String,
    /// Messages a round.
    pub messages: u64,
    /// The figures; in an invalid run only those that do not depend on how busy the machine is.
    #[serde(flatten)]
    pub figures: Figures,
    /// How many rounds were run.
    pub rounds: usize,
    /// The CPUs that the run was given.
    pub cpus: Vec<usize>,
    /// What idle cores did, in scenarios that have cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// How far the figures may be believed.
    pub verdict: Verdict,
    /// Why not further.
    pub reasons: Vec<String>,
}

/// The figures of a run, in the order in which they are written.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Median of the rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ns_per_message: Option<f64>,
    /// The fastest round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_ns_per_message: Option<f64>,
    /// From the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<f64>,
    /// Growth of the process's memory in RAM, an actor, beyond the actor's own state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_actor: Option<f64>,
    /// Median time of the calibration loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_ns: Option<f64>,
    /// Half of the samples took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// 99 % of the samples took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// 99.9 % of the samples took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p999_ns: Option<u64>,
    /// The longest sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ns: Option<u64>,
    /// The raw limit beside which the scenario was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<String>,
    /// Median of the limit's rounds, a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_ns: Option<f64>,
    /// Median of the ratios of neighbouring rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio_to_limit: Option<f64>,
    /// Heap allocations of all threads, counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocations_per_message: Option<f64>,
    /// System calls of all threads, counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub syscalls_per_message: Option<f64>,
    /// The slowest round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_ns_per_message: Option<f64>,
    /// The fastest of the limit's rounds, a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_limit_ns: Option<f64>,
    /// Half of the limit's samples took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_p50_ns: Option<u64>,
    /// 99 of 100 of the limit's samples took no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_p99_ns: Option<u64>,
    /// Median of the ratios of neighbouring latency rounds' p50.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ratio_to_limit: Option<f64>,
    /// What one sample of the percentiles is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_sample: Option<String>,
    /// Growth of the heap, an actor, beyond the actor's own state. Memory that is mapped directly is not in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heap_bytes_per_actor: Option<f64>,
    /// Counted system calls by name, over all counted messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_calls: Option<BTreeMap<String, u64>>,
    /// Messages of the pass in which system calls were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_calls_counted_over: Option<u64>,
}

impl RunResult {
    /// Takes the verdict in. An invalid run loses its times but that of the calibration; what was counted stays,
    /// because a busy machine does not change it.
    pub fn judged(mut self, judgement: Judgement) -> RunResult {
        self.verdict = judgement.verdict;
        self.reasons = judgement.reasons;
        if self.verdict == Verdict::Invalid {
            self.figures = std::mem::take(&mut self.figures).without_times();
        }
        self
    }

    /// Takes the verdict in and loses nothing: for a person who wants to look at a run that is worth nothing.
    pub fn judged_but_whole(self, judgement: Judgement) -> RunResult {
        RunResult { verdict: judgement.verdict, reasons: judgement.reasons, ..self }
    }

    /// One JSON object, indented.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

impl Figures {
    fn without_times(self) -> Figures {
        Figures {
            ns_per_message: None,
            best_ns_per_message: None,
            worst_ns_per_message: None,
            messages_per_second: None,
            p50_ns: None,
            p99_ns: None,
            p999_ns: None,
            max_ns: None,
            latency_sample: None,
            limit_ns: None,
            best_limit_ns: None,
            limit_p50_ns: None,
            limit_p99_ns: None,
            p50_ratio_to_limit: None,
            ratio_to_limit: None,
            ..self
        }
    }
}

/// Rounded to a thousandth: what lies below is noise.
pub fn to_thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Rounded to a millionth: for counts a message, where a single one among many messages must still be seen.
pub fn to_millionths(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures = &self.figures;
        writeln!(f, "{}: {}", self.scenario, self.verdict.word())?;
        for reason in &self.reasons {
            writeln!(f, "  because {reason}")?;
        }
        row(f, "rounds", format!("{} of {} messages", self.rounds, grouped(self.messages)))?;
        let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
        let idle =
            self.idle.as_ref().map_or(String::new(), |idle| format!(", idle profile {idle}"));
        row(f, "CPUs", format!("{}{idle}", cpus.join(",")))?;
        if let Some(median) = figures.ns_per_message {
            let best = figures.best_ns_per_message.unwrap_or(median);
            let worst = figures.worst_ns_per_message.unwrap_or(median);
            row(
                f,
                "ns a message",
                format!("median {median:.2}, best {best:.2}, worst {worst:.2}"),
            )?;
        }
        if let Some(rate) = figures.messages_per_second {
            row(f, "messages a second", grouped(rate as u64))?;
        }
        if let (Some(name), Some(limit), Some(ratio)) =
            (&figures.limit_name, figures.limit_ns, figures.ratio_to_limit)
        {
            row(
                f,
                "raw limit",
                format!(
                    "{name} {limit:.2} ns a message, best {:.2}; this is {ratio:.2} times that",
                    figures.best_limit_ns.unwrap_or(limit)
                ),
            )?;
        }
        if let (Some(p50), Some(p99), Some(p999), Some(max)) =
            (figures.p50_ns, figures.p99_ns, figures.p999_ns, figures.max_ns)
        {
            let sample = figures.latency_sample.as_deref().unwrap_or("message");
            row(f, "latency", format!("ns, one sample is a {sample}"))?;
            row(f, "", format!("p50 {p50}, p99 {p99}, p99.9 {p999}, max {}", grouped(max)))?;
        }
        if let (Some(p50), Some(p99), Some(ratio)) =
            (figures.limit_p50_ns, figures.limit_p99_ns, figures.p50_ratio_to_limit)
        {
            row(
                f,
                "",
                format!("the limit's p50 {p50}, p99 {p99}; this p50 is {ratio:.2} times that"),
            )?;
        }
        if let Some(bytes) = figures.bytes_per_actor {
            let heap = figures.heap_bytes_per_actor.unwrap_or(0.0);
            row(
                f,
                "bytes an actor",
                format!("{bytes:.1} beyond its state, {heap:.1} of them on the heap"),
            )?;
        }
        if let Some(count) = figures.allocations_per_message {
            row(f, "allocations", format!("{count} a message"))?;
        }
        if let Some(count) = figures.syscalls_per_message {
            row(f, "system calls", format!("{count} a message{}", self.calls_by_name()))?;
        }
        if let Some(calibration) = figures.calibration_ns {
            row(f, "calibration", format!("{} ns", grouped(calibration as u64)))?;
        }
        Ok(())
    }
}

impl RunResult {
    fn calls_by_name(&self) -> String {
        let (Some(calls), Some(messages)) =
            (&self.figures.system_calls, self.figures.system_calls_counted_over)
        else {
            return String::new();
        };
        let mut text = format!(" (over {} messages", grouped(messages));
        for (name, count) in calls {
            // Writing to a string does not fail.
            _ = write!(text, ", {name} {count}");
        }
        text + ")"
    }
}

/// One row of a table.
pub fn row(f: &mut fmt::Formatter<'_>, name: &str, value: String) -> fmt::Result {
    writeln!(f, "  {name:<18}{value}")
}

/// A number with a space between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
