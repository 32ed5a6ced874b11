//! Where the records of each entity stand: in memory for segments that still grow or were just sealed, by their
//! footers for all others.
//!
//! An entity's records are looked for segment by segment from the last one back, and no further than its latest
//! state makes necessary. What has to be read of footers is asked for step by step, so that the core does not wait.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::readings::ReadFailed;
use crate::format::dictionary::SchemaEntry;
use crate::format::{BLOCK_BYTES, FrameHeader, RecordHeader, RecordKind};
use crate::index::{
    EntityRow, EntityTable, FooterError, FooterSummary, FrameEnd, IndexError, IndexedSegment,
    Posting, RecordPlace, SegmentIndex,
};
use crate::log::recovery::FoundFrame;
use crate::log::{Placed, SegmentFile};

/// The layouts of one segment, in the order of their numbers.
pub(super) type Layouts = Arc<[Arc<SchemaEntry>]>;

/// A record that is to be read.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub entity: u64,
    pub kind: RecordKind,
    pub sequence: u64,
    pub file: SegmentFile,
    pub place: RecordPlace,
    /// Its segment's.
    pub layouts: Layouts,
}

/// A segment whose frames are all durable: its footer is to be written.
#[derive(Clone, Debug)]
pub struct SealedSegment {
    /// Its index.
    pub index: Arc<SegmentIndex>,
    /// Where its frames end.
    pub end: FrameEnd,
}

/// Part of a footer that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FooterPart {
    pub segment_id: u64,
    pub offset: u64,
    pub bytes: u64,
}

/// How a search goes on.
#[derive(Debug)]
pub(super) enum Step {
    /// This is needed first.
    Read(FooterPart),
    /// Everything is found.
    Found(Vec<Wanted>),
}

/// All entities of a log.
#[derive(Debug)]
pub(super) struct LogIndex {
    log_id: u128,
    segment_bytes: u64,
    entities: EntityTable,
    files: BTreeMap<u64, SegmentFile>,
    /// In the order of their numbers; the last one may still grow.
    in_memory: Vec<InMemory>,
    sealed: BTreeMap<u64, Sealed>,
}

#[derive(Debug)]
struct InMemory {
    segment_id: u64,
    index: Arc<SegmentIndex>,
    layouts: Layouts,
    end: FrameEnd,
    /// Its footer is being written.
    is_given_out: bool,
}

#[derive(Debug)]
struct Sealed {
    summary: FooterSummary,
    layouts: Option<Layouts>,
}

/// A search for an entity's records.
#[derive(Debug)]
pub(super) struct Search {
    entity: u64,
    /// The state to start from has a lower number than this.
    below: u64,
    last_sequence: u64,
    deleted_to: u64,
    /// It has a state that was not given up.
    expects_state: bool,
    next_segment: u64,
    /// The segment to look at behind the one whose layouts are awaited.
    previous: u64,
    /// The number of the state that was found.
    state: Option<u64>,
    events: HashSet<u64>,
    found: Vec<Wanted>,
    awaited: Awaited,
}

#[derive(Debug)]
enum Awaited {
    Nothing,
    Entities,
    Postings(EntityRow),
    Layouts(Vec<Posting>),
}

impl LogIndex {
    /// The index of a log, from what its footers and its checkpoint say.
    pub fn new(
        log_id: u128,
        segment_bytes: u64,
        entities: EntityTable,
        footers: Vec<FooterSummary>,
        files: BTreeMap<u64, SegmentFile>,
    ) -> Self {
        let sealed = footers
            .into_iter()
            .map(|summary| (summary.header().segment_id, Sealed { summary, layouts: None }));
        let sealed = sealed.collect();
        LogIndex { log_id, segment_bytes, entities, files, in_memory: Vec::new(), sealed }
    }

    /// How many entities there are.
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// The last number in an entity's sequence, 0 when it has none.
    pub fn sequence_of(&self, entity: u64) -> u64 {
        self.entities.get(entity).map_or(0, |entity| entity.last_sequence)
    }

    /// A record was appended; of a dictionary's layout `layout` is its entry.
    pub fn add(&mut self, placed: &Placed, layout: Option<SchemaEntry>) -> Result<(), IndexError> {
        let Placed { header, segment_id, file, offset, bytes } = *placed;
        let previous = match header.kind {
            RecordKind::Schema | RecordKind::Entity => 0,
            _ => self.entities.apply(&header, segment_id)?,
        };
        let growing = self.growing(segment_id, file);
        match (header.kind, layout) {
            (RecordKind::Schema, Some(layout)) => growing.add_layout(layout),
            (RecordKind::Schema, None) => {}
            _ => {
                if let Some(index) = Arc::get_mut(&mut growing.index) {
                    index.add(&header, offset, bytes, previous)?;
                }
            }
        }
        Ok(())
    }

