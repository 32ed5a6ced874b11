//! Records that were heard of, so that a change of owner need not read first.
//!
//! A record that is out of date does no harm: the transaction that is built on it compares the epoch.

use std::collections::HashMap;

use crate::ownership::{Ownership, Place};

/// Records that are remembered; those beyond it are read whenever they are needed.
const KNOWN_LIMIT: usize = 1_048_576;

/// The last record that was heard of, of each shard.
#[derive(Debug, Default)]
pub(super) struct KnownOwners {
    types: HashMap<String, HashMap<u32, Ownership<Place>>>,
    count: usize,
}

impl KnownOwners {
    pub(super) fn get(&self, entity_type: &str, shard: u32) -> Option<Ownership<Place>> {
        self.types.get(entity_type)?.get(&shard).copied()
    }

    /// Remembers a record, unless a later one is known.
    pub(super) fn put(&mut self, entity_type: &str, shard: u32, record: Ownership<Place>) {
        if let Some(known) = self.types.get_mut(entity_type).and_then(|it| it.get_mut(&shard)) {
            if known.epoch < record.epoch {
                *known = record;
            }
        } else if self.count < KNOWN_LIMIT {
            self.count += 1;
            self.types.entry(entity_type.to_owned()).or_default().insert(shard, record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::Epoch;

    #[test]
    fn the_record_of_the_highest_epoch_is_the_one_that_is_known() {
        let owner = Place { incarnation: 1, core: 0 };
        let record = |epoch| Ownership { owner, epoch: Epoch(epoch), given_by: None };
        let mut known = KnownOwners::default();
        assert_eq!(known.get("cart", 0), None);
        for epoch in [5, 7, 6] {
            known.put("cart", 0, record(epoch));
        }
        assert_eq!(known.get("cart", 0), Some(record(7)));
        assert_eq!((known.get("cart", 1), known.get("order", 0)), (None, None));
    }
}
