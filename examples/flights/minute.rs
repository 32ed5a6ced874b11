//! A point in time, to the minute, in UTC.
//!
//! Read and written as `2013-01-01T10:15Z`; refuses other forms and days that do not exist.

use mainspring::prelude::*;
use std::fmt;

const MINUTES_A_DAY: i64 = 24 * 60;

/// Minutes since the start of 1970, UTC.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i64);

impl Minute {
    /// Reads the form `2013-01-01T10:15Z`; `None` when the text has another form or names no minute.
    pub fn parse(text: &[u8]) -> Option<Minute> {
        let punctuation = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b'Z')];
        if text.len() != 17 || punctuation.iter().any(|&(at, byte)| text[at] != byte) {
            return None;
        }
        let year = number(&text[0..4])?;
        let (month, day) = (number(&text[5..7])?, number(&text[8..10])?);
        let (hour, minute) = (number(&text[11..13])?, number(&text[14..16])?);
        if !(1..=12).contains(&month) || hour > 23 || minute > 59 {
            return None;
        }
        let days = days_from_civil(year, month, day);
        // A day that does not exist comes out as another one.
        let exists = civil_from_days(days) == (year, month, day);
        exists.then_some(Minute(days * MINUTES_A_DAY + hour * 60 + minute))
    }

    /// This many minutes later; earlier when negative.
    pub fn plus(self, minutes: i64) -> Minute {
        Minute(self.0.saturating_add(minutes))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(self.0.div_euclid(MINUTES_A_DAY));
        let of_day = self.0.rem_euclid(MINUTES_A_DAY);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}Z", of_day / 60, of_day % 60)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

/// Days since 1970-01-01 in the Gregorian calendar. Years are counted from March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_minutes() {
        assert_eq!(Minute::parse(b"1970-01-01T00:00Z"), Some(Minute(0)));
        // 1,356,998,400 seconds after the start of 1970.
        assert_eq!(Minute::parse(b"2013-01-01T00:00Z"), Some(Minute(1_356_998_400 / 60)));
        assert_eq!(Minute::parse(b"1969-12-31T23:59Z"), Some(Minute(-1)));
        assert_eq!(Minute(0).plus(61).to_string(), "1970-01-01T01:01Z");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2013-01-01T10:15",
            "2013-01-01 10:15Z",
            "2013-13-01T10:15Z",
            "2013-00-01T10:15Z",
            "2013-02-29T10:15Z",
            "2013-04-31T10:15Z",
            "2013-01-00T10:15Z",
            "2013-01-01T24:00Z",
            "2013-01-01T10:60Z",
            "2013-01-01T1x:15Z",
            "2013-01-01T10:15Z ",
        ] {
            assert_eq!(Minute::parse(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(minute in -62_000_000_000_i64 / 60..253_000_000_000 / 60) {
            let text = Minute(minute).to_string();
            prop_assert_eq!(Minute::parse(text.as_bytes()), Some(Minute(minute)), "{}", text);
        }
    }
}
