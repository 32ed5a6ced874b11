//! The page itself: one section a result, with its verdict, its headline, its pictures and all its figures.

use serde_json::Value;

use super::axis::{Axis, Scale};
use super::bars::{Bars, Row};
use super::chart::{Chart, Mark, Point, Series};
use super::facts::{facts, number};
use super::folder::{Found, Kind};
use super::quantity::Unit;
use super::svg::escaped;

/// The whole page.
pub fn html(results: &[Found]) -> String {
    let sections: String =
        results.iter().enumerate().map(|(place, found)| section(place, found)).collect();
    let contents = if results.len() > 1 { contents(results) } else { String::new() };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>mainspring-perf</title>\n<style>{STYLE}</style></head>\n<body>\n\
         <h1>mainspring-perf</h1>\n{contents}{sections}</body></html>\n"
    )
}

fn contents(results: &[Found]) -> String {
    let rows: String = results
        .iter()
        .enumerate()
        .map(|(place, found)| {
            format!(
                "<tr><td><a href=\"#r{place}\">{}</a></td><td>{}</td><td>{}</td></tr>\n",
                escaped(&title(found)),
                badge(found),
                escaped(&headline(found).unwrap_or_default())
            )
        })
        .collect();
    format!("<table class=\"contents\">{rows}</table>\n")
}

fn section(place: usize, found: &Found) -> String {
    let mut text = format!(
        "<section id=\"r{place}\">\n<h2>{} {}</h2>\n<p class=\"name\">{}</p>\n",
        escaped(&title(found)),
        badge(found),
        escaped(&found.name)
    );
    for reason in strings(&found.result, "reasons") {
        text += &format!("<p class=\"reason\">{}</p>\n", escaped(reason));
    }
    if let Some(headline) = headline(found) {
        text += &format!("<p class=\"headline\">{}</p>\n", escaped(&headline));
    }
    for picture in pictures(found) {
        text += &format!("<figure>{picture}</figure>\n");
    }
    text += &rows_table(found);
    text += &folded("All figures", &found.result);
    if let Some(environment) = &found.environment {
        text += &folded("The machine", environment);
    }
    text + "</section>\n"
}

fn title(found: &Found) -> String {
    let scenario = text(&found.result, "scenario").unwrap_or("?");
    match found.kind {
        Kind::Run => scenario.to_owned(),
        Kind::Curve => format!("{scenario}: latency against load"),
        Kind::Comparison => format!("{scenario}: beside others"),
        Kind::Pair => format!("{scenario}: two revisions"),
    }
}

fn badge(found: &Found) -> String {
    let verdict = text(&found.result, "verdict").unwrap_or("unknown");
    let class = match verdict {
        "valid" | "degraded" | "invalid" => verdict,
        _ => "other",
    };
    format!("<span class=\"badge {class}\">{}</span>", escaped(verdict))
}

/// The figure that the run was made for; none when it is not to be believed.
fn headline(found: &Found) -> Option<String> {
    if text(&found.result, "verdict") == Some("invalid") {
        return None;
    }
    let result = &found.result;
    let shown = |name: &str| figure(result, name).map(|value| number(name, value));
    match found.kind {
        Kind::Run if figure(result, "response_p99_ns").is_some() => Some(format!(
            "response p50 {}, p99 {}, p99.9 {}, at {} offered",
            shown("response_p50_ns")?,
            shown("response_p99_ns")?,
            shown("response_p999_ns")?,
            shown("offered_per_second")?
        )),
        Kind::Run => Some(format!("{} a message", shown("ns_per_message")?)),
        Kind::Curve => Some(format!("knee at {}", shown("knee_per_second")?)),
        Kind::Comparison | Kind::Pair => text(result, "headline").map(str::to_owned),
    }
}

fn pictures(found: &Found) -> Vec<String> {
    match found.kind {
        Kind::Run => distribution(found).into_iter().map(|chart| chart.to_svg()).collect(),
        Kind::Curve => vec![curve(&found.result).to_svg()],
        Kind::Comparison => vec![contestants(&found.result).to_svg()],
        Kind::Pair => Vec::new(),
    }
}

/// Response and service time over percentiles; none where a run has no single latencies, or is invalid.
fn distribution(found: &Found) -> Option<Chart> {
    if text(&found.result, "verdict") == Some("invalid") {
        return None;
    }
    let named = |name: &str, points: &Option<Vec<Point>>| {
        let points = points.clone()?;
        Some(Series { name: name.to_owned(), points, dotted: false })
    };
    let series: Vec<Series> = [
        named("response, from the scheduled time", &found.response),
        named("service, from the actual send", &found.service),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!series.is_empty()).then(|| Chart {
        title: "Latency by percentile".to_owned(),
        x: Axis::new("percentile", Scale::Logarithmic, Unit::Rarity),
        y: Axis::new("latency", Scale::Logarithmic, Unit::Nanoseconds),
        series,
        marks: Vec::new(),
    })
}

