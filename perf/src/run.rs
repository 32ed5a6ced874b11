//! One run of one scenario: counting passes first, then interleaved rounds, then those for latencies, then a verdict.
//!
//! ```text
//! memory pass · traced child · [calibration limit scenario] [scenario limit calibration] [..] · single messages of
//! [limit scenario] [..]
//! ```
//!
//! Every round times the calibration loop, the raw limit and the scenario close together, in an order that turns
//! round each time, so a machine that changes its speed slows all three and favours none. Counting and timing
//! never share a round. The function returns figures only when every round's sums were right.

use crate::calibration::{CalibrationError, calibration_ns_on};
use crate::evidence::{self, Snapshot};
use crate::latency;
use crate::raw::tick;
use crate::raw::trace::{SystemCalls, TraceError};
use crate::result::{Figures, RunResult, to_millionths, to_thousandths};
use crate::scenario::{Description, IdleProfile, Outcome, Round, Scenario, ScenarioError};
use crate::section::{Measured, Purpose, Section, SectionError};
use crate::statistics::{self, Summary};
use crate::system_call;
use crate::verdict::{self, Case, Judgement, Verdict};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hdrhistogram::Histogram;
use mainspring_perf_contest::RoundReport;

/// The most rounds of a run.
pub const MOST_ROUNDS: usize = 1_000;

/// The most messages of a round. The sums that the scenarios check stay below 2^64 with so many.
pub const MOST_MESSAGES: u64 = 1_000_000_000;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// How many rounds, 1 to [`MOST_ROUNDS`].
    pub rounds: usize,
    /// Messages a round, of the scenario and of its limit, 1 to [`MOST_MESSAGES`]; none for the own number of each.
    pub messages: Option<u64>,
    /// The CPUs that may be used. A scenario takes as many as it needs from the front.
    pub cpus: Vec<usize>,
    /// The idle profile; none for the scenario's own.
    pub idle: Option<IdleProfile>,
    /// Whether the times of an invalid run are shown too, beside the verdict.
    pub show_invalid: bool,
}

/// What a run needs from outside, apart from its settings.
pub struct Surroundings<'a> {
    /// The raw limit of the scenario, where it names one.
    pub limit: Option<&'a dyn Scenario>,
    /// Runs one counting pass of so many messages in a traced child.
    pub count_system_calls: &'a mut dyn FnMut(u64) -> Result<SystemCalls, TraceError>,
    /// Called before every step with what comes next, for a person who waits.
    pub progress: &'a mut dyn FnMut(&str),
    /// Raised to end the run behind the round that is under way.
    pub stop: &'a AtomicBool,
}

impl Surroundings<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What came of a run.
pub struct Run {
    /// The result.
    pub result: RunResult,
    /// All single messages, where those were timed.
    pub latencies_ns: Option<Histogram<u64>>,
}

/// Why a run gave no result. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The number of rounds is out of bounds.
    #[error("{rounds} rounds cannot be run; choose 1 to {MOST_ROUNDS}")]
    Rounds {
        /// The number that was asked for.
        rounds: usize,
    },
    /// The number of messages is out of bounds.
    #[error("{messages} messages a round cannot be run; choose 1 to {MOST_MESSAGES}")]
    Messages {
        /// The number that was asked for.
        messages: u64,
    },
    /// An idle profile was given to a scenario without cores.
    #[error("{scenario} has no cores that could be idle; leave --idle out")]
    NoCores {
        /// The scenario's name.
        scenario: &'static str,
    },
    /// A round failed.
    #[error("{scenario}, {pass}: {source}")]
    Round {
        /// The scenario's name.
        scenario: &'static str,
        /// Which pass it was.
        pass: &'static str,
        /// What went wrong.
        source: ScenarioError,
    },
    /// A round was done but could not be measured.
    #[error("{scenario}, {pass}: {source}")]
    Section {
        /// The scenario's name.
        scenario: &'static str,
        /// Which pass it was.
        pass: &'static str,
        /// What went wrong.
        source: SectionError,
    },
    /// The calibration loop could not be run where the scenario runs.
    #[error("calibration: {0}")]
    Calibration(#[from] CalibrationError),
}

