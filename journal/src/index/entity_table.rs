//! Every entity of a log, in memory: how far its sequence has come, and in which segment to look for it first.
//!
//! The table is a fold: a record changes the row of its entity by maxima, so applying the records of a segment one
//! by one, applying its footer's rows, and applying records once more that were applied before all come to the same.
//! Only what a segment says of starting an entity again goes by order: the last word counts.
//!
//! A row is known by the hash of the entity's name. Whoever opens an entity compares the name itself, which comes with
//! its records; two names of one hash are not told apart here.

use super::block::{BlockKind, Row};
use super::row::{EntityRow, Restart};
use super::slots::{HashSlots, MOST_ROWS, RowGuess};
use crate::format::fields::{put, u8_at, u32_at, u64_at};
use crate::format::{RecordHeader, RecordKind};

/// What a log knows of one entity.
///
/// What every event changes stands together, so that it is in one cache line or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Entity {
    /// The hash of its name.
    pub hash: u64,
    /// The highest place in its sequence, of an event, a state or a deletion; 0 before the first.
    pub last_sequence: u64,
    /// The last segment that holds a record of it.
    pub last_segment: u64,
    /// The highest place in its shard's sequence that one of its records has. What is written anew has a higher one;
    /// a copy has its own.
    pub last_shard_sequence: u64,
    /// Its shard.
    pub shard: u32,
    /// Whether it is to be started again by itself after a restart.
    pub is_remembered: bool,
    /// The highest revision of its states.
    pub state_sequence: u64,
    /// The second highest one: what to start from when the latest state cannot be read.
    pub older_state_sequence: u64,
    /// Its events up to this place are deleted.
    pub deleted_to: u64,
    /// Nothing that was written since its latest state, and no copy of it, stands before this segment; 0 while it has
    /// no state. It is the segment of that state when the state itself was seen, and 1 when only a copy was.
    pub history_segment: u64,
}

/// A table that is full. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the table of a core's entities holds {MOST_ROWS}, and no more fit; use more cores")]
pub struct TooManyEntities;

/// Every entity of a log.
#[derive(Clone, Debug)]
pub struct EntityTable {
    rows: Vec<Entity>,
    slots: HashSlots,
}

impl Default for EntityTable {
    fn default() -> Self {
        EntityTable::with_room(0)
    }
}

impl EntityTable {
    /// An empty table that takes so many entities before it grows.
    pub fn with_room(entities: usize) -> Self {
        EntityTable {
            rows: Vec::with_capacity(entities.min(MOST_ROWS)),
            slots: HashSlots::with_rows(entities),
        }
    }

    /// Takes in a record of a segment. Returns the segment before it in which the entity may have records: none
    /// between the two has any; 0 when there is none. Entries of the dictionaries are of no entity and change nothing.
    pub fn apply(
        &mut self,
        header: &RecordHeader,
        segment_id: u64,
    ) -> Result<u64, TooManyEntities> {
        self.apply_near(&mut RowGuess::default(), header, segment_id)
    }

    /// As [`EntityTable::apply`]; the entity's row is looked for where it was last, which `guess` then says.
    pub fn apply_near(
        &mut self,
        guess: &mut RowGuess,
        header: &RecordHeader,
        segment_id: u64,
    ) -> Result<u64, TooManyEntities> {
        if matches!(header.kind, RecordKind::Schema | RecordKind::Entity) {
            return Ok(0);
        }
        let row = self.row(guess, header.entity)?;
        let previous = row.segment_before(segment_id);
        row.apply(header, segment_id);
        Ok(previous)
    }

    /// Takes in what a footer says of an entity.
    pub fn apply_row(&mut self, row: &EntityRow, segment_id: u64) -> Result<(), TooManyEntities> {
        self.row(&mut RowGuess::default(), row.entity)?.apply_row(row, segment_id);
        Ok(())
    }

    /// A table of rows with different hashes: those of a checkpoint.
    pub(super) fn of_rows(rows: Vec<Entity>) -> Result<Self, TooManyEntities> {
        if rows.len() > MOST_ROWS {
            return Err(TooManyEntities);
        }
        let mut slots = HashSlots::with_rows(rows.len());
        for (place, row) in rows.iter().enumerate() {
            slots.insert(row.hash, place as u32, |place| rows[place as usize].hash);
        }
        Ok(EntityTable { rows, slots })
    }

    /// What is known of an entity.
    pub fn get(&self, hash: u64) -> Option<&Entity> {
        self.get_near(RowGuess::default(), hash)
    }