/// Latency against the rate that was offered, as `curve` writes it down.
pub fn curve(result: &Value) -> Chart {
    let points = objects(result, "points");
    let line = |(name, key): (&str, &str)| Series {
        name: name.to_owned(),
        points: points
            .iter()
            .filter_map(|point| {
                let doubtful = text(point, "verdict") == Some("invalid");
                let x = figure(point, "offered_per_second")?;
                Some(Point { x, y: figure(point, key)?, doubtful })
            })
            .collect(),
        dotted: true,
    };
    let lines = [("p50", "p50_ns"), ("p99", "p99_ns"), ("p99.9", "p999_ns"), ("max", "max_ns")];
    let knee = figure(result, "knee_per_second");
    Chart {
        title: "Response time against load".to_owned(),
        x: Axis::new("offered", Scale::Linear, Unit::Rate),
        y: Axis::new("response", Scale::Logarithmic, Unit::Nanoseconds),
        series: lines.map(line).into_iter().collect(),
        marks: knee.map(|x| Mark { x, label: "knee".to_owned() }).into_iter().collect(),
    }
}

fn contestants(result: &Value) -> Bars {
    let row = |contestant: &Value| {
        Some(Row {
            name: text(contestant, "name")?.to_owned(),
            value: figure(contestant, "ns_per_message")?,
            interval: figure(contestant, "best_ns_per_message")
                .zip(figure(contestant, "worst_ns_per_message")),
            own: text(contestant, "name") == Some("mainspring"),
        })
    };
    Bars {
        title: "Time of one message: median, best to worst".to_owned(),
        rows: objects(result, "contestants").iter().filter_map(row).collect(),
        unit: Unit::Nanoseconds,
    }
}

/// The rows of a result that is a list: the points of a curve, the contestants of a comparison.
fn rows_table(found: &Found) -> String {
    let rows = match found.kind {
        Kind::Run | Kind::Pair => return String::new(),
        Kind::Curve => objects(&found.result, "points"),
        Kind::Comparison => objects(&found.result, "contestants"),
    };
    let tables: Vec<Vec<(String, String)>> =
        rows.iter().filter_map(|row| row.as_object()).map(facts).collect();
    let mut columns: Vec<&str> = Vec::new();
    for (label, _) in tables.iter().flatten() {
        if !columns.contains(&label.as_str()) {
            columns.push(label);
        }
    }
    let heads: String = columns.iter().map(|name| format!("<th>{}</th>", escaped(name))).collect();
    let cell = |row: &Vec<(String, String)>, name: &str| {
        let found = row.iter().find(|(label, _)| label == name).map_or("", |(_, value)| value);
        format!("<td>{}</td>", escaped(found))
    };
    let body: String = tables
        .iter()
        .map(|row| {
            let cells: String = columns.iter().map(|name| cell(row, name)).collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!("<div class=\"wide\"><table><tr>{heads}</tr>\n{body}</table></div>\n")
}

fn folded(summary: &str, value: &Value) -> String {
    let Some(object) = value.as_object() else { return String::new() };
    let rows: String = facts(object)
        .iter()
        .map(|(name, value)| {
            format!("<tr><th>{}</th><td>{}</td></tr>\n", escaped(name), escaped(value))
        })
        .collect();
    format!(
        "<details><summary>{}</summary><div class=\"wide\">\
         <table class=\"facts\">{rows}</table></div></details>\n",
        escaped(summary)
    )
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

fn figure(value: &Value, name: &str) -> Option<f64> {
    value.get(name)?.as_f64()
}

fn strings<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    let items = value.get(name).and_then(Value::as_array);
    items.into_iter().flatten().filter_map(Value::as_str).collect()
}

fn objects<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.45 system-ui,sans-serif;max-width:46rem;margin:0 auto;padding:0 1rem 3rem;\
background:#fff;color:#222;overflow-wrap:break-word}\
h1{font-size:1.2rem}h2{font-size:1.15rem;margin:2rem 0 0}\
.name{color:#666;font-size:.8rem;margin:.1rem 0 .6rem}\
.headline{font-size:1.25rem;font-weight:600;margin:.4rem 0}\
.reason{border-left:3px solid #d55e00;padding-left:.6rem;margin:.3rem 0}\
.badge{font-size:.75rem;font-weight:600;padding:.1rem .5rem;border-radius:1rem;vertical-align:middle;\
background:#ddd;color:#222}\
.valid{background:#009e73;color:#fff}.degraded{background:#e69f00;color:#222}.invalid{background:#c1272d;color:#fff}\
figure{margin:.8rem 0}figure svg{width:100%;height:auto;display:block}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}\
th,td{padding:.2rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}\
.contents td{white-space:normal;text-align:left}\
.facts th,.facts td{text-align:left;white-space:normal;vertical-align:top}th{font-weight:500;color:#555}\
td:first-child,th:first-child{text-align:left;padding-left:0}\
summary{cursor:pointer;padding:.5rem 0}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,.name{color:#aaa}\
th,td{border-color:#3a3a3a}}";
