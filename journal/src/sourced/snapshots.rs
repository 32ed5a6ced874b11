//! The snapshots of an entity, and up to which of them its events are given up.

use std::collections::VecDeque;

use super::settings::{PersistenceSettings, Retention};

/// Snapshots that are remembered. Of more, every second one is forgotten: events are then given up a little later.
const SNAPSHOTS_LIMIT: usize = 64;

/// What is known of an entity's snapshots, oldest first.
#[derive(Debug, Default)]
pub(super) struct Snapshots {
    taken: VecDeque<Snapshot>,
    /// Events up to here were given up in this life.
    given_up_to: u64,
}

#[derive(Clone, Copy, Debug)]
struct Snapshot {
    sequence: u64,
    /// No later than this it was durable, in milliseconds since 1970; none before that is known.
    durable_at_ms: Option<u64>,
}

impl Snapshots {
    /// A snapshot is being written.
    pub fn begun(&mut self, sequence: u64) {
        self.push(Snapshot { sequence, durable_at_ms: None });
    }

    /// It is durable.
    pub fn completed(&mut self, sequence: u64, now_ms: u64) {
        let of_this = |snapshot: &&mut Snapshot| snapshot.sequence == sequence;
        if let Some(snapshot) = self.taken.iter_mut().rev().find(of_this) {
            snapshot.durable_at_ms = Some(now_ms);
        }
    }

    /// It was surely not written.
    pub fn refused(&mut self, sequence: u64) {
        self.taken.retain(|snapshot| snapshot.sequence != sequence);
    }

    /// The entity was made from a snapshot that was written no later than then.
    pub fn recovered(&mut self, sequence: u64, written_at_ms: u64) {
        self.push(Snapshot { sequence, durable_at_ms: Some(written_at_ms) });
    }

    /// The last one; 0 before the first.
    pub fn last(&self) -> u64 {
        self.taken.back().map_or(0, |snapshot| snapshot.sequence)
    }

    pub fn clear(&mut self) {
        self.taken.clear();
    }

    /// Up to which event all are to be given up now: always up to a snapshot, and one behind which so many others stand
    /// as are kept.
    pub fn to_give_up(&self, settings: &PersistenceSettings, now_ms: u64) -> Option<u64> {
        let keep = settings.keep_snapshots.max(1) as usize;
        let oldest_kept = self.taken.len().checked_sub(keep).filter(|place| *place > 0)?;
        let found = match settings.retention {
            Retention::KeepAll => None,
            Retention::ToSnapshot => self.taken.get(oldest_kept),
            Retention::OlderThan { age_ms } => {
                let limit_ms = now_ms.saturating_sub(age_ms);
                let is_old = |snapshot: &&Snapshot| {
                    snapshot.durable_at_ms.is_some_and(|at_ms| at_ms <= limit_ms)
                };
                self.taken.iter().take(oldest_kept + 1).rfind(is_old)
            }
        };
        found.map(|snapshot| snapshot.sequence).filter(|sequence| *sequence > self.given_up_to)
    }

    /// The journal knows that events up to here are given up.
    pub fn given_up(&mut self, to_sequence: u64) {
        self.given_up_to = to_sequence;
        self.taken.retain(|snapshot| snapshot.sequence >= to_sequence);
    }

    fn push(&mut self, snapshot: Snapshot) {
        if self.taken.len() >= SNAPSHOTS_LIMIT {
            let mut number = 0;
            self.taken.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
        self.taken.push_back(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(retention: Retention, keep_snapshots: u32) -> PersistenceSettings {
        PersistenceSettings { retention, keep_snapshots, ..PersistenceSettings::default() }
    }

    /// Snapshots at 10, 20 and so on, durable one second after the other.
    fn taken(count: u64) -> Snapshots {
        let mut snapshots = Snapshots::default();
        for number in 1..=count {
            snapshots.begun(number * 10);
            snapshots.completed(number * 10, number * 1_000);
        }
        snapshots
    }

    #[test]
    fn events_are_given_up_to_the_oldest_snapshot_that_is_kept_and_once() {
        let to_snapshot = settings(Retention::ToSnapshot, 2);
        assert_eq!(taken(2).to_give_up(&to_snapshot, 0), None);
        let mut snapshots = taken(5);
        assert_eq!(snapshots.to_give_up(&to_snapshot, 0), Some(40));
        snapshots.given_up(40);
        assert_eq!(snapshots.to_give_up(&to_snapshot, 0), None);
        assert_eq!(taken(5).to_give_up(&settings(Retention::KeepAll, 2), u64::MAX), None);
    }

    #[test]
    fn events_are_given_up_by_age_only_where_a_kept_snapshot_stands_for_them() {
        let by_age = |age_ms| settings(Retention::OlderThan { age_ms }, 2);
        let mut snapshots = taken(5);
        // At the time 6,000 those at 1,000 and 2,000 are 4,000 old or older.
        assert_eq!(snapshots.to_give_up(&by_age(4_000), 6_000), Some(20));
        // However old, no more than what the oldest kept one stands for.
        assert_eq!(snapshots.to_give_up(&by_age(0), 1_000_000), Some(40));
        assert_eq!(snapshots.to_give_up(&by_age(5_001), 6_000), None);
        snapshots.given_up(20);
        assert_eq!(snapshots.to_give_up(&by_age(4_000), 6_000), None);
        assert_eq!(snapshots.to_give_up(&by_age(4_000), 7_000), Some(30));
        // Before a snapshot is durable nobody knows how old it is.
        let mut pending = Snapshots::default();
        (1..=4).for_each(|number| pending.begun(number));
        assert_eq!(pending.to_give_up(&by_age(0), u64::MAX), None);
        // One that was found at recovery has the time at which it was written at the latest.
        let mut recovered = Snapshots::default();
        recovered.recovered(7, 500);
        recovered.begun(8);
        assert_eq!(
            recovered.to_give_up(&settings(Retention::OlderThan { age_ms: 1_000 }, 1), 1_500),
            Some(7)
        );
    }

    #[test]
    fn only_so_many_snapshots_are_remembered() {
        let snapshots = taken(1_000);
        assert!(snapshots.taken.len() <= SNAPSHOTS_LIMIT);
        assert_eq!(snapshots.last(), 10_000);
        let by_age = settings(Retention::OlderThan { age_ms: 10_000 }, 2);
        let given_up = snapshots.to_give_up(&by_age, 1_000_000).expect("most are old");
        assert!((1..=9_900).contains(&given_up) && given_up.is_multiple_of(10), "{given_up}");
    }
}
