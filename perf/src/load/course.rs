//! What the ends of a load and whoever waits for it share: the plan, the start, the request to stop, and the way by
//! which what was measured is handed over.
//!
//! Invariant: a load begins once. Nothing is handed over in the middle of a turn but through a channel whose other
//! side always takes it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use hdrhistogram::Histogram;

use super::pacer::{Demand, Pacer, Sent, Stretches};
use super::recorder::{Answered, Interval, Recorder};
use crate::latency;

/// How many parts may wait for whoever collects them.
pub const WAITING_PARTS: usize = 64;

/// Empty histograms that are kept for intervals.
pub const SPARE_HISTOGRAMS: usize = 4;

/// A piece of what was measured.
#[derive(Debug)]
pub enum Part {
    /// A whole interval of answers.
    Interval(Box<Interval>),
    /// What was sent, once the load is over.
    Sent(Box<Sent>),
    /// What was answered, when whoever took the answers has stopped.
    Answered(Box<Answered>),
}

/// The load in the hands of the actors or threads that drive it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LoadCourse {
    shared: Arc<Shared>,
    parts: SyncSender<Part>,
    done: SyncSender<()>,
}

#[derive(Debug)]
struct Shared {
    demand: Demand,
    stretches: Stretches,
    start_ns: OnceLock<u64>,
    stop: Arc<AtomicBool>,
    spares: Arc<Spares>,
}

/// Empty histograms for intervals: taken by whoever records, given back by whoever has dealt with an interval.
#[derive(Debug)]
pub struct Spares(Mutex<Vec<Histogram<u64>>>);

impl LoadCourse {
    /// A load that has not begun. The flag ends it early; `parts` takes what is measured, `done` is told once when
    /// the load is over.
    pub fn new(
        demand: Demand,
        stretches: Stretches,
        stop: Arc<AtomicBool>,
        spares: Arc<Spares>,
        parts: SyncSender<Part>,
        done: SyncSender<()>,
    ) -> LoadCourse {
        let start_ns = OnceLock::new();
        let shared = Shared { demand, stretches, start_ns, stop, spares };
        LoadCourse { shared: Arc::new(shared), parts, done }
    }

    /// Begins the load, unless it has begun.
    pub(super) fn begin(&self, now_ns: u64) -> Pacer {
        let start_ns = *self.shared.start_ns.get_or_init(|| now_ns);
        Pacer::new(self.shared.demand.clone(), self.shared.stretches, start_ns)
    }

    /// A recorder for the load, once it has begun.
    pub(super) fn recorder(&self) -> Option<Recorder> {
        let start_ns = *self.shared.start_ns.get()?;
        Some(Recorder::new(self.shared.stretches, start_ns))
    }

    /// Whether the load was asked to end early.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// The load is over.
    pub(super) fn end(&self) {
        // The other side waits until this; it cannot be gone unless the load has been given up.
        _ = self.done.try_send(());
    }

    /// Hands over a part. One that nobody waits for any more is dropped.
    pub(super) fn hand_over(&self, part: Part) {
        _ = self.parts.send(part);
    }

    /// An empty histogram, when there is one.
    pub(super) fn empty_histogram(&self) -> Option<Histogram<u64>> {
        self.shared.spares.take()
    }
}

impl Spares {
    /// As many as are kept.
    pub fn new() -> Spares {
        let spares = (0..SPARE_HISTOGRAMS).map(|_| latency::empty_histogram());
        Spares(Mutex::new(spares.collect()))
    }

    /// Gives back the histogram of an interval that has been dealt with. More than a few are not kept.
    pub fn give_back(&self, mut histogram: Histogram<u64>) {
        histogram.reset();
        let mut spares = self.lock();
        if spares.len() < SPARE_HISTOGRAMS {
            spares.push(histogram);
        }
    }

    fn take(&self) -> Option<Histogram<u64>> {
        self.lock().pop()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Histogram<u64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Spares {
    fn default() -> Self {
        Spares::new()
    }
}
