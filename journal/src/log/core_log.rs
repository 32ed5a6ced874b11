//! The way in: records are gathered into frames, frames become writes, completed writes make records durable.

use std::cmp::Ordering;
use std::collections::VecDeque;

use super::declared::{DeclaredEntity, DeclaredSchema};
use super::frame_buffer::{BlockBuffer, FrameBuffer};
use super::log_settings::{LogIdentity, LogSettings};
use super::segment::{OpenSegment, SegmentFile};
use crate::format::commit_frame::{FRAME_HEADER_BYTES, FrameHeader, MOST_FRAME_BYTES};
use crate::format::record::record_bytes;
use crate::format::segment_header::SegmentHeader;
use crate::format::{BLOCK_BYTES, RecordHeader, RecordKind, whole_blocks};

/// A record that is to be written.
#[derive(Debug)]
pub struct NewRecord<'a> {
    /// What it is.
    pub kind: RecordKind,
    /// The layout of its payload; none for records whose payload has a fixed form.
    pub schema: Option<&'a DeclaredSchema>,
    /// The shard.
    pub shard: u32,
    /// The place in the entity's sequence.
    pub entity_sequence: u64,
    /// The place in the shard's sequence.
    pub shard_sequence: u64,
    /// The shard's epoch.
    pub epoch: u64,
    /// The content.
    pub payload: &'a [u8],
}

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The number of the frame: the record is durable when the log says so of this frame.
    pub frame: u64,
    /// The log sequence number of the record's first byte.
    pub lsn: u64,
}

/// Where something that was appended will stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its header; of a dictionary's layout with the number that it declares.
    pub header: RecordHeader,
    /// The segment's number.
    pub segment_id: u64,
    /// The segment's file.
    pub file: SegmentFile,
    /// Where the record begins in the file.
    pub offset: u64,
    /// Bytes of the whole record.
    pub bytes: u32,
}

/// A write that the driver has to make durable.
#[derive(Debug)]
pub struct Write {
    /// The number of the frame.
    pub frame: u64,
    /// The file.
    pub file: SegmentFile,
    /// Where in the file; a multiple of the block.
    pub offset: u64,
    /// What to write; whole blocks in block-aligned memory.
    pub bytes: BlockBuffer,
}

impl Write {
    /// The frame's header, and where in the file the frame begins: behind the segment's header, where that is written
    /// with it.
    pub fn header(&self) -> Option<(FrameHeader, u64)> {
        let lead = if self.offset == 0 { BLOCK_BYTES } else { 0 };
        let header = FrameHeader::decode_header(self.bytes.get(lead..)?).ok()?;
        Some((header, self.offset + lead as u64))
    }
}

/// How far the log is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// Every frame up to and with this one.
    pub frame: u64,
    /// Everything before this log sequence number.
    pub lsn: u64,
}

/// Why records were not taken. Nothing of them will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The segments that are ready have no room for them, and the device gives no more. Room may come back.
    #[error(
        "the journal is full: {needed_bytes} bytes are needed and no segment with room is ready; nothing was written"
    )]
    Full {
        /// What the records need.
        needed_bytes: u64,
    },
    /// Too much waits to be written already. It passes.
    #[error(
        "{pending_bytes} bytes wait to be written, the limit is {limit_bytes}; nothing was written, try again"
    )]
    Busy {
        /// What waits.
        pending_bytes: usize,
        /// How much may wait.
        limit_bytes: usize,
    },
    /// The records do not fit into one frame, ever.
    #[error(
        "the records need {needed_bytes} bytes, a frame takes {MOST_FRAME_BYTES}; nothing was written"
    )]
    TooLarge {
        /// What the records need.
        needed_bytes: usize,
    },
    /// The dictionary of the open segment cannot number more layouts.
    #[error(
        "a segment's dictionary numbers {MOST_LAYOUTS} layouts and has {declared}; nothing was written"
    )]
    TooManyLayouts {
        /// How many it has.
        declared: u16,
    },
    /// A write has failed before; the log takes nothing any more until it is opened again.
    #[error("a write of this log has failed before; nothing was written, open the log again")]
    Poisoned,
}

