//! The events of a selection out of all logs of a journal, in batches.

use super::batch::{Batch, NewEntry};
use super::cursor::{Cursor, CursorError, CursorFrame};
use super::{Log, Offset, Selection};
use crate::format::RecordKind;
use crate::format::commit_frame::FRAME_HEADER_BYTES;
use crate::format::record::{Record, read_at, record_bytes};
use crate::log::recovery::RecoveryError;

/// What one [`EventQuery::read`] takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLimits {
    /// Events.
    pub events: usize,
    /// Bytes of their payloads; one event may go beyond it.
    pub payload_bytes: usize,
    /// Bytes of each log that are read, whether their events are asked for or not; one frame may go beyond it.
    pub read_bytes: u64,
}

impl Default for ReadLimits {
    fn default() -> Self {
        ReadLimits { events: 1_000, payload_bytes: 1 << 20, read_bytes: 16 << 20 }
    }
}

/// How far a query is behind a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more to read at once.
    More,
    /// All that is durable was read. More may come.
    CaughtUp,
    /// Nothing more will come.
    Ended,
}

/// How far a query is behind its logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Bytes of the logs that are durable and not read.
    pub bytes: u64,
    /// Events of the selection in them, as many as they would be if they stood as close as in what this query has
    /// read so far; at least 1 if anything is not read, 0 otherwise.
    pub events: u64,
    /// How long ago the last event or marker that was read was written, in milliseconds; 0 when everything is read.
    pub time_ms: u64,
}

/// Why a query cannot go on. It is where it was; where the cause can pass, it may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// A log cannot be read on.
    #[error(transparent)]
    Log(#[from] CursorError),
    /// The offset names a log that the query does not read.
    #[error(
        "the offset `{offset}` is of core {core}, whose log is not among those that are read: read all logs of the \
         journal"
    )]
    NoLog {
        /// The offset.
        offset: Offset,
        /// The core.
        core: u32,
    },
    /// Two logs are of one core.
    #[error("two logs of core {core} are to be read: read each once")]
    SameLog {
        /// The core.
        core: u32,
    },
}

impl QueryError {
    /// Whether it may pass by itself: a device that did not answer.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            QueryError::Log(CursorError::Read(_) | CursorError::Segments(RecoveryError::Read(_)))
        )
    }
}

/// Events of a selection, from an offset on.
#[derive(Debug)]
pub struct EventQuery {
    selection: Selection,
    logs: Vec<Reading>,
    /// The log that is read first the next time, so that one that is far behind does not keep the others waiting.
    first: usize,
    limits: ReadLimits,
    read_bytes: u64,
    found_events: u64,
}

/// One log of a query.
#[derive(Debug)]
struct Reading {
    log: Log,
    cursor: Cursor,
    /// Up to here everything was given out that is asked for.
    position_lsn: u64,
    /// Where the query ends, if it ends.
    end_lsn: Option<u64>,
    /// Time of the last frame that was read.
    written_at_ms: u64,
    /// Where in the records of the cursor's frame it goes on.
    within_frame: usize,
}

impl EventQuery {
    /// The events that are durable now, and then no more.
    ///
    /// # Errors
    /// [`QueryError`] when the logs do not fit the offset.
    pub fn current(
        logs: Vec<Log>,
        selection: Selection,
        from: &Offset,
    ) -> Result<Self, QueryError> {
        let mut query = EventQuery::live(logs, selection, from)?;
        for reading in &mut query.logs {
            reading.end_lsn = Some(reading.log.durable.durable_lsn());
        }
        Ok(query)
    }

    /// The events that are durable and those that will be.
    ///
    /// # Errors
    /// [`QueryError`] when the logs do not fit the offset.
    pub fn live(logs: Vec<Log>, selection: Selection, from: &Offset) -> Result<Self, QueryError> {
        let mut readings: Vec<Reading> = Vec::with_capacity(logs.len());
        for log in logs {
            let core = log.expected.core;
            if readings.iter().any(|other| other.cursor.core() == core) {
                return Err(QueryError::SameLog { core });
            }
            let position_lsn = from.lsn(core);
            readings.push(Reading {
                cursor: Cursor::new(log.expected.clone(), selection.clone(), position_lsn),
                log,
                position_lsn,
                end_lsn: None,
                written_at_ms: 0,
                within_frame: 0,
            });
        }
        let is_read = |core: u32| readings.iter().any(|reading| reading.cursor.core() == core);
        if let Some(core) = from.cores().find(|core| !is_read(*core)) {
            return Err(QueryError::NoLog { offset: from.clone(), core });
        }
        let limits = ReadLimits::default();
        let (first, read_bytes, found_events) = (0, 0, 0);
        Ok(EventQuery { selection, logs: readings, first, limits, read_bytes, found_events })
    }

