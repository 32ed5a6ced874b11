//! Who says of whom that it cannot be reached.
//!
//! Every observer has a row with a version that only the observer raises; when views meet, the row of the higher
//! version is taken whole. A subject that is not in a row is reachable as far as that observer knows.

use std::collections::{BTreeMap, BTreeSet};

use super::member::MemberId;

/// Why a subject is in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It does not answer; it may again.
    Unreachable,
    /// Another life listens at its address: it never answers again.
    Terminated,
}

/// What one observer says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Row {
    /// Raised by every change.
    pub version: u64,
    /// Those that the observer does not reach.
    pub subjects: BTreeMap<MemberId, Standing>,
}

/// The rows of all observers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Reachability {
    rows: BTreeMap<MemberId, Row>,
}

impl FromIterator<(MemberId, Row)> for Reachability {
    fn from_iter<I: IntoIterator<Item = (MemberId, Row)>>(rows: I) -> Reachability {
        Reachability { rows: rows.into_iter().collect() }
    }
}

impl Reachability {
    /// Writes down what the observer finds, `None` for reachable; returns whether that is news. A subject that is
    /// terminated stays so.
    pub fn observe(
        &mut self,
        observer: MemberId,
        subject: MemberId,
        found: Option<Standing>,
    ) -> bool {
        let known = self.rows.get(&observer).and_then(|row| row.subjects.get(&subject)).copied();
        if known == found || known == Some(Standing::Terminated) {
            return false;
        }
        let row = self.rows.entry(observer).or_default();
        row.version = row.version.saturating_add(1);
        match found {
            Some(standing) => row.subjects.insert(subject, standing),
            None => row.subjects.remove(&subject),
        };
        true
    }

    /// Takes over newer rows.
    pub fn merge(&mut self, other: &Reachability) {
        for (observer, theirs) in &other.rows {
            let ours = self.rows.entry(*observer).or_default();
            if theirs.version > ours.version {
                *ours = theirs.clone();
            } else if theirs.version == ours.version {
                // One version is one row, unless somebody forges: then the worse of both, on every node alike.
                for (&subject, &standing) in &theirs.subjects {
                    let entry = ours.subjects.entry(subject).or_insert(standing);
                    *entry = (*entry).max(standing);
                }
            }
        }
    }

    /// Forgets members that are not wanted, as observers and as subjects.
    pub fn retain(&mut self, wanted: impl Fn(&MemberId) -> bool) {
        self.rows.retain(|observer, _| wanted(observer));
        for row in self.rows.values_mut() {
            row.subjects.retain(|subject, _| wanted(subject));
        }
    }

    /// Whether this observer does not reach the subject.
    pub fn is_unreachable_by(&self, observer: &MemberId, subject: &MemberId) -> bool {
        self.rows.get(observer).is_some_and(|row| row.subjects.contains_key(subject))
    }

    /// All that somebody trusted does not reach.
    pub fn unreachable(&self, trusted: impl Fn(&MemberId) -> bool) -> BTreeSet<MemberId> {
        let rows = self.rows.iter().filter(|(observer, _)| trusted(observer));
        rows.flat_map(|(_, row)| row.subjects.keys().copied()).collect()
    }

    /// How many of those trusted do not reach the subject.
    pub fn observers_of(&self, subject: &MemberId, trusted: impl Fn(&MemberId) -> bool) -> usize {
        let mut rows = self.rows.iter();
        let says = |(observer, row): &(&MemberId, &Row)| {
            trusted(observer) && row.subjects.contains_key(subject)
        };
        rows.by_ref().filter(says).count()
    }

    /// The rows, in order of their observers.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (&MemberId, &Row)> {
        self.rows.iter()
    }
}
