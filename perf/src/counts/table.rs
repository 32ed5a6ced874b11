//! Counts for people, and for programs as JSON. All per 1,000 messages.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::count::{Count, QUANTITIES, ScenarioCounts};
use super::gate::{Change, Direction};

/// A count per 1,000 messages: whole where it is large, three places where it is small.
pub fn per_thousand(count: Count) -> String {
    let value = count.per_thousand();
    if count.total == 0 {
        "0".to_owned()
    } else if value < 0.001 {
        "<0.001".to_owned()
    } else if value < 100.0 {
        format!("{value:.3}")
    } else {
        grouped(value.round() as u64)
    }
}

/// One row a scenario, one column a quantity, and below what was not counted.
pub fn table(all: &[ScenarioCounts]) -> String {
    let mut text = format!("{:<28}", "per 1,000 messages");
    for quantity in QUANTITIES {
        _ = write!(text, " {:>14}", quantity.name());
    }
    text.push('\n');
    for counts in all {
        _ = write!(text, "{:<28}", counts.scenario);
        for quantity in QUANTITIES {
            let figure = counts.counted.get(&quantity).map(|count| per_thousand(*count));
            _ = write!(text, " {:>14}", figure.as_deref().unwrap_or("-"));
        }
        text.push('\n');
    }
    text + &reasons(all)
}

/// One row a quantity that was counted on both sides: what it was, what it is, and where it went.
pub fn comparison(name: &str, there: &[ScenarioCounts], here: &[ScenarioCounts]) -> String {
    let mut text = format!(
        "{:<28} {:<14} {:>14} {:>14} {:>10}\n",
        "per 1,000 messages",
        "",
        shortened(name),
        "now",
        "difference"
    );
    for change in changes(there, here) {
        let word = match change.direction() {
            Direction::Rise => "rose",
            Direction::Fall => "fell",
            Direction::Same => "",
        };
        let row = format!(
            "{:<28} {:<14} {:>14} {:>14} {:>10}  {word}",
            change.scenario,
            change.quantity.name(),
            per_thousand(change.from),
            per_thousand(change.to),
            change.difference(),
        );
        text.push_str(row.trim_end());
        text.push('\n');
    }
    let there = reasons(there);
    if !there.is_empty() {
        _ = write!(text, "at {name}:\n{there}");
    }
    text + &reasons(here)
}

/// What was counted on both sides, scenario by scenario.
pub fn changes(there: &[ScenarioCounts], here: &[ScenarioCounts]) -> Vec<Change> {
    let mut changes = Vec::new();
    for to in here {
        let Some(from) = there.iter().find(|from| from.scenario == to.scenario) else { continue };
        for quantity in QUANTITIES {
            if let (Some(from), Some(to_count)) =
                (from.counted.get(&quantity), to.counted.get(&quantity))
            {
                let (scenario, from, to) = (to.scenario.clone(), *from, *to_count);
                changes.push(Change { scenario, quantity, from, to });
            }
        }
    }
    changes
}

/// The same for programs: `null` where there is no count, and the reason beside it.
pub fn to_json(all: &[ScenarioCounts]) -> Value {
    all.iter().map(scenario_to_json).collect()
}

/// Changes for programs.
pub fn changes_to_json(changes: &[Change]) -> Value {
    let one = |change: &Change| {
        json!({
            "scenario": change.scenario,
            "quantity": change.quantity,
            "from_per_thousand": change.from.per_thousand(),
            "to_per_thousand": change.to.per_thousand(),
            "difference_percent": change.to.percent_over(change.from),
            "rose": change.direction() == Direction::Rise,
        })
    };
    changes.iter().map(one).collect()
}