/// Runs a scenario. Takes as long as its rounds do.
pub fn run(
    scenario: &dyn Scenario,
    settings: &RunSettings,
    surroundings: &mut Surroundings<'_>,
) -> Result<Run, RunError> {
    let plan = Plan::new(scenario, settings)?;
    let description = plan.description;
    if settings.cpus.len() < description.cpus_needed {
        let case = Case {
            cpus_needed: description.cpus_needed,
            cpus_given: settings.cpus.len(),
            ..Case::default()
        };
        let result = plan.result(0, plan.messages, Figures::default(), verdict::judge(&case));
        return Ok(Run { result, latencies_ns: None });
    }
    let mut figures = Figures::default();
    let mut remarks = Vec::new();
    (surroundings.progress)("counting allocations");
    plan.memory_pass(&mut figures, &mut remarks)?;
    if !surroundings.is_stopped() {
        (surroundings.progress)("counting system calls");
        plan.system_call_pass(surroundings, &mut figures, &mut remarks);
    }

    let before = Snapshot::of(&settings.cpus);
    let times = plan.timed_rounds(surroundings)?;
    let after = Snapshot::of(&settings.cpus);
    plan.fill_times(&times, surroundings.limit, &mut figures);
    (surroundings.progress)("timing single messages");
    let latencies_ns = plan.latency_rounds(surroundings, &mut figures)?;

    let rounds = times.scenario_ns.len();
    if surroundings.is_stopped() {
        remarks.push(format!("interrupted after {rounds} of {} rounds", settings.rounds));
    }
    let mut case = Case {
        cpus_needed: description.cpus_needed,
        cpus_given: settings.cpus.len(),
        yields: scenario.yields(),
        share_at_ticks: latencies_ns
            .as_ref()
            .filter(|_| scenario.yields())
            .and_then(share_at_ticks),
        calibration_spread: Summary::of(&times.calibration_ns)
            .map_or(1.0, |summary| summary.spread()),
        remarks,
        ..Case::default()
    };
    match evidence::between(before, after, settings.cpus.len()) {
        Ok(evidence) => case.evidence = Some(evidence),
        Err(error) => case.remarks.push(format!("nothing is known of the machine's load: {error}")),
    }
    let mut judgement = verdict::judge(&case);
    if rounds == 0 {
        judgement.verdict = Verdict::Invalid;
    }
    let result = plan.result(rounds, times.messages, figures, judgement);
    Ok(Run { result, latencies_ns })
}

/// Refuses what [`run`] would refuse, before anything runs.
///
/// # Errors
/// [`RunError`], one that names a setting.
pub fn check(scenario: &dyn Scenario, settings: &RunSettings) -> Result<(), RunError> {
    Plan::new(scenario, settings).map(|_| ())
}

/// Does one round of a scenario: for a tracer that watches this process, or as a contestant beside others.
pub fn run_single(
    scenario: &dyn Scenario,
    settings: &RunSettings,
    purpose: Purpose,
) -> Result<RoundReport, RunError> {
    let plan = Plan::new(scenario, settings)?;
    let (outcome, measured) = plan.round(scenario, plan.messages, purpose, "single round")?;
    Ok(RoundReport {
        messages: outcome.messages,
        elapsed_ns: measured.elapsed_ns,
        sum: outcome.sum.unwrap_or(0),
        allocations: measured.allocations.map(|counted| counted.allocations),
    })
}

/// Which part of the samples lie at multiples of the kernel's tick; none where its length is not known.
fn share_at_ticks(samples_ns: &Histogram<u64>) -> Option<f64> {
    tick::length_ns().map(|length_ns| latency::share_at_multiples(samples_ns, length_ns))
}

/// A scenario with its settings, checked.
struct Plan<'a> {
    scenario: &'a dyn Scenario,
    description: &'static Description,
    settings: &'a RunSettings,
    messages: u64,
    idle: Option<IdleProfile>,
}

/// What the timed rounds took. The entries of one place belong to the same round.
#[derive(Default)]
struct Times {
    messages: u64,
    calibration_ns: Vec<f64>,
    limit_ns: Vec<f64>,
    scenario_ns: Vec<f64>,
}

/// Single messages of several rounds.
#[derive(Default)]
struct Latencies {
    all: Option<Histogram<u64>>,
    /// One entry a round.
    p50_ns: Vec<f64>,
}

impl Latencies {
    fn add(&mut self, round: Histogram<u64>) {
        self.p50_ns.push(round.value_at_quantile(0.5) as f64);
        match &mut self.all {
            None => self.all = Some(round),
            // All histograms here are made with the same bounds, so one takes in another.
            Some(all) => _ = all.add(round),
        }
    }
}