    /// A frame was written.
    pub fn frame_written(&mut self, frame: &FrameHeader, offset: u64) {
        let segment = self.in_memory.iter_mut().find(|one| one.segment_id == frame.segment_id);
        if let Some(segment) = segment {
            segment.end.take_in(frame, offset);
        }
    }

    /// A frame was found when the log was opened.
    pub fn take_in(&mut self, frame: &FoundFrame<'_>) -> Result<(), IndexError> {
        let segment_id = frame.header.segment_id;
        self.growing(segment_id, frame.file);
        let Some(growing) = self.in_memory.last_mut() else { return Ok(()) };
        growing.end.take_in(&frame.header, frame.offset);
        let entities = &mut self.entities;
        let mut previous_of = |header: &RecordHeader, _| Ok(entities.apply(header, segment_id)?);
        if let Some(index) = Arc::get_mut(&mut growing.index) {
            index.add_frame(frame, &mut previous_of)?;
            if index.layouts().len() != growing.layouts.len() {
                growing.layouts = index.layouts().iter().cloned().map(Arc::new).collect();
            }
        }
        Ok(())
    }

    /// Segments that will not grow any more, and whose frames are durable up to a frame: their footers are to be
    /// written. Each is given out once.
    pub fn take_sealed(&mut self, durable_frame: u64) -> Option<SealedSegment> {
        // The last one may still grow; the first frame behind the others proves that they do not.
        let (last, earlier) = self.in_memory.split_last_mut()?;
        let has_next = last.end.last_frame > 0 && last.end.last_frame <= durable_frame;
        let one = earlier.iter_mut().find(|one| !one.is_given_out)?;
        if !has_next || one.end.last_frame > durable_frame {
            return None;
        }
        one.is_given_out = true;
        Some(SealedSegment { index: Arc::clone(&one.index), end: one.end })
    }

    /// Whether [`LogIndex::take_sealed`] would give something out.
    pub fn has_sealed(&self, durable_frame: u64) -> bool {
        let Some((last, earlier)) = self.in_memory.split_last() else { return false };
        last.end.last_frame > 0
            && last.end.last_frame <= durable_frame
            && earlier.iter().any(|one| !one.is_given_out && one.end.last_frame <= durable_frame)
    }

    /// The footer of a segment is durable; its index need not be kept in memory.
    pub fn footer_written(&mut self, summary: FooterSummary) {
        let segment_id = summary.header().segment_id;
        let Some(at) = self.in_memory.iter().position(|one| one.segment_id == segment_id) else {
            return;
        };
        let InMemory { layouts, .. } = self.in_memory.remove(at);
        self.sealed.insert(segment_id, Sealed { summary, layouts: Some(layouts) });
    }

    /// Begins to look for what an entity is made from: its latest state below a number, and what came behind it.
    pub fn search(&self, entity: u64, below: u64) -> Search {
        let known = self.entities.get(entity).copied().unwrap_or_default();
        Search {
            entity,
            below,
            last_sequence: known.last_sequence,
            deleted_to: known.deleted_to,
            expects_state: known.state_sequence > 0 && known.state_sequence >= known.deleted_to,
            next_segment: known.last_segment,
            previous: 0,
            state: None,
            events: HashSet::new(),
            found: Vec::new(),
            awaited: Awaited::Nothing,
        }
    }

    /// Goes on with a search until something has to be read.
    pub fn step(&self, search: &mut Search) -> Step {
        while !search.is_complete() {
            let segment_id = search.next_segment;
            if let Some(one) = self.in_memory.iter().find(|one| one.segment_id == segment_id) {
                let previous =
                    one.index.row(search.entity).map_or(segment_id - 1, |row| row.previous_segment);
                let postings: Vec<_> = one.index.records_of(search.entity).collect();
                self.take(search, &postings, &one.layouts);
                search.next_segment = previous;
                continue;
            }
            let Some(sealed) = self.sealed.get(&segment_id) else {
                // It was given back, and so was everything before it.
                search.next_segment = 0;
                break;
            };
            let part = |place: std::ops::Range<u64>| FooterPart {
                segment_id,
                offset: place.start,
                bytes: place.end - place.start,
            };
            match (&search.awaited, sealed.summary.block_of(search.entity)) {
                (Awaited::Postings(row), _) => {
                    return Step::Read(part(sealed.summary.postings_place(row)));
                }
                (Awaited::Layouts(_), _) => {
                    return Step::Read(part(sealed.summary.layouts_place()));
                }
                (_, Some(block)) => {
                    search.awaited = Awaited::Entities;
                    return Step::Read(part(block..block + BLOCK_BYTES as u64));
                }
                (_, None) => search.next_segment = segment_id - 1,
            }
        }
        let mut found = std::mem::take(&mut search.found);
        let from = search.state.unwrap_or(0);
        found.retain(|wanted| match wanted.kind {
            RecordKind::State => Some(wanted.sequence) == search.state,
            RecordKind::Event => wanted.sequence > from,
            _ => wanted.sequence >= from,
        });
        found.sort_by_key(|wanted| (wanted.sequence, wanted.kind != RecordKind::State));
        // A record that was carried forward stands twice; one of them will do.
        found.dedup_by_key(|wanted| match wanted.kind {
            RecordKind::Command => (wanted.sequence, false, wanted.place.offset, wanted.file),
            kind => (wanted.sequence, kind == RecordKind::State, 0, SegmentFile(0)),
        });
        Step::Found(found)
    }

