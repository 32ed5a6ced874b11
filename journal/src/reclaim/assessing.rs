//! How much of a segment is live, found by its footer piece by piece.

use std::collections::VecDeque;
use std::ops::Range;

use super::ReclaimSettings;
use crate::index::retention::{is_live, may_move};
use crate::index::{Entity, EntityRow, FooterError, FooterSummary, Posting};

/// Blocks of entities that are read at a time.
const ENTITY_BLOCKS: usize = 8;
/// Postings that are read at a time: 16 blocks of them.
const POSTINGS: u32 = 16 * 255;

/// How much of a segment is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Assessed {
    /// Bytes of its live records; at least so many when it has to stay.
    pub live_bytes: u64,
    /// A live event in it must not be moved.
    pub must_stay: bool,
}

/// An assessment under way.
#[derive(Debug)]
pub(super) struct Assessing {
    pub segment_id: u64,
    live_bytes: u64,
    moves_all_events: bool,
    must_stay: bool,
    next_block: usize,
    /// Entities whose postings are not all counted, and from which posting on.
    rows: VecDeque<EntityRow>,
    next_posting: u32,
}

impl Assessing {
    pub fn new(summary: &FooterSummary, settings: &ReclaimSettings) -> Self {
        Assessing {
            segment_id: summary.header().segment_id,
            live_bytes: 0,
            moves_all_events: settings.moves_all_events,
            must_stay: false,
            next_block: 0,
            rows: VecDeque::new(),
            next_posting: 0,
        }
    }

    /// What came of it, or which part of the footer is needed for it.
    pub fn step(&self, summary: &FooterSummary) -> Result<Assessed, Range<u64>> {
        let Assessing { live_bytes, must_stay, .. } = *self;
        if !must_stay && !self.rows.is_empty() {
            return Err(summary.postings_place(&self.wanted_postings()));
        }
        match self.wanted_blocks(summary) {
            blocks if !must_stay && !blocks.is_empty() => Err(summary.entities_place(blocks)),
            _ => Ok(Assessed { live_bytes, must_stay }),
        }
    }

    /// The part of the footer that the last step wanted.
    pub fn take<'e>(
        &mut self,
        summary: &FooterSummary,
        bytes: &[u8],
        entity_of: impl Fn(u64) -> Option<&'e Entity>,
    ) -> Result<(), FooterError> {
        if self.rows.is_empty() {
            let blocks = self.wanted_blocks(summary);
            self.next_block = blocks.end;
            self.rows = summary.entities(bytes, blocks)?.into();
            let mut expected = self.next_posting;
            for row in &self.rows {
                if row.first_posting != expected {
                    return Err(FooterError::Content("the postings of two entities overlap"));
                }
                expected = row.first_posting.saturating_add(row.postings);
            }
            return Ok(());
        }
        let mut postings = summary.postings(bytes, &self.wanted_postings())?.into_iter();
        while let Some(row) = self.rows.front().copied() {
            let fallback = || {
                let mut entity = Entity::default();
                entity.apply_row(&row, self.segment_id);
                entity
            };
            // An entity that nobody knows is taken as the footer has it: nothing of it is lost.
            let entity = entity_of(row.entity).copied().unwrap_or_else(fallback);
            let mut counted = 0;
            for posting in postings.by_ref().take(row.postings as usize) {
                self.count(&posting, &entity);
                counted += 1;
            }
            self.next_posting += counted;
            if counted < row.postings {
                if let Some(row) = self.rows.front_mut() {
                    row.first_posting += counted;
                    row.postings -= counted;
                }
                break;
            }
            self.rows.pop_front();
        }
        Ok(())
    }

    fn count(&mut self, posting: &Posting, entity: &Entity) {
        if is_live(posting, entity) {
            self.live_bytes += u64::from(posting.bytes);
            self.must_stay |= !self.moves_all_events && !may_move(posting, entity);
        }
    }

    fn wanted_blocks(&self, summary: &FooterSummary) -> Range<usize> {
        let end = (self.next_block + ENTITY_BLOCKS).min(summary.entity_blocks());
        self.next_block..end
    }

    /// The next postings, as if they were of one entity.
    fn wanted_postings(&self) -> EntityRow {
        let behind = self.rows.back().map_or(0, |row| row.first_posting + row.postings);
        let postings = behind.saturating_sub(self.next_posting).min(POSTINGS);
        let row = self.rows.front().copied().unwrap_or_else(|| EntityRow::of(0));
        EntityRow { first_posting: self.next_posting, postings, ..row }
    }
}
