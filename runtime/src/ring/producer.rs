//! The sending side of a ring.
//!
//! What the producer has written lies between `published` and `tail`, and nobody else sees it: the
//! consumer waits at `published`, where the ring holds a 0. Publishing writes a 0 at `tail` and
//! last the first word at `published`, which was withheld until then. So between two publications
//! everything can be taken back, and the consumer always meets either a whole record or a 0.
//!
//! Invariants: `published <= tail`; `tail` plus the 16 bytes of the next 0 never passes the
//! consumer's head plus one lap; `tail <= contiguous_end`; a padding record is always followed by a
//! frame of the same batch.

use super::boxed::{BOXED_LIMIT_BYTES, BoxedPayload, OWNED_BYTES, Owned, Parcel, flags_of_owner};
use super::memory::Region;
use super::sync::{Arc, Ordering};
use super::{
    Full, FullReason, HeaderError, KIND_PADDING, PADDING_FLAGS, PushError, Shared, is_padding,
};
use crate::frame::{HEADER_BYTES, Header, stride};

/// The sending side of a ring. One thread at a time may hold it; it can be sent to another.
///
/// Dropping it discards what was not published and tells the consumer; published frames stay to be
/// read.
pub struct Producer {
    region: Region,
    /// Where the next record begins.
    tail: u64,
    /// Where the batch begins that the consumer cannot see yet.
    published: u64,
    /// The first word of the record at `published`, if there is one.
    withheld: u64,
    /// Up to here the bytes behind `tail` are known to be free and lie in one piece.
    contiguous_end: u64,
    /// The consumer's head when it was last looked at.
    head_seen: u64,
    largest_payload_bytes: usize,
    /// Whether the memory is known to be ours to write: see
    /// [`Consumer::touch`](super::Consumer::touch).
    begun: bool,
    refusals: u64,
    /// Bytes of all boxed payloads ever pushed and not rolled back.
    boxed_bytes: u64,
    shared: Arc<Shared>,
}

// SAFETY: the producer owns the bytes from `published` to one lap behind the head, wherever it
// runs; what it holds in unpublished records is `Send`. It is not `Sync`, as its region makes it
// so.
unsafe impl Send for Producer {}