    /// Other limits than the default ones.
    pub fn with_limits(mut self, limits: ReadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// What it looks for.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Where it stands.
    pub fn offset(&self) -> Offset {
        let mut offset = Offset::beginning();
        for reading in &self.logs {
            offset.set(reading.cursor.core(), reading.position_lsn);
        }
        offset
    }

    /// Goes to another place, as if the query had been made with that offset.
    ///
    /// # Errors
    /// [`QueryError`] when the logs do not fit the offset; then it stays where it is.
    pub fn seek(&mut self, to: &Offset) -> Result<(), QueryError> {
        let is_read = |core: u32| self.logs.iter().any(|reading| reading.cursor.core() == core);
        if let Some(core) = to.cores().find(|core| !is_read(*core)) {
            return Err(QueryError::NoLog { offset: to.clone(), core });
        }
        for reading in &mut self.logs {
            let expected = reading.log.expected.clone();
            reading.position_lsn = to.lsn(expected.core);
            reading.cursor = Cursor::new(expected, self.selection.clone(), reading.position_lsn);
            (reading.written_at_ms, reading.within_frame) = (0, 0);
        }
        Ok(())
    }

    /// Fills a batch with the next events; what it held is gone. It may come back empty although there is more.
    ///
    /// # Errors
    /// [`QueryError`]; the batch is empty, and the query is where it was.
    pub fn read(&mut self, batch: &mut Batch) -> Result<Progress, QueryError> {
        batch.clear(self.offset());
        let count = self.logs.len();
        let mut is_caught_up = true;
        for turn in 0..count {
            let reading = &mut self.logs[(self.first + turn) % count];
            let before_lsn = reading.position_lsn;
            let read = reading.read(&self.selection, &self.limits, batch);
            self.read_bytes += reading.position_lsn.saturating_sub(before_lsn);
            batch.set_end(reading.cursor.core(), reading.position_lsn);
            match read {
                Ok(all) => is_caught_up &= all,
                // What was found before is given out first; the error comes again.
                Err(_) if batch.offset() != batch.start() => is_caught_up = false,
                Err(error) => return Err(error.into()),
            }
        }
        self.first = (self.first + 1) % count.max(1);
        self.found_events += batch.len() as u64;
        Ok(match is_caught_up {
            false => Progress::More,
            true if self.logs.iter().all(|reading| reading.end_lsn.is_some()) => Progress::Ended,
            true => Progress::CaughtUp,
        })
    }

    /// How far it is behind. `now_ms` is the wall clock, in milliseconds since 1970.
    pub fn lag(&self, now_ms: u64) -> Lag {
        let mut lag = Lag::default();
        for reading in &self.logs {
            let bytes = reading.durable_lsn().saturating_sub(reading.position_lsn);
            if bytes > 0 {
                lag.bytes += bytes;
                let time_ms = match reading.written_at_ms {
                    0 => 0,
                    written_at_ms => now_ms.saturating_sub(written_at_ms),
                };
                lag.time_ms = lag.time_ms.max(time_ms);
            }
        }
        if lag.bytes > 0 {
            let so_far = u128::from(lag.bytes) * u128::from(self.found_events);
            let events = so_far / u128::from(self.read_bytes.max(1));
            lag.events = u64::try_from(events).unwrap_or(u64::MAX).max(1);
        }
        lag
    }
}

impl Reading {
    fn durable_lsn(&self) -> u64 {
        self.end_lsn.unwrap_or_else(|| self.log.durable.durable_lsn())
    }

