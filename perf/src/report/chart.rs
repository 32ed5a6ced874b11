//! Lines over two axes: latency against load, or against percentiles.

use super::axis::{Axis, Range};
use super::svg::{Anchor, COLOURS, Svg};

/// A picture of some series.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What stands above it.
    pub title: String,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// What is drawn, in the order of the legend.
    pub series: Vec<Series>,
    /// Places on the axis to the right that have a name.
    pub marks: Vec<Mark>,
}

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Its points, from left to right.
    pub points: Vec<Point>,
    /// Whether every point has a dot.
    pub dotted: bool,
}

/// One point of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Upwards.
    pub y: f64,
    /// Whether its dot is drawn hollow, because the run behind it is not to be believed.
    pub doubtful: bool,
}

/// A place on the axis to the right.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where.
    pub x: f64,
    /// Its name.
    pub label: String,
}

impl Chart {
    /// The picture, whole by itself.
    pub fn to_svg(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let marked = self.marks.iter().map(|mark| mark.x);
        let plot = Plot {
            x: self.x.range_of(points().map(|point| point.x).chain(marked)),
            y: self.y.range_of(points().map(|point| point.y)),
        };
        let mut svg = Svg::new(WIDTH, HEIGHT, &self.title);
        svg.text("strong", (LEFT, 18.0), Anchor::Start, &self.title);
        self.draw_legend(&mut svg);
        self.draw_grid(&mut svg, &plot);
        for mark in &self.marks {
            let x = plot.x(mark.x);
            svg.line("mark", (x, TOP), (x, BOTTOM));
            let (at, anchor) =
                if x > WIDTH * 0.7 { (x - 4.0, Anchor::End) } else { (x + 4.0, Anchor::Start) };
            svg.text("small", (at, TOP + 11.0), anchor, &mark.label);
        }
        for (number, series) in self.series.iter().enumerate() {
            series.draw(&mut svg, &plot, number % COLOURS);
        }
        svg.finish()
    }

    fn draw_legend(&self, svg: &mut Svg) {
        let mut x = LEFT;
        for (number, series) in self.series.iter().enumerate() {
            let colour = number % COLOURS;
            svg.dot(&format!("fill{colour}"), (x + 4.0, 34.0), 4.0);
            svg.text("small", (x + 12.0, 38.0), Anchor::Start, &series.name);
            x += 28.0 + 6.2 * series.name.chars().count() as f64;
        }
    }

    fn draw_grid(&self, svg: &mut Svg, plot: &Plot) {
        for tick in plot.y.ticks() {
            let y = plot.y(tick);
            svg.line("grid", (LEFT, y), (RIGHT, y));
            svg.text("small", (LEFT - 6.0, y + 4.0), Anchor::End, &self.y.unit.text(tick));
        }
        for tick in plot.x.ticks() {
            let x = plot.x(tick);
            svg.line("grid", (x, TOP), (x, BOTTOM));
            // A label at the right end would be cut off by the edge of the picture.
            let anchor = if x > RIGHT - 20.0 { Anchor::End } else { Anchor::Middle };
            svg.text("small", (x, BOTTOM + 16.0), anchor, &self.x.unit.text(tick));
        }
        svg.text("small", (RIGHT, BOTTOM + 34.0), Anchor::End, &self.x.label);
        svg.text("small", (LEFT, TOP - 8.0), Anchor::Start, &self.y.label);
    }
}

impl Series {
    fn draw(&self, svg: &mut Svg, plot: &Plot, colour: usize) {
        let places: Vec<(f64, f64)> =
            self.points.iter().map(|point| (plot.x(point.x), plot.y(point.y))).collect();
        svg.path(&format!("line{colour}"), &places);
        for (point, place) in self.points.iter().zip(places) {
            if point.doubtful {
                svg.dot(&format!("hollow{colour}"), place, 3.5);
            } else if self.dotted {
                svg.dot(&format!("fill{colour}"), place, 3.0);
            }
        }
    }
}

/// Where values lie on the picture.
struct Plot {
    x: Range,
    y: Range,
}

impl Plot {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (RIGHT - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - self.y.place(value) * (BOTTOM - TOP)
    }
}

// Small enough that the text can be read on a phone, where the picture is as wide as the screen.
const WIDTH: f64 = 500.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 480.0;
const TOP: f64 = 66.0;
const BOTTOM: f64 = 314.0;

#[cfg(test)]
mod tests {
    use super::super::axis::Scale;
    use super::super::quantity::Unit;
    use super::*;

    fn chart() -> Chart {
        let point = |x, y, doubtful| Point { x, y, doubtful };
        Chart {
            title: "latency".into(),
            x: Axis::new("offered", Scale::Linear, Unit::Rate),
            y: Axis::new("response", Scale::Logarithmic, Unit::Nanoseconds),
            series: vec![Series {
                name: "p99".into(),
                points: vec![point(0.0, 100.0, false), point(1_000.0, 10_000.0, true)],
                dotted: true,
            }],
            marks: vec![Mark { x: 500.0, label: "knee".into() }],
        }
    }

    #[test]
    fn the_ends_of_a_line_lie_at_the_ends_of_the_axes() {
        let svg = chart().to_svg();
        assert!(svg.contains("points=\"62.0,314.0 480.0,66.0\""), "{svg}");
        assert!(svg.contains("<circle class=\"hollow0\" cx=\"480.0\" cy=\"66.0\""), "{svg}");
        assert!(svg.contains(">1 k/s</text>") && svg.contains(">10 µs</text>"), "{svg}");
        assert!(svg.contains(">knee</text>"), "{svg}");
    }

    #[test]
    fn a_chart_without_points_is_still_a_picture() {
        let empty = Chart { series: Vec::new(), marks: Vec::new(), ..chart() };
        assert!(empty.to_svg().ends_with("</svg>\n"));
    }
}
