//! Whether something rose over the baseline. A pure function of what was counted.
//!
//! An instruction count may rise by [`MOST_INSTRUCTIONS_PERCENT`], because code moves a little with every change
//! around it; nothing else may rise at all. Instructions that were counted by another compiler, C library, valgrind or
//! processor family are not compared, and the reason is given.

use std::collections::BTreeMap;

use super::baseline::Baseline;
use super::circumstances::Circumstances;
use super::count::{Count, QUANTITIES, Quantity, ScenarioCounts};
use super::table::per_thousand;

/// A larger rise of the instructions than this, in percent, fails.
pub const MOST_INSTRUCTIONS_PERCENT: u64 = 2;

/// One count that is not what it was.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which scenario.
    pub scenario: String,
    /// Which of its quantities.
    pub quantity: Quantity,
    /// What it was.
    pub from: Count,
    /// What it is.
    pub to: Count,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What rose by more than it may. One is enough to fail.
    pub rises: Vec<Change>,
    /// What fell, so that the baseline is to be updated.
    pub falls: Vec<Change>,
    /// What was not compared, as one sentence each.
    pub not_compared: Vec<String>,
}

/// Holds what was counted against the baseline.
pub fn judge(
    baseline: &Baseline,
    circumstances: &Circumstances,
    now: &[ScenarioCounts],
) -> Judgement {
    let mut judgement = Judgement::default();
    let difference = circumstances.difference_to(&baseline.circumstances);
    let mut instructions_left_out = false;
    for counts in now {
        let Some(before) = baseline.scenarios.get(&counts.scenario) else {
            let scenario = &counts.scenario;
            let sentence = format!("{scenario}: not in the baseline; add it with --update");
            judgement.not_compared.push(sentence);
            continue;
        };
        for (quantity, from) in before {
            if *quantity == Quantity::Instructions && difference.is_some() {
                instructions_left_out = true;
            } else {
                judgement.compare(counts, *quantity, *from);
            }
        }
        judgement.note_new(counts, before);
    }
    if let Some(difference) = difference.filter(|_| instructions_left_out) {
        let sentence = format!("instructions were not compared: {difference}; see --update");
        judgement.not_compared.push(sentence);
    }
    judgement
}

impl Judgement {
    fn compare(&mut self, counts: &ScenarioCounts, quantity: Quantity, from: Count) {
        let scenario = counts.scenario.clone();
        let Some(to) = counts.counted.get(&quantity).copied() else {
            let reason =
                counts.missing.get(&quantity).map_or("no reason known", |why| why.reason());
            let name = quantity.name();
            self.not_compared.push(format!("{scenario}: {name} were not counted: {reason}"));
            return;
        };
        let change = Change { scenario, quantity, from, to };
        match change.direction() {
            Direction::Rise => self.rises.push(change),
            Direction::Fall => self.falls.push(change),
            Direction::Same => {}
        }
    }

    /// A quantity that is counted now and was not when the baseline was made.
    fn note_new(&mut self, counts: &ScenarioCounts, before: &BTreeMap<Quantity, Count>) {
        for quantity in QUANTITIES {
            if counts.counted.contains_key(&quantity) && !before.contains_key(&quantity) {
                let (scenario, name) = (&counts.scenario, quantity.name());
                let sentence = format!("{scenario}: the baseline has no {name}; see --update");
                self.not_compared.push(sentence);
            }
        }
    }
}

/// Where a count went, beyond what is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// It is higher.
    Rise,
    /// It is lower.
    Fall,
    /// It is the same, or near enough.
    Same,
}

impl Change {
    /// Which way it went.
    pub fn direction(&self) -> Direction {
        let allowed = match self.quantity {
            Quantity::Instructions => MOST_INSTRUCTIONS_PERCENT,
            _ => 0,
        };
        if self.to.exceeds(100 + allowed, self.from) {
            Direction::Rise
        } else if self.from.exceeds(100 + allowed, self.to) {
            Direction::Fall
        } else {
            Direction::Same
        }
    }

