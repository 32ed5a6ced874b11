//! What one core's actors have sent to one other node, as bytes ready for the wire.
//!
//! Promises: frames lie one behind the other, each at a multiple of 16 and padded with zeroes; a refusal leaves the
//! bytes as they were; [`Outbox::take`] gives all of them at once and swaps in an emptied buffer, so that nothing is
//! copied between an actor and the kernel.
//!
//! Refuses: more bytes than its limit, and frames larger than the other node takes.

use rkyv::util::AlignedVec;

use crate::core::send::TellError;
use crate::frame::archive::Overflow;
use crate::frame::{
    FLAG_FOREIGN, FOREIGN_PREFIX_BYTES, FRAME_ALIGN, ForeignPrefix, HEADER_BYTES, Header, stride,
};

/// Bytes of frames, aligned as frames are.
pub type FrameBytes = AlignedVec<16>;

/// What an outbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxLimits {
    /// Bytes that may wait, headers and padding included.
    pub bytes: usize,
    /// Bytes of one frame, its header included.
    pub frame_bytes: usize,
}

impl Default for OutboxLimits {
    /// 4 MiB, and frames of 256 KiB.
    fn default() -> Self {
        OutboxLimits { bytes: 4 << 20, frame_bytes: 256 << 10 }
    }
}

/// What an outbox has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxFigures {
    /// Frames written and not taken back.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that found no room.
    pub refused: u64,
}

/// See the module's header.
#[derive(Debug)]
pub struct Outbox {
    bytes: FrameBytes,
    /// Frames in `bytes`.
    frames: u64,
    limits: OutboxLimits,
    figures: OutboxFigures,
    /// The turn that wrote last, and what was there before it.
    turn: u64,
    before: (usize, u64, OutboxFigures),
    /// What archives with data out of line have taken lately.
    usual_bytes: usize,
}

/// A frame's receiver and message type, without its bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope {
    pub port: u16,
    pub me: u64,
    pub prefix: ForeignPrefix,
}

const OVERHEAD_BYTES: usize = HEADER_BYTES + FOREIGN_PREFIX_BYTES;

/// Room for the first archive with data out of line.
const LEAST_USUAL_BYTES: usize = 1024;

impl Outbox {
    /// An empty one.
    pub fn new(limits: OutboxLimits) -> Outbox {
        let figures = OutboxFigures::default();
        let before = (0, 0, figures);
        let usual_bytes = LEAST_USUAL_BYTES;
        Outbox {
            bytes: FrameBytes::new(),
            frames: 0,
            limits,
            figures,
            turn: 0,
            before,
            usual_bytes,
        }
    }

    /// Whether nothing waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes that wait.
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Frames that wait.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// What it takes.
    pub fn limits(&self) -> OutboxLimits {
        self.limits
    }

    /// What it has seen.
    pub fn figures(&self) -> OutboxFigures {
        self.figures
    }

    /// Takes everything that waits, and the number of frames in it; `empty` is what is written to from now on, without
    /// what it holds. Never called during a turn.
    pub fn take(&mut self, mut empty: FrameBytes) -> (FrameBytes, u64) {
        empty.clear();
        let frames = std::mem::take(&mut self.frames);
        (std::mem::replace(&mut self.bytes, empty), frames)
    }

    /// Remembers where the turn with this number began to write.
    #[inline]
    pub(crate) fn touch(&mut self, turn: u64) {
        if self.turn != turn {
            self.turn = turn;
            self.before = (self.bytes.len(), self.frames, self.figures);
        }
    }

    /// The turn with this number failed.
    pub(crate) fn rollback(&mut self, turn: u64) {
        if self.turn == turn {
            let refused = self.figures.refused;
            (_, self.frames, self.figures) = self.before;
            self.figures.refused = refused;
            self.truncate(self.before.0);
            self.turn = 0;
        }
    }

