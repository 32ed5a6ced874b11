//! What may be said of two that were measured in turns, beside the noise of one of them measured against itself.

use serde::Serialize;

use super::Interval;

/// What may be said of the second of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// It takes less time.
    Faster,
    /// It takes more time.
    Slower,
    /// The difference, if there is one, is within the noise.
    CannotTell,
}

impl Conclusion {
    /// The words for it.
    pub fn words(self) -> &'static str {
        match self {
            Conclusion::Faster => "faster",
            Conclusion::Slower => "slower",
            Conclusion::CannotTell => "cannot tell",
        }
    }
}

/// Concludes from the interval of A / A and that of B / A. B is faster only if its whole interval lies below 1 and
/// below all of A / A; slower only if it lies above both.
pub fn conclude(noise: Interval, ratio: Interval) -> Conclusion {
    if ratio.high < noise.low.min(1.0) {
        Conclusion::Faster
    } else if ratio.low > noise.high.max(1.0) {
        Conclusion::Slower
    } else {
        Conclusion::CannotTell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(low: f64, high: f64) -> Interval {
        Interval { low, high }
    }

    #[test]
    fn faster_and_slower_are_said_only_beyond_one_and_beyond_the_noise() {
        use Conclusion::*;
        let noise = between(0.97, 1.02);
        for (ratio, expected) in [
            (between(0.90, 0.96), Faster),
            (between(0.90, 0.97), CannotTell),
            (between(0.975, 0.99), CannotTell),
            (between(0.90, 1.10), CannotTell),
            (between(1.00, 1.02), CannotTell),
            (between(1.03, 1.04), Slower),
        ] {
            assert_eq!(conclude(noise, ratio), expected, "{ratio:?}");
        }
    }

    #[test]
    fn noise_that_leans_to_one_side_does_not_make_the_other_side_easier() {
        let leaning = between(1.05, 1.10);
        assert_eq!(conclude(leaning, between(1.01, 1.04)), Conclusion::CannotTell);
        assert_eq!(conclude(leaning, between(0.95, 0.99)), Conclusion::Faster);
        assert_eq!(conclude(between(0.90, 0.95), between(0.96, 0.99)), Conclusion::CannotTell);
    }
}
