//! What a handful of rounds says: best, median, worst, and ratios between paired rounds, and how sure they are.

/// Best, median and worst of some rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// The smallest value.
    pub best: f64,
    /// The value in the middle; of an even number of values the mean of the two in the middle.
    pub median: f64,
    /// The largest value.
    pub worst: f64,
}

impl Summary {
    /// Sums up values in any order; none when there are none.
    pub fn of(values: &[f64]) -> Option<Summary> {
        let mut ascending = values.to_vec();
        ascending.sort_by(f64::total_cmp);
        let (best, worst) = (*ascending.first()?, *ascending.last()?);
        let middle = ascending.len() / 2;
        let median = if ascending.len() % 2 == 1 {
            ascending[middle]
        } else {
            (ascending[middle - 1] + ascending[middle]) / 2.0
        };
        Some(Summary { best, median, worst })
    }

    /// The largest value divided by the smallest: 1 when all are the same.
    pub fn spread(&self) -> f64 {
        if self.best > 0.0 { self.worst / self.best } else { 1.0 }
    }
}

/// The median of `values[i] / limits[i]`. Both belong to the same moment of the run, so a machine that changes its
/// speed between rounds does not move the ratio. None when there are no pairs.
pub fn median_ratio(values: &[f64], limits: &[f64]) -> Option<f64> {
    Summary::of(&paired_ratios(values, limits)).map(|summary| summary.median)
}

/// `values[i] / limits[i]`, without the pairs whose limit is 0.
pub fn paired_ratios(values: &[f64], limits: &[f64]) -> Vec<f64> {
    let pairs = values.iter().zip(limits).filter(|(_, limit)| **limit > 0.0);
    pairs.map(|(value, limit)| value / limit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_one_in_the_middle() {
        let summary = Summary::of(&[9.0, 1.0, 4.0]).expect("three values");
        assert_eq!(summary, Summary { best: 1.0, median: 4.0, worst: 9.0 });
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(Summary::of(&[8.0, 1.0, 2.0, 4.0]).expect("four values").median, 3.0);
    }

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(median_ratio(&[], &[]), None);
    }

    #[test]
    fn a_machine_that_halves_its_speed_does_not_move_the_ratio() {
        let (values, limits) = ([15.0, 15.0, 30.0, 30.0], [10.0, 10.0, 20.0, 20.0]);
        assert_eq!(median_ratio(&values, &limits), Some(1.5));
    }

    #[test]
    fn a_spread_of_equal_values_is_one() {
        assert_eq!(Summary::of(&[2.0, 2.0]).expect("two values").spread(), 1.0);
        assert_eq!(Summary::of(&[2.0, 3.0]).expect("two values").spread(), 1.5);
    }
}
