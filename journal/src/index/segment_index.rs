//! What stands where in one segment, gathered while its records are appended or found.
//!
//! Adding a record costs a look-up and a push; nothing is sorted before the segment is sealed. The postings of an
//! entity are linked from the newest back, so that adding never touches an older one.

use super::footer::{Footer, FooterHeader};
use super::retention::is_live;
use super::row::{EntityRow, Posting, RecordPlace, Restart};
use super::shard_table::{ShardTable, TooManyShards};
use super::slots::{HashSlots, MOST_ROWS, RowGuess};
use super::{Entity, TooManyEntities};
use crate::format::commit_frame::FRAME_HEADER_BYTES;
use crate::format::dictionary::SchemaEntry;
use crate::format::record::{Records, record_bytes};
use crate::format::{BLOCK_BYTES, FrameHeader, RecordHeader, RecordKind};
use crate::log::SegmentFile;
use crate::log::recovery::FoundFrame;

/// Which segment is indexed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexedSegment {
    /// The log's id.
    pub log_id: u128,
    /// The segment's number in the log.
    pub segment_id: u64,
    /// Its file.
    pub file: SegmentFile,
    /// The file's length.
    pub segment_bytes: u64,
}

/// Where the frames of a segment end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameEnd {
    /// The number of its last frame.
    pub last_frame: u64,
    /// That frame's chain value.
    pub last_chain: u32,
    /// The time of its first frame, in milliseconds since 1970.
    pub began_at_ms: u64,
    /// The time of its last frame.
    pub written_at_ms: u64,
    /// The offset in the file of the byte behind its last frame.
    pub end_offset: u64,
}

