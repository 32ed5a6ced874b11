//! Where the records of each entity stand: in memory for segments that still grow or were just sealed, by their
//! footers for all others.
//!
//! An entity's records are looked for segment by segment from the last one back, and no further than its latest
//! state makes necessary. What has to be read of footers is asked for step by step, so that the core does not wait.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::readings::ReadFailed;
use crate::format::dictionary::SchemaEntry;
use crate::format::{FrameHeader, RecordHeader, RecordKind};
use crate::index::{
    self, DecodedBlocks, Entity, EntityTable, FooterError, FooterSummary, FrameEnd, IndexError,
    IndexedSegment, KnownSegment, Posting, RecordPlace, RowGuess, SearchStep, SegmentIndex,
};
use crate::log::recovery::FoundFrame;
use crate::log::{Placed, SegmentFile};
use crate::reclaim::Front;

/// The layouts of one segment, in the order of their numbers.
pub(super) type Layouts = Arc<[Arc<SchemaEntry>]>;

/// Records of one segment that are to be read, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub segment_id: u64,
    pub file: SegmentFile,
    /// The segment's.
    pub layouts: Layouts,
    pub postings: Vec<Posting>,
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
    Found(Vec<Run>),
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
    /// Rises with each footer that is written and each segment that is dropped.
    changes: u64,
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

/// A search for what an entity is made from.
#[derive(Clone, Debug)]
pub(super) struct Search {
    entity: u64,
    /// The state to start from has a lower number than this.
    below: u64,
    deleted_to: u64,
    /// How many records it may have to read.
    places_estimate: usize,
    /// Looks for the places; none when they are found.
    places: Option<index::Search>,
    /// By segment, in the order of the log.
    found: Vec<(u64, Vec<Posting>)>,
    /// Where its name stands, from the newest segment back.
    names: Vec<(u64, RecordPlace)>,
    awaited: Awaited,
}

