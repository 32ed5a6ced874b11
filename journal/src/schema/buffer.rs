//! Where events are written before the log takes them: aligned, reused, never larger than one commit.

use std::fmt;
use std::ops::Range;

use mainspring::Archived;
use mainspring::frame::FRAME_ALIGN;
use mainspring::frame::archive::{self, Overflow};
use mainspring::frame::validation::Reason;
use mainspring::message::Stored;
use rkyv::rancor::Source;
use rkyv::util::AlignedVec;

use super::reading::{malformed, read_event};
use super::{Event, Layout, SchemaError};
use crate::format::BLOCK_BYTES;
use crate::format::commit_frame::MOST_FRAME_BYTES;

/// Archives behind each other, each at a multiple of 16.
///
/// It keeps its memory when it is cleared. What it holds together can stand in one commit frame, whatever the names
/// that the frame has to declare first, so that events that belong together stay together.
pub struct EventBuffer {
    /// All of it is initialised; the archives end at `end`. Their own padding is zero.
    bytes: AlignedVec<FRAME_ALIGN>,
    end: usize,
}

/// An event or a state that was not written. The buffer holds what it held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// It does not fit, even alone.
    #[error(
        "`{name}` takes more than {limit_bytes} bytes, the limit of one record: store less in it"
    )]
    TooLarge {
        /// The event or state.
        name: &'static str,
        /// The limit, in bytes of payload.
        limit_bytes: usize,
    },
    /// It does not fit behind those that are stored together with it.
    #[error(
        "`{name}` does not fit behind {taken_bytes} bytes of events that are stored at once, of at most \
         {limit_bytes}: store fewer events at once"
    )]
    TooMany {
        /// The event or state.
        name: &'static str,
        /// What the buffer holds.
        taken_bytes: usize,
        /// What it may hold.
        limit_bytes: usize,
    },
}

/// What one buffer holds at most: a frame less two blocks for headers and dictionary entries.
const LIMIT_BYTES: usize = MOST_FRAME_BYTES - 2 * BLOCK_BYTES;

/// Where a buffer begins to grow.
const START_BYTES: usize = 1_024;

impl EventBuffer {
    /// An empty buffer without memory.
    pub fn new() -> Self {
        EventBuffer { bytes: AlignedVec::new(), end: 0 }
    }

    /// Writes the archive of a value behind what there is, at a multiple of 16, and says where it stands.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if it does not fit; then the buffer holds what it held before.
    #[inline]
    pub fn push<M: Stored>(&mut self, value: &M) -> Result<Range<usize>, WriteError> {
        let start = self.end.next_multiple_of(FRAME_ALIGN);
        loop {
            let room = self.bytes.get_mut(start..).unwrap_or_default();
            // An empty room has no alignment that means anything.
            let written = if room.is_empty() { Err(Overflow) } else { archive::write(value, room) };
            if let Ok(payload_bytes) = written {
                self.end = start + payload_bytes;
                return Ok(start..self.end);
            }
            self.grow(start, archive::room_bytes::<M>()).map_err(|Full| full(M::NAME, start))?;
        }
    }

    /// Gives the archive of an event to `apply`, as one who reads its record would see it. What the buffer holds is
    /// forgotten.
    ///
    /// An archive without data out of line is not checked: it was written here, and whatever a reader checks beside its
    /// length lies in such data.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if no reader would take it, so that nothing was applied.
    #[doc(hidden)]
    pub fn read_back<E: Event>(
        &mut self,
        event: &E,
        apply: impl FnOnce(&Archived<E>),
    ) -> Result<(), SchemaError> {
        self.clear();
        let room = self.bytes.as_mut_slice();
        if !room.is_empty()
            && let Ok((payload_bytes, archived)) = archive::write_and_read(event, room)
            && payload_bytes == size_of::<Archived<E>>()
        {
            apply(archived);
            return Ok(());
        }
        let written = self.push(event);
        let Layout { name, version, .. } = E::LAYOUT;
        let written = written.map_err(|error| malformed(name, version, Reason::new(error)))?;
        apply(read_event::<E>(self.get(written))?);
        Ok(())
    }

    /// The bytes of one archive, by what [`push`](EventBuffer::push) returned; nothing for a range that is not here.
    pub fn get(&self, range: Range<usize>) -> &[u8] {
        self.as_slice().get(range).unwrap_or_default()
    }

    /// All that was written, from the first archive on.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.end]
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Forgets what was written and keeps the memory.
    pub fn clear(&mut self) {
        self.end = 0;
    }

    /// Makes the buffer longer than it is, with room for at least `room_bytes` behind `start` where that is allowed.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, start: usize, room_bytes: usize) -> Result<(), Full> {
        let length = self.bytes.len();
        if length >= LIMIT_BYTES {
            return Err(Full);
        }
        let wanted =
            length.saturating_mul(2).max(START_BYTES).max(start.saturating_add(room_bytes));
        self.bytes.resize(wanted.min(LIMIT_BYTES), 0);
        Ok(())
    }
}

impl Default for EventBuffer {
    fn default() -> Self {
        EventBuffer::new()
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer").field("bytes", &self.end).finish_non_exhaustive()
    }
}

/// The buffer is as large as it may be.
struct Full;

#[cold]
fn full(name: &'static str, taken_bytes: usize) -> WriteError {
    let limit_bytes = LIMIT_BYTES;
    if taken_bytes == 0 {
        WriteError::TooLarge { name, limit_bytes }
    } else {
        WriteError::TooMany { name, taken_bytes, limit_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_stand_at_multiples_of_16_and_between_them_is_nothing_of_the_past() {
        let mut used = EventBuffer::new();
        used.push(&vec![0xFF_u8; 3_000]).expect("room");
        used.clear();
        let mut fresh = EventBuffer::new();
        for buffer in [&mut used, &mut fresh] {
            assert_eq!(buffer.push(&"a text that lies out of line".to_owned()), Ok(0..36));
            assert_eq!(buffer.push(&7_u8), Ok(48..49));
            assert_eq!(buffer.push(&()), Ok(64..65));
            assert!(buffer.bytes.as_ptr().addr().is_multiple_of(FRAME_ALIGN));
        }
        assert_eq!(used.as_slice(), fresh.as_slice());
    }

    #[test]
    fn one_value_that_is_too_large_is_told_from_many_that_are_too_much() {
        let mut buffer = EventBuffer::new();
        let most = vec![1_u8; LIMIT_BYTES - 8];
        let too_large = WriteError::TooLarge { name: "Vec", limit_bytes: LIMIT_BYTES };
        assert_eq!(buffer.push(&vec![1_u8; LIMIT_BYTES]), Err(too_large));
        assert_eq!(buffer.push(&7_u64), Ok(0..8));
        let too_many =
            WriteError::TooMany { name: "Vec", taken_bytes: 16, limit_bytes: LIMIT_BYTES };
        assert_eq!(buffer.push(&most), Err(too_many));
        assert_eq!(buffer.get(0..8), 7_u64.to_le_bytes());
        buffer.clear();
        assert_eq!(buffer.push(&most), Ok(0..LIMIT_BYTES));
    }
}
