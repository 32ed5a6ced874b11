//! When each message of a load is due: a rate and a pattern of arrivals, as times since the start.
//!
//! Promises: the time of message n depends on the arguments alone, and never on when anything before it was sent.
//! Evenly spaced times are computed from n and do not drift. Two schedules with the same arguments are the same.
//!
//! Refuses: a rate of 0, and a rate beyond the clock's resolution of one nanosecond.

use std::fmt;
use std::str::FromStr;

use mainspring_perf_contest::random::Random;

/// The highest rate. The clock tells whole nanoseconds; beyond one message in each, neighbours would be due at once.
pub const MOST_A_SECOND: u64 = NS_A_SECOND;

/// The most messages that are due at once.
pub const MOST_IN_A_BURST: u32 = 1_000_000;

/// How the messages of a load are spread over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// At equal distances.
    Uniform,
    /// Independent of each other: the distances are exponentially distributed.
    Poisson,
    /// So many at once, at equal distances.
    Burst(u32),
}

/// A rate or a pattern that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The rate is 0 or beyond the clock's resolution.
    #[error(
        "{rate} messages a second cannot be scheduled: the clock tells whole nanoseconds; choose 1 to {MOST_A_SECOND}"
    )]
    Rate {
        /// The rate that was asked for.
        rate: u64,
    },
    /// The text is no pattern of arrivals.
    #[error(
        "\"{0}\" is no pattern of arrivals; write uniform, poisson or burst:N with N from 1 to {MOST_IN_A_BURST}"
    )]
    Arrivals(String),
}

/// The times at which messages are due, one after the other.
#[derive(Clone, Debug)]
pub struct Schedule {
    arrivals: Arrivals,
    rate: u64,
    number: u64,
    random: Random,
    /// The time of the next message of a Poisson process. Exact to a nanosecond for a hundred days.
    poisson_ns: f64,
}

impl Schedule {
    /// The schedule of so many messages a second. The seed matters to [`Arrivals::Poisson`] alone.
    ///
    /// # Errors
    /// [`ScheduleError::Rate`].
    pub fn new(arrivals: Arrivals, rate: u64, seed: u64) -> Result<Schedule, ScheduleError> {
        if !(1..=MOST_A_SECOND).contains(&rate) {
            return Err(ScheduleError::Rate { rate });
        }
        let mut schedule =
            Schedule { arrivals, rate, number: 0, random: Random::seeded(seed), poisson_ns: 0.0 };
        schedule.poisson_ns = schedule.gap_ns();
        Ok(schedule)
    }

    /// The number of the next message, from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When the next message is due, in nanoseconds since the start.
    #[inline]
    pub fn next_ns(&self) -> u64 {
        match self.arrivals {
            Arrivals::Uniform => self.even_ns(self.number),
            Arrivals::Poisson => self.poisson_ns as u64,
            Arrivals::Burst(size) => self.even_ns(self.number - self.number % u64::from(size)),
        }
    }

    /// Goes on to the message behind the next one.
    #[inline]
    pub fn advance(&mut self) {
        self.number += 1;
        if self.arrivals == Arrivals::Poisson {
            self.poisson_ns += self.gap_ns();
        }
    }

    /// How many messages are due from the next one on and before a time. Of a Poisson process: how many are to be
    /// expected.
    pub fn due_before(&self, end_ns: u64) -> u64 {
        let left_ns = end_ns.saturating_sub(self.next_ns());
        if left_ns == 0 {
            return 0;
        }
        match self.arrivals {
            Arrivals::Poisson => {
                1 + (left_ns as f64 * self.rate as f64 / NS_A_SECOND as f64) as u64
            }
            Arrivals::Uniform => self.first_not_before(end_ns) - self.number,
            Arrivals::Burst(size) => {
                let size = u64::from(size);
                self.first_not_before(end_ns).next_multiple_of(size) - self.number
            }
        }
    }

    /// The time between two moments at which something is due: a message, or a burst.
    pub fn interval_ns(&self) -> u64 {
        let messages = if let Arrivals::Burst(size) = self.arrivals { u64::from(size) } else { 1 };
        self.even_ns(messages).max(1)
    }

    fn even_ns(&self, number: u64) -> u64 {
        (u128::from(number) * u128::from(NS_A_SECOND) / u128::from(self.rate)) as u64
    }

    /// The first number whose even time is not before this one.
    fn first_not_before(&self, time_ns: u64) -> u64 {
        (u128::from(time_ns) * u128::from(self.rate)).div_ceil(u128::from(NS_A_SECOND)) as u64
    }

    /// Exponentially distributed, by inversion (Knuth, The Art of Computer Programming 2, 3.4.1 D).
    fn gap_ns(&mut self) -> f64 {
        let unit = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        -(1.0 - unit).ln() * NS_A_SECOND as f64 / self.rate as f64
    }
}