    /// By how much, for people.
    pub fn difference(&self) -> String {
        match self.to.percent_over(self.from) {
            Some(percent) => format!("{percent:+.1} %"),
            None => "new".to_owned(),
        }
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (from, to) = (per_thousand(self.from), per_thousand(self.to));
        let (scenario, name, by) = (&self.scenario, self.quantity.name(), self.difference());
        write!(f, "{scenario}: {name} per 1,000 messages went from {from} to {to} ({by})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counts::count::Missing;

    fn counts(figures: &[(Quantity, u64)]) -> ScenarioCounts {
        let why = Missing::NotPossible("no ptrace".into());
        let mut counts = ScenarioCounts::without("tell", why);
        for (quantity, total) in figures {
            counts.put(*quantity, Ok(Count { total: *total, messages: 100_000 }));
        }
        counts
    }

    fn here() -> Circumstances {
        let text = |text: &str| text.to_owned();
        Circumstances {
            build: text("rustc 1"),
            c_library: text("glibc 2"),
            valgrind: Some(text("valgrind-3")),
            processor: text("family 25"),
        }
    }

    fn judged(before: &[(Quantity, u64)], now: &[(Quantity, u64)]) -> Judgement {
        let mut baseline = Baseline { circumstances: here(), scenarios: BTreeMap::new() };
        baseline.take(&counts(before));
        judge(&baseline, &here(), &[counts(now)])
    }

    use Quantity::{Allocations, Instructions, SystemCalls};

    #[test]
    fn counts_that_stay_say_nothing() {
        let same = [(Instructions, 12_700_000), (Allocations, 0), (SystemCalls, 3)];
        let judgement = judged(&same, &same);
        assert!(judgement.rises.is_empty() && judgement.falls.is_empty());
        assert!(judgement.not_compared.is_empty(), "{:?}", judgement.not_compared);
    }

    #[test]
    fn instructions_may_rise_by_two_percent_and_no_more() {
        let rises = |now| judged(&[(Instructions, 1_000_000)], &[(Instructions, now)]).rises.len();
        assert_eq!((rises(1_020_000), rises(1_020_100)), (0, 1));
    }

    #[test]
    fn one_deliberate_allocation_or_system_call_in_a_round_is_a_rise() {
        for quantity in [Allocations, SystemCalls] {
            let judgement = judged(&[(quantity, 0)], &[(quantity, 1)]);
            let line = judgement.rises[0].to_string();
            let name = quantity.name();
            assert_eq!(line, format!("tell: {name} per 1,000 messages went from 0 to 0.010 (new)"));
            assert_eq!(judged(&[(quantity, 181)], &[(quantity, 182)]).rises.len(), 1);
        }
    }

    #[test]
    fn a_fall_does_not_fail_but_is_told() {
        let before = [(Instructions, 1_000_000), (Allocations, 2)];
        let judgement = judged(&before, &[(Instructions, 970_000), (Allocations, 1)]);
        assert!(judgement.rises.is_empty());
        let lines: Vec<String> = judgement.falls.iter().map(Change::to_string).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("from 10,000 to 9,700 (-3.0 %)"), "{lines:?}");
    }

    #[test]
    fn instructions_of_another_compiler_are_not_compared_and_the_rest_is() {
        let mut baseline = Baseline { circumstances: here(), scenarios: BTreeMap::new() };
        baseline.take(&counts(&[(Instructions, 1_000), (Allocations, 0)]));
        let newer = Circumstances { build: "rustc 2".into(), ..here() };
        let now = counts(&[(Instructions, 9_000), (Allocations, 1)]);
        let judgement = judge(&baseline, &newer, &[now]);
        assert_eq!(judgement.rises.len(), 1);
        assert_eq!(judgement.rises[0].quantity, Allocations);
        let expected = "instructions were not compared: rustc 1 there and rustc 2 here";
        assert!(judgement.not_compared[0].starts_with(expected), "{:?}", judgement.not_compared);
    }

    #[test]
    fn what_could_not_be_counted_or_is_new_is_told() {
        let judgement = judged(&[(SystemCalls, 0)], &[(Allocations, 0)]);
        assert!(judgement.rises.is_empty());
        assert_eq!(
            judgement.not_compared,
            [
                "tell: system calls were not counted: no ptrace",
                "tell: the baseline has no allocations; see --update"
            ]
        );
        let mut stranger = counts(&[]);
        stranger.scenario = "stranger".into();
        let empty = Baseline { circumstances: here(), scenarios: BTreeMap::new() };
        let judgement = judge(&empty, &here(), &[stranger]);
        assert_eq!(judgement.not_compared.len(), 1);
    }
}