impl Producer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let region = shared.memory.region();
        Producer {
            region,
            tail: 0,
            published: 0,
            withheld: 0,
            contiguous_end: 0,
            head_seen: 0,
            largest_payload_bytes: largest_payload_bytes(region.capacity_bytes()),
            begun: false,
            refusals: 0,
            boxed_bytes: 0,
            shared,
        }
    }

    /// Bytes of the ring.
    pub fn capacity_bytes(&self) -> usize {
        self.region.capacity_bytes()
    }

    /// The largest payload that is carried in place: a quarter of the capacity less a header, at
    /// least 16. Such a frame always finds room in an empty ring. Larger ones go boxed.
    pub fn largest_payload_bytes(&self) -> usize {
        self.largest_payload_bytes
    }

    /// How often a frame was refused because the ring was full. Wraps after 2^64.
    pub fn refusals(&self) -> u64 {
        self.refusals
    }

    /// Room for a payload of up to `payload_bytes`, in one piece and aligned to 16. Write it, then
    /// [`commit`](Claim::commit); a claim that is dropped leaves no trace.
    ///
    /// # Errors
    /// No room now, or a payload that this ring never carries in place.
    #[inline]
    pub fn claim(&mut self, payload_bytes: usize) -> Result<Claim<'_>, Full> {
        match self.reserve(payload_bytes) {
            Ok(start) => Ok(Claim {
                start,
                payload_bytes: stride(payload_bytes) - HEADER_BYTES,
                producer: self,
            }),
            Err(reason) => Err(Full { reason, payload_bytes, value: () }),
        }
    }

    /// Appends a frame with a copy of `payload`. The consumer does not see it before
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// No room, or a header whose length is not the payload's or that uses what belongs to the
    /// ring.
    #[inline]
    pub fn push(&mut self, header: Header, payload: &[u8]) -> Result<(), PushError> {
        if header.len() as usize != payload.len() {
            let (len, payload_bytes) = (header.len(), payload.len());
            return Err(HeaderError::Length { len, payload_bytes }.into());
        }
        let mut claim = self.claim(payload.len())?;
        claim.payload()[..payload.len()].copy_from_slice(payload);
        claim.commit(header).map_err(PushError::from)
    }

    /// Appends a frame whose payload stays where it is and changes its owner. The header's length
    /// must be the payload's.
    ///
    /// # Errors
    /// No room in the ring, more than [`BOXED_LIMIT_BYTES`] on their way, or a header that does not
    /// fit. The payload comes back.
    pub fn push_boxed(
        &mut self,
        header: Header,
        mut payload: BoxedPayload,
    ) -> Result<(), PushError<BoxedPayload>> {
        let payload_bytes = payload.len();
        if let Err(error) = check(header, payload_bytes, payload_bytes) {
            return Err(PushError::Header { error, value: payload });
        }
        if self.boxed_bytes_on_their_way() + payload_bytes as u64 > BOXED_LIMIT_BYTES as u64 {
            self.refusals += 1;
            return Err(
                Full { reason: FullReason::BoxedLimit, payload_bytes, value: payload }.into()
            );
        }
        match self.reserve(OWNED_BYTES) {
            Ok(start) => {
                payload.set_header(header);
                self.append_owned(start, header, Owned::Boxed(payload));
                Ok(())
            }
            Err(reason) => Err(Full { reason, payload_bytes, value: payload }.into()),
        }
    }

    /// Appends a frame that carries an owned value instead of bytes. The frame shows `header` with
    /// [`FLAG_PARCEL`](super::FLAG_PARCEL) set and a length of 16, whatever length was given.
    ///
    /// # Errors
    /// No room, or a header that uses what belongs to the ring. The value comes back.
    pub fn push_parcel(&mut self, header: Header, parcel: Parcel) -> Result<(), PushError<Parcel>> {
        if reserved(header) {
            return Err(PushError::Header { error: reserved_error(header), value: parcel });
        }
        match self.reserve(OWNED_BYTES) {
            Ok(start) => {
                self.append_owned(start, header, Owned::Parcel(parcel));
                Ok(())
            }
            Err(reason) => Err(Full { reason, payload_bytes: OWNED_BYTES, value: parcel }.into()),
        }
    }

    /// Where the unpublished frames end now; [`rollback`](Self::rollback) returns to it.
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark(self.tail)
    }

    /// Drops the unpublished frames that were appended after `mark`, and what they own. What is
    /// published stays: a mark older than the last publication drops all that is unpublished, and a
    /// mark that no longer lies between two frames drops also the frame it lies in.
    pub fn rollback(&mut self, mark: Mark) {
        if mark.0 < self.tail {
            self.cut(mark.0);
        }
    }

    /// Whether there are frames that the consumer cannot see yet.
    #[inline]
    pub fn unpublished(&self) -> bool {
        self.tail != self.published
    }

    /// Makes all frames appended so far visible to the consumer, at once. `false` if there were
    /// none. If the consumer may sleep, call
    /// [`WakeFlag::should_wake`](super::WakeFlag::should_wake) next.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if !self.unpublished() {
            return false;
        }
        // SAFETY: the 16 bytes at the tail are free, as every reservation leaves room for them;
        // those at `published` are ours until the second store, which hands over the batch. Both
        // are multiples of 16.
        unsafe {
            self.region.store_word0(self.tail, 0, Ordering::Relaxed);
            self.region.store_word0(self.published, self.withheld, Ordering::Release);
        }
        self.published = self.tail;
        true
    }

    /// Whether the consumer is gone. Frames can still be appended, up to the capacity; nobody will
    /// read them.
    pub fn is_abandoned(&self) -> bool {
        self.shared.consumer.gone.load(Ordering::Acquire)
    }

    /// Position of a record with room for `payload_bytes`; a commit at it writes a padding record
    /// from `tail` to there if they differ.
    #[inline]
    fn reserve(&mut self, payload_bytes: usize) -> Result<u64, FullReason> {
        if payload_bytes > self.largest_payload_bytes {
            return Err(FullReason::TooLarge);
        }
        let record_bytes = stride(payload_bytes);
        if (record_bytes + HEADER_BYTES) as u64 <= self.contiguous_end - self.tail {
            return Ok(self.tail);
        }
        self.reserve_slowly(record_bytes)
    }

    /// The record does not surely fit behind the tail: looks at the consumer's head, goes round the
    /// end, or refuses.
    #[cold]
    #[inline(never)]
    fn reserve_slowly(&mut self, record_bytes: usize) -> Result<u64, FullReason> {
        if !self.begin() {
            self.refusals += 1;
            return Err(FullReason::NoRoom);
        }
        let to_end = self.region.bytes_to_end(self.tail);
        let padding_bytes = if record_bytes > to_end { to_end } else { 0 };
        let wanted_end = self.tail + (padding_bytes + record_bytes + HEADER_BYTES) as u64;
        if wanted_end > self.free_end() {
            self.head_seen = self.shared.consumer.head.load(Ordering::Acquire);
            if wanted_end > self.free_end() {
                self.refusals += 1;
                return Err(FullReason::NoRoom);
            }
        }
        if padding_bytes == 0 {
            self.contiguous_end = self.contiguous_end_from(self.tail);
        }
        Ok(self.tail + padding_bytes as u64)
    }

    /// Appends the record whose payload is written at `start`, and the padding before it if there
    /// has to be some.
    #[inline]
    fn append(&mut self, start: u64, header: Header) {
        if start != self.tail {
            self.append_padding(start);
        }
        // SAFETY: `start` was reserved with room for this record.
        unsafe { self.write_header(start, header) }
        let record_bytes = header.stride();
        self.region.note_write(start, record_bytes);
        self.tail = start + record_bytes as u64;
    }

    #[cold]
    #[inline(never)]
    fn append_padding(&mut self, start: u64) {
        let padding_bytes = (start - self.tail) as u32;
        let len = padding_bytes - HEADER_BYTES as u32;
        // SAFETY: `start` was reserved together with the bytes between it and the tail.
        unsafe {
            self.write_header(self.tail, Header::new(len, 0, KIND_PADDING, PADDING_FLAGS, 0, 0));
        }
        self.tail = start;
        self.contiguous_end = self.contiguous_end_from(start);
    }

    fn append_owned(&mut self, start: u64, header: Header, owned: Owned) {
        let (header_bits, flag) = (header.word0 >> 32 << 32, u64::from(owned.flag()) << 56);
        let word0 = header_bits | flag | OWNED_BYTES as u64;
        self.boxed_bytes += owned.boxed_bytes();
        // SAFETY: `start` was reserved with room for `OWNED_BYTES`, and nothing is owned by what
        // lies there.
        unsafe { owned.put(self.region.address(start)) }
        self.append(start, Header { word0, word1: header.word1 });
    }

    /// # Safety
    /// The record at `position` lies in reserved bytes.
    #[inline]
    unsafe fn write_header(&mut self, position: u64, header: Header) {
        if position == self.published {
            self.withheld = header.word0;
        } else {
            // SAFETY: reserved bytes are ours, and the consumer waits at `published`, not here.
            unsafe { self.region.store_word0(position, header.word0, Ordering::Relaxed) }
        }
        // SAFETY: as above; the consumer looks at the second word only when it has seen the first.
        unsafe { self.region.write_word1(position, header.word1) }
    }

    /// First word of an unpublished record.
    fn word0(&self, position: u64) -> u64 {
        if position == self.published {
            self.withheld
        } else {
            // SAFETY: between `published` and `tail` all records are ours and have a first word.
            unsafe { self.region.load_word0(position) }
        }
    }

    /// Drops the unpublished frames that do not end at or before `limit`.
    #[cold]
    #[inline(never)]
    fn cut(&mut self, limit: u64) {
        let old_tail = self.tail;
        // Found by walking over the frames, not taken from the mark: a mark may be old, or of
        // another ring.
        let mut position = self.published;
        let mut cut = position;
        while position < old_tail {
            let word0 = self.word0(position);
            position += record_bytes(word0);
            if position > limit {
                break;
            }
            if !is_padding(word0) {
                cut = position;
            }
        }
        self.tail = cut;
        self.contiguous_end = cut;
        let mut position = cut;
        while position < old_tail {
            let word0 = self.word0(position);
            // SAFETY: an unpublished record of ours, no longer reachable, so taken once.
            if let Some(owned) = unsafe { Owned::take(self.region.address(position), word0) } {
                self.boxed_bytes -= owned.boxed_bytes();
                owned.discard();
            }
            position += record_bytes(word0);
        }
    }

    /// Whether the memory is ours to write; it is not while the consumer touches it.
    fn begin(&mut self) -> bool {
        if !self.begun {
            self.begun = self.shared.first_touch.begin();
        }
        self.begun
    }

    fn free_end(&self) -> u64 {
        self.head_seen + self.region.capacity_bytes() as u64
    }

    fn contiguous_end_from(&self, position: u64) -> u64 {
        self.free_end().min(position + self.region.bytes_to_end(position) as u64)
    }

    fn boxed_bytes_on_their_way(&self) -> u64 {
        self.boxed_bytes - self.shared.consumer.boxed_bytes_freed.load(Ordering::Relaxed)
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        self.shared.producer.gone.store(true, Ordering::Release);
        if self.unpublished() {
            self.cut(self.published);
        }
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("capacity_bytes", &self.capacity_bytes())
            .field("published", &self.published)
            .field("tail", &self.tail)
            .field("refusals", &self.refusals)
            .finish()
    }
}

