//! What a log promised, and whether it kept it.
//!
//! The ledger knows every group of records in the order in which it was appended, and which of them were acknowledged.
//! Against it stands what a reader found after a crash. What must hold:
//!
//! 1. What was acknowledged is there.
//! 2. A group that was not acknowledged is there as a whole or not at all.
//! 3. Each entity's records are dense: no hole, no repetition, in order.
//! 4. What is there is what was appended, in that order; nothing comes back that an earlier opening did not find.

use std::collections::BTreeMap;

use crate::page_reader::Entity;

/// A record as a reader found it, or as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub entity: Entity,
    pub sequence: u64,
    pub shard_sequence: u64,
    pub payload: Vec<u8>,
}

/// What was appended and what was promised.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub groups: Vec<Group>,
}

/// Records that were appended together.
#[derive(Clone, Debug)]
pub struct Group {
    pub events: Vec<Event>,
    /// The frame that they are in.
    pub frame: u64,
    pub is_acknowledged: bool,
}

impl Ledger {
    /// The next number in an entity's sequence, and in the one shard's.
    pub fn next_sequences(&self, entity: &Entity) -> (u64, u64) {
        let events = || self.groups.iter().flat_map(|group| &group.events);
        let own = events().filter(|event| event.entity == *entity).count();
        (own as u64 + 1, events().count() as u64 + 1)
    }

    /// Whoever appended the groups of these frames was told that they are durable.
    pub fn acknowledge(&mut self, is_acknowledged: impl Fn(u64) -> bool) {
        for group in &mut self.groups {
            group.is_acknowledged |= is_acknowledged(group.frame);
        }
    }

    /// Holds what was found against what was promised. The error says which promise is broken.
    pub fn check(&self, found: &[Event]) -> Result<(), String> {
        dense(found)?;
        let appended: Vec<&Event> = self.groups.iter().flat_map(|group| &group.events).collect();
        for (place, event) in found.iter().enumerate() {
            if appended.get(place).is_none_or(|appended| *appended != event) {
                return Err(format!("event {place} is not the one that was appended there"));
            }
        }
        let whole = self.whole_groups(found.len());
        let whole = whole.ok_or(format!("{} events are no whole number of groups", found.len()))?;
        match self.groups[whole..].iter().position(|group| group.is_acknowledged) {
            None => Ok(()),
            Some(place) => Err(format!("group {} was acknowledged and is gone", whole + place)),
        }
    }

    /// The log was opened and this was found: it is durable, and nothing else ever was.
    pub fn reopen(&mut self, found: &[Event]) {
        let whole = self.whole_groups(found.len()).unwrap_or(0);
        self.groups.truncate(whole);
        for group in &mut self.groups {
            group.is_acknowledged = true;
            group.frame = 0;
        }
    }

    /// All events that were appended.
    pub fn events(&self) -> Vec<Event> {
        self.groups.iter().flat_map(|group| group.events.clone()).collect()
    }

    /// How many groups so many events are, when they are whole ones.
    fn whole_groups(&self, events: usize) -> Option<usize> {
        let mut left = events;
        for (place, group) in self.groups.iter().enumerate() {
            if left == 0 {
                return Some(place);
            }
            left = left.checked_sub(group.events.len())?;
        }
        (left == 0).then_some(self.groups.len())
    }
}

fn dense(found: &[Event]) -> Result<(), String> {
    let mut last: BTreeMap<(&str, &[u8]), u64> = BTreeMap::new();
    for event in found {
        let last = last.entry((&event.entity.kind, &event.entity.id)).or_default();
        if event.sequence != *last + 1 {
            let Event { entity, sequence, .. } = event;
            return Err(format!("{entity:?}: {sequence} stands behind {last}"));
        }
        *last = event.sequence;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64, payload: u8) -> Event {
        let entity = Entity { kind: "account".into(), id: b"1".to_vec() };
        Event { entity, sequence, shard_sequence: sequence, payload: vec![payload] }
    }

    /// A group of one that was acknowledged, and a group of two that was not.
    fn ledger() -> Ledger {
        let group = |events, is_acknowledged| Group { events, frame: 1, is_acknowledged };
        Ledger {
            groups: vec![
                group(vec![event(1, 7)], true),
                group(vec![event(2, 8), event(3, 9)], false),
            ],
        }
    }

    #[test]
    fn what_keeps_every_promise_passes() {
        assert_eq!(ledger().check(&[event(1, 7)]), Ok(()));
        assert_eq!(ledger().check(&[event(1, 7), event(2, 8), event(3, 9)]), Ok(()));
    }

    #[test]
    fn each_broken_promise_is_named() {
        let broken = |found: &[Event]| ledger().check(found).expect_err("a promise is broken");
        assert!(broken(&[]).contains("acknowledged and is gone"));
        assert!(broken(&[event(1, 7), event(2, 8)]).contains("no whole number of groups"));
        assert!(broken(&[event(1, 7), event(3, 9)]).contains("3 stands behind 1"));
        assert!(broken(&[event(1, 6)]).contains("not the one that was appended"));
    }
}
