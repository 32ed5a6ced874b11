//! Numbers as a person reads them: three digits that count, and a unit.

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A bare number.
    Plain,
    /// A length of time in nanoseconds.
    Nanoseconds,
    /// Events a second.
    Rate,
    /// How many times something else.
    Times,
    /// `1 / (1 - quantile)`: 2 for the median, 1,000 for the 99.9th percentile.
    Rarity,
}

impl Unit {
    /// The number with its unit.
    pub fn text(self, value: f64) -> String {
        match self {
            Unit::Plain => significant(value),
            Unit::Nanoseconds => {
                scaled(value, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")])
            }
            Unit::Rate => scaled(value, &[(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")]),
            Unit::Times => format!("{} ×", significant(value)),
            Unit::Rarity => percentile(value),
        }
    }
}

/// Three significant digits, and no more zeros behind the point than there are digits.
pub fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value.is_finite() { "0".to_owned() } else { "–".to_owned() };
    }
    let digits_before_point = value.abs().log10().floor() as i32 + 1;
    let decimals = (3 - digits_before_point).clamp(0, 6) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    // What would be shown as 1000 of a unit is 1 of the next.
    let fits = |(size, _): &&(f64, &str)| value.abs() >= *size * 0.9995;
    let (size, name) = units.iter().find(fits).or(units.last()).copied().unwrap_or((1.0, ""));
    format!("{} {name}", significant(value / size))
}

/// The percentile of a rarity: `99.9 %` for 1,000.
fn percentile(rarity: f64) -> String {
    if rarity <= 1.0 {
        return "0 %".to_owned();
    }
    let decimals = (rarity.log10().round() as i32 - 2).clamp(0, 9) as usize;
    format!("{:.decimals$} %", (1.0 - 1.0 / rarity) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_unit_that_keeps_it_short() {
        let text = |value| Unit::Nanoseconds.text(value);
        assert_eq!(text(7.94), "7.94 ns");
        assert_eq!(text(999.9), "1 µs");
        assert_eq!(text(34_500.0), "34.5 µs");
        assert_eq!(text(2_000_000_000.0), "2 s");
        assert_eq!(text(0.25), "0.25 ns");
        assert_eq!(text(0.0), "0 ns");
    }

    #[test]
    fn three_digits_count() {
        assert_eq!(significant(1234.5), "1234");
        assert_eq!(significant(12.345), "12.3");
        assert_eq!(significant(1.5), "1.5");
        assert_eq!(significant(0.012345), "0.0123");
        assert_eq!(significant(f64::NAN), "–");
    }

    #[test]
    fn a_rarity_is_shown_as_its_percentile() {
        let text = |value| Unit::Rarity.text(value);
        assert_eq!(text(1.0), "0 %");
        assert_eq!(text(10.0), "90 %");
        assert_eq!(text(100.0), "99 %");
        assert_eq!(text(1_000.0), "99.9 %");
        assert_eq!(text(100_000.0), "99.999 %");
    }
}
