//! The elements that our pictures are made of, written as SVG text.
//!
//! A picture is whole by itself: its style is in it, it loads nothing, and it follows the reader's choice of a light
//! or a dark page. Text from outside is escaped.

use std::fmt::Write as _;

/// A picture in the making.
#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
    title: String,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The text begins there.
    Start,
    /// The text's middle is there.
    Middle,
    /// The text ends there.
    End,
}

impl Svg {
    /// An empty picture. The title is read out by screen readers.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Svg { body: String::new(), width, height, title: title.to_owned() }
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through many points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let places: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.put(format_args!("<polyline class=\"{class}\" points=\"{}\"/>", places.join(" ")));
    }

    /// A dot.
    pub fn dot(&mut self, class: &str, at: (f64, f64), radius: f64) {
        self.put(format_args!(
            "<circle class=\"{class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/>",
            at.0, at.1
        ));
    }

    /// A filled rectangle.
    pub fn bar(&mut self, class: &str, corner: (f64, f64), size: (f64, f64)) {
        self.put(format_args!(
            "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            corner.0, corner.1, size.0, size.1
        ));
    }

    /// A text.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.put(format_args!(
            "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            at.0,
            at.1,
            escaped(text)
        ));
    }

    /// The whole picture.
    pub fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n{}</svg>\n",
            self.width,
            self.height,
            escaped(&self.title),
            self.body
        )
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        _ = writeln!(self.body, "{element}");
    }
}

/// A text that means itself within an element or an attribute of HTML or SVG.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// How many series have a colour of their own; further ones begin anew.
pub const COLOURS: usize = 6;

/// Colours that people with any colour vision tell apart (Okabe and Ito, "Color Universal Design", 2008).
const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#333}\
.small{font-size:11px;fill:#666}\
.strong{font-weight:600}\
.grid{stroke:#ddd;stroke-width:1}\
.mark{stroke:#999;stroke-width:1.5;stroke-dasharray:4 3}\
.whisker{stroke:#333;stroke-width:1.5}\
polyline{fill:none;stroke-width:2;stroke-linejoin:round}\
.line0{stroke:#0072b2}.line1{stroke:#d55e00}.line2{stroke:#009e73}\
.line3{stroke:#cc79a7}.line4{stroke:#e69f00}.line5{stroke:#56b4e9}\
.fill0{fill:#0072b2}.fill1{fill:#d55e00}.fill2{fill:#009e73}\
.fill3{fill:#cc79a7}.fill4{fill:#e69f00}.fill5{fill:#56b4e9}.dull{fill:#b8b8b8}\
circle{stroke-width:1.5}\
.hollow0{fill:#fff;stroke:#0072b2}.hollow1{fill:#fff;stroke:#d55e00}.hollow2{fill:#fff;stroke:#009e73}\
.hollow3{fill:#fff;stroke:#cc79a7}.hollow4{fill:#fff;stroke:#e69f00}.hollow5{fill:#fff;stroke:#56b4e9}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.grid{stroke:#3a3a3a}.whisker{stroke:#ddd}\
.hollow0,.hollow1,.hollow2,.hollow3,.hollow4,.hollow5{fill:#181818}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_become_an_element() {
        let mut svg = Svg::new(10.0, 10.0, "a<b");
        svg.text("small", (0.0, 0.0), Anchor::Start, "<script>\"&'");
        let picture = svg.finish();
        assert!(picture.contains("&lt;script&gt;&quot;&amp;&#39;</text>"), "{picture}");
        assert!(picture.contains("<title>a&lt;b</title>"), "{picture}");
    }
}