    /// Reads on until a limit is reached; whether everything durable was read.
    fn read(
        &mut self,
        selection: &Selection,
        limits: &ReadLimits,
        batch: &mut Batch,
    ) -> Result<bool, CursorError> {
        let durable_lsn = self.durable_lsn();
        let mut read_bytes = 0;
        while self.cursor.advance(&mut *self.log.reader, durable_lsn)? {
            if read_bytes >= limits.read_bytes {
                return Ok(false);
            }
            let core = self.cursor.core();
            let frame = self.cursor.frame(&mut *self.log.reader)?;
            let header = frame.header;
            let mut walk = Walk { core, frame, position_lsn: self.position_lsn };
            let found_before = batch.len();
            let taken = walk.take(self.within_frame, selection, limits, batch);
            let stopped = taken.inspect_err(|_| batch.truncate(found_before))?;
            if let Some(within_frame) = stopped {
                self.within_frame = within_frame;
                let from = header.lsn + (FRAME_HEADER_BYTES + within_frame) as u64;
                self.position_lsn = self.position_lsn.max(from);
                return Ok(false);
            }
            self.within_frame = 0;
            self.position_lsn = self.position_lsn.max(header.lsn + header.frame_bytes() as u64);
            self.written_at_ms = header.written_at_ms;
            read_bytes += header.frame_bytes() as u64;
            self.cursor.pass();
        }
        Ok(true)
    }
}

/// The records of one frame.
struct Walk<'a> {
    core: u32,
    frame: CursorFrame<'a>,
    /// What lies before was given out.
    position_lsn: u64,
}

impl Walk<'_> {
    /// Puts the events from a place on into the batch. Where it stopped, when the batch was full.
    fn take(
        &mut self,
        from: usize,
        selection: &Selection,
        limits: &ReadLimits,
        batch: &mut Batch,
    ) -> Result<Option<usize>, CursorError> {
        let mut at = from;
        while at < self.frame.records.len() {
            let event = self.record(at)?;
            let behind = at + record_bytes(event.payload.len());
            let is_new = self.lsn(at) >= self.position_lsn;
            // A copy was passed where the event itself stood, or was given up with the segment that it stood in.
            let is_event = event.header.kind == RecordKind::Event && !event.is_copy;
            if !is_event || !is_new || !selection.takes(&event.header) {
                at = behind;
                continue;
            }
            let (tags, behind) = self.tags_of(&event, behind)?;
            let name = CursorError::Name { core: self.core, lsn: self.lsn(at) };
            match self.frame.names.entity(event.header.entity) {
                None => return Err(name),
                Some(Some(entity)) if selection.takes_tags(tags.iter().copied()) => {
                    let is_full = batch.len() >= limits.events
                        || batch.payload_bytes() + event.payload.len() > limits.payload_bytes;
                    if is_full && !batch.is_empty() {
                        return Ok(Some(at));
                    }
                    let layout = self.frame.names.layout(event.header.schema).ok_or(name)?;
                    let new = NewEntry {
                        core: self.core,
                        behind_lsn: self.lsn(behind),
                        header: event.header,
                        written_at_ms: self.frame.header.written_at_ms,
                        entity,
                        layout,
                        payload: event.payload,
                    };
                    batch.push(new, tags.iter().copied());
                }
                Some(_) => {}
            }
            at = behind;
        }
        Ok(None)
    }

    /// The tags behind an event, and where they end.
    fn tags_of(&self, event: &Record<'_>, from: usize) -> Result<(Vec<&str>, usize), CursorError> {
        let (mut tags, mut at) = (Vec::new(), from);
        while at < self.frame.records.len() {
            let record = self.record(at)?;
            let is_of_event = (record.header.entity, record.header.entity_sequence)
                == (event.header.entity, event.header.entity_sequence);
            match record.header.kind {
                RecordKind::Tag if is_of_event => {
                    let tag = std::str::from_utf8(record.payload);
                    let lsn = self.lsn(at);
                    tags.push(tag.map_err(|_| CursorError::Name { core: self.core, lsn })?);
                }
                RecordKind::Schema | RecordKind::Entity => {}
                _ => break,
            }
            at += record_bytes(record.payload.len());
        }
        Ok((tags, at))
    }

    fn record(&self, at: usize) -> Result<Record<'_>, CursorError> {
        // Every record of the frame was checked when it was read.
        let name = CursorError::Name { core: self.core, lsn: self.lsn(at) };
        read_at(self.frame.records, at).map_err(|_| name)
    }

    fn lsn(&self, at: usize) -> u64 {
        self.frame.header.lsn + (FRAME_HEADER_BYTES + at) as u64
    }
}