    /// What a search has asked for.
    pub fn take_part(&mut self, search: &mut Search, bytes: &[u8]) -> Result<(), ReadFailed> {
        let segment_id = search.next_segment;
        let damaged =
            |error: FooterError| ReadFailed::Footer { segment_id, reason: error.to_string() };
        let Some(sealed) = self.sealed.get_mut(&segment_id) else { return Ok(()) };
        match std::mem::replace(&mut search.awaited, Awaited::Nothing) {
            Awaited::Nothing => {}
            Awaited::Entities => {
                match sealed.summary.find(bytes, search.entity).map_err(damaged)? {
                    Some(row) => search.awaited = Awaited::Postings(row),
                    None => search.next_segment = segment_id - 1,
                }
            }
            Awaited::Postings(row) => {
                let postings = sealed.summary.postings(bytes, &row).map_err(damaged)?;
                match sealed.layouts.clone() {
                    Some(layouts) => {
                        self.take(search, &postings, &layouts);
                        search.next_segment = row.previous_segment;
                    }
                    None => {
                        search.previous = row.previous_segment;
                        search.awaited = Awaited::Layouts(postings);
                    }
                }
            }
            Awaited::Layouts(postings) => {
                let layouts = sealed.summary.layouts(bytes).map_err(damaged)?;
                let layouts: Layouts = layouts.into_iter().map(Arc::new).collect();
                sealed.layouts = Some(Arc::clone(&layouts));
                self.take(search, &postings, &layouts);
                search.next_segment = search.previous;
            }
        }
        Ok(())
    }

    /// Keeps of a segment's records what the search may need.
    fn take(&self, search: &mut Search, postings: &[Posting], layouts: &Layouts) {
        let Some(file) = self.files.get(&search.next_segment) else { return };
        for posting in postings {
            let Posting { offset, bytes, kind, entity_sequence: sequence } = *posting;
            let is_wanted = match kind {
                RecordKind::State => sequence < search.below && sequence >= search.deleted_to,
                RecordKind::Event => sequence > search.deleted_to && search.events.insert(sequence),
                RecordKind::Command => sequence >= search.deleted_to,
                _ => false,
            };
            if !is_wanted {
                continue;
            }
            if kind == RecordKind::State {
                search.state = search.state.max(Some(sequence));
            }
            let (entity, place) = (search.entity, RecordPlace { offset, bytes });
            let (file, layouts) = (*file, Arc::clone(layouts));
            search.found.push(Wanted { entity, kind, sequence, file, place, layouts });
        }
    }

    /// The segment that takes records; it begins with its first one.
    fn growing(&mut self, segment_id: u64, file: SegmentFile) -> &mut InMemory {
        let is_known = self.in_memory.last().is_some_and(|last| last.segment_id == segment_id);
        if !is_known {
            let (log_id, segment_bytes) = (self.log_id, self.segment_bytes);
            let segment = IndexedSegment { log_id, segment_id, file, segment_bytes };
            self.files.insert(segment_id, file);
            self.in_memory.push(InMemory {
                segment_id,
                index: Arc::new(SegmentIndex::new(segment)),
                layouts: Arc::new([]),
                end: FrameEnd::default(),
                is_given_out: false,
            });
        }
        let last = self.in_memory.len() - 1;
        &mut self.in_memory[last]
    }
}

impl InMemory {
    fn add_layout(&mut self, layout: SchemaEntry) {
        if let Some(index) = Arc::get_mut(&mut self.index) {
            index.add_layout(layout);
            self.layouts = index.layouts().iter().cloned().map(Arc::new).collect();
        }
    }
}

impl Search {
    /// Whether nothing that could be found further back is needed.
    fn is_complete(&self) -> bool {
        let from = self.state.unwrap_or(0).max(self.deleted_to);
        let events = self.events.iter().filter(|sequence| **sequence > from).count() as u64;
        let has_state = self.state.is_some() || !self.expects_state;
        let is_covered = has_state && events >= self.last_sequence.saturating_sub(from);
        self.next_segment == 0 || is_covered
    }
}
