//! When a flight is due: the timetable of the data, played faster or slower.

use super::minute::Minute;

const NS_A_MINUTE: f64 = 60e9;

/// The timetable of a run. Passes follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// How many times as fast as it was.
    pub times: f64,
    /// The first scheduled departure of the data.
    pub first: Minute,
    /// The last one.
    pub last: Minute,
}

impl Pace {
    /// Nanoseconds from the start of the run until a flight of that minute is due, in pass `pass`, counted from 0.
    pub fn due_ns(&self, time: Minute, pass: u32) -> u64 {
        let pass_min = self.last.0 - self.first.0 + 1;
        let minutes = (time.0 - self.first.0) as f64 + f64::from(pass) * pass_min as f64;
        // Saturates: at a slow enough pace a flight is never due.
        (minutes * NS_A_MINUTE / self.times) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { times: 60.0, first: Minute(1_000), last: Minute(1_099) };

    #[test]
    fn at_sixty_times_real_time_a_minute_takes_a_second() {
        assert_eq!(PACE.due_ns(Minute(1_000), 0), 0);
        assert_eq!(PACE.due_ns(Minute(1_001), 0), 1_000_000_000);
    }

    #[test]
    fn the_next_pass_begins_a_minute_after_the_last_flight() {
        assert_eq!(PACE.due_ns(Minute(1_000), 1), 100_000_000_000);
    }

    #[test]
    fn the_slowest_pace_never_comes_instead_of_at_once() {
        let pace = Pace { times: f64::MIN_POSITIVE, ..PACE };
        assert_eq!(pace.due_ns(Minute(1_001), 0), u64::MAX);
    }
}
