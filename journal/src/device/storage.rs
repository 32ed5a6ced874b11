//! What a core's journal needs of a device: writes that become durable, reads, and segments made ahead.
//!
//! Nothing here waits: requests are taken or come back, and what became of them is an event.

use std::fmt;
use std::io;

use super::log_index::SealedSegment;
use crate::index::FooterSummary;
use crate::log::{BlockBuffer, SegmentFile, Write};

/// A file of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogFile {
    /// A segment.
    Segment(SegmentFile),
    /// The footer of a segment, by the segment's number in the log.
    Footer(u64),
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogFile::Segment(SegmentFile(number)) => write!(f, "segment file {number}"),
            LogFile::Footer(segment_id) => write!(f, "the footer of segment {segment_id}"),
        }
    }
}

/// Whole blocks that are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Comes back with the bytes.
    pub token: u64,
    /// The file.
    pub file: LogFile,
    /// From where; a multiple of the block.
    pub offset: u64,
    /// How much; whole blocks.
    pub bytes: usize,
}

/// Something that a storage has finished.
#[derive(Debug)]
pub enum StorageEvent {
    /// A frame is durable, or it is not known whether it is.
    Written {
        /// Its number.
        frame: u64,
        /// Where in the file it was written to.
        offset: u64,
        /// The memory that was written.
        bytes: BlockBuffer,
        /// Why it is not known to be durable.
        result: io::Result<()>,
    },
    /// Blocks were read, or cannot be.
    Read {
        /// The request's.
        token: u64,
        /// What was read.
        bytes: BlockBuffer,
        /// Why not.
        result: io::Result<()>,
    },
    /// A file of zeroes is ready to become a segment.
    SegmentReady(SegmentFile),
    /// No file can be made at present; it is tried again.
    NoSegment(io::Error),
    /// A segment's footer is durable.
    FooterWritten(FooterSummary),
    /// A segment is gone for ever, or it is not known whether it is.
    SegmentDropped {
        /// Its number in the log.
        segment_id: u64,
        /// Why it is not known.
        result: io::Result<()>,
    },
    /// A segment's footer was not written. Its index stays in memory, and the segment is scanned at the next opening.
    NoFooter(io::Error),
}

/// What carries a core's journal out.
pub trait Storage {
    /// Starts a write, or gives it back when too much is under way.
    ///
    /// # Errors
    /// The write; nothing was begun.
    fn write(&mut self, write: Write) -> Result<(), Write>;

    /// Starts a read, or gives it back when too much is under way.
    ///
    /// # Errors
    /// The request; nothing was begun.
    fn read(&mut self, read: ReadRequest) -> Result<(), ReadRequest>;

    /// Takes memory that was read into, to read into it again. It may let it drop.
    fn recycle(&mut self, _memory: BlockBuffer) {}

    /// So many files of zeroes are wanted beside those that were given already. Said again and again; what is
    /// under way counts.
    fn want_segments(&mut self, count: usize);

    /// Writes the footer of a segment, in the background.
    fn write_footer(&mut self, sealed: SealedSegment);

    /// Removes the oldest segment durably, then its footer, in the background. Its file may become another segment.
    fn drop_segment(&mut self, segment_id: u64, file: SegmentFile);

    /// The next thing that is finished by `now_ns`.
    fn next_event(&mut self, now_ns: u64) -> Option<StorageEvent>;

    /// Whether something is finished.
    fn has_events(&mut self) -> bool;

    /// When something will be finished, where that is known beforehand: in a simulation.
    fn next_deadline_ns(&self) -> Option<u64> {
        None
    }

    /// The wall clock in milliseconds since 1970.
    fn wall_clock_ms(&mut self) -> u64;
}
