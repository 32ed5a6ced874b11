//! Reads the percentile text that HdrHistogram tools write (`.hgrm`).
//!
//! ```text
//!        Value     Percentile TotalCount 1/(1-Percentile)
//!        0.512 0.500000000000        500             2.00
//! #[Mean    =        0.600, StdDeviation   =        0.100]
//! ```

use super::chart::Point;

/// Nanoseconds of one unit of the first column: the files hold microseconds.
const UNIT_NS: f64 = 1_000.0;

/// The points of a distribution: x is the rarity `1 / (1 - percentile)`, y the value in nanoseconds. The last line,
/// whose rarity is infinite, is the same value as the one before it and is left out. The number of the first line
/// that cannot be read, when there is one.
pub fn parse(text: &str) -> Result<Vec<Point>, usize> {
    let mut points = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let is_head = columns.first() == Some(&"Value");
        if columns.is_empty() || is_head || line.starts_with('#') {
            continue;
        }
        let point = point_of(&columns).ok_or(number + 1)?;
        if point.x.is_finite() {
            points.push(point);
        }
    }
    Ok(points)
}

fn point_of(columns: &[&str]) -> Option<Point> {
    let [value, percentile, _, ..] = columns else { return None };
    let value: f64 = value.parse().ok()?;
    let percentile: f64 = percentile.parse().ok()?;
    let in_bounds = value.is_finite() && value >= 0.0 && (0.0..=1.0).contains(&percentile);
    in_bounds.then(|| Point { x: 1.0 / (1.0 - percentile), y: value * UNIT_NS, doubtful: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n\
        0.512 0.500000000000 500 2.00\n 9.000 0.990000000000 990 100.00\n 12.000 1.000000000000 1000 inf\n\
        #[Mean    =        0.600, StdDeviation   =        0.100]\n";

    #[test]
    fn a_distribution_is_read_in_nanoseconds_over_its_rarity() {
        let points = parse(TEXT).expect("well-formed");
        assert_eq!(points.len(), 2);
        assert_eq!((points[0].x, points[0].y), (2.0, 512.0));
        assert!((points[1].x - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_line_that_is_no_percentile_is_named() {
        assert_eq!(parse("1.0 0.5 1 2.0\n1.0 1.5 1 2.0\n"), Err(2));
        assert_eq!(parse("what is this\n"), Err(1));
    }
}
