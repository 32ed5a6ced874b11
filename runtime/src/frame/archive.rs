//! Writing a message straight into the place where it is needed, and reading it there.
//!
//! A payload is the message's rkyv archive: data out of line first, the root last. So the root is found from the
//! exact payload length alone, and nothing is written twice: the root is resolved in place, not on the stack.
//!
//! Invariants: equal values give equal bytes (except the handles of [`Local`](super::local::Local) payloads); padding
//! inside the archive and behind it, up to the next multiple of [`FRAME_ALIGN`], is zero, so a frame never carries
//! bytes of an older one; a refusal leaves nothing behind but bytes in the room it was given.
//!
//! A message whose address reaches code that is not inlined costs several nanoseconds more (the compiler must build
//! it in memory first). [`write()`] and [`write_at`] are inlined for that reason; [`write_boxed`] is cold, so
//! a caller on a hot path hands it a bitwise copy that is never dropped.

use std::marker::PhantomData;
use std::ptr::NonNull;

use rkyv::Archive;
use rkyv::rancor::{Source, Trace};

use super::buffer::AlignedBuffer;
use super::local::{self, LOCAL_PREFIX_BYTES, LOCALS_PER_MESSAGE_LIMIT};
use super::scratch::{Inner, Scratch};
use super::serializer::{LocalSerializer, Room, WireSerializer};
use super::validation::{Malformed, References, check};
use super::{FLAG_LOCAL, FRAME_ALIGN, ForeignPrefix};
use crate::address::{ActorRef, Address};
use crate::message::{LocalMessage, Message, ReadError, Reply, owned};

/// Where [`write_boxed`] begins to grow, in bytes.
const BOXED_START_BYTES: usize = 2 * 1024;

/// The message does not fit the room it was given. Nothing was published; the room holds rubbish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message does not fit the room it was given: offer more room, or write it boxed")]
pub struct Overflow;

/// The message is larger than a boxed payload may be. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the message takes more than {limit_bytes} bytes, the limit of one message: split it, or raise the limit"
)]
pub struct TooLarge {
    /// The limit that was exceeded, in bytes of payload.
    pub limit_bytes: usize,
}

/// Why a message for this node only was not written. Its `Local` payloads stay in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LocalRefusal {
    /// It does not fit the room it was given.
    #[error("the message does not fit the room it was given: offer more room, or write it boxed")]
    Overflow,
    /// It is larger than a boxed payload may be.
    #[error(
        "the message takes more than {limit_bytes} bytes, the limit of one message: split it, or raise the limit"
    )]
    TooLarge {
        /// The limit that was exceeded, in bytes of payload.
        limit_bytes: usize,
    },
    /// It holds too many `Local` payloads.
    #[error(
        "the message holds more than {LOCALS_PER_MESSAGE_LIMIT} `Local` payloads: put them into one, as a `Vec`"
    )]
    TooManyLocals,
    /// Too many `Local` payloads are on their way in this process.
    #[error(
        "{limit} `Local` payloads are on their way already: wait until receivers have taken some"
    )]
    LocalsFull {
        /// How many may be on their way at once in this process.
        limit: usize,
    },
}

/// A payload with `Local` parts, as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Exact payload bytes, at least 1.
    pub payload_bytes: usize,
    /// [`FLAG_LOCAL`] if the payload owns handles, else 0; to be set in the frame's header.
    pub flags: u8,
}

/// Payload bytes, a multiple of [`FRAME_ALIGN`], that suffice for any `M` without data out of line.
#[inline]
pub const fn room_bytes<M: Archive>() -> usize {
    let root_bytes = size_of::<M::Archived>();
    if root_bytes == 0 { FRAME_ALIGN } else { root_bytes.next_multiple_of(FRAME_ALIGN) }
}

/// As [`room_bytes`], with room for the handles of `Local` payloads.
#[inline]
pub const fn local_room_bytes<M: LocalMessage>() -> usize {
    let handles_bytes = if M::HOLDS_LOCALS {
        LOCAL_PREFIX_BYTES + LOCALS_PER_MESSAGE_LIMIT * size_of::<u64>()
    } else {
        0
    };
    room_bytes::<M>() + handles_bytes
}

/// Writes the archive of `value` into `room` and returns the exact payload length, at least 1.
///
/// # Errors
///
/// [`Overflow`] if it does not fit, or if `room` does not start at a multiple of [`FRAME_ALIGN`].
#[inline(always)]
pub fn write<M: Message>(value: &M, room: &mut [u8]) -> Result<usize, Overflow> {
    if !room.as_ptr().cast::<Aligned>().is_aligned() {
        return Err(Overflow);
    }
    // SAFETY: the slice is exclusively ours for its length, and it is aligned as was just checked.
    unsafe { write_at(value, room.as_mut_ptr(), room.len()) }
}