    /// As [`EntityTable::get`]; the entity's row is looked for where it was last.
    pub fn get_near(&self, guess: RowGuess, hash: u64) -> Option<&Entity> {
        self.rows.get(self.find(guess, hash)? as usize)
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All entities in the order of their hashes. It sorts: for background work.
    pub fn iter_sorted(&self) -> impl Iterator<Item = &Entity> {
        let mut order: Vec<u32> = (0..self.rows.len() as u32).collect();
        order.sort_unstable_by_key(|row| self.rows[*row as usize].hash);
        order.into_iter().map(|row| &self.rows[row as usize])
    }

    #[inline]
    fn find(&self, guess: RowGuess, hash: u64) -> Option<u32> {
        self.slots.find_near(guess.table, hash, |row| Some(self.rows.get(row as usize)?.hash))
    }

    #[inline]
    fn row(&mut self, guess: &mut RowGuess, hash: u64) -> Result<&mut Entity, TooManyEntities> {
        guess.table = match self.find(*guess, hash) {
            Some(row) => row,
            None => self.insert(hash)?,
        };
        Ok(&mut self.rows[guess.table as usize])
    }

    fn insert(&mut self, hash: u64) -> Result<u32, TooManyEntities> {
        let rows = &self.rows;
        if rows.len() >= MOST_ROWS {
            return Err(TooManyEntities);
        }
        let place = rows.len() as u32;
        self.slots.insert(hash, place, |row| rows[row as usize].hash);
        self.rows.push(Entity { hash, ..Entity::default() });
        Ok(place)
    }
}

impl Entity {
    /// Takes in one record of the entity.
    fn apply(&mut self, header: &RecordHeader, segment_id: u64) {
        let sequence = header.entity_sequence;
        match header.kind {
            RecordKind::Event => self.last_sequence = self.last_sequence.max(sequence),
            RecordKind::State => {
                self.last_sequence = self.last_sequence.max(sequence);
                let is_first = header.shard_sequence > self.last_shard_sequence;
                self.take_state(sequence, if is_first { segment_id } else { ANY_SEGMENT });
            }
            RecordKind::Deletion => {
                self.last_sequence = self.last_sequence.max(sequence);
                self.deleted_to = self.deleted_to.max(sequence);
            }
            RecordKind::Remembered => self.is_remembered = true,
            RecordKind::Forgotten => self.is_remembered = false,
            // A command has the place of an event or a state, a tag that of an event.
            RecordKind::Command | RecordKind::Tag | RecordKind::ShardEpoch => {}
            RecordKind::Schema | RecordKind::Entity => return,
        }
        self.shard = header.shard;
        self.last_segment = self.last_segment.max(segment_id);
        self.last_shard_sequence = self.last_shard_sequence.max(header.shard_sequence);
    }

    /// Takes in what a segment's footer says of the entity.
    pub(crate) fn apply_row(&mut self, row: &EntityRow, segment_id: u64) {
        self.last_sequence = self.last_sequence.max(row.last_sequence);
        self.deleted_to = self.deleted_to.max(row.deleted_to);
        if row.state.is_some() {
            let is_first = row.state_shard_sequence > self.last_shard_sequence;
            let history_segment = if is_first { segment_id } else { ANY_SEGMENT };
            // The lower one first: a place of 0, which says that there is only one, is then passed at once.
            self.take_state(row.older_state_sequence, history_segment);
            self.take_state(row.state_sequence, history_segment);
        }
        match row.restart {
            Restart::Unsaid => {}
            Restart::Remembered => self.is_remembered = true,
            Restart::Forgotten => self.is_remembered = false,
        }
        self.shard = row.shard;
        self.last_segment = self.last_segment.max(segment_id);
        self.last_shard_sequence = self.last_shard_sequence.max(row.last_shard_sequence);
    }

    /// Keeps the two highest revisions. What is needed since the highest does not change when a copy of it comes.
    fn take_state(&mut self, sequence: u64, history_segment: u64) {
        if self.history_segment == 0 || sequence > self.state_sequence {
            self.older_state_sequence = self.state_sequence;
            self.state_sequence = sequence;
            self.history_segment = history_segment;
        } else if sequence < self.state_sequence {
            self.older_state_sequence = self.older_state_sequence.max(sequence);
        }
    }

    /// When a segment is read a second time, how far back the entity's last one lies is no longer known.
    fn segment_before(&self, segment_id: u64) -> u64 {
        if self.last_segment < segment_id { self.last_segment } else { segment_id - 1 }
    }
}

/// A history that may begin anywhere: in the first segment at the earliest.
const ANY_SEGMENT: u64 = 1;

impl Row for Entity {
    const KIND: BlockKind = BlockKind::Table;
    const BYTES: usize = 72;