    /// Appends a frame whose archive `write` puts into `room_bytes` of room, and says how long it is.
    pub(crate) fn append(
        &mut self,
        to: Envelope,
        room_bytes: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, Overflow>,
    ) -> Result<(), AppendError> {
        let start = self.bytes.len();
        let frame_bytes = stride(FOREIGN_PREFIX_BYTES + room_bytes);
        if frame_bytes > self.limits.frame_bytes {
            return Err(AppendError::TooLarge);
        }
        if start + frame_bytes > self.limits.bytes {
            self.figures.refused += 1;
            return Err(AppendError::Full);
        }
        self.bytes.resize(start + frame_bytes, 0);
        match write(&mut self.bytes[start + OVERHEAD_BYTES..]) {
            Ok(length) => {
                self.seal(start, to, length);
                Ok(())
            }
            Err(Overflow) => {
                self.truncate(start);
                Err(AppendError::Overflow)
            }
        }
    }

    /// As [`append`](Self::append), for an archive of unknown size: in as much room as such archives have taken lately,
    /// and if that is too small in all the room that there is. Room is zeroed, so it should not be much too large.
    ///
    /// [`AppendError::Full`] may hide [`AppendError::TooLarge`] until the outbox is empty.
    #[inline(never)]
    pub(crate) fn append_of_any_size(
        &mut self,
        to: Envelope,
        write: impl Fn(&mut [u8]) -> Result<usize, Overflow>,
    ) -> Result<(), AppendError> {
        let start = self.bytes.len();
        let largest = self.largest_archive_bytes() / FRAME_ALIGN * FRAME_ALIGN;
        let free = self.limits.bytes.saturating_sub(start + OVERHEAD_BYTES);
        let most = largest.min(free / FRAME_ALIGN * FRAME_ALIGN);
        for room_bytes in [self.usual_bytes.min(most), most] {
            match self.append(to, room_bytes, &write) {
                Err(AppendError::Overflow) => {}
                Ok(()) => {
                    let archive_bytes = self.bytes.len() - start - OVERHEAD_BYTES;
                    let before = self.usual_bytes - self.usual_bytes / 16;
                    self.usual_bytes = archive_bytes.max(before).max(LEAST_USUAL_BYTES);
                    return Ok(());
                }
                refused => return refused,
            }
        }
        if most == largest {
            return Err(AppendError::TooLarge);
        }
        self.figures.refused += 1;
        Err(AppendError::Full)
    }

    /// Puts header and prefix before an archive of this length, and ends the frame behind it.
    fn seal(&mut self, start: usize, to: Envelope, length: usize) {
        let payload_bytes = FOREIGN_PREFIX_BYTES + length;
        let (slot, generation) = (to.me as u32, (to.me >> 32) as u32);
        let header = Header::new(payload_bytes as u32, to.port, 0, FLAG_FOREIGN, slot, generation);
        let head = &mut self.bytes[start..start + OVERHEAD_BYTES];
        head[..8].copy_from_slice(&header.word0.to_le_bytes());
        head[8..HEADER_BYTES].copy_from_slice(&header.word1.to_le_bytes());
        head[HEADER_BYTES..].copy_from_slice(&to.prefix.to_bytes());
        self.truncate(start + stride(payload_bytes));
        self.frames += 1;
        self.figures.frames += 1;
        self.figures.bytes += (self.bytes.len() - start) as u64;
    }

    fn truncate(&mut self, length: usize) {
        self.bytes.resize(length.min(self.bytes.len()), 0);
    }

    /// The largest archive of one frame.
    pub(crate) fn largest_archive_bytes(&self) -> usize {
        self.limits.frame_bytes.saturating_sub(OVERHEAD_BYTES)
    }
}

/// Why a frame was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The room was too small for the archive.
    Overflow,
    /// The limit of bytes is reached.
    Full,
    /// No frame is so large.
    TooLarge,
}