/// A record that a segment's index does not take. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It does not lie in the segment, or not on a record's place.
    #[error("no record of {bytes} bytes can stand at byte {offset} of segment {segment_id}")]
    Place {
        /// The segment.
        segment_id: u64,
        /// From where.
        offset: u64,
        /// How long.
        bytes: u32,
    },
    /// The segment has too many entities or records.
    #[error("a segment's index holds {MOST_ROWS} records, and no more fit; use shorter segments")]
    TooManyRecords,
    /// The segment has too many shards.
    #[error(transparent)]
    TooManyShards(#[from] TooManyShards),
    /// The log has too many entities.
    #[error(transparent)]
    TooManyEntities(#[from] TooManyEntities),
    /// A layout's record does not say the layout; its entry does.
    #[error("a record of segment {segment_id} declares a layout: add its entry")]
    Layout {
        /// The segment.
        segment_id: u64,
    },
}

/// The index of a segment that still takes records.
#[derive(Clone, Debug)]
pub struct SegmentIndex {
    segment: IndexedSegment,
    rows: Vec<OpenRow>,
    slots: HashSlots,
    added: Vec<Added>,
    shards: ShardTable,
    layouts: Vec<SchemaEntry>,
}

/// An entity, and its newest posting, which stands beside what else every event changes.
#[derive(Clone, Debug)]
#[repr(C)]
struct OpenRow {
    newest: u32,
    row: EntityRow,
}

/// A posting as it is kept while the segment is open.
#[derive(Clone, Copy, Debug)]
struct Added {
    offset_units: u32,
    size_and_kind: u32,
    row: u32,
    /// The posting of the same entity before this one.
    older: u32,
    entity_sequence: u64,
}

/// In the place of a posting: there is none.
const NONE: u32 = u32::MAX;

impl SegmentIndex {
    /// The index of a segment without records.
    pub fn new(segment: IndexedSegment) -> Self {
        SegmentIndex {
            segment,
            rows: Vec::new(),
            slots: HashSlots::with_rows(0),
            added: Vec::new(),
            shards: ShardTable::default(),
            layouts: Vec::new(),
        }
    }

    /// Which segment it is.
    pub fn segment(&self) -> IndexedSegment {
        self.segment
    }

    /// Adds a record that stands at an offset of the file and takes so many bytes as a whole, also one that names an
    /// entity; a layout has [`SegmentIndex::add_layout`]. `previous_segment` is what [`super::EntityTable::apply`]
    /// returns for it. Records come in the order in which they stand.
    pub fn add(
        &mut self,
        header: &RecordHeader,
        offset: u64,
        bytes: u32,
        previous_segment: u64,
    ) -> Result<(), IndexError> {
        self.add_near(&mut RowGuess::default(), header, offset, bytes, previous_segment)
    }

    /// As [`SegmentIndex::add`]; the entity's row is looked for where it was last, which `guess` then says.
    pub fn add_near(
        &mut self,
        guess: &mut RowGuess,
        header: &RecordHeader,
        offset: u64,
        bytes: u32,
        previous_segment: u64,
    ) -> Result<(), IndexError> {
        let place = RecordPlace { offset, bytes };
        let segment_id = self.segment.segment_id;
        let is_inside = place.is_within(BLOCK_BYTES as u64, self.segment.segment_bytes);
        if !is_inside || !place.is_storable() {
            return Err(IndexError::Place { segment_id, offset, bytes });
        }
        match header.kind {
            RecordKind::Schema => return Err(IndexError::Layout { segment_id }),
            RecordKind::Entity => return self.add_name(guess, header.entity, place),
            _ => {}
        }
        if self.added.len() >= MOST_ROWS {
            return Err(IndexError::TooManyRecords);
        }
        self.shards.apply(header, segment_id, place)?;
        let row = self.row_of(guess, header.entity)?;
        let (offset_units, size_and_kind) = place.packed(header.kind.number());
        let newest = self.added.len() as u32;
        let open = &mut self.rows[row as usize];
        if open.row.postings == 0 {
            open.row.previous_segment = previous_segment.min(segment_id - 1);
        }
        open.row.take_in(header, place);
        let older = std::mem::replace(&mut open.newest, newest);
        let entity_sequence = header.entity_sequence;
        self.added.push(Added { offset_units, size_and_kind, row, older, entity_sequence });
        Ok(())
    }

    /// Adds all records of a frame that recovery has found. `previous_of` gives the segment before for each, as
    /// [`super::EntityTable::apply`] does.
    pub fn add_frame(
        &mut self,
        frame: &FoundFrame<'_>,
        previous_of: &mut dyn FnMut(&RecordHeader, RecordPlace) -> Result<u64, IndexError>,
    ) -> Result<(), IndexError> {
        let from = frame.offset + FRAME_HEADER_BYTES as u64;
        // The visitor of a log gets frames whose records were checked.
        for record in Records::new(frame.records, frame.header.record_count).map_while(Result::ok) {
            let offset = from + record.offset as u64;
            let bytes = record_bytes(record.payload.len()) as u32;
            if record.header.kind == RecordKind::Schema {
                // An entry that cannot be read says nothing; records that refer to it are there all the same.
                SchemaEntry::decode(record.payload)
                    .into_iter()
                    .for_each(|entry| self.add_layout(entry));
                continue;
            }
            let previous = previous_of(&record.header, RecordPlace { offset, bytes })?;
            self.add(&record.header, offset, bytes, previous)?;
        }
        Ok(())
    }

    /// Adds a layout of the segment's dictionary. An entry that stands twice counts once.
    pub fn add_layout(&mut self, entry: SchemaEntry) {
        let place = self.layouts.binary_search_by_key(&entry.number, |known| known.number);
        if let Err(place) = place {
            self.layouts.insert(place, entry);
        }
    }

    /// The records of an entity, in the order in which they stand.
    pub fn records_of(&self, entity: u64) -> impl Iterator<Item = Posting> + use<> {
        let row = self.find(entity).map(|row| &self.rows[row as usize]);
        let mut postings = Vec::with_capacity(row.map_or(0, |open| open.row.postings as usize));
        let mut at = row.map_or(NONE, |open| open.newest);
        while let Some(added) = self.added.get(at as usize) {
            postings.extend(added.posting());
            at = added.older;
        }
        postings.into_iter().rev()
    }

    /// Where the entity's last record ends.
    pub fn end_of(&self, entity: u64) -> Option<u64> {
        let newest = self.rows[self.find(entity)? as usize].newest;
        let posting = self.added.get(newest as usize)?.posting()?;
        Some(posting.offset + u64::from(posting.bytes))
    }

    /// What the segment holds of an entity so far; its postings are not counted out yet.
    pub fn row(&self, entity: u64) -> Option<&EntityRow> {
        self.find(entity).map(|row| &self.rows[row as usize].row).filter(|row| row.postings > 0)
    }

    /// Whether the segment's dictionary has the name of an entity.
    pub fn has_name(&self, entity: u64) -> bool {
        self.find(entity).is_some_and(|row| self.rows[row as usize].row.name.is_some())
    }

    /// The layouts in the order of their numbers.
    pub fn layouts(&self) -> &[SchemaEntry] {
        &self.layouts
    }

    /// How many records were added.
    pub fn records(&self) -> usize {
        self.added.len()
    }

    /// The segment is sealed: everything in its lasting order.
    pub fn finish(self, end: FrameEnd) -> Footer {
        let mut order: Vec<u32> = (0..self.rows.len() as u32)
            .filter(|row| self.rows[*row as usize].row.postings > 0)
            .collect();
        order.sort_unstable_by_key(|row| self.rows[*row as usize].row.entity);
        let mut next = vec![0u32; self.rows.len()];
        let mut entities = Vec::with_capacity(order.len());
        let mut begin = 0;
        for row in order {
            let entity = EntityRow { first_posting: begin, ..self.rows[row as usize].row };
            next[row as usize] = begin;
            begin += entity.postings;
            entities.push(entity);
        }
        let nothing = Posting { offset: 0, bytes: 0, kind: RecordKind::Event, entity_sequence: 0 };
        let mut postings = vec![nothing; self.added.len()];
        for added in &self.added {
            let place = &mut next[added.row as usize];
            if let Some(posting) = added.posting() {
                postings[*place as usize] = posting;
            }
            *place += 1;
        }
        let shards = self.shards.sorted();
        let header = FooterHeader {
            log_id: self.segment.log_id,
            segment_id: self.segment.segment_id,
            segment_bytes: self.segment.segment_bytes,
            end,
            record_bytes: postings.iter().map(|posting| u64::from(posting.bytes)).sum(),
            live_bytes: live_bytes(self.segment.segment_id, &entities, &postings),
            first_shard: shards.first().map_or(0, |row| row.shard),
            last_shard: shards.last().map_or(0, |row| row.shard),
            shards: shards.len() as u32,
            entities: entities.len() as u32,
            postings: postings.len() as u32,
            layout_bytes: 0,
        };
        Footer::new(header, shards, entities, postings, self.layouts)
    }

    fn add_name(
        &mut self,
        guess: &mut RowGuess,
        entity: u64,
        place: RecordPlace,
    ) -> Result<(), IndexError> {
        let row = self.row_of(guess, entity)?;
        self.rows[row as usize].row.name.get_or_insert(place);
        Ok(())
    }

    fn find(&self, entity: u64) -> Option<u32> {
        self.find_near(RowGuess::default(), entity)
    }

    #[inline]
    fn find_near(&self, guess: RowGuess, entity: u64) -> Option<u32> {
        let entity_of = |row: u32| Some(self.rows.get(row as usize)?.row.entity);
        self.slots.find_near(guess.segment, entity, entity_of)
    }

    #[inline]
    fn row_of(&mut self, guess: &mut RowGuess, entity: u64) -> Result<u32, IndexError> {
        guess.segment = match self.find_near(*guess, entity) {
            Some(row) => row,
            None => self.insert(entity)?,
        };
        Ok(guess.segment)
    }

    fn insert(&mut self, entity: u64) -> Result<u32, IndexError> {
        let rows = &self.rows;
        if rows.len() >= MOST_ROWS {
            return Err(IndexError::TooManyRecords);
        }
        let row = rows.len() as u32;
        self.slots.insert(entity, row, |row| rows[row as usize].row.entity);
        self.rows.push(OpenRow { newest: NONE, row: EntityRow::of(entity) });
        Ok(row)
    }
}

impl FrameEnd {
    /// Takes in the next frame of the segment, which begins at an offset of the file.
    pub fn take_in(&mut self, frame: &FrameHeader, offset: u64) {
        if self.end_offset == 0 {
            self.began_at_ms = frame.written_at_ms;
        }
        self.last_frame = frame.sequence;
        self.last_chain = frame.chain();
        self.written_at_ms = frame.written_at_ms;
        self.end_offset = offset + frame.frame_bytes() as u64;
    }
}

impl Added {
    fn posting(&self) -> Option<Posting> {
        let (place, kind) = RecordPlace::unpacked(self.offset_units, self.size_and_kind);
        Some(Posting {
            offset: place.offset,
            bytes: place.bytes,
            kind: RecordKind::of_number(kind)?,
            entity_sequence: self.entity_sequence,
        })
    }
}

impl EntityRow {
    /// An entity without records.
    pub(crate) fn of(entity: u64) -> Self {
        EntityRow {
            entity,
            last_sequence: 0,
            state_sequence: 0,
            older_state_sequence: 0,
            last_shard_sequence: 0,
            state_shard_sequence: 0,
            deleted_to: 0,
            previous_segment: 0,
            shard: 0,
            first_posting: 0,
            postings: 0,
            state: None,
            restart: Restart::Unsaid,
            name: None,
        }
    }

    /// Takes in the next record of the entity.
    fn take_in(&mut self, header: &RecordHeader, place: RecordPlace) {
        let sequence = header.entity_sequence;
        self.postings += 1;
        self.shard = header.shard;
        match header.kind {
            RecordKind::Event => self.last_sequence = self.last_sequence.max(sequence),
            RecordKind::State => {
                self.last_sequence = self.last_sequence.max(sequence);
                self.take_state(header, place);
            }
            RecordKind::Deletion => {
                self.last_sequence = self.last_sequence.max(sequence);
                self.deleted_to = self.deleted_to.max(sequence);
            }
            RecordKind::Remembered => self.restart = Restart::Remembered,
            RecordKind::Forgotten => self.restart = Restart::Forgotten,
            RecordKind::Command
            | RecordKind::Tag
            | RecordKind::ShardEpoch
            | RecordKind::Schema
            | RecordKind::Entity => {}
        }
        self.last_shard_sequence = self.last_shard_sequence.max(header.shard_sequence);
    }

    fn take_state(&mut self, header: &RecordHeader, place: RecordPlace) {
        let (sequence, shard_sequence) = (header.entity_sequence, header.shard_sequence);
        if self.state.is_none() || sequence > self.state_sequence {
            let is_first = shard_sequence > self.last_shard_sequence;
            self.state_shard_sequence = if is_first { shard_sequence } else { 0 };
            self.older_state_sequence = self.state_sequence;
            self.state_sequence = sequence;
            self.state = Some(place);
        } else if sequence == self.state_sequence {
            self.state = Some(place);
        } else {
            self.older_state_sequence = self.older_state_sequence.max(sequence);
        }
    }
}

/// Bytes of records that nothing within the segment itself has made superfluous.
fn live_bytes(segment_id: u64, entities: &[EntityRow], postings: &[Posting]) -> u64 {
    let of_entity = |row: &EntityRow| -> u64 {
        let mut entity = Entity::default();
        entity.apply_row(row, segment_id);
        let own = postings.iter().skip(row.first_posting as usize).take(row.postings as usize);
        own.filter(|posting| is_live(posting, &entity))
            .map(|posting| u64::from(posting.bytes))
            .sum()
    };
    entities.iter().map(of_entity).sum()
}
