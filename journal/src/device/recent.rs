//! What a log has written last, once it is durable, kept in memory: an entity that comes back soon, on this core or on
//! another one, is made from it without a look at the device.
//!
//! Promises: what is found here is what stands in the log at that place, and durable. Records that are not here are on
//! the device; nothing else follows from it.
//!
//! Bounds: the bytes of the frames, oldest first out, and those of the names, which are kept beside them because an
//! entity is named once a segment, and that may have been long ago.

use std::collections::{BTreeMap, VecDeque};

use super::commits::Written;
use super::log_index::{Layouts, Run};
use crate::format::commit_frame::FRAME_HEADER_BYTES;
use crate::format::record::record_bytes;
use crate::format::{FrameHeader, RecordHeader, RecordKind};
use crate::index::Posting;

/// The most bytes of frames: a higher limit means this one.
const MOST_FRAME_BYTES: usize = 1 << 30;
/// Bytes of names that are kept, each with what the tables take for it.
const NAMES_LIMIT_BYTES: usize = 4 << 20;
/// What the tables take for one name.
const NAME_OVERHEAD_BYTES: usize = 64;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Recent {
    /// A ring of bytes, in which each frame stands in one piece.
    ring: Vec<u8>,
    /// In the order of the log.
    frames: VecDeque<Kept>,
    /// Frames that were handed out and are not durable, in the order of their numbers.
    begun: VecDeque<Begun>,
    names: Names,
}

/// A record that is in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct InMemory<'a> {
    pub posting: Posting,
    /// Its segment's.
    pub layouts: &'a Layouts,
    /// All its bytes.
    pub record: &'a [u8],
}

/// A frame without the zeroes behind its records.
#[derive(Clone, Copy, Debug)]
struct Kept {
    segment_id: u64,
    /// Where it begins in its file.
    offset: u64,
    /// Where in the ring.
    start: usize,
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Begun {
    frame: u64,
    segment_id: u64,
    offset: u64,
    bytes: usize,
}

/// The records that name entities, by the entities' hashes. The first that was kept goes first.
#[derive(Debug, Default)]
struct Names {
    records: BTreeMap<u64, Box<[u8]>>,
    order: VecDeque<u64>,
    bytes: usize,
}

impl Recent {
    /// Keeps so many bytes of frames.
    pub fn new(limit_bytes: usize) -> Self {
        Recent {
            // Zeroes that nobody has touched take no memory.
            ring: vec![0; limit_bytes.min(MOST_FRAME_BYTES)],
            frames: VecDeque::new(),
            begun: VecDeque::new(),
            names: Names::default(),
        }
    }

    /// A frame is handed out to be written, from an offset of its file on.
    pub fn begun(&mut self, frame: &FrameHeader, offset: u64) {
        let FrameHeader { sequence, segment_id, payload_bytes, .. } = *frame;
        let bytes = FRAME_HEADER_BYTES + payload_bytes as usize;
        self.begun.push_back(Begun { frame: sequence, segment_id, offset, bytes });
    }

    /// A frame is durable; all before it are.
    pub fn durable(&mut self, written: &Written) {
        while let Some(begun) = self.begun.pop_front() {
            if begun.frame == written.frame {
                return self.keep(begun, written);
            }
        }
    }

    /// The dictionary has got the name of an entity.
    pub fn named(&mut self, header: &RecordHeader, name: &[u8]) {
        if !self.ring.is_empty() {
            self.names.keep(header, name);
        }
    }

    /// Whether the frame may be here in which a record ends.
    pub fn reaches(&self, segment_id: u64, end_offset: u64) -> bool {
        self.frames
            .front()
            .is_some_and(|first| (first.segment_id, first.offset) < (segment_id, end_offset))
    }

    /// All records of some runs, in their order; none when one of them is not here.
    pub fn find<'a>(&'a self, entity: u64, runs: &'a [Run]) -> Option<Vec<InMemory<'a>>> {
        let mut found = Vec::new();
        for Run { segment_id, layouts, postings, .. } in runs {
            for posting in postings {
                let here = self.record(*segment_id, posting);
                let name = || self.names.records.get(&entity).map(|record| &**record);
                let is_name = posting.kind == RecordKind::Entity;
                let record = here.or_else(|| if is_name { name() } else { None })?;
                found.push(InMemory { posting: *posting, layouts, record });
            }
        }
        Some(found)
    }

    fn record(&self, segment_id: u64, posting: &Posting) -> Option<&[u8]> {
        let behind = |kept: &Kept| (kept.segment_id, kept.offset) <= (segment_id, posting.offset);
        let at = self.frames.partition_point(behind).checked_sub(1)?;
        let kept = self.frames.get(at).filter(|kept| kept.segment_id == segment_id)?;
        let from = usize::try_from(posting.offset - kept.offset).ok()?;
        let to = from.checked_add(posting.bytes as usize).filter(|to| *to <= kept.bytes)?;
        self.ring.get(kept.start + from..kept.start + to)
    }

    fn keep(&mut self, begun: Begun, written: &Written) {
        let Begun { segment_id, offset, bytes, .. } = begun;
        let from = offset.saturating_sub(written.offset) as usize;
        let frame = written.bytes.get(from..from + bytes);
        let (Some(frame), Some(start)) = (frame, self.make_room(bytes)) else {
            // One that has no place breaks the row: what is older is of less use than what comes.
            return;
        };
        if let Some(place) = self.ring.get_mut(start..start + bytes) {
            place.copy_from_slice(frame);
            self.frames.push_back(Kept { segment_id, offset, start, bytes });
        }
    }

    /// A place for so many bytes, from which the oldest frames have gone.
    fn make_room(&mut self, bytes: usize) -> Option<usize> {
        if bytes > self.ring.len() {
            return None;
        }
        let behind = self.frames.back().map_or(0, |last| last.start + last.bytes);
        let is_at_end = behind + bytes > self.ring.len();
        let start = if is_at_end { 0 } else { behind };
        // What stands from the last frame to the ring's end is the oldest, then what the new one covers.
        while let Some(oldest) = self.frames.front() {
            let is_passed = is_at_end && oldest.start >= behind;
            let is_covered = oldest.start < start + bytes && start < oldest.start + oldest.bytes;
            if !is_passed && !is_covered {
                break;
            }
            self.frames.pop_front();
        }
        Some(start)
    }
}

impl Names {
    fn keep(&mut self, header: &RecordHeader, name: &[u8]) {
        let bytes = record_bytes(name.len());
        let taken = bytes + NAME_OVERHEAD_BYTES;
        if taken > NAMES_LIMIT_BYTES || self.records.contains_key(&header.entity) {
            return;
        }
        let mut record = vec![0; bytes];
        if header.write(name, &mut record).is_none() {
            return;
        }
        while self.bytes + taken > NAMES_LIMIT_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone =
                self.records.remove(&oldest).map_or(0, |gone| gone.len() + NAME_OVERHEAD_BYTES);
            self.bytes -= gone;
        }
        self.records.insert(header.entity, record.into_boxed_slice());
        self.order.push_back(header.entity);
        self.bytes += taken;
    }
}

#[cfg(test)]
#[path = "recent_tests.rs"]
mod tests;
