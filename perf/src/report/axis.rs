//! One axis of a picture: where a value lies, and which values are written beside it.

use super::quantity::Unit;

/// How values are spread over the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences take equal room.
    Linear,
    /// Equal ratios take equal room. Values of 0 and less lie at the lower end.
    Logarithmic,
}

/// What an axis shows.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What is written beside it.
    pub label: String,
    /// How its values are spread.
    pub scale: Scale,
    /// What its values are.
    pub unit: Unit,
}

impl Axis {
    /// An axis.
    pub fn new(label: &str, scale: Scale, unit: Unit) -> Self {
        Axis { label: label.to_owned(), scale, unit }
    }

    /// The range that holds all values: from 0 when linear, from tick to tick when logarithmic. Never empty.
    pub fn range_of(&self, values: impl Iterator<Item = f64>) -> Range {
        let finite = values.filter(|value| value.is_finite());
        match self.scale {
            Scale::Linear => {
                let highest = finite.fold(0.0, f64::max);
                let highest = if highest > 0.0 { highest } else { 1.0 };
                let step = nice_step(highest / MOST_LINEAR_STEPS);
                Range { scale: self.scale, low: 0.0, high: (highest / step).ceil() * step }
            }
            Scale::Logarithmic => {
                let above_0 = finite.filter(|value| *value > 0.0);
                let (low, high) = above_0.fold((f64::INFINITY, 0.0), |(low, high), value| {
                    (f64::min(low, value), f64::max(high, value))
                });
                if low > high {
                    return Range { scale: self.scale, low: 1.0, high: 10.0 };
                }
                let (low, high) = (step_down(low), step_up(high));
                let high = if high > low { high } else { low * 10.0 };
                Range { scale: self.scale, low, high }
            }
        }
    }
}

/// The values between two ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Range {
    /// Where a value lies: 0 at the lower end, 1 at the upper one, never outside.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Logarithmic if value <= 0.0 => 0.0,
            Scale::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        if place.is_nan() { 0.0 } else { place.clamp(0.0, 1.0) }
    }

    /// The values that are written beside the axis, ascending; at most some ten.
    pub fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Linear => {
                let step = nice_step((self.high - self.low) / MOST_LINEAR_STEPS);
                let steps = ((self.high - self.low) / step).round() as usize;
                (0..=steps).map(|number| self.low + number as f64 * step).collect()
            }
            Scale::Logarithmic => self.logarithmic_ticks(),
        }
    }

    fn logarithmic_ticks(&self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let within = |value: &f64| (self.low * 0.999..=self.high * 1.001).contains(value);
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let stride = (decades / MOST_DECADES).ceil().max(1.0) as usize;
        let steps: &[f64] = if decades <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        (first..=last)
            .step_by(stride)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(within)
            .collect()
    }
}

const MOST_LINEAR_STEPS: f64 = 5.0;
const MOST_DECADES: f64 = 8.0;

/// 1, 2 or 5 times a power of ten, at least `least`.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .iter()
        .map(|step| step * power)
        .find(|step| *step >= least * 0.999_999)
        .unwrap_or(least)
}

fn step_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let fits = |step: &&f64| **step * power <= value * 1.000_001;
    [5.0, 2.0, 1.0].iter().find(fits).map_or(power, |step| step * power)
}

fn step_up(value: f64) -> f64 {
    nice_step(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale) -> Axis {
        Axis::new("anything", scale, Unit::Plain)
    }

    #[test]
    fn a_linear_axis_starts_at_0_and_has_round_ticks() {
        let range = axis(Scale::Linear).range_of([3.0, 18.0].into_iter());
        assert_eq!(range.ticks(), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(range.place(10.0), 0.5);
        assert_eq!(range.place(99.0), 1.0);
    }

    #[test]
    fn a_logarithmic_axis_gives_equal_room_to_equal_ratios() {
        let range = axis(Scale::Logarithmic).range_of([1.0, 10_000.0].into_iter());
        assert_eq!(range.ticks(), [1.0, 10.0, 100.0, 1_000.0, 10_000.0]);
        assert!((range.place(100.0) - 0.5).abs() < 1e-9);
        assert_eq!(range.place(0.0), 0.0);
    }

    #[test]
    fn a_short_logarithmic_axis_has_ticks_within_the_decade() {
        let range = axis(Scale::Logarithmic).range_of([7.3, 83.0].into_iter());
        assert_eq!(range.ticks(), [5.0, 10.0, 20.0, 50.0, 100.0]);
    }

    #[test]
    fn no_value_and_one_value_still_make_a_range() {
        for scale in [Scale::Linear, Scale::Logarithmic] {
            assert!(axis(scale).range_of([].into_iter()).ticks().len() >= 2);
            assert!(axis(scale).range_of([0.0, f64::NAN].into_iter()).ticks().len() >= 2);
            let single = axis(scale).range_of([5.0].into_iter());
            assert!(single.place(5.0) >= 0.0 && single.ticks().len() >= 2, "{single:?}");
        }
    }
}