impl FromStr for Arrivals {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let wrong = || ScheduleError::Arrivals(text.to_owned());
        match text {
            "uniform" => Ok(Arrivals::Uniform),
            "poisson" => Ok(Arrivals::Poisson),
            _ => {
                let size = text.strip_prefix("burst:").ok_or_else(wrong)?;
                let size: u32 = size.parse().map_err(|_| wrong())?;
                if !(1..=MOST_IN_A_BURST).contains(&size) {
                    return Err(wrong());
                }
                Ok(Arrivals::Burst(size))
            }
        }
    }
}

impl fmt::Display for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Arrivals::Uniform => f.write_str("uniform"),
            Arrivals::Poisson => f.write_str("poisson"),
            Arrivals::Burst(size) => write!(f, "burst:{size}"),
        }
    }
}

const NS_A_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn times(arrivals: Arrivals, rate: u64, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(arrivals, rate, seed).expect("a rate within the bounds");
        let mut next = || {
            let next_ns = schedule.next_ns();
            schedule.advance();
            next_ns
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn even_arrivals_do_not_drift() {
        assert_eq!(times(Arrivals::Uniform, 1_000, 0, 3), [0, 1_000_000, 2_000_000]);
        let of_third = times(Arrivals::Uniform, 3, 0, 3_001);
        assert_eq!(of_third[1], 333_333_333);
        assert_eq!(of_third[3_000], 1_000_000_000_000);
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let of_bursts = times(Arrivals::Burst(3), 300, 0, 7);
        assert_eq!(of_bursts, [0, 0, 0, 10_000_000, 10_000_000, 10_000_000, 20_000_000]);
    }

    #[test]
    fn random_arrivals_follow_from_the_seed_and_keep_the_rate_and_the_spread() {
        let first = times(Arrivals::Poisson, 10_000, 7, 100_000);
        assert_eq!(first, times(Arrivals::Poisson, 10_000, 7, 100_000));
        assert_ne!(first, times(Arrivals::Poisson, 10_000, 8, 100_000));
        let last_seconds = first[99_999] as f64 / 1e9;
        assert!((9.8..10.2).contains(&last_seconds), "{last_seconds}");
        // Of exponential distances, 1 - 1/e are below the mean.
        let short = first.windows(2).filter(|pair| pair[1] - pair[0] < 100_000).count();
        assert!((62_000..64_500).contains(&short), "{short}");
    }

    #[test]
    fn what_is_still_due_is_counted() {
        let mut even = Schedule::new(Arrivals::Uniform, 1_000, 0).expect("a fine rate");
        assert_eq!(even.due_before(0), 0);
        assert_eq!(even.due_before(1), 1);
        assert_eq!(even.due_before(10_000_000), 10);
        even.advance();
        assert_eq!(even.due_before(10_000_000), 9);
        let mut bursts = Schedule::new(Arrivals::Burst(4), 400, 0).expect("a fine rate");
        bursts.advance();
        assert_eq!(bursts.due_before(10_000_001), 7);
        let random = Schedule::new(Arrivals::Poisson, 1_000, 0).expect("a fine rate");
        assert!((9_000..11_000).contains(&random.due_before(10_000_000_000)));
    }

    #[test]
    fn the_interval_is_that_between_messages_or_bursts() {
        let interval =
            |arrivals| Schedule::new(arrivals, 1_000, 0).expect("a fine rate").interval_ns();
        assert_eq!(interval(Arrivals::Uniform), 1_000_000);
        assert_eq!(interval(Arrivals::Burst(5)), 5_000_000);
    }

    #[test]
    fn rates_that_the_clock_cannot_tell_apart_are_refused() {
        for rate in [0, MOST_A_SECOND + 1, u64::MAX] {
            let refused = Schedule::new(Arrivals::Uniform, rate, 0).expect_err("out of bounds");
            assert_eq!(refused, ScheduleError::Rate { rate });
        }
        assert!(Schedule::new(Arrivals::Uniform, MOST_A_SECOND, 0).is_ok());
    }

    #[test]
    fn patterns_are_read_as_they_are_written() {
        for arrivals in [Arrivals::Uniform, Arrivals::Poisson, Arrivals::Burst(64)] {
            assert_eq!(arrivals.to_string().parse(), Ok(arrivals));
        }
        for text in ["", "even", "burst", "burst:0", "burst:-1", "burst:1000001", "Poisson"] {
            let error = text.parse::<Arrivals>().expect_err(text).to_string();
            assert!(error.contains("write uniform, poisson or burst:N"), "{error}");
        }
    }
}