/// Memory that is kept for frames beside those in flight.
const SPARE_FRAMES: usize = 2;

/// The most layouts of payloads in one segment: what the number in a record's header can tell apart.
pub const MOST_LAYOUTS: u16 = u16::MAX;

/// A completion that does not fit what is in flight: a mistake of the driver. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no write of frame {frame} is in flight")]
pub struct CommitError {
    /// The frame that was named.
    pub frame: u64,
}

/// The log of one core.
#[derive(Debug)]
pub struct CoreLog {
    identity: LogIdentity,
    settings: LogSettings,
    /// None until the first record is taken.
    segment: Option<OpenSegment>,
    reserve: VecDeque<SegmentFile>,
    /// The frame that takes records; it belongs to the open segment.
    filling: Option<FrameBuffer>,
    /// Complete frames that wait for a place in flight.
    sealed: VecDeque<Sealed>,
    sealed_bytes: usize,
    in_flight: VecDeque<InFlight>,
    /// The last frame that was completed: what the next one is chained to.
    tail: Tail,
    /// The number of the last frame that was put in line.
    last_sealed: u64,
    durable: Durable,
    /// Whether a record was acknowledged that no written frame states to be durable.
    unstated: bool,
    last_activity_ns: u64,
    poisoned: bool,
    /// What the last group put into the log, dictionary entries included.
    placed: Vec<Placed>,
    /// Memory of frames that were written.
    spare: Vec<BlockBuffer>,
}

/// What the next frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last frame's number; 0 when there is none.
    pub frame: u64,
    /// Its chain value.
    pub chain: u32,
    /// Its time.
    pub written_at_ms: u64,
}

/// A frame without its header: that is made when it is written, so that it states what is durable by then.
#[derive(Debug)]
struct Sealed {
    frame: FrameBuffer,
    file: SegmentFile,
    segment_id: u64,
    offset: u64,
    lsn: u64,
}

#[derive(Debug)]
struct InFlight {
    frame: u64,
    end_lsn: u64,
    /// It holds no record: nobody needs a later frame to say that it was durable.
    is_marker: bool,
    /// It brought the header of a segment.
    begins_segment: bool,
    completed: bool,
}

impl CoreLog {
    /// A log that begins: nothing was ever written.
    pub fn new(identity: LogIdentity, settings: LogSettings) -> Self {
        let tail = Tail { frame: 0, chain: 0, written_at_ms: 0 };
        CoreLog::resumed(identity, settings, None, tail)
    }