impl<'a> Plan<'a> {
    fn new(scenario: &'a dyn Scenario, settings: &'a RunSettings) -> Result<Self, RunError> {
        let description = scenario.description();
        if !(1..=MOST_ROUNDS).contains(&settings.rounds) {
            return Err(RunError::Rounds { rounds: settings.rounds });
        }
        let messages = settings.messages.unwrap_or(description.default_messages);
        if !(1..=MOST_MESSAGES).contains(&messages) {
            return Err(RunError::Messages { messages });
        }
        if settings.idle.is_some() && description.idle.is_none() {
            return Err(RunError::NoCores { scenario: description.name });
        }
        let idle = settings.idle.or(description.idle);
        Ok(Plan { scenario, description, settings, messages, idle })
    }

    fn round(
        &self,
        scenario: &dyn Scenario,
        messages: u64,
        purpose: Purpose,
        pass: &'static str,
    ) -> Result<(Outcome, Measured), RunError> {
        let name = scenario.description().name;
        let section = Arc::new(Section::new(purpose));
        let round =
            Round { messages, cpus: &self.settings.cpus, idle: self.idle, section: &section };
        let outcome = scenario.round(&round).map_err(|source| RunError::Round {
            scenario: name,
            pass,
            source,
        })?;
        let measured = section.measured().map_err(|source| RunError::Section {
            scenario: name,
            pass,
            source,
        })?;
        Ok((outcome, measured))
    }

    fn memory_pass(
        &self,
        figures: &mut Figures,
        remarks: &mut Vec<String>,
    ) -> Result<(), RunError> {
        let (outcome, measured) =
            match self.round(self.scenario, self.messages, Purpose::Memory, "memory pass") {
                Err(RunError::Section { source: SectionError::Memory(trouble), .. }) => {
                    remarks.push(format!("memory not measured: {trouble}"));
                    return Ok(());
                }
                other => other?,
            };
        let messages = outcome.messages.max(1) as f64;
        let Some(allocations) = measured.allocations else { return Ok(()) };
        figures.allocations_per_message =
            Some(to_millionths(allocations.allocations as f64 / messages));
        if let (Some(state), Some(growth)) =
            (self.description.actor_state_bytes, measured.resident_growth_bytes)
        {
            let beyond_state = |bytes: i64| to_thousandths(bytes as f64 / messages - state as f64);
            figures.bytes_per_actor = Some(beyond_state(growth));
            figures.heap_bytes_per_actor = Some(beyond_state(allocations.growth_bytes()));
        }
        Ok(())
    }

    fn system_call_pass(
        &self,
        surroundings: &mut Surroundings<'_>,
        figures: &mut Figures,
        remarks: &mut Vec<String>,
    ) {
        let messages = self.description.counted_messages.min(self.messages);
        match (surroundings.count_system_calls)(messages) {
            Ok(calls) => {
                figures.syscalls_per_message =
                    Some(to_millionths(calls.total() as f64 / messages as f64));
                figures.system_calls = Some(system_call::by_name(&calls));
                figures.system_calls_counted_over = Some(messages);
            }
            Err(error) => remarks.push(format!("system calls not counted: {error}")),
        }
    }

    fn timed_rounds(&self, surroundings: &mut Surroundings<'_>) -> Result<Times, RunError> {
        let mut times = Times { messages: self.messages, ..Times::default() };
        for number in 0..self.settings.rounds {
            if surroundings.is_stopped() {
                break;
            }
            (surroundings.progress)(&format!("round {} of {}", number + 1, self.settings.rounds));
            let mut steps = [Step::Calibration, Step::Limit, Step::Scenario];
            if number % 2 == 1 {
                steps.reverse();
            }
            for step in steps {
                self.timed_step(step, surroundings.limit, &mut times)?;
            }
        }
        Ok(times)
    }

    fn timed_step(
        &self,
        step: Step,
        limit: Option<&dyn Scenario>,
        times: &mut Times,
    ) -> Result<(), RunError> {
        match (step, limit) {
            (Step::Calibration, _) => {
                times.calibration_ns.push(calibration_ns_on(self.settings.cpus[0])? as f64);
            }
            (Step::Limit, None) => {}
            (Step::Limit, Some(limit)) => {
                // Rounds of like length are disturbed alike.
                let messages =
                    self.settings.messages.unwrap_or(limit.description().default_messages);
                let (outcome, measured) =
                    self.round(limit, messages, Purpose::Time, "timed round")?;
                times.limit_ns.push(measured.elapsed_ns as f64 / outcome.messages.max(1) as f64);
            }
            (Step::Scenario, _) => {
                let (outcome, measured) =
                    self.round(self.scenario, self.messages, Purpose::Time, "timed round")?;
                times.messages = outcome.messages;
                times.scenario_ns.push(measured.elapsed_ns as f64 / outcome.messages.max(1) as f64);
            }
        }
        Ok(())
    }

