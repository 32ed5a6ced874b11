//! The checks: what is looked at, why it matters, what it costs, who disagrees.
//!
//! Promises: a check is a row of data and a pure function of facts, roles and what is wanted; the same facts give the
//! same finding. Ids are stable. Every check explains itself: a reason, its price, the other opinions, a source, and
//! how to measure its effect on the machine at hand.
//!
//! Refuses: to recommend what nobody asked for. Only what a profile wants is held against the machine.

mod block;
mod clock;
mod cpu;
mod irq;
mod kernel;
mod limits;
mod mask;
mod memory;
mod network;
pub(crate) mod seen;
mod setting;
mod virtualisation;

#[cfg(feature = "command")]
pub(crate) use setting::chosen;

use crate::facts::Facts;
use crate::roles::Roles;
use crate::want::{Takes, Want};
pub(crate) use seen::Seen;

/// One check.
#[derive(Debug)]
pub struct Check {
    /// Its stable dotted name: family and subject.
    pub id: &'static str,
    /// Whose it is to change.
    pub scope: Scope,
    /// What it can be asked for.
    pub takes: Takes,
    /// The files that it wants to see; `#` stands for any number and `*` for any name in a part of the path.
    pub reads: &'static [&'static str],
    /// What it costs when the machine is not as wanted, as a clause.
    pub effect: &'static str,
    /// Why anybody should care.
    pub explanation: Explanation,
    pub(crate) look: fn(&Case) -> Seen,
}

/// Why a check is worth an operator's time.
#[derive(Debug)]
pub struct Explanation {
    /// What the setting does, and what it has to do with latency.
    pub what: &'static str,
    /// What changing it costs.
    pub cost: &'static str,
    /// Who recommends otherwise, and why.
    pub disagreement: &'static str,
    /// Where this can be read up: the kernel's documentation, a manual page, a paper.
    pub source: &'static str,
    /// How to see its effect on this machine.
    pub measure: &'static str,
}

/// Whose it is to change a setting. Each can change what the next can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Even in a container: limits and control groups of the processes themselves.
    Container,
    /// Whoever runs the kernel, also in a virtual machine.
    Guest,
    /// Whoever has the hardware.
    Host,
}

/// All checks, family by family, in an order in which their changes can be made one after the other: a device has its
/// queues before its interrupts are placed.
pub fn all() -> Vec<&'static Check> {
    [
        cpu::CHECKS,
        network::CHECKS,
        irq::CHECKS,
        memory::CHECKS,
        kernel::CHECKS,
        clock::CHECKS,
        block::CHECKS,
        limits::CHECKS,
        virtualisation::CHECKS,
    ]
    .concat()
}

/// The check with this id.
pub fn by_id(id: &str) -> Option<&'static Check> {
    all().into_iter().find(|check| check.id == id)
}

/// The id most like this one; `None` when none is close.
pub fn nearest(id: &str) -> Option<&'static str> {
    let distances = all().into_iter().map(|check| (distance(id, check.id), check.id));
    let (distance, nearest) = distances.min()?;
    (distance <= id.len() / 3).then_some(nearest)
}

/// How many bytes have to be inserted, removed or replaced to make one text of the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    // What a user types may be of any length; no id is longer than this.
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let from = &from[..from.len().min(ID_LIMIT_BYTES)];
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, byte) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[to.len()]
}

const ID_LIMIT_BYTES: usize = 64;

/// Why a check that moves work away from the shards has nowhere to move it.
const NO_HOUSEKEEPING: &str = "every core carries a shard: leave one to everybody else";

/// What a check looks at.
pub(crate) struct Case<'a> {
    pub facts: &'a Facts,
    pub roles: &'a Roles,
    pub takes: Takes,
    pub want: &'a Want,
    pub data_folder: &'a str,
}

impl Case<'_> {
    /// The words of the kernel's command line.
    fn boot_words(&self) -> impl Iterator<Item = &str> {
        self.facts.reading("/proc/cmdline").unwrap_or_default().split_whitespace()
    }

    /// The value of a parameter of the kernel's command line; the last one counts.
    fn boot_parameter(&self, name: &str) -> Option<&str> {
        self.boot_words().filter_map(|word| word.strip_prefix(name)?.strip_prefix('=')).last()
    }
}

impl Explanation {
    /// The parts with their headings, in order.
    pub fn parts(&self) -> [(&'static str, &'static str); 5] {
        [
            ("What it does", self.what),
            ("What it costs", self.cost),
            ("Who disagrees", self.disagreement),
            ("Source", self.source),
            ("Measure it here", self.measure),
        ]
    }
}
