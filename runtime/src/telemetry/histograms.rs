//! Distributions of one core: how long turns take, and how long messages wait.

use hdrhistogram::Histogram;

use super::Counters;

/// Two significant digits up to a minute.
const HIGHEST_NS: u64 = 60_000_000_000;

/// The histograms of one core.
pub(crate) struct Histograms {
    turn_ns: Histogram<u64>,
    wait_ns: Histogram<u64>,
}

impl Histograms {
    pub fn new() -> Self {
        let new = || Histogram::new_with_max(HIGHEST_NS, 2).expect("constants are in range");
        Histograms { turn_ns: new(), wait_ns: new() }
    }

    /// So many turns that took so long each, on average of their window.
    #[inline]
    pub fn record_turns(&mut self, turn_ns: u64, turns: u64) {
        self.turn_ns.saturating_record_n(turn_ns, turns);
    }

    /// A sampled message waited so long in its queue.
    pub fn record_wait(&mut self, wait_ns: u64) {
        self.wait_ns.saturating_record(wait_ns);
    }

    pub fn turns(&self) -> Distribution {
        Distribution::of(&self.turn_ns)
    }

    pub fn waits(&self) -> Distribution {
        Distribution::of(&self.wait_ns)
    }
}

/// A distribution of durations in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Distribution {
    /// Values recorded.
    pub count: u64,
    /// Half of the values are at most this.
    pub p50_ns: u64,
    /// 99 of 100 values are at most this.
    pub p99_ns: u64,
    /// 999 of 1,000 values are at most this.
    pub p999_ns: u64,
    /// The largest value.
    pub max_ns: u64,
}

impl Distribution {
    fn of(histogram: &Histogram<u64>) -> Self {
        Distribution {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }
}

/// What one core had counted when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreMetrics {
    /// The core's number.
    pub core: u16,
    /// Its counters.
    pub counters: Counters,
    /// Actors alive.
    pub actors: usize,
    /// Asks that wait for answers.
    pub asks_waiting: usize,
    /// Pending timers.
    pub timers_pending: usize,
    /// How long turns took: means of up to 64 turns.
    pub turn: Distribution,
    /// How long sampled messages waited before their turn.
    pub wait: Distribution,
}

/// What a node had counted when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeMetrics {
    /// The node's name.
    pub node: String,
    /// Its cores, without those that did not answer in time.
    pub cores: Vec<CoreMetrics>,
    /// Cores that did not answer in time: a turn holds them up.
    pub silent_cores: Vec<u16>,
}