/// A place between two frames of one producer: see [`Producer::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

/// Room for one frame. [`commit`](Self::commit) makes it one; dropping the claim gives it back.
#[must_use = "a claim that is dropped appends nothing"]
pub struct Claim<'a> {
    producer: &'a mut Producer,
    start: u64,
    payload_bytes: usize,
}

impl Claim<'_> {
    /// The room: what was asked for, rounded up to a multiple of 16. It holds whatever was in the
    /// ring before.
    #[inline]
    pub fn payload(&mut self) -> &mut [u8] {
        let (start, payload_bytes) = (self.payload_ptr(), self.payload_bytes);
        // SAFETY: reserved for this claim, in one piece, and initialised when the ring was made;
        // the claim is borrowed as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(start, payload_bytes) }
    }

    /// Start of the room, aligned to 16. What is written through it must be initialised bytes.
    #[inline]
    pub(crate) fn payload_ptr(&mut self) -> *mut u8 {
        self.producer.region.address(self.start).wrapping_add(2).cast()
    }

    /// Makes the claim a frame of `header.len()` bytes of payload, which may be fewer than were
    /// claimed. The consumer does not see it before [`Producer::publish`].
    ///
    /// # Errors
    /// A length of 0 or over what was claimed, or a kind or flag that belongs to the ring. Nothing
    /// is appended then.
    #[inline]
    pub fn commit(self, header: Header) -> Result<(), HeaderError> {
        check(header, 1, self.payload_bytes)?;
        self.producer.append(self.start, header);
        Ok(())
    }
}

