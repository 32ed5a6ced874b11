//! `list`: every scenario with what it measures, the CPUs it needs, its raw limit and its peers.

use std::fmt::Write as _;

use super::compare::own_peers;
use crate::comparison::peer::Peer;
use crate::scenario::{self, Scenario};

/// The text of `list`. Peers are left out where their folder cannot be read: the scenarios are there without them.
pub fn list() -> String {
    text(&Peer::all_in(&own_peers()).unwrap_or_default())
}

fn text(peers: &[Peer]) -> String {
    let mut text = row(["scenario", "CPUs", "rate", "raw limit", "what is measured"]);
    for scenario in scenario::all() {
        let it = scenario.description();
        let rate = if scenario.open_loop().is_some() { "yes" } else { "-" };
        text += &row([it.name, &cpus(scenario), rate, it.limit.unwrap_or("-"), it.measures]);
        let names: Vec<&str> =
            peers.iter().filter(|peer| peer.has(it.name)).map(|peer| peer.name.as_str()).collect();
        if !names.is_empty() {
            text += &row(["", "", "", "", &format!("peers: {}", names.join(", "))]);
        }
    }
    text
}

/// How many CPUs a scenario makes use of: as many as it needs, or up to more.
fn cpus(scenario: &dyn Scenario) -> String {
    let (needed, most) = (scenario.description().cpus_needed, scenario.cpus_most());
    if most > needed { format!("{needed}-{most}") } else { needed.to_string() }
}

fn row([name, cpus, rate, limit, measures]: [&str; 5]) -> String {
    let mut row = String::new();
    // Writing to a string does not fail.
    _ = writeln!(row, "{name:<28} {cpus:>4}  {rate:<4}  {limit:<17}  {measures}");
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_scenario_with_its_cpus_and_limit() {
        let text = text(&[]);
        assert_eq!(text.lines().count(), 1 + scenario::all().len());
        let words_of = |name: &str| -> Vec<String> {
            let row = text.lines().find(|line| line.starts_with(name)).expect("a row");
            row.split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(words_of("raw-two-atomics ")[..5], ["raw-two-atomics", "2", "-", "-", "one"]);
        assert_eq!(words_of("ask-cross-core ")[..4], ["ask-cross-core", "2", "yes", "-"]);
        assert_eq!(words_of("savina-count ")[1], "1-2");
    }

    #[test]
    fn the_list_names_the_peers_of_a_program() {
        let text = list();
        let mut lines = text.lines().skip_while(|line| !line.starts_with("savina-count "));
        let peers = lines.nth(1).expect("a line behind it");
        assert!(peers.contains("peers: actix") && peers.contains("tokio"), "{peers}");
    }
}
