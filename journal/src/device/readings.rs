//! Reading the records of single entities while the core goes on: which blocks are fetched when, and who gets them.
//!
//! A reading is begun with the places of the records; near ones are fetched together. Some blocks are fetched ahead,
//! and are given out in order, one batch at a time, each against a ticket: an actor with a long history does not hold
//! its core up, and what lies in memory for it is bounded. So is the number of readings; more wait their turn.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use mainspring::device::Ticket;

use super::log_index::{FooterPart, Layouts, LogIndex, Search, Step, Wanted};
use super::storage::{LogFile, ReadRequest, Storage};
use crate::format::dictionary::SchemaEntry;
use crate::format::record::{Record, RecordError, read_at};
use crate::format::{BLOCK_BYTES, RecordKind};
use crate::log::{BlockBuffer, SegmentFile};

/// The most bytes that one request fetches.
pub(super) const FETCH_LIMIT_BYTES: u64 = 256 << 10;
/// Requests under way for one reading.
const FETCHES_AHEAD: usize = 16;

/// A reading that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReadingId(u64);

/// Why an entity's records were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The device did not give what it holds.
    #[error("{file} cannot be read at byte {offset}: {reason}")]
    Device {
        /// The file.
        file: LogFile,
        /// From where.
        offset: u64,
        /// What the system said.
        reason: String,
    },
    /// The footer of a segment is damaged.
    #[error(
        "the footer of segment {segment_id} is damaged ({reason}): remove its file and open the journal again, \
         which makes it anew"
    )]
    Footer {
        /// The segment.
        segment_id: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A write of the log has failed before, so what it holds is not known.
    #[error("a write of the journal has failed; open it again")]
    Poisoned,
    /// It took too long.
    #[error("the records were not read within {limit_ms} ms")]
    Timeout {
        /// How long was waited.
        limit_ms: u64,
    },
}

/// Some records of an entity, in order.
#[derive(Clone, Debug)]
pub struct Found {
    bytes: Option<Rc<BlockBuffer>>,
    records: Vec<Expected>,
    /// Whether these were the last.
    pub is_last: bool,
}

/// One record that was read.
#[derive(Clone, Debug)]
pub struct FoundRecord<'a> {
    /// What it is, as the index says.
    pub kind: RecordKind,
    /// Its number, as the index says.
    pub sequence: u64,
    /// The record, if it is whole and the one that the index says.
    pub record: Result<Record<'a>, RecordError>,
    /// The layout of its payload, if it has one.
    pub layout: Option<&'a Arc<SchemaEntry>>,
}

impl Found {
    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = FoundRecord<'_>> {
        self.records.iter().map(|Expected { start, kind, sequence, entity, layouts }| {
            let bytes = self.bytes.as_ref().map_or(&[][..], |bytes| bytes.as_slice());
            let record = read_at(bytes, *start).and_then(|record| {
                let found =
                    (record.header.kind, record.header.entity_sequence, record.header.entity);
                let is_meant = found == (*kind, *sequence, *entity);
                is_meant.then_some(record).ok_or(RecordError::Other { offset: *start })
            });
            let number = record.as_ref().map_or(0, |record| record.header.schema);
            let place = layouts.binary_search_by_key(&number, |layout| layout.number);
            let layout = place.ok().and_then(|place| layouts.get(place));
            FoundRecord { kind: *kind, sequence: *sequence, record, layout }
        })
    }
}

/// A record that should be there.
#[derive(Clone, Debug)]
struct Expected {
    start: usize,
    kind: RecordKind,
    sequence: u64,
    entity: u64,
    layouts: Layouts,
}

/// What a reader waits with.
pub(super) type ReadTicket = Ticket<Result<Found, ReadFailed>>;

/// What becomes of a reader's ticket.
pub(super) type ReadRedemption = (ReadTicket, Result<Found, ReadFailed>);

#[derive(Debug)]
struct Fetch {
    file: SegmentFile,
    offset: u64,
    bytes: u64,
    records: Vec<Wanted>,
}

/// Part of a footer that is being read.
#[derive(Debug)]
struct Part {
    token: u64,
    place: FooterPart,
    result: Option<Result<BlockBuffer, ReadFailed>>,
}

#[derive(Debug)]
struct UnderWay {
    token: u64,
    fetch: Fetch,
    result: Option<Result<BlockBuffer, ReadFailed>>,
}

#[derive(Debug)]
struct Reading {
    id: ReadingId,
    /// Not before this frame is durable: it may hold records that are looked for.
    after_frame: u64,
    deadline_ns: u64,
    limit_ms: u64,
    /// Where the records stand is not known yet.
    search: Option<Search>,
    part: Option<Part>,
    failed: Option<ReadFailed>,
    fetches: VecDeque<Fetch>,
    under_way: VecDeque<UnderWay>,
    ticket: Option<ReadTicket>,
}

/// All readings of a core.
#[derive(Debug)]
pub(super) struct Readings {
    active: Vec<Reading>,
    queued: VecDeque<Reading>,
    permits: usize,
    last_id: u64,
    last_token: u64,
}