impl std::fmt::Debug for Claim<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("payload_bytes", &self.payload_bytes).finish()
    }
}

/// A frame with the padding that it may need before it must fit into an empty ring together with
/// the 0 behind it, wherever the tail is: two records of up to half the capacity do.
fn largest_payload_bytes(capacity_bytes: usize) -> usize {
    (capacity_bytes / 4).saturating_sub(HEADER_BYTES).max(OWNED_BYTES)
}

/// Bytes of a record in the ring, from its first word.
pub(super) fn record_bytes(word0: u64) -> u64 {
    Header { word0, word1: 0 }.stride() as u64
}

#[inline]
fn check(header: Header, at_least: usize, at_most: usize) -> Result<(), HeaderError> {
    let len = header.len() as usize;
    if len == 0 || len < at_least || len > at_most || reserved(header) {
        return Err(header_error(header, at_most));
    }
    Ok(())
}

/// Whether the header uses what belongs to the ring. A common frame is through after one compare.
#[inline]
fn reserved(header: Header) -> bool {
    header.word0 >> 48 != 0 && (header.kind() == KIND_PADDING || flags_of_owner(header.word0) != 0)
}

#[cold]
fn header_error(header: Header, payload_bytes: usize) -> HeaderError {
    match header.len() {
        _ if reserved(header) => reserved_error(header),
        0 => HeaderError::Empty,
        len => HeaderError::Length { len, payload_bytes },
    }
}

#[cold]
fn reserved_error(header: Header) -> HeaderError {
    HeaderError::Reserved { kind: header.kind(), flags: header.flags() }
}