fn scenario_to_json(counts: &ScenarioCounts) -> Value {
    let (mut figures, mut reasons) = (Map::new(), Map::new());
    for quantity in QUANTITIES {
        let name = quantity.name().replace(' ', "_");
        let count = counts.counted.get(&quantity);
        let figure = count.map(|count| json!(count.per_thousand()));
        figures.insert(name.clone(), figure.unwrap_or(Value::Null));
        if let Some(count) = count {
            figures.insert(format!("{name}_counted_over"), json!(count.messages));
        }
        if let Some(why) = counts.missing.get(&quantity) {
            reasons.insert(name, json!(why.reason()));
        }
    }
    json!({
        "scenario": counts.scenario,
        "per_thousand_messages": figures,
        "not_counted": reasons,
        "remarks": counts.remarks,
    })
}

/// Each reason once, with what it explains and the scenarios that it holds for.
fn reasons(all: &[ScenarioCounts]) -> String {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    let mut note = |line: String, scenario| match found.iter_mut().find(|(known, _)| *known == line)
    {
        Some((_, scenarios)) => scenarios.push(scenario),
        None => found.push((line, vec![scenario])),
    };
    for counts in all {
        for (quantity, why) in &counts.missing {
            note(format!("{} not counted: {}", quantity.name(), why.reason()), &counts.scenario);
        }
        for remark in &counts.remarks {
            note(remark.clone(), &counts.scenario);
        }
    }
    let of = |scenarios: &[&str]| match scenarios.len() == all.len() {
        true => "all".to_owned(),
        false => scenarios.join(", "),
    };
    found.iter().map(|(line, scenarios)| format!("  {line} ({})\n", of(scenarios))).collect()
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn shortened(name: &str) -> String {
    name.chars().take(14).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::count::{Missing, Quantity};

    fn counts(scenario: &str, instructions: u64) -> ScenarioCounts {
        let why = Missing::NotPossible("its messages cross no wire".into());
        let mut counts = ScenarioCounts::without(scenario, why);
        for quantity in QUANTITIES.into_iter().filter(|it| *it != Quantity::WireBytes) {
            counts.put(quantity, Ok(Count { total: 0, messages: 1_000 }));
        }
        let count = Count { total: instructions, messages: 1_000 };
        counts.put(Quantity::Instructions, Ok(count));
        counts
    }

    #[test]
    fn a_figure_is_whole_when_large_and_never_nothing_when_there_is_something() {
        let text = |total, messages| per_thousand(Count { total, messages });
        assert_eq!(text(0, 5), "0");
        assert_eq!(text(127_034_512, 1_000_000), "127,035");
        assert_eq!(text(181, 100_000), "1.810");
        assert_eq!(text(1, 5_000_000), "<0.001");
    }

    #[test]
    fn the_table_has_a_row_a_scenario_and_says_what_is_not_counted() {
        let text = table(&[counts("tell", 127_034), counts("ask", 540_000)]);
        let rows: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["tell", "127,034", "0", "0", "0", "-", "0"]);
        assert_eq!(rows[2][..2], ["ask", "540,000"]);
        assert!(text.ends_with("  wire bytes not counted: its messages cross no wire (all)\n"));
    }

    #[test]
    fn a_comparison_says_what_rose_and_by_how_much() {
        let (there, here) = ([counts("tell", 100_000)], [counts("tell", 110_000)]);
        let text = comparison("v1", &there, &here);
        let row = text.lines().find(|line| line.contains("instructions")).expect("a row");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words, ["tell", "instructions", "100,000", "110,000", "+10.0", "%", "rose"]);
        let json = changes_to_json(&changes(&there, &here));
        assert_eq!((&json[0]["rose"], &json[1]["rose"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn programs_get_null_and_a_reason_where_nothing_was_counted() {
        let json = to_json(&[counts("tell", 127_034)]);
        let figures = &json[0]["per_thousand_messages"];
        assert_eq!(figures["instructions"], 127_034.0);
        assert_eq!(figures["wire_bytes"], Value::Null);
        assert_eq!(json[0]["not_counted"]["wire_bytes"], "its messages cross no wire");
    }
}