impl Readings {
    /// So many readings at the same time.
    pub fn new(permits: usize) -> Self {
        Readings {
            active: Vec::new(),
            queued: VecDeque::new(),
            permits: permits.max(1),
            last_id: 0,
            last_token: 0,
        }
    }

    /// Begins a reading; `ticket` gets the first batch.
    pub fn begin(
        &mut self,
        now_ns: u64,
        limit_ms: u64,
        after_frame: u64,
        search: Search,
        ticket: ReadTicket,
    ) -> ReadingId {
        self.last_id += 1;
        let id = ReadingId(self.last_id);
        let deadline_ns = now_ns.saturating_add(limit_ms.saturating_mul(1_000_000));
        let reading = Reading {
            id,
            after_frame,
            deadline_ns,
            limit_ms,
            search: Some(search),
            part: None,
            failed: None,
            fetches: VecDeque::new(),
            under_way: VecDeque::new(),
            ticket: Some(ticket),
        };
        self.queued.push_back(reading);
        id
    }

    /// The reader takes the next batch. When the reading is gone, the ticket comes back.
    pub fn go_on(&mut self, id: ReadingId, ticket: ReadTicket) -> Result<(), ReadTicket> {
        match self.active.iter_mut().find(|reading| reading.id == id) {
            Some(reading) => {
                reading.ticket = Some(ticket);
                Ok(())
            }
            None => Err(ticket),
        }
    }

    /// The reader is gone.
    pub fn cancel(&mut self, id: ReadingId) {
        if let Some(at) = self.active.iter().position(|reading| reading.id == id) {
            self.active.remove(at);
        } else if let Ok(at) = self.queued.binary_search_by_key(&id, |reading| reading.id) {
            // They wait in the order in which they were begun.
            self.queued.remove(at);
        }
    }

    /// The number of the last reading that was begun, 0 before the first.
    pub fn last_id(&self) -> u64 {
        self.last_id
    }

    /// The number of the oldest reading that is not over.
    pub fn oldest_id(&self) -> Option<u64> {
        self.active.iter().chain(self.queued.front()).map(|reading| reading.id.0).min()
    }

    /// Whether nobody reads.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.queued.is_empty()
    }

    /// Whether something can be given out.
    pub fn has_batch(&self) -> bool {
        self.active.iter().any(|reading| reading.ticket.is_some() && reading.has_batch())
    }

    /// When the first reading has taken too long.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        // All have the same limit, so of those that wait the first is the first to be late.
        let queued = self.queued.front();
        self.active.iter().chain(queued).map(|reading| reading.deadline_ns).min()
    }

    /// Blocks have come, or will not. Those of a reading that is gone are dropped.
    pub fn fetched(&mut self, token: u64, bytes: BlockBuffer, result: std::io::Result<()>) {
        for reading in &mut self.active {
            let failed = |file, offset, error: std::io::Error| {
                let reason = error.to_string();
                ReadFailed::Device { file, offset, reason }
            };
            if let Some(part) = reading.part.as_mut().filter(|part| part.token == token) {
                let (file, offset) = (LogFile::Footer(part.place.segment_id), part.place.offset);
                let result = result.map(|()| bytes);
                part.result = Some(result.map_err(|error| failed(file, offset, error)));
                return;
            }
            let mut under_way = reading.under_way.iter_mut();
            if let Some(fetched) = under_way.find(|under_way| under_way.token == token) {
                let Fetch { file, offset, .. } = fetched.fetch;
                let result = result.map(|()| bytes);
                let failed = |error| failed(LogFile::Segment(file), offset, error);
                fetched.result = Some(result.map_err(failed));
                return;
            }
        }
    }

    /// Begins what may begin and hands requests out; how many.
    pub fn drive(
        &mut self,
        durable_frame: u64,
        index: &mut LogIndex,
        storage: &mut dyn Storage,
    ) -> usize {
        while self.active.len() < self.permits
            && self.queued.front().is_some_and(|reading| reading.after_frame <= durable_frame)
        {
            self.active.extend(self.queued.pop_front());
        }
        let mut begun = 0;
        let last_token = &mut self.last_token;
        for reading in &mut self.active {
            begun += reading.search(index, last_token, storage);
            while reading.under_way.len() < FETCHES_AHEAD {
                let Some(fetch) = reading.fetches.front() else { break };
                *last_token += 1;
                let (token, file, offset) =
                    (*last_token, LogFile::Segment(fetch.file), fetch.offset);
                let request = ReadRequest { token, file, offset, bytes: fetch.bytes as usize };
                if storage.read(request).is_err() {
                    return begun;
                }
                let Some(fetch) = reading.fetches.pop_front() else { break };
                reading.under_way.push_back(UnderWay { token, fetch, result: None });
                begun += 1;
            }
        }
        begun
    }

    /// Everything that can be given out by now.
    pub fn give_out(&mut self, now_ns: u64, poisoned: bool, out: &mut Vec<ReadRedemption>) {
        if poisoned {
            let readings = self.active.drain(..).chain(self.queued.drain(..));
            out.extend(
                readings.filter_map(|reading| Some((reading.ticket?, Err(ReadFailed::Poisoned)))),
            );
            return;
        }
        self.end_late(now_ns, out);
        let mut over = Vec::new();
        for reading in &mut self.active {
            if !reading.has_batch() {
                continue;
            }
            let Some(ticket) = reading.ticket.take() else { continue };
            if let Some(failed) = reading.failed.take() {
                over.push(reading.id);
                out.push((ticket, Err(failed)));
                continue;
            }
            let batch = reading.under_way.pop_front();
            let is_last = reading.under_way.is_empty() && reading.fetches.is_empty();
            let found = found(batch, is_last);
            if is_last || found.is_err() {
                over.push(reading.id);
            }
            out.push((ticket, found));
        }
        self.active.retain(|reading| !over.contains(&reading.id));
    }

    fn end_late(&mut self, now_ns: u64, out: &mut Vec<ReadRedemption>) {
        if self.next_deadline_ns().is_none_or(|deadline_ns| now_ns < deadline_ns) {
            return;
        }
        let mut end = |reading: &mut Reading| {
            let late = reading.deadline_ns <= now_ns;
            if late && let Some(ticket) = reading.ticket.take() {
                out.push((ticket, Err(ReadFailed::Timeout { limit_ms: reading.limit_ms })));
            }
            !late
        };
        self.active.retain_mut(&mut end);
        self.queued.retain_mut(&mut end);
    }
}

