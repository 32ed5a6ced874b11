//! How sure a median is: an interval from resampling the rounds that were measured.
//!
//! The percentile bootstrap (Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1),
//! 1979; Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13): as many values as there are
//! are drawn from them with replacement, the median is taken, and that many times over; the interval holds the
//! middle 95 % of these medians. It assumes nothing about the shape of the noise, and it knows of no other noise
//! than what the rounds have seen.
//!
//! Pure: the same values and the same seed give the same interval.

use fastrand::Rng;
use serde::Serialize;

use super::statistics::Summary;

/// How often the values are drawn anew.
pub const RESAMPLES: usize = 2_000;
/// The seed where there is no reason for another.
pub const SEED: u64 = 0x6D61_696E_7370_7269;

/// Two bounds, `low` not above `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// The median of some values with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The median of the values themselves.
    pub median: f64,
    /// Where the median lies in 95 % of the resamples.
    #[serde(flatten)]
    pub interval: Interval,
}

/// The median of the values and its interval; none when there are no values. A single value is its own interval.
pub fn median_estimate(values: &[f64], seed: u64) -> Option<Estimate> {
    let median = Summary::of(values)?.median;
    let mut random = Rng::with_seed(seed);
    let mut drawn = vec![0.0; values.len()];
    let mut medians = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        drawn.fill_with(|| values[random.usize(..values.len())]);
        medians.extend(Summary::of(&drawn).map(|summary| summary.median));
    }
    medians.sort_by(f64::total_cmp);
    let interval =
        Interval { low: medians[OUTSIDE_A_SIDE], high: medians[RESAMPLES - 1 - OUTSIDE_A_SIDE] };
    Some(Estimate { median, interval })
}

/// 2.5 % of the resamples lie below the interval, and as many above.
const OUTSIDE_A_SIDE: usize = RESAMPLES / 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise of no special shape around 10: the sum of four even draws.
    fn noisy(random: &mut Rng, count: usize) -> Vec<f64> {
        let mut draw = || random.u64(..1_000_001) as f64 / 1e6;
        (0..count).map(|_| 8.0 + draw() + draw() + draw() + draw()).collect()
    }

    #[test]
    fn the_interval_covers_the_true_median_about_as_often_as_it_says() {
        let mut random = Rng::with_seed(42);
        let covered = (0..400)
            .filter(|experiment| {
                let values = noisy(&mut random, 15);
                let interval = median_estimate(&values, *experiment).expect("values").interval;
                (interval.low..=interval.high).contains(&10.0)
            })
            .count();
        // 95 % of 400 are 380; with so few values the method is known to be a little off.
        assert!((356..=396).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn more_rounds_make_the_interval_narrower() {
        let width = |count| {
            let values = noisy(&mut Rng::with_seed(7), count);
            let interval = median_estimate(&values, SEED).expect("values").interval;
            interval.high - interval.low
        };
        assert!(width(200) < width(20) / 2.0, "{} {}", width(200), width(20));
    }

    #[test]
    fn one_outlier_does_not_move_the_interval() {
        let values = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 90.0];
        let estimate = median_estimate(&values, SEED).expect("values");
        assert_eq!(estimate.interval, Interval { low: 1.0, high: 1.0 });
    }

    #[test]
    fn the_same_values_and_seed_give_the_same_interval() {
        let values = noisy(&mut Rng::with_seed(3), 21);
        assert_eq!(median_estimate(&values, 1), median_estimate(&values, 1));
    }

    #[test]
    fn a_single_value_is_its_own_interval_and_nothing_has_none() {
        let alone = median_estimate(&[2.5], SEED).expect("a value");
        assert_eq!(alone, Estimate { median: 2.5, interval: Interval { low: 2.5, high: 2.5 } });
        assert_eq!(median_estimate(&[], SEED), None);
    }
}
