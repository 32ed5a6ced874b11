//! The way back: which frames a log holds after a crash, and whether what is missing was ever promised.
//!
//! A frame that does not follow the one before ends the log. Whether it is a **torn tail** (the write of a commit
//! that nobody was told of) or **corruption** (a commit that was acknowledged and is gone) is decided by proof: a
//! later frame that states a durable prefix beyond the bad one. With proof the log is refused, and nothing is
//! changed; without, the log ends there, and the caller zeroes what [`Recovered::repair`] names before it writes.
//!
//! The very last frame of a log has no later one. Therefore an idle log writes a marker
//! ([`super::CoreLog::mark_idle`]); a record that was acknowledged within the last idle time before a crash and
//! whose block rots afterwards cannot be told from a torn one by a single copy.
//!
//! What is read is never trusted: a length, a checksum and the chain are checked before a byte is used.

use std::cell::Cell;
use std::io;

use super::catalogue::Catalogue;
pub use super::catalogue::{Segment, segments};
use super::core_log::Tail;
use super::segment::{OpenSegment, SegmentFile};
use super::window::Window;
use crate::format::commit_frame::{FrameError, FrameHeader, MOST_FRAME_BYTES};
use crate::format::dictionary::{EntityEntry, SchemaEntry};
use crate::format::record::{Record, Records};
use crate::format::segment_header::SegmentHeaderError;
use crate::format::{BLOCK_BYTES, RecordKind};

/// Where a log is read from: a directory, or a simulated disk. It may block; a log is opened before its core runs.
pub trait SegmentReader {
    /// The files of the log's directory, in any order.
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError>;

    /// The length of a file.
    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError>;

    /// Fills `bytes` from an offset; both are whole blocks and lie within the file.
    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError>;
}

/// The device did not give what it holds.
#[derive(Debug, thiserror::Error)]
#[error("segment file {} cannot be read at byte {offset}: {source}", file.0)]
pub struct ReadError {
    /// The file.
    pub file: SegmentFile,
    /// From where.
    pub offset: u64,
    /// What the system said.
    pub source: io::Error,
}

/// What the log that is opened must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The system's name.
    pub system: String,
    /// The core.
    pub core: u32,
    /// The number of shards.
    pub shard_count: u32,
}

/// Why a log is not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The device did not give what it holds.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The header of a segment cannot be used.
    #[error("segment file {}: {source}", file.0)]
    Header {
        /// The file.
        file: SegmentFile,
        /// What is wrong with it.
        source: SegmentHeaderError,
    },
    /// The log is somebody else's.
    #[error("segment file {}: the log belongs to {what} {found}, not to {expected}", file.0)]
    Foreign {
        /// The file.
        file: SegmentFile,
        /// What differs.
        what: &'static str,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A segment between two others is not there, or there twice.
    #[error(
        "segment {segment_id} of the log is {how}; restore it, or salvage what is left into a new directory"
    )]
    Segments {
        /// Its number.
        segment_id: u64,
        /// Missing or there twice.
        how: &'static str,
    },
    /// Reading cannot begin where it was to.
    #[error(
        "reading was to begin with segment {segment_id}, which {what}; open the log without its index"
    )]
    Start {
        /// The segment.
        segment_id: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something that was acknowledged cannot be read any more.
    #[error(transparent)]
    Corrupt(#[from] Box<Corruption>),
}

/// An acknowledged frame that is gone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "corruption: frame {frame} at byte {offset} of segment {segment_id} (file {}) was acknowledged, \
     as frame {proof} shows, and cannot be read: {reason}; restore a copy, or salvage what is left into \
     a new directory",
    file.0
)]
pub struct Corruption {
    /// The segment.
    pub segment_id: u64,
    /// Its file.
    pub file: SegmentFile,
    /// Where the frame should begin.
    pub offset: u64,
    /// Its number.
    pub frame: u64,
    /// The frame that states it to be durable, or that stands where it does not belong.
    pub proof: u64,
    /// What is there instead.
    pub reason: FrameReason,
    /// Entities whose records can still be made out in the damaged frame; at most [`MOST_ENTITIES_NAMED`].
    pub entities: Vec<u64>,
}

/// Why bytes are not the frame that should be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameReason {
    /// They are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// They are another frame than the next one.
    #[error("another frame stands there")]
    DoesNotFollow,
    /// Their records do not add up although the frame does.
    #[error("its records cannot be told apart")]
    Records,
}

/// Where reading begins, when what stands before is known otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The first segment whose frames are read.
    pub segment_id: u64,
    /// The number of the last frame before it.
    pub last_frame: u64,
    /// That frame's chain value.
    pub last_chain: u32,
    /// That frame's time, in milliseconds since 1970.
    pub written_at_ms: u64,
}