    /// A log that goes on behind what recovery has found; everything found is durable.
    pub fn resumed(
        identity: LogIdentity,
        settings: LogSettings,
        segment: Option<OpenSegment>,
        tail: Tail,
    ) -> Self {
        let lsn = segment.as_ref().map_or(0, OpenSegment::next_lsn);
        CoreLog {
            identity,
            settings,
            segment,
            reserve: VecDeque::new(),
            filling: None,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            in_flight: VecDeque::new(),
            tail,
            last_sealed: tail.frame,
            durable: Durable { frame: tail.frame, lsn },
            unstated: lsn > 0,
            last_activity_ns: 0,
            poisoned: false,
            placed: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// How far the log is durable.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// Whether everything before a place of a segment's file is durable. Of a segment before the last one that is known
    /// only when the last one's beginning is durable too.
    pub fn is_durable(&self, segment_id: u64, end_offset: u64) -> bool {
        self.segment.as_ref().is_some_and(|segment| match segment_id.cmp(&segment.id) {
            Ordering::Less => self.durable.lsn >= segment.base_lsn,
            Ordering::Equal => segment.lsn_of(end_offset) <= self.durable.lsn,
            Ordering::Greater => false,
        })
    }

    /// Whether a write has failed: nothing is taken and nothing is written any more.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// The length of a segment's file.
    pub fn segment_bytes(&self) -> u64 {
        self.settings.segment_bytes
    }

    /// How many more segment files should be made ready: zero-filled, synced, of the settings' length.
    pub fn wanted_segments(&self) -> usize {
        self.settings.reserve_segments.saturating_sub(self.reserve.len())
    }

    /// Whether so many bytes of records leave a segment ready behind them.
    pub fn can_spare(&self, bytes: usize) -> bool {
        let filling = self.filling.as_ref().map_or(0, |frame| frame.frame_bytes_with(0));
        // With a frame of their own at worst, and the block that is kept for a marker.
        let needed = (filling + whole_blocks(FRAME_HEADER_BYTES + bytes) + BLOCK_BYTES) as u64;
        let fits = |segment: &OpenSegment| segment.room_bytes() >= needed;
        match self.reserve.len() {
            0 => false,
            1 => self.segment.as_ref().is_some_and(fits),
            _ => true,
        }
    }

    /// A file is ready to become a segment.
    pub fn add_segment(&mut self, file: SegmentFile) {
        self.reserve.push_back(file);
    }

    /// Takes a group of records of one entity, which will stand in one frame: all of them or none are there after a
    /// crash. Returns the position of the first.
    pub fn append(
        &mut self,
        now_ns: u64,
        entity: &mut DeclaredEntity,
        records: &[NewRecord<'_>],
    ) -> Result<Position, AppendError> {
        self.append_group(now_ns, entity, records, false)
    }

    /// Takes records of an older segment once more, with their places in the sequences and their epochs as they were.
    /// Otherwise as [`CoreLog::append`].
    pub fn append_copies(
        &mut self,
        now_ns: u64,
        entity: &mut DeclaredEntity,
        records: &[NewRecord<'_>],
    ) -> Result<Position, AppendError> {
        self.append_group(now_ns, entity, records, true)
    }

    fn append_group(
        &mut self,
        now_ns: u64,
        entity: &mut DeclaredEntity,
        records: &[NewRecord<'_>],
        are_copies: bool,
    ) -> Result<Position, AppendError> {
        if self.poisoned {
            return Err(AppendError::Poisoned);
        }
        let pending_bytes = self.pending_bytes();
        let limit_bytes = self.settings.pending_limit_bytes;
        if pending_bytes >= limit_bytes {
            return Err(AppendError::Busy { pending_bytes, limit_bytes });
        }
        let declared = self.segment.as_ref().map_or(0, |segment| segment.schemas);
        if records.len() > usize::from(MOST_LAYOUTS - declared) {
            return Err(AppendError::TooManyLayouts { declared });
        }
        // As if nothing were declared yet: what is promised must also hold in the next segment.
        let needed_bytes = most_bytes(entity, records);
        if needed_bytes > MOST_FRAME_BYTES - FRAME_HEADER_BYTES {
            return Err(AppendError::TooLarge { needed_bytes });
        }
        self.make_room(needed_bytes)?;
        self.last_activity_ns = now_ns;
        Ok(self.place(entity, records, are_copies))
    }

    /// The next write, when one may be in flight. `now_ms` is the wall clock; a clock that goes back is held still.
    pub fn next_write(&mut self, now_ns: u64, now_ms: u64) -> Option<Write> {
        if !self.may_write() {
            return None;
        }
        if self.sealed.is_empty() {
            self.seal();
        }
        let sealed = self.sealed.pop_front()?;
        self.sealed_bytes -= sealed.frame.frame_bytes_with(0);
        self.last_activity_ns = now_ns;
        Some(self.write_of(sealed, now_ms))
    }

    /// Whether [`CoreLog::next_write`] has something to hand out.
    pub fn can_write(&self) -> bool {
        let waits = self.filling.is_some() || !self.sealed.is_empty();
        waits && self.may_write()
    }

    /// When [`CoreLog::mark_idle`] will put a marker in line if nothing else happens, in nanoseconds of the core's
    /// clock.
    pub fn marker_due_ns(&self) -> Option<u64> {
        let has_block = self.segment.as_ref().is_some_and(|segment| segment.room_bytes() > 0);
        let has_room = has_block || !self.reserve.is_empty();
        let wanted = self.unstated && !self.poisoned && has_room && self.is_settled();
        wanted.then(|| self.last_activity_ns.saturating_add(self.settings.idle_marker_ns))
    }

    /// Whether an idle log should say that its last frame is durable, and puts the marker in line if so. Without
    /// it, a last frame that rots cannot be told from one that was never finished.
    pub fn mark_idle(&mut self, now_ns: u64) -> bool {
        let is_busy =
            self.filling.is_some() || !self.sealed.is_empty() || !self.in_flight.is_empty();
        let idle_ns = now_ns.saturating_sub(self.last_activity_ns);
        if self.poisoned || is_busy || !self.unstated || idle_ns < self.settings.idle_marker_ns {
            return false;
        }
        if self.make_room(0).is_err() {
            return false;
        }
        let spare = &mut self.spare;
        self.filling.get_or_insert_with(|| FrameBuffer::new(spare.pop().unwrap_or_default()));
        true
    }

    /// A write has been made durable. Returns how far the log is durable now.
    pub fn completed(&mut self, frame: u64) -> Result<Durable, CommitError> {
        let entry =
            self.in_flight.iter_mut().find(|entry| entry.frame == frame && !entry.completed);
        entry.ok_or(CommitError { frame })?.completed = true;
        while self.in_flight.front().is_some_and(|entry| entry.completed) {
            let Some(done) = self.in_flight.pop_front() else { break };
            if !self.poisoned {
                self.durable = Durable { frame: done.frame, lsn: done.end_lsn };
                self.unstated = !done.is_marker;
            }
        }
        Ok(self.durable)
    }

    /// A write has failed. What is not durable by now has an unknown outcome: it may be found when the log is opened
    /// again. Nothing is tried again: after a failed sync the kernel may have dropped what was to be written.
    pub fn failed(&mut self, frame: u64) -> Result<Durable, CommitError> {
        let is_known = self.in_flight.iter().any(|entry| entry.frame == frame);
        if !is_known {
            return Err(CommitError { frame });
        }
        self.poisoned = true;
        self.filling = None;
        self.sealed.clear();
        self.sealed_bytes = 0;
        Ok(self.durable)
    }

    /// Where the group that was appended last will stand, record by record, dictionary entries included.
    pub fn placed(&self) -> &[Placed] {
        &self.placed
    }

    /// Gives back the memory of a frame that was written, for a later one.
    pub fn recycle(&mut self, memory: BlockBuffer) {
        if self.spare.len() < self.settings.frames_in_flight_limit + SPARE_FRAMES {
            self.spare.push(memory);
        }
    }

    /// Bytes that wait to be written.
    pub fn pending_bytes(&self) -> usize {
        let filling = self.filling.as_ref().map_or(0, |frame| frame.frame_bytes_with(0));
        self.sealed_bytes + filling
    }

    /// Whether everything that was taken is durable.
    pub fn is_settled(&self) -> bool {
        self.filling.is_none() && self.sealed.is_empty() && self.in_flight.is_empty()
    }

    /// Whether one more frame may be in flight. A frame that begins a segment is alone: were it lost and a later one
    /// kept, a log whose first segments were removed could not be told from one whose beginning was never durable.
    fn may_write(&self) -> bool {
        let next = self.sealed.front().map(|sealed| &sealed.frame).or(self.filling.as_ref());
        let is_alone = next.is_some_and(FrameBuffer::is_behind_a_block)
            || self.in_flight.iter().any(|entry| entry.begins_segment);
        let limit = if is_alone { 1 } else { self.settings.frames_in_flight_limit };
        !self.poisoned && self.in_flight.len() < limit
    }

    /// Makes sure that a frame of the open segment takes so many bytes of records. When there is no room, nothing
    /// that was taken before is lost or moved.
    fn make_room(&mut self, bytes: usize) -> Result<(), AppendError> {
        let limit = self.settings.frame_limit_bytes.max(BLOCK_BYTES);
        let is_complete =
            |frame: &FrameBuffer| frame.records() > 0 && frame.frame_bytes_with(bytes) > limit;
        if self.filling.as_ref().is_some_and(is_complete) {
            self.seal();
        }
        let frame_bytes = match &self.filling {
            Some(frame) => frame.frame_bytes_with(bytes),
            None => whole_blocks(FRAME_HEADER_BYTES + bytes),
        } as u64;
        // While no other segment is ready, the last block is for the marker behind these records.
        let is_last = self.reserve.is_empty() && bytes > 0;
        let marker_bytes = if is_last { BLOCK_BYTES as u64 } else { 0 };
        let fits = |segment: &OpenSegment| segment.room_bytes() >= frame_bytes + marker_bytes;
        if self.segment.as_ref().is_some_and(fits) {
            return Ok(());
        }
        let alone_bytes = (BLOCK_BYTES + whole_blocks(FRAME_HEADER_BYTES + bytes)) as u64;
        if alone_bytes > self.settings.segment_bytes || self.reserve.is_empty() {
            return Err(AppendError::Full { needed_bytes: alone_bytes });
        }
        self.seal();
        self.open_next_segment();
        Ok(())
    }

    /// The next segment of the reserve becomes the open one; its header goes out with its first frame.
    fn open_next_segment(&mut self) {
        let Some(file) = self.reserve.pop_front() else { return };
        let (id, base_lsn) =
            self.segment.as_ref().map_or((1, 0), |segment| (segment.id + 1, segment.end_lsn()));
        let bytes = self.settings.segment_bytes;
        self.segment = Some(OpenSegment::new(file, id, base_lsn, bytes));
        self.filling = Some(FrameBuffer::behind_a_block(self.spare.pop().unwrap_or_default()));
    }

    /// Puts the records into the frame that is being filled; room was made for them.
    fn place(
        &mut self,
        entity: &mut DeclaredEntity,
        records: &[NewRecord<'_>],
        are_copies: bool,
    ) -> Position {
        let spare = &mut self.spare;
        let frame =
            self.filling.get_or_insert_with(|| FrameBuffer::new(spare.pop().unwrap_or_default()));
        // Room was made in this segment, so there is one.
        let Some(segment) = &mut self.segment else { return Position { frame: 0, lsn: 0 } };
        let (segment_id, file) = (segment.id, segment.file);
        let (frame_lsn, frame_offset) = (segment.next_lsn(), segment.next_offset);
        let schemas = &mut segment.schemas;
        self.placed.clear();
        let placed = &mut self.placed;
        let mut put = |frame: &mut FrameBuffer, header: RecordHeader, number, payload: &[u8]| {
            let is_name = matches!(header.kind, RecordKind::Schema | RecordKind::Entity);
            let start = frame.push(&header, payload, are_copies && !is_name);
            let (offset, bytes) = (frame_offset + start as u64, record_bytes(payload.len()) as u32);
            let header = RecordHeader { schema: number, ..header };
            placed.push(Placed { header, segment_id, file, offset, bytes });
            start
        };
        if !entity.is_in(segment_id) {
            entity.declare(segment_id);
            let header = dictionary_header(RecordKind::Entity, entity.hash());
            put(frame, header, 0, entity.payload());
        }
        let mut first = None;
        for record in records {
            let schema = match record.schema {
                None => 0,
                Some(schema) => schema.number_in(segment_id).unwrap_or_else(|| {
                    *schemas += 1;
                    let entry = schema.declare(segment_id, *schemas);
                    let header = dictionary_header(RecordKind::Schema, 0);
                    put(frame, header, *schemas, &entry.encode());
                    *schemas
                }),
            };
            let header = RecordHeader {
                kind: record.kind,
                schema,
                shard: record.shard,
                entity: entity.hash(),
                entity_sequence: record.entity_sequence,
                shard_sequence: record.shard_sequence,
                epoch: record.epoch,
            };
            let start = put(frame, header, schema, record.payload);
            first.get_or_insert(start);
        }
        let lsn = frame_lsn + first.unwrap_or(FRAME_HEADER_BYTES) as u64;
        Position { frame: self.last_sealed + 1, lsn }
    }

    /// Closes the frame that is being filled and puts it in line.
    fn seal(&mut self) {
        let (Some(frame), Some(segment)) = (self.filling.take(), &mut self.segment) else { return };
        let frame_bytes = frame.frame_bytes_with(0);
        let lsn = segment.next_lsn();
        let offset = segment.next_offset;
        segment.next_offset += frame_bytes as u64;
        self.last_sealed += 1;
        self.sealed_bytes += frame_bytes;
        let sealed = Sealed { frame, file: segment.file, segment_id: segment.id, offset, lsn };
        self.sealed.push_back(sealed);
    }

    /// Chains a frame to the one before and hands it out.
    fn write_of(&mut self, mut sealed: Sealed, now_ms: u64) -> Write {
        let mut offset = sealed.offset;
        let begins_segment = sealed.frame.is_behind_a_block();
        if begins_segment {
            sealed.frame.set_block(&self.segment_header(&sealed).encode());
            offset = 0;
        }
        let written_at_ms = now_ms.max(self.tail.written_at_ms);
        let (header, bytes) = sealed.frame.seal(FrameHeader {
            segment_id: sealed.segment_id,
            sequence: self.tail.frame + 1,
            lsn: sealed.lsn,
            durable_lsn: self.durable.lsn,
            payload_bytes: 0,
            record_count: 0,
            previous_chain: self.tail.chain,
            payload_checksum: 0,
            written_at_ms,
        });
        self.tail = Tail { frame: header.sequence, chain: header.chain(), written_at_ms };
        let end_lsn = sealed.lsn + header.frame_bytes() as u64;
        let is_marker = header.record_count == 0;
        self.in_flight.push_back(InFlight {
            frame: header.sequence,
            end_lsn,
            is_marker,
            begins_segment,
            completed: false,
        });
        Write { frame: header.sequence, file: sealed.file, offset, bytes }
    }

    fn segment_header(&self, first: &Sealed) -> SegmentHeader {
        SegmentHeader {
            system: self.identity.system.clone(),
            log_id: self.identity.log_id,
            core: self.identity.core,
            shard_count: self.identity.shard_count,
            segment_id: first.segment_id,
            base_lsn: first.lsn,
            previous_chain: self.tail.chain,
            previous_frame: self.tail.frame,
            segment_bytes: self.settings.segment_bytes,
            commit_method: self.settings.commit_method,
        }
    }
}

/// The most that a group of records takes: as if none of its names were declared yet.
fn most_bytes(entity: &DeclaredEntity, records: &[NewRecord<'_>]) -> usize {
    let of_record = |record: &NewRecord<'_>| {
        let schema = record.schema.as_ref().map_or(0, |schema| record_bytes(schema.entry_bytes()));
        record_bytes(record.payload.len()).saturating_add(schema)
    };
    let own: usize = records.iter().map(of_record).fold(0, usize::saturating_add);
    own.saturating_add(record_bytes(entity.payload().len()))
}

fn dictionary_header(kind: RecordKind, entity: u64) -> RecordHeader {
    let (schema, shard, entity_sequence, shard_sequence, epoch) = (0, 0, 0, 0, 0);
    RecordHeader { kind, schema, shard, entity, entity_sequence, shard_sequence, epoch }
}

#[cfg(test)]
#[path = "core_log_tests.rs"]
mod tests;