impl AppendError {
    pub fn told(self, outbox: &Outbox) -> TellError {
        match self {
            AppendError::Full => TellError::Full,
            AppendError::Overflow | AppendError::TooLarge => {
                TellError::Oversized { limit_bytes: outbox.largest_archive_bytes() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope() -> Envelope {
        let prefix = ForeignPrefix { fingerprint: 5, core: 1, sender: 0, word: 0 };
        Envelope { port: 2, me: 7 | 9 << 32, prefix }
    }

    fn put(bytes: &'static [u8]) -> impl FnOnce(&mut [u8]) -> Result<usize, Overflow> {
        |room| {
            room.get_mut(..bytes.len()).ok_or(Overflow)?.copy_from_slice(bytes);
            Ok(bytes.len())
        }
    }

    #[test]
    fn frames_lie_one_behind_the_other_and_padded() {
        let mut outbox = Outbox::new(OutboxLimits::default());
        outbox.append(envelope(), 16, put(b"abc")).expect("room");
        outbox.append(envelope(), 32, put(b"0123456789abcdefg")).expect("room");
        let (bytes, frames) = outbox.take(FrameBytes::new());
        assert_eq!((bytes.len(), frames), (48 + 64, 2));
        assert_eq!(&bytes[32..48], b"abc\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let header = Header {
            word0: u64::from_le_bytes(bytes[48..56].try_into().expect("eight")),
            word1: u64::from_le_bytes(bytes[56..64].try_into().expect("eight")),
        };
        assert_eq!((header.len(), header.flags(), header.port()), (33, FLAG_FOREIGN, 2));
        assert_eq!((header.slot(), header.generation()), (7, 9));
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_a_failed_turn_wrote_is_taken_back() {
        let mut outbox = Outbox::new(OutboxLimits::default());
        outbox.touch(1);
        outbox.append(envelope(), 16, put(b"one")).expect("room");
        outbox.touch(2);
        outbox.append(envelope(), 16, put(b"two")).expect("room");
        outbox.append(envelope(), 16, put(b"three")).expect("room");
        outbox.rollback(2);
        outbox.rollback(1);
        assert_eq!((outbox.len_bytes(), outbox.frames(), outbox.figures().frames), (48, 1, 1));
    }

    #[test]
    fn a_refusal_leaves_the_bytes_as_they_were() {
        let mut outbox = Outbox::new(OutboxLimits { bytes: 100, frame_bytes: 64 });
        outbox.append(envelope(), 16, put(b"one")).expect("room");
        assert_eq!(outbox.append(envelope(), 16, put(&[1; 17])), Err(AppendError::Overflow));
        assert_eq!(outbox.append(envelope(), 64, put(b"x")), Err(AppendError::TooLarge));
        assert_eq!(outbox.append(envelope(), 32, put(b"x")), Err(AppendError::Full));
        assert_eq!((outbox.len_bytes(), outbox.frames(), outbox.figures().refused), (48, 1, 1));
    }

    fn blob(bytes: usize) -> impl Fn(&mut [u8]) -> Result<usize, Overflow> {
        move |room| {
            room.get_mut(..bytes).ok_or(Overflow)?.fill(7);
            Ok(bytes)
        }
    }

    #[test]
    fn an_archive_of_any_size_takes_its_own_room_or_says_why_there_is_none() {
        let mut outbox = Outbox::new(OutboxLimits { bytes: 100_000, frame_bytes: 40_000 });
        let mut waiting = 0;
        for bytes in [10, 1_024, 1_025, 30_000, 1_500, 39_968] {
            outbox.append_of_any_size(envelope(), blob(bytes)).expect("room");
            waiting += stride(FOREIGN_PREFIX_BYTES + bytes);
            assert_eq!(outbox.len_bytes(), waiting, "{bytes}");
        }
        assert_eq!(outbox.append_of_any_size(envelope(), blob(30_000)), Err(AppendError::Full));
        assert_eq!((outbox.len_bytes(), outbox.figures().refused), (waiting, 1));
        outbox.append_of_any_size(envelope(), blob(20_000)).expect("room for a smaller one");
        let (bytes, frames) = outbox.take(FrameBytes::new());
        assert_eq!(frames, 7);
        assert_eq!(bytes.iter().filter(|byte| **byte == 7).count() as u64 / 1_000, 93);
        assert_eq!(outbox.append_of_any_size(envelope(), blob(39_969)), Err(AppendError::TooLarge));
        assert!(outbox.is_empty());
    }
}
