//! A count with the messages it was counted over, and all counts of one scenario.
//!
//! Invariant: counts are compared as fractions of whole numbers, so that one allocation more in a thousand million
//! messages is still more.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Instructions of the core's thread, with all it calls, but not those of the kernel.
    Instructions,
    /// Heap allocations of all threads.
    Allocations,
    /// System calls of all threads.
    SystemCalls,
    /// Those of them that hand work to the kernel's ring or wait for it.
    IoUringEnter,
    /// Bytes handed to the network.
    WireBytes,
    /// System calls that wait until something is on a disk. A sync that is handed to the kernel's ring is no call of
    /// its own and is not among them.
    Syncs,
}

/// All quantities, in the order in which they are shown.
pub const QUANTITIES: [Quantity; 6] = [
    Quantity::Instructions,
    Quantity::Allocations,
    Quantity::SystemCalls,
    Quantity::IoUringEnter,
    Quantity::WireBytes,
    Quantity::Syncs,
];

impl Quantity {
    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Instructions => "instructions",
            Quantity::Allocations => "allocations",
            Quantity::SystemCalls => "system calls",
            Quantity::IoUringEnter => "io_uring_enter",
            Quantity::WireBytes => "wire bytes",
            Quantity::Syncs => "syncs",
        }
    }
}

/// So many in so many messages.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many were counted.
    pub total: u64,
    /// Over how many messages, at least 1.
    pub messages: u64,
}

impl Count {
    /// How many in a thousand messages.
    pub fn per_thousand(self) -> f64 {
        self.total as f64 * 1_000.0 / self.messages.max(1) as f64
    }

    /// Which of the two has more a message.
    pub fn compare(self, other: Count) -> Ordering {
        let own = u128::from(self.total) * u128::from(other.messages.max(1));
        own.cmp(&(u128::from(other.total) * u128::from(self.messages.max(1))))
    }

    /// Whether this is more than so many hundredths of another.
    pub fn exceeds(self, percent: u64, other: Count) -> bool {
        let of =
            |count: Count, messages: u64| u128::from(count.total) * u128::from(messages.max(1));
        of(self, other.messages).saturating_mul(100)
            > of(other, self.messages).saturating_mul(u128::from(percent))
    }

    /// How much more this is than another, in percent of the other; none when the other is 0 and this is not.
    pub fn percent_over(self, other: Count) -> Option<f64> {
        match (self.total, other.total) {
            (0, 0) => Some(0.0),
            (_, 0) => None,
            _ => Some((self.per_thousand() / other.per_thousand() - 1.0) * 100.0),
        }
    }
}

/// Why a quantity has no count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It cannot be counted on this machine, or not of this scenario; the text says why and what to do.
    NotPossible(String),
    /// Counting it has failed.
    Failed(String),
}

impl Missing {
    /// The reason.
    pub fn reason(&self) -> &str {
        match self {
            Missing::NotPossible(reason) | Missing::Failed(reason) => reason,
        }
    }
}

/// All that was counted of one scenario. Every quantity is either in `counted` or in `missing`.
#[derive(Clone, Debug)]
pub struct ScenarioCounts {
    /// The scenario's name.
    pub scenario: String,
    /// What was counted.
    pub counted: BTreeMap<Quantity, Count>,
    /// What was not, with its reason.
    pub missing: BTreeMap<Quantity, Missing>,
    /// What else has to be known of these counts.
    pub remarks: Vec<String>,
}

impl ScenarioCounts {
    /// Nothing is counted of any quantity, all for the same reason.
    pub fn without(scenario: &str, why: Missing) -> Self {
        ScenarioCounts {
            scenario: scenario.to_owned(),
            counted: BTreeMap::new(),
            missing: QUANTITIES.into_iter().map(|quantity| (quantity, why.clone())).collect(),
            remarks: Vec::new(),
        }
    }

    /// Puts down a count, or the reason why there is none.
    pub fn put(&mut self, quantity: Quantity, outcome: Result<Count, Missing>) {
        match outcome {
            Ok(count) => {
                self.missing.remove(&quantity);
                self.counted.insert(quantity, count);
            }
            Err(why) => {
                self.counted.remove(&quantity);
                self.missing.insert(quantity, why);
            }
        }
    }

    /// The lower of two counts of each quantity: what a busy machine does to a count can only add to it.
    pub fn lower(mut self, other: ScenarioCounts) -> ScenarioCounts {
        for (quantity, count) in other.counted {
            let own = self.counted.get(&quantity);
            if own.is_none_or(|own| count.compare(*own).is_lt()) {
                self.put(quantity, Ok(count));
            }
        }
        self
    }

    /// What has failed, as one sentence each.
    pub fn failures(&self) -> impl Iterator<Item = String> + '_ {
        self.missing.iter().filter_map(|(quantity, why)| match why {
            Missing::Failed(reason) => {
                Some(format!("{}: {} not counted: {reason}", self.scenario, quantity.name()))
            }
            Missing::NotPossible(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(quantity: Quantity, outcome: Result<Count, Missing>) -> ScenarioCounts {
        let why = Missing::NotPossible("not asked for".into());
        let mut counts = ScenarioCounts::without("fake", why);
        counts.put(quantity, outcome);
        counts
    }

    #[test]
    fn one_more_in_a_thousand_million_messages_is_more() {
        let messages = 1_000_000_000;
        let (few, more) = (Count { total: 7, messages }, Count { total: 8, messages });
        assert!(more.compare(few).is_gt() && few.compare(few).is_eq());
        assert!(Count { total: 70, messages: messages * 10 }.compare(few).is_eq());
    }

    #[test]
    fn a_rise_from_nothing_has_no_percentage() {
        let count = |total| Count { total, messages: 1_000 };
        assert_eq!(count(1).percent_over(count(0)), None);
        assert_eq!(count(0).percent_over(count(0)), Some(0.0));
        assert_eq!(count(3).percent_over(count(2)), Some(50.0));
    }

    #[test]
    fn of_two_counts_the_lower_one_stays_and_a_failure_gives_way_to_a_count() {
        let count = |total| Ok(Count { total, messages: 10 });
        let total = |counts: ScenarioCounts| counts.counted[&Quantity::Syncs].total;
        let of = |outcome| counts(Quantity::Syncs, outcome);
        assert_eq!(total(of(count(5)).lower(of(count(3)))), 3);
        assert_eq!(total(of(count(3)).lower(of(count(5)))), 3);
        let failed = of(Err(Missing::Failed("killed".into())));
        assert_eq!(failed.failures().count(), 1);
        let again = failed.lower(of(count(5)));
        assert_eq!((again.failures().count(), total(again)), (0, 5));
    }
}