/// The most entities that a [`Corruption`] names.
pub const MOST_ENTITIES_NAMED: usize = 16;

/// A frame that recovery has found, given to the visitor.
#[derive(Clone, Copy, Debug)]
pub struct FoundFrame<'a> {
    /// The segment's file.
    pub file: SegmentFile,
    /// Where the frame begins in it.
    pub offset: u64,
    /// Its header.
    pub header: FrameHeader,
    /// Its records; each was checked.
    pub records: &'a [u8],
}

/// A log that can be written on.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// Which log it is; none when the directory holds none yet.
    pub log_id: Option<u128>,
    /// The segment in which the log ends.
    pub segment: Option<OpenSegment>,
    /// The last frame.
    pub tail: Tail,
    /// Files that hold nothing that is needed.
    pub spare_files: Vec<SegmentFile>,
    /// Those of them that hold frames of a segment that was begun and never acknowledged. They have to be zeroed or
    /// removed before the log is written on: it will begin that segment again, in another file.
    pub stale_files: Vec<SegmentFile>,
    /// What has to be zeroed and synced before the log is written on.
    pub repair: Option<Repair>,
    /// Frames that were found.
    pub frames: u64,
    /// Records that were found, without those of the dictionaries.
    pub records: u64,
}

/// A torn tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// The file.
    pub file: SegmentFile,
    /// From where.
    pub offset: u64,
    /// How many bytes are to be zeroed.
    pub zero_bytes: u64,
    /// How many bytes of them held something: what is lost, none of which was ever acknowledged.
    pub torn_bytes: u64,
}

