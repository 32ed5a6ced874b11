//! Contestants side by side: one bar each, on a scale where twice as long means ten times as much.

use super::axis::{Axis, Scale};
use super::quantity::Unit;
use super::svg::{Anchor, Svg};

/// A picture of some contestants.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What stands above it.
    pub title: String,
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// What the values are.
    pub unit: Unit,
}

/// One contestant.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Where its value may lie, where that is known.
    pub interval: Option<(f64, f64)>,
    /// Whether it is ours.
    pub own: bool,
}

impl Bars {
    /// The picture, whole by itself.
    pub fn to_svg(&self) -> String {
        let axis = Axis::new("", Scale::Logarithmic, self.unit);
        let ends = |row: &Row| row.interval.map_or([row.value; 2], |(low, high)| [low, high]);
        let range = axis.range_of(self.rows.iter().flat_map(ends));
        let height = TOP + ROW * self.rows.len() as f64 + 30.0;
        let bottom = height - 26.0;
        let place = |value: f64| LEFT + range.place(value) * (RIGHT - LEFT);
        let mut svg = Svg::new(WIDTH, height, &self.title);
        svg.text("strong", (8.0, 18.0), Anchor::Start, &self.title);
        for tick in range.ticks() {
            svg.line("grid", (place(tick), TOP - 4.0), (place(tick), bottom));
            let at = (place(tick), bottom + 15.0);
            svg.text("small", at, Anchor::Middle, &self.unit.text(tick));
        }
        for (number, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * number as f64;
            let middle = y + ROW / 2.0;
            svg.text("", (LEFT - 8.0, middle + 4.0), Anchor::End, &row.name);
            let class = if row.own { "fill0" } else { "dull" };
            // A bar at the lower end of the scale is still a bar.
            let length = (place(row.value) - LEFT).max(2.0);
            svg.bar(class, (LEFT, y + 5.0), (length, ROW - 10.0));
            if let Some((low, high)) = row.interval {
                svg.line("whisker", (place(low), middle), (place(high), middle));
            }
            let end = place(row.interval.map_or(row.value, |(_, high)| high)).max(LEFT + length);
            svg.text("small", (end + 6.0, middle + 4.0), Anchor::Start, &self.unit.text(row.value));
        }
        svg.finish()
    }
}

const WIDTH: f64 = 500.0;
const LEFT: f64 = 142.0;
const RIGHT: f64 = 430.0;
const TOP: f64 = 36.0;
const ROW: f64 = 28.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_reaches_the_end_of_the_scale() {
        let row = |name: &str, value, own| Row { name: name.into(), value, interval: None, own };
        let rows = vec![row("mainspring", 10.0, true), row("another", 1_000.0, false)];
        let svg = Bars { title: "a message".into(), rows, unit: Unit::Nanoseconds }.to_svg();
        assert!(
            svg.contains("<rect class=\"dull\" x=\"142.0\" y=\"69.0\" width=\"288.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<rect class=\"fill0\" x=\"142.0\" y=\"41.0\" width=\"2.0\""),
            "{svg}"
        );
        assert!(svg.contains(">1 µs</text>"), "{svg}");
    }
}
