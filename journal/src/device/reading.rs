//! One reading: who waits for it, and what has come for it so far.
//!
//! Records come in the order of the log and are gathered until they are all there or fill a buffer; a history that
//! fills whole fetches stays where it was fetched. A copy that was carried forward stands behind records that were
//! written after it: then everything is gathered before any of it is given, and put in order at the end.

use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use super::found::{Expected, Found, GatheredBytes, RecordBytes};
use super::log_index::{Layouts, Search};
use super::pass::Fetch;
use super::reading_table::ReadingId;
use super::readings::{ReadFailed, ReadRedemption, ReadTicket};
use super::recent::InMemory;
use crate::format::RecordKind;
use crate::index::Posting;
use crate::log::BlockBuffer;

/// What is gathered of one reading before it is given out.
pub(super) const READING_BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Reading {
    pub id: ReadingId,
    pub entity: u64,
    /// Not before this frame is durable: it may hold records that are looked for.
    pub after_frame: u64,
    pub limit_ms: u64,
    /// Until it is looked for.
    pub search: Option<Search>,
    /// How many records it may have, as the table of entities says.
    pub places: usize,
    /// With whom it goes through the log.
    pub cohort: Option<u64>,
    pub ticket: Option<ReadTicket>,
    /// It stands in the list of those that may have something to give out.
    pub is_listed: bool,
    /// What is gathered is given out although more would fit.
    pub is_hurried: bool,
    /// Its records do not stand in their order: they are given out together.
    pub is_out_of_order: bool,
    /// It is under way, and counts.
    pub is_admitted: bool,
    /// Room that is kept for it.
    pub reserved_bytes: usize,
    pub failed: Option<ReadFailed>,
    /// Records that have not come; none before their places are known.
    left: Option<usize>,
    bytes_left: usize,
    gathered: GatheredBytes,
    records: Vec<Expected>,
    layouts: Vec<Layouts>,
    /// What comes before that which is gathered.
    batches: VecDeque<Found>,
}

impl Reading {
    pub fn new(
        id: ReadingId,
        after_frame: u64,
        limit_ms: u64,
        search: Search,
        ticket: ReadTicket,
    ) -> Self {
        Reading {
            id,
            entity: search.entity(),
            after_frame,
            limit_ms,
            places: search.places_estimate(),
            search: Some(search),
            cohort: None,
            ticket: Some(ticket),
            is_listed: false,
            is_hurried: false,
            is_out_of_order: false,
            is_admitted: false,
            reserved_bytes: 0,
            failed: None,
            left: None,
            bytes_left: 0,
            gathered: GatheredBytes::new(),
            records: Vec::new(),
            layouts: Vec::new(),
            batches: VecDeque::new(),
        }
    }

    /// So many records, of so many bytes, are to come.
    pub fn expects(&mut self, records: usize, bytes: usize) {
        (self.left, self.bytes_left) = (Some(records), bytes);
    }

    /// All its records, which were in memory.
    pub fn take_in(&mut self, found: Vec<InMemory<'_>>) {
        let bytes = found.iter().map(|one| one.record.len()).sum();
        self.search = None;
        self.expects(found.len(), bytes);
        for InMemory { posting, layouts, record } in found {
            self.gather(&posting, layouts, record);
        }
    }

    /// Whether something can be given out.
    pub fn has_batch(&self) -> bool {
        self.failed.is_some()
            || self.left == Some(0)
            || self.is_full()
            || (self.is_hurried && !self.records.is_empty() && !self.is_out_of_order)
    }

    /// Whether nothing more should come before something was given out.
    pub fn is_full(&self) -> bool {
        !self.batches.is_empty() || (self.gathered.len() >= READING_BYTES && !self.is_out_of_order)
    }

    /// What its own memory takes.
    pub fn held_bytes(&self) -> usize {
        self.gathered.capacity()
    }

    /// Whether something is gathered that could be given out.
    pub fn can_be_hurried(&self) -> bool {
        !self.is_hurried && !self.is_out_of_order && !self.records.is_empty()
    }

    /// Takes one record, of a segment with these layouts.
    pub fn gather(&mut self, posting: &Posting, layouts: &Layouts, record: &[u8]) {
        let Some(left) = &mut self.left else { return };
        if self.gathered.capacity() == 0 {
            let most = if self.is_out_of_order { usize::MAX } else { READING_BYTES };
            self.gathered.reserve(self.bytes_left.min(most));
            self.records.reserve_exact((*left).min(READING_BYTES / MOST_RECORDS_ROOM));
        }
        let start = self.gathered.len() as u32;
        self.gathered.extend_from_slice(record);
        if !self.layouts.last().is_some_and(|last| Arc::ptr_eq(last, layouts)) {
            self.layouts.push(Arc::clone(layouts));
        }
        let layouts = (self.layouts.len() - 1) as u16;
        let Posting { kind, entity_sequence: sequence, .. } = *posting;
        self.records.push(Expected { sequence, start, layouts, kind });
        *left = left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(posting.bytes as usize);
    }

    /// Takes all records of a fetch where they are.
    pub fn take_whole(&mut self, fetch: &Fetch, blocks: Rc<BlockBuffer>) {
        let Some(left) = self.left else { return };
        if let Some(gathered) = self.take_gathered() {
            self.batches.push_back(gathered);
        }
        let expected = |posting: &Posting| Expected {
            sequence: posting.entity_sequence,
            start: (posting.offset - fetch.offset) as u32,
            layouts: 0,
            kind: posting.kind,
        };
        let records: Vec<_> = fetch.places.iter().map(|place| expected(&place.posting)).collect();
        self.left = Some(left.saturating_sub(records.len()));
        self.bytes_left = self.bytes_left.saturating_sub(fetch.wanted_bytes);
        self.batches.push_back(Found {
            bytes: RecordBytes::Fetched(blocks),
            records,
            layouts: vec![Arc::clone(&fetch.layouts)],
            entity: self.entity,
            is_last: false,
        });
    }

    /// What can be given out, for who waits, and whether it was the last; nothing when nobody waits.
    pub fn take_batch(&mut self) -> Option<(ReadRedemption, bool)> {
        if !self.has_batch() {
            return None;
        }
        let ticket = self.ticket.take()?;
        if let Some(failed) = self.failed.take() {
            return Some(((ticket, Err(failed)), true));
        }
        let first = self.batches.pop_front();
        let mut found = match first.or_else(|| self.take_gathered()) {
            Some(found) => found,
            None => self.nothing(),
        };
        found.is_last = self.left == Some(0) && self.batches.is_empty() && self.records.is_empty();
        let is_last = found.is_last;
        Some(((ticket, Ok(found)), is_last))
    }

    fn take_gathered(&mut self) -> Option<Found> {
        self.is_hurried = false;
        if self.records.is_empty() {
            return None;
        }
        let mut records = mem::take(&mut self.records);
        if self.is_out_of_order {
            records.sort_by_key(|one| (one.sequence, one.kind != RecordKind::State));
        }
        let (entity, layouts) = (self.entity, mem::take(&mut self.layouts));
        let bytes = RecordBytes::Gathered(mem::take(&mut self.gathered));
        Some(Found { bytes, records, layouts, entity, is_last: false })
    }

    fn nothing(&self) -> Found {
        let bytes = RecordBytes::Gathered(GatheredBytes::new());
        let (records, layouts) = (Vec::new(), Vec::new());
        Found { bytes, records, layouts, entity: self.entity, is_last: false }
    }
}

/// The least that a record takes: more of them than this leaves room for make the list grow.
const MOST_RECORDS_ROOM: usize = crate::format::record::RECORD_HEADER_BYTES;
