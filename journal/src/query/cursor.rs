//! The place of a reader in a log that is being written: frame by frame, never beyond what is durable.
//!
//! A [`Cursor`] decides and a reader gives bytes: it finds the segment of its place, checks each frame and that it
//! follows the one before, goes over to the next segment when the log does, and stops where the log is durable. It
//! never waits; asked again later it goes on.
//!
//! Everything below the durable lsn was acknowledged, so a frame that is not there cannot be a torn tail: it is
//! damaged, or its segment was given back. Both are errors, told apart by whether the segment is still there.

use super::names::Names;
use super::segments::{Segments, header_of};
use super::selection::Selection;
use crate::format::BLOCK_BYTES;
use crate::format::commit_frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::Records;
use crate::log::recovery::{
    Expected, FrameReason, ReadError, RecoveryError, Segment, SegmentReader, next_frame,
};
use crate::log::window::Window;
use crate::log::{OpenSegment, SegmentFile, Tail};

/// Why a log cannot be read on. The cursor is where it was; where the cause can pass, it may be asked again.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The device did not give what it holds.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The segments are not what they should be.
    #[error(transparent)]
    Segments(#[from] RecoveryError),
    /// What stands at the place was given back.
    #[error(
        "the log of core {core} begins at lsn {oldest_lsn} by now, events from lsn {lsn} on are wanted: they were \
         given back; begin anew, from the beginning"
    )]
    Gone {
        /// The core.
        core: u32,
        /// The place.
        lsn: u64,
        /// Where the log begins; the place itself if it is not known.
        oldest_lsn: u64,
    },
    /// The place lies beyond the log.
    #[error(
        "lsn {lsn} lies beyond the log of core {core}, which is durable up to {durable_lsn}: the offset is of another \
         journal, or this one was replaced; begin anew, from the beginning"
    )]
    Ahead {
        /// The core.
        core: u32,
        /// The place.
        lsn: u64,
        /// Up to where the log is durable.
        durable_lsn: u64,
    },
    /// A frame that is durable is not there.
    #[error(
        "the frame at byte {offset} of segment file {} of core {core} is durable and cannot be read: {reason}; verify \
         the journal", file.0
    )]
    Damaged {
        /// The core.
        core: u32,
        /// The file.
        file: SegmentFile,
        /// Where in it.
        offset: u64,
        /// What is there instead.
        reason: FrameReason,
    },
    /// A record refers to a name that stands nowhere before it, or an entry of a dictionary is wrong.
    #[error("the record at lsn {lsn} of core {core} has no name or layout; verify the journal")]
    Name {
        /// The core.
        core: u32,
        /// Where.
        lsn: u64,
    },
}

/// A place in a log.
#[derive(Debug)]
pub struct Cursor {
    expected: Expected,
    selection: Selection,
    from_lsn: u64,
    segments: Segments,
    place: Option<Place>,
}

/// A frame that was read.
#[derive(Clone, Copy, Debug)]
pub struct CursorFrame<'a> {
    /// Its header.
    pub header: FrameHeader,
    /// Its records; each was checked.
    pub records: &'a [u8],
    /// What they refer to.
    pub names: &'a Names,
}

/// Where in a segment.
#[derive(Debug)]
struct Place {
    file_bytes: u64,
    open: OpenSegment,
    tail: Tail,
    window: Window,
    names: Names,
    /// The frame at the place, when it was read and checked.
    frame: Option<FrameHeader>,
}

impl Cursor {
    /// Before the frame in which a log sequence number lies; 0 is the beginning of the oldest segment that is there.
    pub fn new(expected: Expected, selection: Selection, from_lsn: u64) -> Self {
        let segments = Segments::default();
        Cursor { expected, selection, from_lsn, segments, place: None }
    }

    /// Reads the frame at the place, if there is a durable one. It stays until [`Cursor::pass`].
    ///
    /// # Errors
    /// [`CursorError`]; the cursor stays where it is.
    pub fn advance(
        &mut self,
        reader: &mut dyn SegmentReader,
        durable_lsn: u64,
    ) -> Result<bool, CursorError> {
        if self.place.is_none() && !self.begin(reader, durable_lsn)? {
            return Ok(false);
        }
        let core = self.expected.core;
        while let Some(place) = &mut self.place {
            if place.frame.is_some() {
                return Ok(true);
            }
            if place.open.next_lsn() >= durable_lsn {
                return Ok(false);
            }
            match place.read(reader, durable_lsn, &self.selection, core)? {
                None if place.end_lsn() <= self.from_lsn => self.pass(),
                None => return Ok(true),
                Some(reason) => self.roll(reader, reason)?,
            }
        }
        Ok(false)
    }

