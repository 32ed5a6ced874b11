//! Which of two views is newer, when neither has to be.

use std::collections::BTreeMap;

use super::member::MemberId;

/// Changes that each member has made to a view, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VectorClock {
    entries: BTreeMap<MemberId, u64>,
}

impl FromIterator<(MemberId, u64)> for VectorClock {
    fn from_iter<I: IntoIterator<Item = (MemberId, u64)>>(entries: I) -> VectorClock {
        VectorClock { entries: entries.into_iter().collect() }
    }
}

/// How one clock stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockOrder {
    /// The same changes.
    Same,
    /// The other one has all of these changes and more.
    Before,
    /// This one has all changes of the other one and more.
    After,
    /// Each has changes that the other one lacks.
    Concurrent,
}

impl VectorClock {
    /// Counts one more change by the member.
    pub fn advance(&mut self, member: MemberId) {
        let entry = self.entries.entry(member).or_insert(0);
        *entry = entry.saturating_add(1);
    }

    /// How this clock stands to the other one.
    pub fn compare(&self, other: &VectorClock) -> ClockOrder {
        match (self.lacks_any_of(other), other.lacks_any_of(self)) {
            (false, false) => ClockOrder::Same,
            (true, false) => ClockOrder::Before,
            (false, true) => ClockOrder::After,
            (true, true) => ClockOrder::Concurrent,
        }
    }

    /// Takes over every change of the other clock.
    pub fn merge(&mut self, other: &VectorClock) {
        for (&member, &changes) in &other.entries {
            let entry = self.entries.entry(member).or_insert(0);
            *entry = (*entry).max(changes);
        }
    }

    /// Forgets the changes of members that are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&MemberId) -> bool) {
        self.entries.retain(|member, _| wanted(member));
    }

    /// Who made changes, and how many, in order of identity.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&MemberId, &u64)> {
        self.entries.iter()
    }

    fn lacks_any_of(&self, other: &VectorClock) -> bool {
        other
            .entries
            .iter()
            .any(|(member, &changes)| changes > self.entries.get(member).copied().unwrap_or(0))
    }
}
