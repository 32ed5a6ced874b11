//! The percentile text of HdrHistogram tools, in microseconds.
//!
//! The form is that of `outputPercentileDistribution` of the original (HdrHistogram, Java, `AbstractHistogram`),
//! with five ticks each time the distance to 100 % halves, so that files of different tools can be drawn together.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

/// Nanoseconds of one unit of the first column.
const UNIT_NS: f64 = 1_000.0;
const TICKS_PER_HALF_DISTANCE: u32 = 5;

/// The text of a histogram of nanoseconds.
pub fn text(histogram_ns: &Histogram<u64>) -> String {
    let mut text = format!(
        "{:>12} {:>14} {:>10} {:>14}\n\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    );
    let mut total = 0;
    for step in histogram_ns.iter_quantiles(TICKS_PER_HALF_DISTANCE) {
        total += step.count_since_last_iteration();
        let value = step.value_iterated_to() as f64 / UNIT_NS;
        let percentile = step.quantile_iterated_to();
        // Writing to a string does not fail.
        _ = write!(text, "{value:12.3} {percentile:14.12} {total:10}");
        _ = match percentile {
            whole if whole >= 1.0 => writeln!(text),
            part => writeln!(text, " {:14.2}", 1.0 / (1.0 - part)),
        };
    }
    let mean = histogram_ns.mean() / UNIT_NS;
    let deviation = histogram_ns.stdev() / UNIT_NS;
    let max = histogram_ns.max() as f64 / UNIT_NS;
    let count = histogram_ns.len();
    _ = writeln!(text, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    _ = writeln!(text, "#[Max     = {max:12.3}, Total count    = {count:12}]");
    let (buckets, sub_buckets) = (histogram_ns.buckets(), sub_buckets(histogram_ns.sigfig()));
    _ = writeln!(text, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
    text
}

/// Values that can be told apart in each bucket: the power of two that holds twice as many as the digits ask for.
fn sub_buckets(digits: u8) -> u64 {
    (2 * 10u64.pow(u32::from(digits))).next_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn of(values: impl IntoIterator<Item = u64>) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds");
        values.into_iter().for_each(|value| histogram.record(value).expect("within the bounds"));
        histogram
    }

    #[test]
    fn every_percentile_is_a_row_with_its_value_in_microseconds() {
        let text = text(&of((1..=1_000).map(|number| number * 1_000)));
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
        let median = rows.iter().find(|row| row.get(1) == Some(&"0.500000000000"));
        assert_eq!(
            median.expect("a row of the median")[..],
            ["500.223", "0.500000000000", "500", "2.00"]
        );
        let last = rows.iter().rfind(|row| row.len() == 3 && !row[0].starts_with('#'));
        let last = last.expect("a row of 100 %");
        assert_eq!(last[1..], ["1.000000000000", "1000"]);
    }

    #[test]
    fn the_foot_holds_what_the_original_writes() {
        let text = text(&of([500, 1_500]));
        let foot: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(foot[0], "#[Mean    =        1.000, StdDeviation   =        0.500]");
        assert_eq!(foot[1], "#[Max     =        1.500, Total count    =            2]");
        assert!(foot[2].starts_with("#[Buckets =") && foot[2].ends_with("2048]"), "{}", foot[2]);
    }

    #[test]
    fn an_empty_histogram_has_a_head_and_a_foot() {
        assert_eq!(text(&of([])).lines().filter(|line| !line.is_empty()).count(), 4);
    }
}