    /// The frame at the place, after [`Cursor::advance`] has found one.
    pub fn frame(
        &mut self,
        reader: &mut dyn SegmentReader,
    ) -> Result<CursorFrame<'_>, CursorError> {
        let core = self.expected.core;
        let gone = CursorError::Gone { core, lsn: self.from_lsn, oldest_lsn: self.from_lsn };
        let place = self.place.as_mut().ok_or(gone)?;
        let header = place.frame.ok_or(CursorError::Name { core, lsn: place.open.next_lsn() })?;
        let bytes = place.window.at(reader, place.open.next_offset)?;
        let end = FRAME_HEADER_BYTES + header.payload_bytes as usize;
        let records = bytes.get(FRAME_HEADER_BYTES..end).unwrap_or_default();
        Ok(CursorFrame { header, records, names: &place.names })
    }

    /// Goes behind the frame at the place.
    pub fn pass(&mut self) {
        let Some(place) = &mut self.place else { return };
        let Some(header) = place.frame.take() else { return };
        let (frame, chain) = (header.sequence, header.chain());
        place.tail = Tail { frame, chain, written_at_ms: header.written_at_ms };
        place.open.next_offset += header.frame_bytes() as u64;
        self.from_lsn = self.from_lsn.max(place.open.next_lsn());
    }

    /// The core whose log it is.
    pub fn core(&self) -> u32 {
        self.expected.core
    }

    /// Finds the segment of the place; none while nothing is durable.
    fn begin(
        &mut self,
        reader: &mut dyn SegmentReader,
        durable_lsn: u64,
    ) -> Result<bool, CursorError> {
        let (core, lsn) = (self.expected.core, self.from_lsn);
        if lsn > durable_lsn {
            return Err(CursorError::Ahead { core, lsn, durable_lsn });
        }
        if durable_lsn == 0 {
            return Ok(false);
        }
        let segments = self.segments.read(reader, &self.expected)?;
        let found = match lsn {
            0 => segments.first(),
            _ => segments.iter().rev().find(|segment| segment.header.base_lsn <= lsn),
        };
        let is_in = |segment: &Segment| lsn <= end_lsn(segment);
        let Some(segment) = found.filter(|segment| lsn == 0 || is_in(segment)) else {
            let oldest_lsn = segments.first().map_or(lsn, |segment| segment.header.base_lsn);
            return Err(CursorError::Gone { core, lsn, oldest_lsn });
        };
        self.place = Some(Place::at_start(reader, segment)?);
        Ok(true)
    }

    /// No frame follows although one is durable: the log has gone on in the next segment, or something is wrong.
    fn roll(
        &mut self,
        reader: &mut dyn SegmentReader,
        reason: FrameReason,
    ) -> Result<(), CursorError> {
        let core = self.expected.core;
        let Some(place) = &self.place else { return Ok(()) };
        let (id, file, offset) = (place.open.id, place.open.file, place.open.next_offset);
        if let Some(next) = self.segments.find(reader, &self.expected, id + 1)? {
            let last = (next.header.previous_frame, next.header.previous_chain);
            let follows = next.header.base_lsn == place.open.end_lsn()
                && last == (place.tail.frame, place.tail.chain);
            if follows {
                self.place = Some(Place::at_start(reader, &next)?);
                return Ok(());
            }
        }
        let is_there = match header_of(reader, file) {
            Ok(Some(Ok(header))) => header.segment_id == id,
            _ => false,
        };
        if is_there {
            return Err(CursorError::Damaged { core, file, offset, reason });
        }
        let lsn = place.open.next_lsn();
        let segments = self.segments.read(reader, &self.expected)?;
        let oldest_lsn = segments.first().map_or(lsn, |segment| segment.header.base_lsn);
        Err(CursorError::Gone { core, lsn, oldest_lsn })
    }
}

impl Place {
    fn at_start(reader: &mut dyn SegmentReader, segment: &Segment) -> Result<Self, ReadError> {
        let Segment { file, header } = segment;
        let file_bytes = reader.length_bytes(*file)?.min(header.segment_bytes);
        Ok(Place {
            file_bytes,
            open: OpenSegment::new(*file, header.segment_id, header.base_lsn, header.segment_bytes),
            tail: Tail {
                frame: header.previous_frame,
                chain: header.previous_chain,
                written_at_ms: 0,
            },
            window: Window::new(*file, 0),
            names: Names::default(),
            frame: None,
        })
    }

    /// Reads and checks the frame at the place, and enters its names. What is there instead, when it does not follow.
    fn read(
        &mut self,
        reader: &mut dyn SegmentReader,
        durable_lsn: u64,
        selection: &Selection,
        core: u32,
    ) -> Result<Option<FrameReason>, CursorError> {
        // What lies beyond may be half written: it is not even read.
        let durable_bytes = BLOCK_BYTES as u64 + (durable_lsn - self.open.base_lsn);
        self.window.grow(durable_bytes.min(self.file_bytes));
        let bytes = self.window.at(reader, self.open.next_offset)?;
        let (header, records) = match next_frame(bytes, &self.open, &self.tail) {
            Ok((header, records, _)) => (header, records),
            Err(reason) => return Ok(Some(reason)),
        };
        for record in Records::new(records, header.record_count).flatten() {
            let lsn = header.lsn + (FRAME_HEADER_BYTES + record.offset) as u64;
            let taken = self.names.take_in(&record, selection);
            taken.map_err(|_| CursorError::Name { core, lsn })?;
        }
        self.frame = Some(header);
        Ok(None)
    }

    /// Behind the frame at the place.
    fn end_lsn(&self) -> u64 {
        self.open.next_lsn() + self.frame.map_or(0, |frame| frame.frame_bytes() as u64)
    }
}

/// The log sequence number of the byte behind a segment's last block.
fn end_lsn(segment: &Segment) -> u64 {
    segment.header.base_lsn + (segment.header.segment_bytes - BLOCK_BYTES as u64)
}
