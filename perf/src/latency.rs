//! Times single messages, with the time stamp counter where the machine has a steady one.

use hdrhistogram::Histogram;

/// The longest latency that is told from longer ones: one minute, in nanoseconds.
pub const HIGHEST_NS: u64 = 60_000_000_000;

/// Decimal digits that are kept of each latency.
pub const DIGITS: u8 = 3;

/// Takes one sample after the other. One reading of the clock lies between two samples: the end of one is the
/// start of the next.
#[derive(Debug)]
pub struct LapTimer {
    clock: quanta::Clock,
    before: u64,
    laps_ns: Histogram<u64>,
}

impl LapTimer {
    /// A timer without samples. The first one of a process takes some milliseconds to calibrate the counter.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let before = clock.raw();
        LapTimer { clock, before, laps_ns: empty_histogram() }
    }

    /// The first sample, or the next one after a pause, starts now.
    #[inline]
    pub fn restart(&mut self) {
        self.before = self.clock.raw();
    }

    /// A sample ends now and the next one starts. At least 1 ns, at most [`HIGHEST_NS`].
    #[inline]
    pub fn lap(&mut self) {
        let now = self.clock.raw();
        self.laps_ns.saturating_record(self.clock.delta_as_nanos(self.before, now).max(1));
        self.before = now;
    }

    /// All samples, in nanoseconds.
    pub fn finish(self) -> Histogram<u64> {
        self.laps_ns
    }
}

impl Default for LapTimer {
    fn default() -> Self {
        LapTimer::new()
    }
}

/// A histogram without entries, as all of a run are: from 1 ns to [`HIGHEST_NS`], [`DIGITS`] digits.
pub fn empty_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS)
        .expect("the bounds are constants within the limits of a histogram")
}

/// The part of the samples that lie within a twentieth of `period_ns` around a multiple of it, 0 to 1. Where the period
/// is a tick of the kernel's clock these have waited for a CPU, and not for what they are samples of.
pub fn share_at_multiples(samples_ns: &Histogram<u64>, period_ns: u64) -> f64 {
    let (period_ns, near_ns) = (period_ns.max(1), period_ns / 20);
    let is_near = |value: u64| {
        let nearest = (value + period_ns / 2) / period_ns * period_ns;
        nearest > 0 && value.abs_diff(nearest) <= near_ns
    };
    let recorded = samples_ns.iter_recorded();
    let near = recorded.filter(|step| is_near(step.value_iterated_to()));
    let count: u64 = near.map(|step| step.count_at_value()).sum();
    count as f64 / samples_ns.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_around_multiples_of_a_period_are_told_from_others() {
        let mut samples = empty_histogram();
        for near in [3_900_000, 4_100_000, 8_000_000] {
            samples.record(near).expect("in range");
        }
        for far in [50, 190_000, 5_000_000, 6_000_000, 7_700_000] {
            samples.record(far).expect("in range");
        }
        assert_eq!(share_at_multiples(&samples, 4_000_000), 3.0 / 8.0);
        assert_eq!(share_at_multiples(&empty_histogram(), 4_000_000), 0.0);
    }

    #[test]
    fn a_delay_shows_in_its_percentile() {
        let mut timer = LapTimer::new();
        for lap in 0..100 {
            timer.restart();
            if lap == 99 {
                let began = std::time::Instant::now();
                while began.elapsed().as_millis() < 20 {}
            }
            timer.lap();
        }
        let laps = timer.finish();
        assert_eq!(laps.len(), 100);
        assert!(laps.max() >= 19_000_000, "{}", laps.max());
        assert!(laps.value_at_quantile(0.5) < 19_000_000);
    }
}