    fn put(&self, bytes: &mut [u8]) {
        put(bytes, 0, &self.hash.to_le_bytes());
        put(bytes, 8, &self.last_sequence.to_le_bytes());
        put(bytes, 16, &self.state_sequence.to_le_bytes());
        put(bytes, 24, &self.older_state_sequence.to_le_bytes());
        put(bytes, 32, &self.deleted_to.to_le_bytes());
        put(bytes, 40, &self.last_segment.to_le_bytes());
        put(bytes, 48, &self.history_segment.to_le_bytes());
        put(bytes, 56, &self.last_shard_sequence.to_le_bytes());
        put(bytes, 64, &self.shard.to_le_bytes());
        put(bytes, 68, &[u8::from(self.is_remembered)]);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let entity = Entity {
            hash: u64_at(bytes, 0),
            last_sequence: u64_at(bytes, 8),
            state_sequence: u64_at(bytes, 16),
            older_state_sequence: u64_at(bytes, 24),
            deleted_to: u64_at(bytes, 32),
            last_segment: u64_at(bytes, 40),
            history_segment: u64_at(bytes, 48),
            last_shard_sequence: u64_at(bytes, 56),
            shard: u32_at(bytes, 64),
            is_remembered: u8_at(bytes, 68) == 1,
        };
        let is_possible = u32_at(bytes, 68) <= 1
            && entity.history_segment <= entity.last_segment
            && entity.older_state_sequence <= entity.state_sequence
            && entity.state_sequence.max(entity.deleted_to) <= entity.last_sequence;
        is_possible.then_some(entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: RecordKind, entity_sequence: u64, shard_sequence: u64) -> RecordHeader {
        let (schema, shard, entity, epoch) = (0, 3, 7, 1);
        RecordHeader { kind, schema, shard, entity, entity_sequence, shard_sequence, epoch }
    }

    #[test]
    fn a_row_follows_its_entity_through_the_segments() {
        let mut table = EntityTable::default();
        let records = [
            (1, record(RecordKind::Remembered, 0, 1)),
            (1, record(RecordKind::Event, 1, 2)),
            (1, record(RecordKind::State, 1, 3)),
            (2, record(RecordKind::Event, 2, 4)),
            (4, record(RecordKind::State, 2, 5)),
            (5, record(RecordKind::Deletion, 2, 6)),
            (5, record(RecordKind::Forgotten, 0, 7)),
        ];
        let previous = records.map(|(segment, header)| table.apply(&header, segment));
        assert_eq!(previous.map(|id| id.unwrap_or(99)), [0, 0, 0, 1, 2, 4, 4]);
        let expected = Entity {
            hash: 7,
            last_sequence: 2,
            state_sequence: 2,
            older_state_sequence: 1,
            deleted_to: 2,
            last_segment: 5,
            history_segment: 4,
            last_shard_sequence: 7,
            shard: 3,
            is_remembered: false,
        };
        assert_eq!(table.get(7), Some(&expected));
        assert_eq!(table.get(8), None);
    }

    #[test]
    fn a_copy_of_a_state_does_not_hide_what_was_written_since() {
        let history = |records: &[(u64, RecordHeader)]| {
            let mut table = EntityTable::default();
            for (segment, header) in records {
                table.apply(header, *segment).expect("room");
            }
            table
                .get(7)
                .map(|row| (row.state_sequence, row.older_state_sequence, row.history_segment))
        };
        let state = record(RecordKind::State, 9, 20);
        let event = record(RecordKind::Event, 10, 21);
        let later = record(RecordKind::State, 10, 22);
        assert_eq!(history(&[(3, state), (4, event)]), Some((9, 0, 3)));
        assert_eq!(history(&[(3, state), (4, event), (6, state)]), Some((9, 0, 3)));
        // The segment with the state itself was given back.
        assert_eq!(history(&[(4, event), (6, state)]), Some((9, 0, 1)));
        assert_eq!(history(&[(4, event), (6, state), (7, later)]), Some((10, 9, 7)));
    }

    #[test]
    fn names_of_the_dictionary_are_no_entities() {
        let mut table = EntityTable::default();
        table.apply(&record(RecordKind::Entity, 0, 9), 1).expect("room");
        table.apply(&record(RecordKind::Schema, 0, 10), 1).expect("room");
        assert!(table.is_empty());
    }

    #[test]
    fn the_table_is_walked_in_the_order_of_hashes() {
        let mut table = EntityTable::default();
        for entity in [5, u64::MAX, 0, 1 << 63] {
            table
                .apply(&RecordHeader { entity, ..record(RecordKind::Event, 1, 11) }, 1)
                .expect("room");
        }
        let hashes: Vec<u64> = table.iter_sorted().map(|entity| entity.hash).collect();
        assert_eq!((hashes, table.len()), (vec![0, 5, 1 << 63, u64::MAX], 4));
    }
}
