//! How long round trips take.

use std::time::Duration;

use hdrhistogram::Histogram;
use quanta::Clock;

/// Longer ones are counted as this one.
const LONGEST_NS: u64 = 60_000_000_000;

/// Values are exact to one part in a thousand.
const DIGITS: u8 = 3;

/// Round trips one after the other, each from the end of the one before.
pub struct Laps {
    clock: Clock,
    began: u64,
    histogram: Histogram<u64>,
}

/// Percentiles of a round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    pub count: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
}

impl Laps {
    /// The first one begins now.
    pub fn begin() -> Laps {
        let clock = Clock::new();
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS);
        let histogram = histogram.expect("the bounds and digits are in its range");
        Laps { began: clock.raw(), clock, histogram }
    }

    /// One has ended, and the next begins.
    pub fn lap(&mut self) {
        let now = self.clock.raw();
        let took_ns = self.clock.delta_as_nanos(self.began, now);
        self.histogram.saturating_record(took_ns);
        self.began = now;
    }

    /// Ends the count.
    pub fn finish(&self) -> RoundTrip {
        RoundTrip {
            count: self.histogram.len(),
            p50_ns: self.histogram.value_at_quantile(0.5),
            p99_ns: self.histogram.value_at_quantile(0.99),
            p999_ns: self.histogram.value_at_quantile(0.999),
        }
    }
}

/// A second of something.
pub fn a_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}
