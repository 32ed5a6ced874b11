//! How long messages take: from the stamp that their sender puts into them to the turn that handles them.
//!
//! One recorder per core, shared by the actors of that core, so that it stays in the core's cache. Nothing is shared
//! between cores; their histograms are added up at the end.

use hdrhistogram::Histogram;
use mainspring::prelude::*;
use quanta::Clock;

/// Longer latencies are counted as this one.
const LONGEST_NS: u64 = 3_600_000_000_000;
/// Values are exact to one part in a thousand.
const DIGITS: u8 = 3;

/// When a message was sent: a reading of the time stamp counter, comparable between the cores of one machine.
pub type Stamp = u64;

/// The recorder of one core.
pub struct Latency {
    clock: Clock,
    histogram: Histogram<u64>,
    last_handled: Stamp,
}

/// What one core recorded, as it travels.
#[message]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Messages handled.
    pub messages: u64,
    /// When the last of them was handled.
    pub last_handled: u64,
    /// Latencies in nanoseconds, with how many messages had them.
    pub counts: Vec<(u64, u64)>,
}

/// The latencies of all messages, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Percentiles {
    pub p50: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

impl Latency {
    /// An empty recorder.
    pub fn new() -> Latency {
        Latency { clock: Clock::new(), histogram: empty(), last_handled: 0 }
    }

    /// Counts one message as handled now.
    pub fn record(&mut self, sent: Stamp) {
        let now = self.clock.raw();
        // Counters of two cores may differ by a few ticks; then the message took no time.
        self.histogram.saturating_record(self.clock.delta_as_nanos(sent, now.max(sent)));
        self.last_handled = now;
    }

    /// How many messages were recorded.
    pub fn messages(&self) -> u64 {
        self.histogram.len()
    }

    /// All that was recorded.
    pub fn recorded(&self) -> Recorded {
        let counts = self.histogram.iter_recorded();
        Recorded {
            messages: self.messages(),
            last_handled: self.last_handled,
            counts: counts.map(|step| (step.value_iterated_to(), step.count_at_value())).collect(),
        }
    }
}

impl Percentiles {
    /// The percentiles over all cores; all 0 without messages.
    pub fn of(cores: &[Recorded]) -> Percentiles {
        let mut all = empty();
        for &(latency_ns, messages) in cores.iter().flat_map(|core| &core.counts) {
            all.saturating_record_n(latency_ns, messages);
        }
        Percentiles {
            p50: all.value_at_quantile(0.5),
            p99: all.value_at_quantile(0.99),
            p999: all.value_at_quantile(0.999),
            max: all.max(),
        }
    }
}

fn empty() -> Histogram<u64> {
    // The bounds are constants that the histogram accepts.
    Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).expect("valid bounds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_over_all_cores() {
        let core = |counts: &[(u64, u64)]| Recorded {
            messages: counts.iter().map(|(_, count)| count).sum(),
            last_handled: 0,
            counts: counts.to_vec(),
        };
        let cores = [core(&[(100, 500), (200, 490)]), core(&[(5_000, 9), (90_000, 1)])];
        let found = Percentiles::of(&cores);
        let near = |found: u64, expected: u64| found.abs_diff(expected) * 500 <= expected;
        assert!(near(found.p50, 100) && near(found.p99, 200), "{found:?}");
        assert!(near(found.p999, 5_000) && near(found.max, 90_000), "{found:?}");
        assert_eq!(Percentiles::of(&[]).max, 0);
    }

    #[test]
    fn a_recorder_counts_every_message_once_also_those_from_the_future() {
        let mut latency = Latency::new();
        let stamp = Clock::new().raw();
        latency.record(stamp);
        latency.record(u64::MAX);
        let recorded = latency.recorded();
        assert_eq!((latency.messages(), recorded.messages), (2, 2));
        assert_eq!(recorded.counts.iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert!(recorded.last_handled >= stamp);
    }
}
