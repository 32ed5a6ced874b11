//! What an observer of one entity knows, and what it holds against the entity.

use std::collections::{BTreeMap, BTreeSet};

use crate::entity::{Command, digest, entry};

/// The books about one entity.
#[derive(Default)]
pub struct Observer {
    /// Every group that was sent.
    sent: BTreeMap<u64, Sent>,
    /// Groups that were answered for.
    answered: BTreeSet<u64>,
    /// The list as it was told last: what follows begins with it.
    told: Vec<u64>,
}

/// A group that was sent, once or again and again.
#[derive(Default)]
struct Sent {
    /// Its number of events.
    count: u32,
    times: u32,
    refused: u32,
}

impl Observer {
    pub fn sent(&mut self, command: &Command) {
        let (group, count) = match *command {
            Command::Add { group, count, .. } => (group, count),
            Command::AddWhenOpen { group, .. } | Command::Turn { group, .. } => (group, 1),
            Command::Tell { .. } | Command::Stop => return,
        };
        let sent = self.sent.entry(group).or_default();
        sent.count = count;
        sent.times += 1;
    }

    pub fn done(&mut self, group: u64) {
        self.answered.insert(group);
    }

    pub fn refused(&mut self, group: u64) {
        if let Some(sent) = self.sent.get_mut(&group) {
            sent.refused += 1;
        }
    }

    /// The entity has told its state.
    pub fn told(&mut self, entries: &[u64], events: u64, digest: u64) -> Result<(), String> {
        self.check_groups(entries)?;
        if !entries.starts_with(&self.told) {
            return Err(format!("{entries:?} does not go on from {:?}", self.told));
        }
        if events != entries.len() as u64 || digest != fold(entries) {
            return Err(format!("{entries:?} is not the fold of {events} events"));
        }
        self.told = entries.to_vec();
        Ok(())
    }

    fn check_groups(&self, entries: &[u64]) -> Result<(), String> {
        let mut found = BTreeSet::new();
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let group = first >> 16;
            let Some(Sent { count, times, refused }) = self.sent.get(&group) else {
                return Err(format!("nobody has sent group {group}"));
            };
            let whole: Vec<u64> = (0..*count).map(|place| entry(group, *count, place)).collect();
            let Some(behind) = rest.strip_prefix(whole.as_slice()) else {
                return Err(format!("group {group} of {count} events is not whole: {rest:?}"));
            };
            if refused == times {
                return Err(format!("group {group} was refused each time and is there"));
            }
            if !found.insert(group) {
                return Err(format!("group {group} is there twice"));
            }
            rest = behind;
        }
        match self.answered.difference(&found).next() {
            Some(group) => Err(format!("group {group} was answered for and is not there")),
            None => Ok(()),
        }
    }
}

fn fold(entries: &[u64]) -> u64 {
    entries.iter().fold(0, |before, entry| digest(before, *entry))
}