    fn fill_times(&self, times: &Times, limit: Option<&dyn Scenario>, figures: &mut Figures) {
        if let Some(summary) = Summary::of(&times.scenario_ns) {
            figures.ns_per_message = Some(to_thousandths(summary.median));
            figures.best_ns_per_message = Some(to_thousandths(summary.best));
            figures.worst_ns_per_message = Some(to_thousandths(summary.worst));
            figures.messages_per_second = Some((1e9 / summary.median).round());
        }
        figures.calibration_ns =
            Summary::of(&times.calibration_ns).map(|summary| to_thousandths(summary.median));
        figures.limit_name = limit.map(|limit| limit.description().name.to_owned());
        if let Some(summary) = Summary::of(&times.limit_ns) {
            figures.limit_ns = Some(to_thousandths(summary.median));
            figures.best_limit_ns = Some(to_thousandths(summary.best));
        }
        figures.ratio_to_limit =
            statistics::median_ratio(&times.scenario_ns, &times.limit_ns).map(to_thousandths);
    }

    /// Rounds in which every message is timed, each beside one of the limit where that can be timed too. The p50 of a
    /// round does not feel what happens to few of its messages, so it says more than a mean on a machine with others.
    fn latency_rounds(
        &self,
        surroundings: &Surroundings<'_>,
        figures: &mut Figures,
    ) -> Result<Option<Histogram<u64>>, RunError> {
        let Some(sample) = self.description.latency_sample else { return Ok(None) };
        let limit =
            surroundings.limit.filter(|limit| limit.description().latency_sample == Some(sample));
        let (mut own, mut of_limit) = (Latencies::default(), Latencies::default());
        for _ in 0..self.settings.rounds {
            if surroundings.is_stopped() {
                break;
            }
            if let Some(limit) = limit {
                self.latency_round(limit, &mut of_limit)?;
            }
            self.latency_round(self.scenario, &mut own)?;
        }
        let all = own.all.filter(|all| !all.is_empty());
        if let Some(all) = &all {
            figures.p50_ns = Some(all.value_at_quantile(0.5));
            figures.p99_ns = Some(all.value_at_quantile(0.99));
            figures.p999_ns = Some(all.value_at_quantile(0.999));
            figures.max_ns = Some(all.max());
            figures.latency_sample = Some(sample.to_owned());
        }
        if let Some(all) = &of_limit.all {
            figures.limit_p50_ns = Some(all.value_at_quantile(0.5));
            figures.limit_p99_ns = Some(all.value_at_quantile(0.99));
        }
        figures.p50_ratio_to_limit =
            statistics::median_ratio(&own.p50_ns, &of_limit.p50_ns).map(to_thousandths);
        Ok(all)
    }

    fn latency_round(
        &self,
        scenario: &dyn Scenario,
        latencies: &mut Latencies,
    ) -> Result<(), RunError> {
        let messages = self.settings.messages.unwrap_or(scenario.description().default_messages);
        let (outcome, _) = self.round(scenario, messages, Purpose::Latency, "latency round")?;
        if let Some(round) = outcome.latencies {
            latencies.add(round);
        }
        Ok(())
    }

    fn result(
        &self,
        rounds: usize,
        messages: u64,
        figures: Figures,
        judgement: Judgement,
    ) -> RunResult {
        let result = RunResult {
            scenario: self.description.name.to_owned(),
            messages,
            figures,
            rounds,
            cpus: self.settings.cpus.clone(),
            idle: self.idle.map(|idle| idle.to_string()),
            verdict: Verdict::Valid,
            reasons: Vec::new(),
        };
        if self.settings.show_invalid {
            result.judged_but_whole(judgement)
        } else {
            result.judged(judgement)
        }
    }
}

/// What a timed round consists of.
#[derive(Clone, Copy)]
enum Step {
    Calibration,
    Limit,
    Scenario,
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
