//! Every shard of a log: how far its sequence has come, its epoch, and the record that says so.

use super::row::{RecordPlace, ShardRow};
use super::slots::HashSlots;
use crate::format::{RecordHeader, RecordKind};

/// The shards of a segment or of a log.
#[derive(Clone, Debug)]
pub struct ShardTable {
    rows: Vec<ShardRow>,
    slots: HashSlots,
    /// The row that was asked for last: records of one shard often come together.
    latest: u32,
}

/// More shards than any system has. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a log names more than {MOST_SHARDS} shards")]
pub struct TooManyShards;

/// The most shards of one log.
pub const MOST_SHARDS: usize = 1 << 20;

impl Default for ShardTable {
    fn default() -> Self {
        ShardTable { rows: Vec::new(), slots: HashSlots::with_rows(0), latest: 0 }
    }
}

impl ShardTable {
    /// Takes in a record and where it stands. Entries of the dictionaries are of no shard and change nothing.
    pub fn apply(
        &mut self,
        header: &RecordHeader,
        segment_id: u64,
        last: RecordPlace,
    ) -> Result<(), TooManyShards> {
        if matches!(header.kind, RecordKind::Schema | RecordKind::Entity) {
            return Ok(());
        }
        let (shard, last_sequence, epoch) = (header.shard, header.shard_sequence, header.epoch);
        self.apply_row(&ShardRow { shard, last_sequence, epoch, segment_id, last })
    }

    /// Takes in what a footer or a checkpoint says of a shard.
    pub fn apply_row(&mut self, row: &ShardRow) -> Result<(), TooManyShards> {
        let place = self.place_of(row)?;
        let known = &mut self.rows[place];
        let epoch = known.epoch.max(row.epoch);
        if (row.last_sequence, row.segment_id) >= (known.last_sequence, known.segment_id) {
            *known = *row;
        }
        known.epoch = epoch;
        Ok(())
    }

    /// What is known of a shard.
    pub fn get(&self, shard: u32) -> Option<&ShardRow> {
        let row = self.slots.find(key(shard), |row| key(self.rows[row as usize].shard))?;
        self.rows.get(row as usize)
    }

    /// How many shards there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All shards in the order of their numbers.
    pub fn sorted(&self) -> Vec<ShardRow> {
        let mut rows = self.rows.clone();
        rows.sort_unstable_by_key(|row| row.shard);
        rows
    }

    /// The place of the row's shard; the row itself is put in when it is the shard's first.
    fn place_of(&mut self, row: &ShardRow) -> Result<usize, TooManyShards> {
        let latest = self.latest as usize;
        if self.rows.get(latest).is_some_and(|known| known.shard == row.shard) {
            return Ok(latest);
        }
        let rows = &self.rows;
        let key_of = |place: u32| key(rows[place as usize].shard);
        self.latest = match self.slots.find(key(row.shard), key_of) {
            Some(place) => place,
            None if rows.len() >= MOST_SHARDS => return Err(TooManyShards),
            None => {
                let place = rows.len() as u32;
                self.slots.insert(key(row.shard), place, key_of);
                self.rows.push(*row);
                place
            }
        };
        Ok(self.latest as usize)
    }
}

/// Shards are numbered from 0 without holes, so their numbers spread by themselves.
fn key(shard: u32) -> u64 {
    u64::from(shard)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shard: u32, last_sequence: u64, epoch: u64, segment_id: u64) -> ShardRow {
        let last = RecordPlace { offset: 4160, bytes: 64 };
        ShardRow { shard, last_sequence, epoch, segment_id, last }
    }

    #[test]
    fn a_copy_of_an_old_record_does_not_take_a_shard_back() {
        let mut shards = ShardTable::default();
        for row in [row(4, 9, 2, 1), row(1, 1, 1, 1), row(4, 3, 1, 2), row(4, 9, 1, 3)] {
            shards.apply_row(&row).expect("room");
        }
        assert_eq!(shards.sorted(), [row(1, 1, 1, 1), row(4, 9, 2, 3)]);
        assert_eq!(shards.get(4), Some(&row(4, 9, 2, 3)));
        assert_eq!(shards.get(5), None);
    }
}