/// Reads a whole log. `visit` gets every frame in order; what it got is void when an error is returned.
pub fn recover(
    reader: &mut dyn SegmentReader,
    expected: &Expected,
    visit: &mut dyn FnMut(&FoundFrame<'_>),
) -> Result<Recovered, RecoveryError> {
    recover_from(reader, expected, None, visit)
}

/// Reads a log from a segment on, or all of it. Of the segments before the start only the headers are read: a footer
/// or a checkpoint vouches for what they hold. What was damaged in them is found when it is read.
pub fn recover_from(
    reader: &mut dyn SegmentReader,
    expected: &Expected,
    start: Option<Start>,
    visit: &mut dyn FnMut(&FoundFrame<'_>),
) -> Result<Recovered, RecoveryError> {
    let mut catalogue = Catalogue::read(reader, expected)?;
    let first = start.map_or(Ok(0), |start| catalogue.place_of(&start))?;
    let recovered = Recovered::before(&catalogue.segments, start);
    let mut scan = Scan { reader, visit, recovered, ended: None };
    for place in first..catalogue.segments.len() {
        if let Some(end) = scan.segment(&catalogue.segments, place)? {
            scan.ended = Some(end);
            break;
        }
    }
    scan.finish(&mut catalogue)
}

/// Reads the frames of one segment by itself, up to the place where none follows. Whether that is where the segment
/// ends is for the caller to say: the next segment's header names the last frame.
pub fn read_segment(
    reader: &mut dyn SegmentReader,
    segment: &Segment,
    visit: &mut dyn FnMut(&FoundFrame<'_>),
) -> Result<(), ReadError> {
    let Segment { file, header } = segment;
    let file_bytes = reader.length_bytes(*file)?.min(header.segment_bytes);
    let mut open =
        OpenSegment::new(*file, header.segment_id, header.base_lsn, header.segment_bytes);
    let recovered = Recovered::before(std::slice::from_ref(segment), None);
    let mut scan = Scan { reader, visit, recovered, ended: None };
    scan.frames(&mut Window::new(*file, file_bytes), file_bytes, &mut open).map(|_| ())
}

/// Where a log ends although something stands behind.
#[derive(Clone, Copy, Debug)]
struct End {
    place: usize,
    offset: u64,
}

struct Scan<'a> {
    reader: &'a mut dyn SegmentReader,
    visit: &'a mut dyn FnMut(&FoundFrame<'_>),
    recovered: Recovered,
    ended: Option<End>,
}

impl Scan<'_> {
    /// Reads the frames of one segment. Where the log ends in it, if it does not go on in the next one.
    fn segment(
        &mut self,
        segments: &[Segment],
        place: usize,
    ) -> Result<Option<End>, RecoveryError> {
        let Segment { file, header } = &segments[place];
        let file_bytes = self.reader.length_bytes(*file)?.min(header.segment_bytes);
        let mut open =
            OpenSegment::new(*file, header.segment_id, header.base_lsn, header.segment_bytes);
        let mut window = Window::new(*file, file_bytes);
        let reason = self.frames(&mut window, file_bytes, &mut open)?;
        let end = End { place, offset: open.next_offset };
        let next = segments.get(place + 1).map(|next| &next.header);
        let tail = self.recovered.tail;
        let goes_on = next.is_some_and(|next| {
            next.segment_id == open.id + 1
                && next.base_lsn == open.end_lsn()
                && (next.previous_frame, next.previous_chain) == (tail.frame, tail.chain)
        });
        let (lsn, segment_id) = (open.next_lsn(), open.id);
        self.recovered.segment = Some(open);
        if goes_on {
            return Ok(None);
        }
        let Some(proof) = self.proof_beyond(segments, end, lsn)? else { return Ok(Some(end)) };
        if next.is_some_and(|next| next.segment_id != segment_id + 1) {
            return Err(RecoveryError::Segments { segment_id: segment_id + 1, how: "missing" });
        }
        let frame = self.recovered.tail.frame + 1;
        let entities = match window.at(self.reader, end.offset) {
            Ok(bytes) => entities_in(bytes),
            Err(_) => Vec::new(),
        };
        let (file, offset) = (*file, end.offset);
        let corruption = Corruption { segment_id, file, offset, frame, proof, reason, entities };
        Err(RecoveryError::Corrupt(Box::new(corruption)))
    }

    /// Reads the frames of one segment up to the place where none follows. Returns what is there instead.
    fn frames(
        &mut self,
        window: &mut Window,
        file_bytes: u64,
        open: &mut OpenSegment,
    ) -> Result<FrameReason, ReadError> {
        loop {
            if open.next_offset >= file_bytes {
                return Ok(FrameReason::Frame(FrameError::Empty));
            }
            let bytes = window.at(self.reader, open.next_offset)?;
            match next_frame(bytes, open, &self.recovered.tail) {
                Ok((header, records, tally)) => {
                    let (file, offset) = (open.file, open.next_offset);
                    (self.visit)(&FoundFrame { file, offset, header, records });
                    self.recovered.take_in(&header, &tally, open);
                }
                Err(reason) => return Ok(reason),
            }
        }
    }

    /// The first frame from `end` on which states that the log was durable beyond `lsn`, or which belongs to another
    /// segment: a write that landed there has overwritten what was durable.
    fn proof_beyond(
        &mut self,
        segments: &[Segment],
        end: End,
        lsn: u64,
    ) -> Result<Option<u64>, RecoveryError> {
        for (place, Segment { file, header }) in segments.iter().enumerate().skip(end.place) {
            let bytes = self.reader.length_bytes(*file)?.min(header.segment_bytes);
            // The block of the end itself counts: a marker that landed there proves what it has overwritten.
            let from = if place == end.place { end.offset } else { BLOCK_BYTES as u64 };
            let id = header.segment_id;
            let proof = self.frame_in(*file, bytes, from, &|frame| {
                frame.durable_lsn > lsn || frame.segment_id != id
            })?;
            if proof.is_some() {
                return Ok(proof);
            }
        }
        Ok(None)
    }

    /// The number of the first frame from a block on that is what is looked for.
    fn frame_in(
        &mut self,
        file: SegmentFile,
        file_bytes: u64,
        from: u64,
        is_sought: &dyn Fn(&FrameHeader) -> bool,
    ) -> Result<Option<u64>, RecoveryError> {
        let mut window = Window::new(file, file_bytes);
        for offset in (from..file_bytes).step_by(BLOCK_BYTES) {
            match FrameHeader::decode_header(window.at(self.reader, offset)?) {
                Ok(frame) if is_sought(&frame) => return Ok(Some(frame.sequence)),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Sorts out what stands behind the end.
    fn finish(mut self, catalogue: &mut Catalogue) -> Result<Recovered, RecoveryError> {
        let last = self.ended.map_or(catalogue.segments.len(), |end| end.place + 1);
        let behind = catalogue.segments.split_off(last);
        for Segment { file, .. } in behind {
            self.recovered.spare_files.push(file);
            self.recovered.stale_files.push(file);
        }
        for (file, error) in std::mem::take(&mut catalogue.headless) {
            if self.check_headless(file, error)? {
                self.recovered.stale_files.push(file);
            }
            self.recovered.spare_files.push(file);
        }
        if let (Some(end), Some(open)) = (self.ended, &self.recovered.segment) {
            let (file, file_bytes) = (open.file, open.bytes);
            self.recovered.repair = self.repair(file, end.offset, file_bytes)?;
        }
        Ok(self.recovered)
    }

    /// A file whose header cannot be used is a spare one: never used, zeroed when it was recycled, or torn when it
    /// was about to become the next segment. Any other frame in it shows that its header was whole once. Whether it
    /// holds frames at all.
    fn check_headless(
        &mut self,
        file: SegmentFile,
        source: SegmentHeaderError,
    ) -> Result<bool, RecoveryError> {
        let bytes = self.reader.length_bytes(file)?;
        let (last_id, lsn) =
            self.recovered.segment.as_ref().map_or((0, 0), |open| (open.id, open.next_lsn()));
        let has_frames = Cell::new(false);
        let was_whole = |frame: &FrameHeader| {
            has_frames.set(true);
            frame.segment_id <= last_id || frame.durable_lsn > lsn
        };
        match self.frame_in(file, bytes, 0, &was_whole)? {
            None => Ok(has_frames.get()),
            Some(_) => Err(RecoveryError::Header { file, source }),
        }
    }

    fn repair(
        &mut self,
        file: SegmentFile,
        offset: u64,
        segment_bytes: u64,
    ) -> Result<Option<Repair>, RecoveryError> {
        let file_bytes = self.reader.length_bytes(file)?.min(segment_bytes);
        let zero_bytes = file_bytes.saturating_sub(offset);
        let mut window = Window::new(file, file_bytes);
        let mut torn_end = offset;
        for block in (offset..file_bytes).step_by(BLOCK_BYTES) {
            let bytes = window.at(self.reader, block)?;
            if bytes.iter().take(BLOCK_BYTES).any(|byte| *byte != 0) {
                torn_end = block + BLOCK_BYTES as u64;
            }
        }
        let torn_bytes = torn_end - offset;
        Ok((torn_bytes > 0).then_some(Repair { file, offset, zero_bytes, torn_bytes }))
    }
}

impl Recovered {
    /// Nothing was read yet.
    fn before(segments: &[Segment], start: Option<Start>) -> Self {
        let first = segments.first().map(|segment| &segment.header);
        let (frame, chain) =
            first.map_or((0, 0), |first| (first.previous_frame, first.previous_chain));
        let tail = match start {
            None => Tail { frame, chain, written_at_ms: 0 },
            Some(start) => Tail {
                frame: start.last_frame,
                chain: start.last_chain,
                written_at_ms: start.written_at_ms,
            },
        };
        Recovered {
            log_id: first.map(|first| first.log_id),
            segment: None,
            tail,
            spare_files: Vec::new(),
            stale_files: Vec::new(),
            repair: None,
            frames: 0,
            records: 0,
        }
    }

    fn take_in(&mut self, header: &FrameHeader, tally: &Tally, open: &mut OpenSegment) {
        self.frames += 1;
        self.records += tally.records;
        open.schemas = open.schemas.max(tally.highest_schema);
        let (frame, chain, written_at_ms) = (header.sequence, header.chain(), header.written_at_ms);
        self.tail = Tail { frame, chain, written_at_ms };
        open.next_offset += header.frame_bytes() as u64;
    }
}

/// The frame at the start of `bytes`, when it is the one that follows.
pub(crate) fn next_frame<'b>(
    bytes: &'b [u8],
    open: &OpenSegment,
    tail: &Tail,
) -> Result<(FrameHeader, &'b [u8], Tally), FrameReason> {
    let (header, records) = FrameHeader::decode(bytes)?;
    let follows = header.segment_id == open.id
        && header.sequence == tail.frame + 1
        && header.lsn == open.next_lsn()
        && header.previous_chain == tail.chain
        && header.frame_bytes() as u64 <= open.room_bytes();
    if !follows {
        return Err(FrameReason::DoesNotFollow);
    }
    let mut tally = Tally::default();
    for record in Records::new(records, header.record_count) {
        tally.add(&record.map_err(|_| FrameReason::Records)?);
    }
    Ok((header, records, tally))
}

/// What the records of a frame come to, found while they are checked.
#[derive(Default)]
pub(crate) struct Tally {
    /// Records, without those of the dictionaries.
    records: u64,
    /// The highest number that a layout was given.
    highest_schema: u16,
}

impl Tally {
    fn add(&mut self, record: &Record<'_>) {
        match record.header.kind {
            RecordKind::Entity => {}
            RecordKind::Schema => {
                let number = SchemaEntry::decode(record.payload).map_or(0, |entry| entry.number);
                self.highest_schema = self.highest_schema.max(number);
            }
            _ => self.records += 1,
        }
    }
}

/// Entities of the records that can still be read behind a frame header, whatever the header says.
fn entities_in(bytes: &[u8]) -> Vec<u64> {
    let frame = bytes.get(..MOST_FRAME_BYTES.min(bytes.len())).unwrap_or_default();
    let records = frame.get(crate::format::commit_frame::FRAME_HEADER_BYTES..).unwrap_or_default();
    let mut found = Vec::new();
    for record in Records::new(records, u32::MAX).map_while(Result::ok) {
        let entity = match record.header.kind {
            RecordKind::Entity => {
                EntityEntry::decode(record.payload).map_or(0, |entry| entry.hash())
            }
            _ => record.header.entity,
        };
        if entity != 0 && !found.contains(&entity) && found.len() < MOST_ENTITIES_NAMED {
            found.push(entity);
        }
    }
    found
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
