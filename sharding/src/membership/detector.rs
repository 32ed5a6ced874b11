//! Whether a node that has been silent for so long is likely to be gone.
//!
//! The phi-accrual detector of Hayashibara, Défago, Yared and Katayama (SRDS 2004): phi is the negative decimal
//! logarithm of the chance that a beat comes later than now, by a normal distribution of the intervals that came
//! before; the distribution's tail by the logistic approximation that Akka uses. A threshold of 8 is wrong once in
//! 10^8 intervals, if the distribution is right.
//!
//! It promises the same answer for the same beats. It does not record the interval that ends a spell of suspicion: a
//! node that comes back is not slow for ever.

use std::collections::VecDeque;

/// How a detector judges.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectorSettings {
    /// The interval that beats are sent at; before there are samples it is the mean.
    pub interval_ns: u64,
    /// Phi from which a node is suspected.
    pub threshold: f64,
    /// The least deviation that is believed, however regular the beats are.
    pub deviation_least_ns: u64,
    /// A silence on top of the mean that is always accepted.
    pub pause_ns: u64,
    /// Intervals that are remembered; 0 counts as 1.
    pub sample_limit: usize,
}

impl Default for DetectorSettings {
    /// Beats each 100 ms, threshold 8, deviation at least 20 ms, pause 400 ms, 1,000 samples: a silence of 0.605 s.
    fn default() -> DetectorSettings {
        DetectorSettings {
            interval_ns: 100_000_000,
            threshold: 8.0,
            deviation_least_ns: 20_000_000,
            pause_ns: 400_000_000,
            sample_limit: 1_000,
        }
    }
}

/// Listens to the beats of one node.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: DetectorSettings,
    last_ns: u64,
    intervals: VecDeque<u64>,
    sum: u128,
    sum_of_squares: u128,
}

impl Detector {
    /// Begins to listen; silence counts from now.
    pub fn new(now_ns: u64, settings: DetectorSettings) -> Detector {
        Detector {
            settings,
            last_ns: now_ns,
            intervals: VecDeque::new(),
            sum: 0,
            sum_of_squares: 0,
        }
    }

    /// A beat has come. `stretch_ns` as in [`Detector::phi`].
    pub fn beat(&mut self, now_ns: u64, stretch_ns: u64) {
        let interval_ns = now_ns.saturating_sub(self.last_ns);
        if !self.suspects(now_ns, stretch_ns) {
            self.record(interval_ns);
        }
        self.last_ns = self.last_ns.max(now_ns);
    }

    /// How unlikely the present silence is. `stretch_ns` is accepted on top of the pause: how late this node itself is,
    /// so that who is slow does not take others for dead.
    pub fn phi(&self, now_ns: u64, stretch_ns: u64) -> f64 {
        let silence = now_ns.saturating_sub(self.last_ns) as f64;
        let pause = self.settings.pause_ns.saturating_add(stretch_ns) as f64;
        let y = (silence - (self.mean_ns() + pause)) / self.deviation_ns();
        let e = (-y * (1.5976 + 0.070566 * y * y)).exp();
        // e / (1 + e), written so that neither end loses its digits.
        if y > 0.0 { -(e / (1.0 + e)).log10() } else { -(1.0 - 1.0 / (1.0 + e)).log10() }
    }

    /// Whether phi has reached the threshold.
    pub fn suspects(&self, now_ns: u64, stretch_ns: u64) -> bool {
        self.phi(now_ns, stretch_ns) >= self.settings.threshold
    }

    fn record(&mut self, interval_ns: u64) {
        if self.intervals.len() >= self.settings.sample_limit.max(1)
            && let Some(oldest) = self.intervals.pop_front()
        {
            self.sum -= u128::from(oldest);
            self.sum_of_squares -= u128::from(oldest) * u128::from(oldest);
        }
        // No interval that is recorded is long: a long one is suspected.
        let interval_ns = interval_ns.min(u64::from(u32::MAX) * 1_000);
        self.intervals.push_back(interval_ns);
        self.sum += u128::from(interval_ns);
        self.sum_of_squares += u128::from(interval_ns) * u128::from(interval_ns);
    }

    fn mean_ns(&self) -> f64 {
        match self.intervals.len() {
            0 => self.settings.interval_ns as f64,
            count => self.sum as f64 / count as f64,
        }
    }

    fn deviation_ns(&self) -> f64 {
        let least = self.settings.deviation_least_ns.max(1) as f64;
        let count = self.intervals.len() as u128;
        if count == 0 {
            // Nothing is known of this node yet: a quarter of the interval, as Akka assumes.
            return least.max(self.settings.interval_ns as f64 / 4.0);
        }
        let variance = (self.sum_of_squares * count).saturating_sub(self.sum * self.sum);
        least.max((variance as f64).sqrt() / count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn regular(settings: DetectorSettings) -> (Detector, u64) {
        let mut detector = Detector::new(0, settings);
        let beats = (1..=2_000).map(|beat| beat * settings.interval_ns);
        let last_ns = beats.inspect(|at_ns| detector.beat(*at_ns, 0)).last().expect("beats");
        (detector, last_ns)
    }

    fn silence_ms(detector: &Detector, last_ns: u64, stretch_ns: u64) -> u64 {
        (0..).find(|ms| detector.suspects(last_ns + ms * MS, stretch_ns)).expect("suspected")
    }

    #[test]
    fn a_silent_node_is_suspected_after_the_computed_time() {
        // Interval, pause, least deviation, and the silence until phi is 8, in milliseconds.
        let table = [(1_000, 3_000, 100, 4_520), (100, 400, 20, 605), (50, 200, 10, 303)];
        for (interval, pause, deviation, expected) in table {
            let settings = DetectorSettings {
                interval_ns: interval * MS,
                pause_ns: pause * MS,
                deviation_least_ns: deviation * MS,
                ..DetectorSettings::default()
            };
            let (detector, last_ns) = regular(settings);
            let silence = silence_ms(&detector, last_ns, 0);
            assert!(silence.abs_diff(expected) <= expected / 200, "{silence} ms, not {expected}");
        }
    }

    #[test]
    fn a_node_that_is_late_itself_suspects_as_much_later() {
        let (detector, last_ns) = regular(DetectorSettings::default());
        let late = silence_ms(&detector, last_ns, 700 * MS);
        assert_eq!(late, silence_ms(&detector, last_ns, 0) + 700);
    }

    #[test]
    fn the_silence_that_ends_a_suspicion_is_not_recorded() {
        let (mut detector, last_ns) = regular(DetectorSettings::default());
        let before = silence_ms(&detector, last_ns, 0);
        let back_ns = last_ns + 60_000 * MS;
        detector.beat(back_ns, 0);
        assert!(!detector.suspects(back_ns, 0));
        assert_eq!(silence_ms(&detector, back_ns, 0), before);
    }

    #[test]
    fn irregular_beats_are_given_more_time_and_samples_are_bounded() {
        let mut detector = Detector::new(0, DetectorSettings::default());
        let mut now_ns = 0;
        for beat in 0..3_000_u64 {
            now_ns += if beat % 2 == 0 { 20 * MS } else { 180 * MS };
            detector.beat(now_ns, 0);
        }
        assert_eq!(detector.intervals.len(), 1_000);
        assert!(silence_ms(&detector, now_ns, 0) > 605 + 100);
    }
}