/// As [`write()`]; also returns what was written, to be read without a check.
///
/// # Errors
///
/// As for [`write()`].
#[inline(always)]
pub fn write_and_read<'a, M: Message>(
    value: &M,
    room: &'a mut [u8],
) -> Result<(usize, &'a M::Archived), Overflow> {
    let payload_bytes = write(value, room)?;
    // SAFETY: `write` has put an `M` there, only where the room is aligned, and the room stays borrowed.
    let archived = unsafe { root::<M>(room.as_ptr(), payload_bytes) };
    Ok((payload_bytes, archived))
}

/// Writes the archive of `value` at `room` and returns the exact payload length, at least 1.
///
/// # Safety
///
/// `room` must be a multiple of [`FRAME_ALIGN`], and its `room_bytes` bytes must be writable and used by nobody else
/// during the call. They need not be initialised.
#[inline(always)]
pub unsafe fn write_at<M: Message>(
    value: &M,
    room: *mut u8,
    room_bytes: usize,
) -> Result<usize, Overflow> {
    // SAFETY: the caller's promise is the one that the room needs.
    let room = unsafe { Room::new(room, room_bytes) };
    let mut inner = Inner::new();
    let mut serializer = WireSerializer::new(room, Scratch::new(&mut inner));
    let resolver = value.serialize(&mut serializer)?;
    serializer.room.write_root(value, resolver)
}

/// Writes a message for an actor of this node at `room`, and hands the `Local` payloads in it over to the frame.
///
/// On success the frame owns them: whoever drops the frame unread, or has read it, must call
/// [`drop_locals`](super::local::drop_locals) with its payload, unless its bytes were copied elsewhere to be read
/// later.
///
/// # Errors
///
/// [`LocalRefusal`]; then the payloads are still in `value`.
///
/// # Safety
///
/// As for [`write_at`].
#[inline(always)]
pub(crate) unsafe fn write_local_at<M: LocalMessage>(
    value: &M,
    room: *mut u8,
    room_bytes: usize,
) -> Result<Written, LocalRefusal> {
    // SAFETY: the caller's promise is the one that the room needs.
    let mut room = unsafe { Room::new(room, room_bytes) };
    if M::HOLDS_LOCALS {
        room.write(&[0; LOCAL_PREFIX_BYTES])?;
    }
    let mut inner = Inner::new();
    let mut serializer = LocalSerializer::new(room, Scratch::new(&mut inner));
    let resolver = value.serialize(&mut serializer)?;
    if M::HOLDS_LOCALS {
        serializer.write_handles()?;
    }
    let payload_bytes = serializer.room.write_root(value, resolver)?;
    let handles = serializer.handles();
    debug_assert!(M::HOLDS_LOCALS || handles.is_empty(), "a schema that hides its locals");
    local::hand_over(handles);
    Ok(Written { payload_bytes, flags: if handles.is_empty() { 0 } else { FLAG_LOCAL } })
}

/// Writes a message that is too large for a ring or a chunk into memory of its own.
///
/// # Errors
///
/// [`TooLarge`] if the archive takes more than `limit_bytes`.
#[cold]
#[inline(never)]
pub fn write_boxed<M: Message>(value: &M, limit_bytes: usize) -> Result<AlignedBuffer, TooLarge> {
    let mut room_bytes = BOXED_START_BYTES.max(room_bytes::<M>()).min(limit_bytes);
    loop {
        let mut buffer = AlignedBuffer::zeroed(room_bytes);
        if let Ok(payload_bytes) = write(value, buffer.as_mut_slice()) {
            buffer.truncate(payload_bytes);
            return Ok(buffer);
        }
        if room_bytes == limit_bytes {
            return Err(TooLarge { limit_bytes });
        }
        room_bytes = room_bytes.saturating_mul(2).min(limit_bytes);
    }
}

/// As [`write_boxed`], for a message to an actor of this node. The flags are those of [`Written`].
///
/// What this writes is often kept for long, by a million timers too: the buffer is as large as its payload needs.
///
/// # Errors
///
/// [`LocalRefusal`], never its `Overflow`; then the `Local` payloads are still in `value`.
#[cold]
#[inline(never)]
pub(crate) fn write_local_boxed<M: LocalMessage>(
    value: &M,
    limit_bytes: usize,
) -> Result<(AlignedBuffer, u8), LocalRefusal> {
    let mut room_bytes = local_room_bytes::<M>().min(limit_bytes);
    loop {
        let mut buffer = AlignedBuffer::zeroed(room_bytes);
        // SAFETY: the buffer is aligned and exclusively ours for its length.
        match unsafe { write_local_at(value, buffer.as_mut_slice().as_mut_ptr(), room_bytes) } {
            Ok(written) => {
                buffer.truncate(written.payload_bytes);
                return Ok((buffer.fitted(), written.flags));
            }
            Err(LocalRefusal::Overflow) if room_bytes == limit_bytes => {
                return Err(LocalRefusal::TooLarge { limit_bytes });
            }
            Err(LocalRefusal::Overflow) => {
                room_bytes = room_bytes.saturating_mul(2).max(BOXED_START_BYTES).min(limit_bytes);
            }
            Err(refusal) => return Err(refusal),
        }
    }
}

