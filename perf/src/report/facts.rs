//! A JSON result as rows of a table: names a person reads, and numbers with units.
//!
//! The unit is taken from the name, as everywhere in this project: `p99_ns`, `rate_per_second`.

use serde_json::{Map, Value};

use super::quantity::{Unit, significant};

/// The most rows of one table; what lies beyond is left in the file.
const MOST_ROWS: usize = 300;

/// One row: what it is, and how much.
pub type Fact = (String, String);

/// All scalars of an object, those of nested objects under both names, in the order of the file.
pub fn facts(object: &Map<String, Value>) -> Vec<Fact> {
    let mut rows = Vec::new();
    add(object, "", &mut rows);
    rows.truncate(MOST_ROWS);
    rows
}

/// A number with the unit that its name says.
pub fn number(name: &str, value: f64) -> String {
    match unit_of(name) {
        Some(unit) => unit.text(value),
        None if value.fract() == 0.0 && value.abs() < 1e15 => grouped(value),
        None => significant(value),
    }
}

fn add(object: &Map<String, Value>, above: &str, rows: &mut Vec<Fact>) {
    for (name, value) in object {
        let label = label(above, name);
        match value {
            Value::Object(inner) => add(inner, &label, rows),
            Value::Array(items) if items.iter().any(|item| item.is_object()) => {}
            other => rows.push((label, scalar(name, other))),
        }
    }
}

fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(found) => number(name, found.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(|item| scalar(name, item)).collect::<Vec<_>>().join(", ")
        }
        Value::Object(_) => String::new(),
    }
}

/// The name with spaces, without the unit where the number shows it, behind that of the object it stands in.
fn label(above: &str, name: &str) -> String {
    let stem = name.strip_suffix("_ns").unwrap_or(name);
    let own = stem.replace('_', " ").replace("p9999", "p99.99").replace("p999", "p99.9");
    if above.is_empty() { own } else { format!("{above}: {own}") }
}

const SUFFIXES: [(&str, Unit); 3] =
    [("_ns", Unit::Nanoseconds), ("_per_second", Unit::Rate), ("_a_second", Unit::Rate)];

fn unit_of(name: &str) -> Option<Unit> {
    if name.starts_with("ns_per_") || name.contains("_ns_per_") {
        return Some(Unit::Nanoseconds);
    }
    if name.starts_with("ratio") || name.ends_with("ratio") || name.contains("_ratio_") {
        return Some(Unit::Times);
    }
    SUFFIXES.iter().find(|(suffix, _)| name.ends_with(suffix)).map(|(_, unit)| *unit)
}

/// A whole number with a thin space between thousands.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::from(if value < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_says_its_unit() {
        let value = json!({"p99_ns": 1500, "p999_ns": 2500, "ns_per_message": 7.9, "ratio_to_limit": 5.1,
            "messages_per_second": 2e6, "messages": 1234567, "reasons": ["a", "b"]});
        let rows = facts(value.as_object().expect("an object"));
        let text =
            |name: &str| rows.iter().find(|(label, _)| label == name).map(|row| row.1.as_str());
        assert_eq!(text("p99"), Some("1.5 µs"));
        assert_eq!(text("p99.9"), Some("2.5 µs"));
        assert_eq!(text("ns per message"), Some("7.9 ns"));
        assert_eq!(text("ratio to limit"), Some("5.1 ×"));
        assert_eq!(text("messages"), Some("1\u{202f}234\u{202f}567"));
        assert_eq!(text("reasons"), Some("a, b"));
    }

    #[test]
    fn nested_names_stand_behind_those_above_them() {
        let value = json!({"cpu": {"model": "x", "smt": false}, "points": [{"a": 1}]});
        let rows = facts(value.as_object().expect("an object"));
        assert_eq!(rows, [("cpu: model".into(), "x".into()), ("cpu: smt".into(), "no".into())]);
    }
}
