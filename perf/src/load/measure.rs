//! One load on one scenario: driven on a thread of its own, collected while it runs, checked when it is over.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use mainspring::driver::clock::Clock;

use super::course::{LoadCourse, Part, Spares, WAITING_PARTS};
use super::pacer::{DRAIN_LIMIT_NS, SEND_GRACE_NS, Sent, Stretches};
use super::recorder::{Answered, Interval};
use super::settings::{LoadError, LoadSettings};
use super::stage::Load;
use crate::result_folder::interval_log::{IntervalLog, LogError};
use crate::result_folder::timestamp::Timestamp;
use crate::scenario::{self, IdleProfile, Scenario, ScenarioError};

/// What a scenario may take beside its load: building what it needs.
const BUILDING_LIMIT: Duration = Duration::from_secs(120);
/// How often whoever collects looks whether there is still somebody who measures.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How a load goes, once a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Seconds of the measured stretch that are over.
    pub seconds: f64,
    /// Answers a second in the last interval.
    pub per_second: f64,
    /// Half of the interval's responses took no longer.
    pub p50_ns: u64,
    /// 99 % of the interval's responses took no longer.
    pub p99_ns: u64,
}

/// What was measured of a load.
pub struct Measured {
    /// What was sent.
    pub sent: Sent,
    /// What was answered.
    pub answered: Answered,
    /// The responses by the second.
    pub log: IntervalLog,
    /// When the measured stretch began.
    pub began: Timestamp,
}

/// Drives a load and collects what is measured. The flag ends it early.
///
/// # Errors
/// [`LoadError`]; nothing is left running.
pub fn measure(
    scenario: &dyn Scenario,
    settings: &LoadSettings,
    stop: &Arc<AtomicBool>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Measured, LoadError> {
    let name = scenario.description().name;
    let open_loop = settings.check(scenario)?;
    let stretches = settings.stretches();
    let spares = Arc::new(Spares::new());
    let (parts, to_collect) = sync_channel(WAITING_PARTS);
    let (done, is_done) = sync_channel(1);
    let (stop, of_course) = (Arc::clone(stop), Arc::clone(&spares));
    let course = LoadCourse::new(settings.demand()?, stretches, stop, of_course, parts, done);
    let load = Load {
        cpus: &settings.cpus,
        idle: settings.idle.or(scenario.description().idle).unwrap_or(IdleProfile::Busy),
        payload_bytes: settings.payload_bytes,
        course,
        done: is_done,
        limit: limit(stretches),
    };
    let mut collection = Collection::new(&spares);
    let driven = thread::scope(|scope| {
        // The load goes with the thread: when it has ended, nobody can hand over anything any more.
        let driver = scope.spawn(move || open_loop.drive(&load));
        collection.collect(&to_collect, progress, || driver.is_finished());
        driver.join()
    });
    let driven = driven.map_err(|_| LoadError::Lost { scenario: name })?;
    let wrong = |source| LoadError::Drive { scenario: name, source };
    driven.map_err(wrong)?;
    let measured = collection.finish(name)?;
    check_answers(&measured).map_err(wrong)?;
    Ok(measured)
}

/// What has been handed over so far.
struct Collection<'a> {
    spares: &'a Spares,
    sent: Option<Sent>,
    answered: Option<Answered>,
    log: IntervalLog,
    log_trouble: Option<LogError>,
}

impl<'a> Collection<'a> {
    fn new(spares: &'a Spares) -> Self {
        let log = IntervalLog::default();
        Collection { spares, sent: None, answered: None, log, log_trouble: None }
    }

    /// Takes whatever comes until nothing more can come. Never stops before: whoever hands over would wait for ever.
    fn collect(
        &mut self,
        parts: &Receiver<Part>,
        progress: &mut dyn FnMut(Progress),
        is_over: impl Fn() -> bool,
    ) {
        loop {
            match parts.recv_timeout(LOOK_EVERY) {
                Ok(part) => self.take(part, progress),
                Err(RecvTimeoutError::Disconnected) => return,
                // Actors that were not taken down may hold on to their end; nobody runs them any more.
                Err(RecvTimeoutError::Timeout) if is_over() => return,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn take(&mut self, part: Part, progress: &mut dyn FnMut(Progress)) {
        match part {
            Part::Sent(sent) => self.sent = Some(*sent),
            Part::Answered(answered) => self.take_answered(*answered),
            Part::Interval(interval) => {
                progress(progress_of(&interval));
                self.keep(&interval);
                self.spares.give_back(interval.response_ns);
            }
        }
    }

    /// Several actors may have taken answers, each its own.
    fn take_answered(&mut self, more: Answered) {
        self.keep(&more.interval);
        let Some(known) = &mut self.answered else {
            self.answered = Some(more);
            return;
        };
        known.answered += more.answered;
        known.answered_in_all += more.answered_in_all;
        known.sum_in_all = known.sum_in_all.wrapping_add(more.sum_in_all);
        known.last_ns = known.last_ns.max(more.last_ns);
        // All histograms of a run have the same bounds, so one takes in another.
        _ = known.response_ns.add(&more.response_ns);
        _ = known.service_ns.add(&more.service_ns);
    }

    fn keep(&mut self, interval: &Interval) {
        if !interval.response_ns.is_empty()
            && let Err(error) = self.log.keep(interval)
        {
            self.log_trouble.get_or_insert(error);
        }
    }

    fn finish(self, scenario: &'static str) -> Result<Measured, LoadError> {
        if let Some(trouble) = self.log_trouble {
            return Err(trouble.into());
        }
        let (Some(sent), Some(answered)) = (self.sent, self.answered) else {
            return Err(LoadError::NothingMeasured { scenario });
        };
        let since_ns = Clock::new().now_ns().saturating_sub(sent.measured_from_ns);
        let began = Timestamp::now().before(Duration::from_nanos(since_ns));
        Ok(Measured { sent, answered, log: self.log, began })
    }
}

/// Nothing was answered twice, and what was answered is what was sent.
fn check_answers(measured: &Measured) -> Result<(), ScenarioError> {
    let (sent, answered) = (&measured.sent, &measured.answered);
    if answered.answered_in_all > sent.sent_in_all {
        let what = "the number of answers";
        let (expected, found) = (sent.sent_in_all, answered.answered_in_all);
        return Err(ScenarioError::Check { what, expected, found });
    }
    if answered.answered_in_all == sent.sent_in_all {
        let what = "the sum of the numbers answered";
        return scenario::check(what, sent.sum_in_all, answered.sum_in_all);
    }
    Ok(())
}

fn progress_of(interval: &Interval) -> Progress {
    let length_ns = interval.end_ns.saturating_sub(interval.start_ns).max(1);
    Progress {
        seconds: interval.end_ns as f64 / 1e9,
        per_second: interval.response_ns.len() as f64 * 1e9 / length_ns as f64,
        p50_ns: interval.response_ns.value_at_quantile(0.5),
        p99_ns: interval.response_ns.value_at_quantile(0.99),
    }
}

fn limit(stretches: Stretches) -> Duration {
    let load_ns = stretches.warm_up_ns + stretches.measured_ns + SEND_GRACE_NS + DRAIN_LIMIT_NS;
    Duration::from_nanos(load_ns) + BUILDING_LIMIT
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
