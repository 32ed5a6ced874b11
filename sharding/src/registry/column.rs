//! What one node has registered, as a copy of it stands anywhere: the entries, and what was removed lately.
//!
//! Every change has a version of its own, counted by the node that made it. A copy at a version is what the node itself
//! had at that version, no more and no less. Removals are remembered up to [`REMOVAL_LIMIT`]; who is further behind
//! gets the whole.
//!
//! Invariants: only the node itself changes its column, so of two copies the higher version is right; versions of the
//! log are above the floor for removals, and none is above the column's.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::limits::{CHANGE_LIMIT, ENTRY_LIMIT, NAME_LIMIT_BYTES, REMOVAL_LIMIT};

/// A reference, as far as the registry has to know it.
pub trait Registered: Copy + Ord {
    /// The node that its actor lives on.
    fn node(&self) -> u32;

    /// The fingerprint of the messages that it takes.
    fn fingerprint(&self) -> u64;
}

/// One change of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<A> {
    /// The version that it made.
    pub version: u64,
    /// The service.
    pub name: String,
    /// Whose entry.
    pub actor: A,
    /// Whether it was registered, or removed.
    pub is_there: bool,
}

/// Changes of one column that follow on each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<A> {
    /// The version that they follow on.
    pub from: u64,
    /// The version that they lead to.
    pub to: u64,
    /// By version. A change that a later one has overtaken is left out.
    pub changes: Vec<Change<A>>,
}

/// What somebody at an older version needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update<A> {
    /// What changed since.
    Changes(Changes<A>),
    /// Everything: what was removed since is not known any more, or it is too much.
    Whole {
        /// The version of it.
        version: u64,
        /// All entries, each with the version that made it.
        entries: Vec<Change<A>>,
    },
}

/// Why an update was not taken. The copy is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateRefusal {
    /// It breaks a limit, or an invariant of columns.
    Malformed,
    /// Nothing in it is new.
    Old,
    /// Changes before it are missing.
    Gap,
}

/// The entries of one node.
#[derive(Clone, Debug)]
pub struct Column<A> {
    version: u64,
    /// Removals up to this version may be forgotten.
    floor: u64,
    entries: BTreeMap<(String, A), u64>,
    log: BTreeMap<u64, Change<A>>,
}

impl<A: Registered> Column<A> {
    /// Nothing registered, ever.
    pub(super) fn new() -> Self {
        Column { version: 0, floor: 0, entries: BTreeMap::new(), log: BTreeMap::new() }
    }

    /// How many changes there were.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, A)> {
        self.entries.keys().map(|(name, actor)| (name.as_str(), *actor))
    }

    /// How many entries there are.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// One change more, by the node itself; whether it changes anything.
    pub fn change(&mut self, name: &str, actor: A, is_there: bool) -> bool {
        if self.entries.contains_key(&(name.to_owned(), actor)) == is_there {
            return false;
        }
        let version = self.version + 1;
        self.enter(Change { version, name: name.to_owned(), actor, is_there });
        self.version = version;
        true
    }

    /// What somebody at this version needs; nothing if it is not behind.
    pub fn since(&self, version: u64) -> Option<Update<A>> {
        if version >= self.version {
            return None;
        }
        let newer = self.log.range(version + 1..);
        if version < self.floor || newer.clone().nth(CHANGE_LIMIT).is_some() {
            let entries = self.log.values().filter(|change| change.is_there).cloned().collect();
            return Some(Update::Whole { version: self.version, entries });
        }
        let changes = newer.map(|(_, change)| change.clone()).collect();
        Some(Update::Changes(Changes { from: version, to: self.version, changes }))
    }

    /// Makes a copy newer.
    ///
    /// # Errors
    /// [`UpdateRefusal`]; nothing changed.
    pub fn update(&mut self, node: u32, update: Update<A>) -> Result<(), UpdateRefusal> {
        match update {
            Update::Changes(Changes { from, to, changes }) => {
                check(node, &changes, from, to, CHANGE_LIMIT)?;
                if to <= self.version {
                    return Err(UpdateRefusal::Old);
                }
                if from > self.version {
                    return Err(UpdateRefusal::Gap);
                }
                let newer = changes.into_iter().filter(|change| change.version > self.version);
                let newer: Vec<Change<A>> = newer.collect();
                if self.entries.len() + newer.len() > ENTRY_LIMIT + CHANGE_LIMIT {
                    return Err(UpdateRefusal::Malformed);
                }
                newer.into_iter().for_each(|change| self.enter(change));
                self.version = to;
            }
            Update::Whole { version, entries } => {
                check(node, &entries, 0, version, ENTRY_LIMIT)?;
                if version <= self.version {
                    return Err(UpdateRefusal::Old);
                }
                if entries.iter().any(|entry| !entry.is_there) {
                    return Err(UpdateRefusal::Malformed);
                }
                *self = Column { version, floor: version, ..Column::new() };
                entries.into_iter().for_each(|entry| self.enter(entry));
            }
        }
        Ok(())
    }

    /// Puts a change in the place of an earlier one of the same entry.
    fn enter(&mut self, change: Change<A>) {
        let key = (change.name.clone(), change.actor);
        if change.is_there {
            if let Some(earlier) = self.entries.insert(key, change.version) {
                self.log.remove(&earlier);
            }
        } else if let Entry::Occupied(entry) = self.entries.entry(key) {
            self.log.remove(&entry.remove());
        }
        self.log.insert(change.version, change);
        while self.log.len() > self.entries.len() + REMOVAL_LIMIT {
            let oldest = self.log.iter().find(|(_, change)| !change.is_there);
            let Some(oldest) = oldest.map(|(version, _)| *version) else { return };
            self.log.remove(&oldest);
            self.floor = self.floor.max(oldest);
        }
    }
}

/// Whether these are changes that a column of this node may have had.
fn check<A: Registered>(
    node: u32,
    changes: &[Change<A>],
    from: u64,
    to: u64,
    limit: usize,
) -> Result<(), UpdateRefusal> {
    let is_sound = |change: &Change<A>| {
        change.actor.node() == node && change.name.len() <= NAME_LIMIT_BYTES && change.version <= to
    };
    let rises = changes.windows(2).all(|pair| pair[0].version < pair[1].version);
    let begins_after = changes.first().is_none_or(|first| first.version > from);
    if changes.len() <= limit && rises && begins_after && changes.iter().all(is_sound) {
        return Ok(());
    }
    Err(UpdateRefusal::Malformed)
}
