//! The time of day, for names and files that people look at. Nothing is decided by it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment, to the millisecond of its second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(SystemTime);

impl Timestamp {
    /// The present.
    #[expect(
        clippy::disallowed_methods,
        reason = "the time of day names a result; no interval comes from it"
    )]
    pub fn now() -> Timestamp {
        Timestamp(SystemTime::now())
    }

    /// The moment that lies so long before this one.
    pub fn before(self, time: Duration) -> Timestamp {
        Timestamp(self.0.checked_sub(time).unwrap_or(UNIX_EPOCH))
    }

    /// As the standard library has it.
    pub fn system_time(self) -> SystemTime {
        self.0
    }

    /// In UTC, as in `20260131T235959Z`.
    pub fn for_a_name(self) -> String {
        let seconds = self.seconds();
        let (year, month, day) = date(seconds / SECONDS_A_DAY);
        let second = seconds % SECONDS_A_DAY;
        format!(
            "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
            second / 3_600,
            second / 60 % 60,
            second % 60
        )
    }

    fn seconds(self) -> u64 {
        self.0.duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
    }
}

const SECONDS_A_DAY: u64 = 86_400;

/// Year, month and day of a day since 1970-01-01 (Hinnant, "chrono-compatible low-level date algorithms",
/// `civil_from_days`). Years begin in March there, so the day that leap years add is their last.
fn date(days: u64) -> (u64, u64, u64) {
    let since_march_of_year_0 = days + 719_468;
    let era = since_march_of_year_0 / 146_097;
    let day_of_era = since_march_of_year_0 % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(seconds: u64) -> String {
        Timestamp(UNIX_EPOCH + Duration::from_secs(seconds)).for_a_name()
    }

    #[test]
    fn moments_are_named_in_utc() {
        assert_eq!(name(0), "19700101T000000Z");
        assert_eq!(name(951_782_399), "20000228T235959Z");
        assert_eq!(name(951_782_400), "20000229T000000Z");
        assert_eq!(name(1_709_251_200), "20240301T000000Z");
        assert_eq!(name(4_107_542_399), "21000228T235959Z");
        assert_eq!(name(4_107_542_400), "21000301T000000Z");
    }
}