/// An archive of an `M` in memory of its own.
pub(crate) struct OwnedArchive<M> {
    bytes: AlignedBuffer,
    message: PhantomData<fn() -> M>,
}

impl<M: Message> OwnedArchive<M> {
    /// Writes the value.
    pub fn of(value: &M) -> Result<Self, TooLarge> {
        let bytes = write_boxed(value, usize::MAX >> 1)?;
        Ok(OwnedArchive { bytes, message: PhantomData })
    }

    /// The archived value.
    pub fn get(&self) -> &M::Archived {
        let bytes = self.bytes.as_slice();
        // SAFETY: `of` wrote an `M`, the buffer is aligned, and nothing changes it.
        unsafe { root::<M>(bytes.as_ptr(), bytes.len()) }
    }
}

/// Reads a payload back that was delivered to `address`. The reference stands for the type: safe code cannot make one
/// of another type for the same receiver, and whoever keeps payloads keeps them with the address they came for.
pub(crate) fn read_delivered<M: Reply>(
    payload: &AlignedBuffer,
    _address: ActorRef<M>,
) -> Result<M, ReadError> {
    let bytes = payload.as_slice();
    // SAFETY: senders write an `M` for an `ActorRef<M>`, and the buffer is aligned.
    owned::<M>(unsafe { root::<M>(bytes.as_ptr(), bytes.len()) })
}

/// As [`read_delivered`], for a payload that came from another node and begins with its prefix. Only references to
/// actors of this `node` need belief.
pub(crate) fn read_foreign<M: Reply>(
    payload: &AlignedBuffer,
    node: u32,
) -> Result<M, ForeignRefused> {
    let (prefix, archive) =
        ForeignPrefix::split(payload.as_slice()).ok_or(ForeignRefused::Schema)?;
    if prefix.fingerprint != M::FINGERPRINT {
        return Err(ForeignRefused::Schema);
    }
    let references = OfOthers { node, believed: prefix.word != 0 };
    // SAFETY: references to this node's actors pass only if the node that sent them is believed.
    let root = unsafe { check::<M>(archive, &references) }?;
    Ok(owned::<M>(root)?)
}

/// Why a payload from another node was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForeignRefused {
    #[error("the node that sent it has another type of message there")]
    Schema,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error(transparent)]
    Read(#[from] ReadError),
}

struct OfOthers {
    node: u32,
    believed: bool,
}

impl References for OfOthers {
    fn is_possible(&self, reference: Address, _: u64) -> bool {
        self.believed || reference.node() != self.node
    }
}

/// The root of the archive that is a payload.
///
/// # Safety
///
/// `payload` must be a multiple of [`FRAME_ALIGN`] and point to `payload_bytes` bytes that a function of this module
/// wrote for the same `M` (or that were checked to be such an archive), and that stay unchanged during `'a`.
#[inline(always)]
pub unsafe fn root<'a, M: Archive>(payload: *const u8, payload_bytes: usize) -> &'a M::Archived {
    let root_bytes = size_of::<M::Archived>();
    if root_bytes == 0 {
        // SAFETY: a dangling but aligned pointer is valid for a type without bytes.
        return unsafe { NonNull::dangling().as_ref() };
    }
    debug_assert!(payload_bytes >= root_bytes, "a payload shorter than its root");
    // SAFETY: the caller promises an archive of `M`; its root is the last thing in it, and was aligned when written.
    unsafe { &*payload.add(payload_bytes - root_bytes).cast::<M::Archived>() }
}

/// Alignment of every payload.
#[repr(align(16))]
struct Aligned;

const _: () = assert!(align_of::<Aligned>() == FRAME_ALIGN);

impl From<Overflow> for LocalRefusal {
    fn from(_: Overflow) -> Self {
        LocalRefusal::Overflow
    }
}

impl Trace for Overflow {
    fn trace<R>(self, _: R) -> Self {
        self
    }
}

/// The only errors that the types of a message can raise themselves say that they are too long for an archive.
impl Source for Overflow {
    fn new<T: std::error::Error + Send + Sync + 'static>(_: T) -> Self {
        Overflow
    }
}

impl Trace for LocalRefusal {
    fn trace<R>(self, _: R) -> Self {
        self
    }
}

impl Source for LocalRefusal {
    fn new<T: std::error::Error + Send + Sync + 'static>(_: T) -> Self {
        LocalRefusal::Overflow
    }
}
