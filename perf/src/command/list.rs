//! `list`: every scenario with what it measures, the CPUs it needs and its raw limit.

use std::fmt::Write as _;

use crate::scenario;

/// The text of `list`.
pub fn list() -> String {
    let mut text =
        format!("{:<28} {:>4}  {:<16}  {}\n", "scenario", "CPUs", "raw limit", "what is measured");
    for scenario in scenario::all() {
        let it = scenario.description();
        let limit = it.limit.unwrap_or("-");
        // Writing to a string does not fail.
        _ = writeln!(text, "{:<28} {:>4}  {:<16}  {}", it.name, it.cpus_needed, limit, it.measures);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_scenario_with_its_cpus_and_limit() {
        let text = list();
        assert_eq!(text.lines().count(), 1 + scenario::all().len());
        let row = text.lines().find(|line| line.starts_with("raw-two-atomics ")).expect("a row");
        let words: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(words[..5], ["raw-two-atomics", "2", "-", "one", "hop"]);
    }
}