/// Which part of a footer a search has asked for.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    Nothing,
    Places { segment_id: u64 },
    Layouts { segment_id: u64 },
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
        LogIndex {
            log_id,
            segment_bytes,
            entities,
            files,
            in_memory: Vec::new(),
            sealed,
            changes: 0,
        }
    }

    /// How many entities there are.
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is a record of an entity.
    pub fn has(&self, entity: u64) -> bool {
        self.entities.get(entity).is_some()
    }

    /// The last number in an entity's sequence, 0 when it has none.
    pub fn sequence_of(&self, entity: u64) -> u64 {
        self.sequence_near(RowGuess::default(), entity)
    }

    /// As [`LogIndex::sequence_of`]; the entity's row is looked for where it was last.
    pub fn sequence_near(&self, guess: RowGuess, entity: u64) -> u64 {
        self.entities.get_near(guess, entity).map_or(0, |entity| entity.last_sequence)
    }

    /// A record was appended; of a dictionary's layout `layout` is its entry. The rows of its entity are looked for
    /// where they were last, which `rows` then says.
    pub fn add(
        &mut self,
        rows: &mut RowGuess,
        placed: &Placed,
        layout: Option<SchemaEntry>,
    ) -> Result<(), IndexError> {
        let Placed { header, segment_id, file, offset, bytes } = *placed;
        let previous = match header.kind {
            RecordKind::Schema | RecordKind::Entity => 0,
            _ => self.entities.apply_near(rows, &header, segment_id)?,
        };
        let growing = self.growing(segment_id, file);
        match (header.kind, layout) {
            (RecordKind::Schema, Some(layout)) => growing.add_layout(layout),
            (RecordKind::Schema, None) => {}
            _ => {
                if let Some(index) = Arc::get_mut(&mut growing.index) {
                    index.add_near(rows, &header, offset, bytes, previous)?;
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
        self.changes += 1;
        self.sealed.insert(segment_id, Sealed { summary, layouts: Some(layouts) });
    }

    /// What is known of an entity.
    pub fn entity(&self, hash: u64) -> Option<&Entity> {
        self.entities.get(hash)
    }

    /// Where the last record of an entity ends that stands in a segment of which not everything may be durable: the
    /// segment, and the place in its file.
    pub fn end_in_memory(&self, entity: u64) -> Option<(u64, u64)> {
        let end_in = |one: &InMemory| Some((one.segment_id, one.index.end_of(entity)?));
        self.in_memory.iter().rev().find_map(end_in)
    }

    /// The segment that takes records, if its dictionary has the name of an entity.
    pub fn named_in(&self, entity: u64) -> Option<u64> {
        let last = self.in_memory.last()?;
        last.index.has_name(entity).then_some(last.segment_id)
    }

    /// The oldest segment of the log, when it has a footer.
    pub fn front(&self) -> Option<Front<'_>> {
        let (oldest, Sealed { summary, .. }) = self.sealed.first_key_value()?;
        let is_first = self.files.first_key_value().is_some_and(|(first, _)| first == oldest);
        is_first.then_some(Front { summary, changes: self.changes })
    }

    /// No later than then an entity's latest state was written, in milliseconds since 1970: the time of the last frame
    /// of its segment, or of the entity's last one where only a copy of the state is left.
    pub fn state_written_at_ms(&self, entity: u64) -> u64 {
        let Some(known) = self.entities.get(entity) else { return u64::MAX };
        let is_there = self.files.contains_key(&known.history_segment);
        let segment_id = if is_there { known.history_segment } else { known.last_segment };
        if let Some(Sealed { summary, .. }) = self.sealed.get(&segment_id) {
            return summary.header().end.written_at_ms;
        }
        let growing = self.in_memory.iter().find(|one| one.segment_id == segment_id);
        growing.map_or(u64::MAX, |one| one.end.written_at_ms)
    }

    /// What is known of a segment's footer, when it has one.
    pub fn footer(&self, segment_id: u64) -> Option<&FooterSummary> {
        self.sealed.get(&segment_id).map(|sealed| &sealed.summary)
    }

    /// Segments whose footers are known, the newest first.
    pub fn footers(&self) -> impl Iterator<Item = u64> + '_ {
        self.sealed.keys().rev().copied()
    }

    /// The file of the oldest segment.
    pub fn front_file(&self) -> Option<SegmentFile> {
        self.files.first_key_value().map(|(_, file)| *file)
    }

    /// The oldest segment is dropped.
    pub fn drop_front(&mut self, segment_id: u64) {
        if self.files.first_key_value().is_some_and(|(first, _)| *first == segment_id) {
            self.files.pop_first();
            self.sealed.remove(&segment_id);
            self.changes += 1;
        }
    }

    /// Begins to look for what an entity is made from: its latest state below a number, and what came behind it.
    pub fn search(&self, entity: u64, below: u64) -> Search {
        let known = self.entities.get(entity);
        let places = known.map(|known| match below {
            u64::MAX => index::Search::since_latest_state(known),
            _ => index::Search::for_everything(known),
        });
        Search {
            entity,
            below,
            deleted_to: known.map_or(0, |known| known.deleted_to),
            places_estimate: known.map_or(0, |known| {
                let state = if below == u64::MAX { known.state_sequence } else { 0 };
                (known.last_sequence.saturating_sub(state.max(known.deleted_to)) + 1) as usize
            }),
            places,
            found: Vec::new(),
            names: Vec::new(),
            awaited: Awaited::Nothing,
        }
    }

    /// Goes on with a search until something has to be read.
    pub fn step(&self, search: &mut Search) -> Result<Step, ReadFailed> {
        if let Some(places) = &mut search.places {
            match places.step(|segment_id| self.known(segment_id)) {
                SearchStep::Read { segment_id, place } => {
                    search.awaited = Awaited::Places { segment_id };
                    return Ok(Step::Read(FooterPart::new(segment_id, place)));
                }
                SearchStep::Rebuild { segment_id } => {
                    return Err(ReadFailed::Footer { segment_id, reason: "it is gone".into() });
                }
                SearchStep::Done => {
                    if let Some(found) = search.places.take() {
                        search.names = found.names().to_vec();
                        search.found = found.into_segments();
                    }
                }
            }
        }
        for (segment_id, _) in &search.found {
            if let Some(Sealed { summary, layouts: None }) = self.sealed.get(segment_id) {
                let segment_id = *segment_id;
                search.awaited = Awaited::Layouts { segment_id };
                return Ok(Step::Read(FooterPart::new(segment_id, summary.layouts_place())));
            }
        }
        Ok(Step::Found(self.runs(search)))
    }

    /// What a search has asked for.
    /// Neighbours in one read share what was `decoded` of it.
    pub fn take_part(
        &mut self,
        search: &mut Search,
        bytes: &[u8],
        decoded: &mut DecodedBlocks,
    ) -> Result<(), ReadFailed> {
        let (segment_id, is_places) = match std::mem::replace(&mut search.awaited, Awaited::Nothing)
        {
            Awaited::Nothing => return Ok(()),
            Awaited::Places { segment_id } => (segment_id, true),
            Awaited::Layouts { segment_id } => (segment_id, false),
        };
        let Some(sealed) = self.sealed.get_mut(&segment_id) else { return Ok(()) };
        let taken = match (&mut search.places, is_places) {
            (Some(places), true) => places.take_in(&sealed.summary, bytes, decoded),
            _ if sealed.layouts.is_some() => Ok(()),
            _ => sealed.summary.layouts(bytes).map(|layouts| {
                sealed.layouts = Some(layouts.into_iter().map(Arc::new).collect());
            }),
        };
        let damaged = |error: FooterError| error.to_string();
        taken.map_err(damaged).map_err(|reason| ReadFailed::Footer { segment_id, reason })
    }

    /// Of what was found, what is to be read: the entity's name, the state, and what came behind it, in order.
    fn runs(&self, search: &mut Search) -> Vec<Run> {
        let (below, deleted_to) = (search.below, search.deleted_to);
        let is_state = |posting: &&Posting| {
            let sequence = posting.entity_sequence;
            posting.kind == RecordKind::State && sequence < below && sequence >= deleted_to
        };
        let found = search.found.iter().flat_map(|(_, postings)| postings);
        let state = found.filter(is_state).map(|posting| posting.entity_sequence).max();
        let from = state.unwrap_or(0).max(deleted_to);
        let is_wanted = |posting: &Posting| match posting.kind {
            RecordKind::State => Some(posting.entity_sequence) == state,
            RecordKind::Event => posting.entity_sequence > from,
            RecordKind::Command => posting.entity_sequence >= from,
            _ => false,
        };
        let mut runs = Vec::with_capacity(search.found.len());
        for (segment_id, mut postings) in search.found.drain(..) {
            postings.retain(is_wanted);
            let known = self.files.get(&segment_id).zip(self.layouts_of(segment_id));
            if let Some((file, layouts)) = known.filter(|_| !postings.is_empty()) {
                runs.push(Run { segment_id, file: *file, layouts, postings });
            }
        }
        if !is_in_order(&runs) {
            runs = put_in_order(&runs);
        }
        if let Some(name) = self.name_of(search, runs.first()) {
            match runs.first_mut().filter(|first| first.segment_id == name.segment_id) {
                Some(first) => first.postings.splice(..0, name.postings).for_each(drop),
                None => runs.insert(0, name),
            }
        }
        runs
    }

    /// The record that names the entity: of the segment from which its first record is read anyway.
    fn name_of(&self, search: &Search, first: Option<&Run>) -> Option<Run> {
        let is_near = |(segment_id, _): &&(u64, RecordPlace)| {
            first.is_some_and(|first| first.segment_id == *segment_id)
        };
        let near = search.names.iter().find(is_near);
        let (segment_id, RecordPlace { offset, bytes }) = *near.or_else(|| search.names.first())?;
        let (file, layouts) = (*self.files.get(&segment_id)?, self.layouts_of(segment_id)?);
        let posting = Posting { offset, bytes, kind: RecordKind::Entity, entity_sequence: 0 };
        Some(Run { segment_id, file, layouts, postings: vec![posting] })
    }

    fn known(&self, segment_id: u64) -> KnownSegment<'_> {
        if let Some(one) = self.in_memory.iter().find(|one| one.segment_id == segment_id) {
            return KnownSegment::Open(&one.index);
        }
        match self.sealed.get(&segment_id) {
            Some(sealed) => KnownSegment::Sealed(&sealed.summary),
            None => KnownSegment::Absent,
        }
    }

    fn layouts_of(&self, segment_id: u64) -> Option<Layouts> {
        if let Some(one) = self.in_memory.iter().find(|one| one.segment_id == segment_id) {
            return Some(Arc::clone(&one.layouts));
        }
        self.sealed.get(&segment_id)?.layouts.clone()
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

impl Search {
    /// The entity's hash.
    pub fn entity(&self) -> u64 {
        self.entity
    }

    /// How many records it may have to read, as far as the table of entities tells.
    pub fn places_estimate(&self) -> usize {
        self.places_estimate
    }
}

/// By what the records of an entity are in order: its state before all others of the same number.
fn rank(posting: &Posting) -> (u64, bool) {
    (posting.entity_sequence, posting.kind != RecordKind::State)
}

/// Whether the records are in order, none of them twice.
fn is_in_order(runs: &[Run]) -> bool {
    let mut last: Option<&Posting> = None;
    runs.iter().flat_map(|run| &run.postings).all(|posting| {
        let is_next = last.is_none_or(|last| match posting.kind {
            // Several commands may have the same number, and the number of an event.
            RecordKind::Command => rank(last) <= rank(posting),
            kind => {
                rank(last) < rank(posting) || (last.kind != kind && rank(last) == rank(posting))
            }
        });
        last = Some(posting);
        is_next
    })
}

/// The same records in order. One that was carried forward stands twice; one of them will do.
fn put_in_order(runs: &[Run]) -> Vec<Run> {
    let mut all: Vec<(&Run, Posting)> = Vec::new();
    for run in runs {
        all.extend(run.postings.iter().map(|posting| (run, *posting)));
    }
    all.sort_by_key(|(_, posting)| rank(posting));
    all.dedup_by_key(|(run, posting)| match posting.kind {
        RecordKind::Command => (posting.entity_sequence, false, posting.offset, run.file),
        kind => (posting.entity_sequence, kind == RecordKind::State, 0, SegmentFile(0)),
    });
    let mut ordered: Vec<Run> = Vec::new();
    for (run, posting) in all {
        match ordered.last_mut() {
            Some(last) if last.segment_id == run.segment_id => last.postings.push(posting),
            _ => ordered.push(Run { postings: vec![posting], ..run.clone() }),
        }
    }
    ordered
}

impl InMemory {
    fn add_layout(&mut self, layout: SchemaEntry) {
        if let Some(index) = Arc::get_mut(&mut self.index) {
            index.add_layout(layout);
            self.layouts = index.layouts().iter().cloned().map(Arc::new).collect();
        }
    }
}

impl FooterPart {
    fn new(segment_id: u64, place: Range<u64>) -> Self {
        FooterPart { segment_id, offset: place.start, bytes: place.end - place.start }
    }
}