impl Reading {
    /// Whether the next blocks have come, or there are none.
    fn has_batch(&self) -> bool {
        match self.under_way.front() {
            Some(under_way) => under_way.result.is_some(),
            None => self.failed.is_some() || (self.search.is_none() && self.fetches.is_empty()),
        }
    }

    /// Goes on looking for the places of the records; how many requests that took.
    fn search(
        &mut self,
        index: &mut LogIndex,
        last_token: &mut u64,
        storage: &mut dyn Storage,
    ) -> usize {
        let mut begun = 0;
        while let Some(search) = &mut self.search {
            match &mut self.part {
                Some(Part { result: None, .. }) => break,
                Some(Part { result, .. }) => {
                    let part = result.take().unwrap_or(Err(ReadFailed::Poisoned));
                    self.part = None;
                    if let Err(failed) = part.and_then(|bytes| index.take_part(search, &bytes)) {
                        self.failed = Some(failed);
                        self.search = None;
                        break;
                    }
                }
                None => match index.step(search) {
                    Err(failed) => {
                        self.failed = Some(failed);
                        self.search = None;
                    }
                    Ok(Step::Read(place)) => {
                        *last_token += 1;
                        let (token, offset) = (*last_token, place.offset);
                        let (file, bytes) =
                            (LogFile::Footer(place.segment_id), place.bytes as usize);
                        if storage.read(ReadRequest { token, file, offset, bytes }).is_err() {
                            break;
                        }
                        begun += 1;
                        self.part = Some(Part { token, place, result: None });
                    }
                    Ok(Step::Found(wanted)) => {
                        self.fetches = fetches_of(wanted);
                        self.search = None;
                    }
                },
            }
        }
        begun
    }
}

fn found(batch: Option<UnderWay>, is_last: bool) -> Result<Found, ReadFailed> {
    let Some(UnderWay { fetch, result, .. }) = batch else {
        return Ok(Found { bytes: None, records: Vec::new(), is_last });
    };
    let bytes = match result {
        Some(result) => result?,
        None => BlockBuffer::new(),
    };
    let expected = |wanted: Wanted| Expected {
        start: (wanted.place.offset - fetch.offset) as usize,
        kind: wanted.kind,
        sequence: wanted.sequence,
        entity: wanted.entity,
        layouts: wanted.layouts,
    };
    let records = fetch.records.into_iter().map(expected).collect();
    Ok(Found { bytes: Some(Rc::new(bytes)), records, is_last })
}

/// Records that stand near each other are fetched together.
fn fetches_of(wanted: Vec<Wanted>) -> VecDeque<Fetch> {
    let mut fetches: VecDeque<Fetch> = VecDeque::new();
    for record in wanted {
        let block = BLOCK_BYTES as u64;
        let start = record.place.offset / block * block;
        let end = (record.place.offset + u64::from(record.place.bytes)).next_multiple_of(block);
        match fetches.back_mut() {
            Some(last)
                if last.file == record.file
                    && start >= last.offset
                    && start <= last.offset + last.bytes
                    && end.max(last.offset + last.bytes) - last.offset <= FETCH_LIMIT_BYTES =>
            {
                last.bytes = last.bytes.max(end - last.offset);
                last.records.push(record);
            }
            _ => {
                let (file, bytes) = (record.file, end - start);
                fetches.push_back(Fetch { file, offset: start, bytes, records: vec![record] });
            }
        }
    }
    fetches
}
