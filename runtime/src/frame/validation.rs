//! Checking archives that came from another node before anything reads them.
//!
//! The check finds every way in which bytes can be no archive of a type: pointers out of bounds or overlapping, wrong
//! tags, text that is not UTF-8, nesting without end. Whether a reference in them was ever given out for that type of
//! message is not seen from its bytes, since a reference is plain data: `References` are asked, who know the actors
//! of this node as far as they can; the rest is believed. So `check` is not offered to safe code, and the type of
//! its checker is private to it: a reference has `CheckBytes` for this checker and for no other.
//!
//! Bytes from a disk are vouched for by nobody. [`read_checked`] reads them in safe code, with a checker of its own
//! for which no reference has `CheckBytes`: a type that holds one does not compile there.
//!
//! Invariant: bytes that pass are read exactly as bytes that this process wrote.

use std::alloc::Layout;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;

use rkyv::Archive;
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor::{Fallible, Source, Strategy, Trace};
use rkyv::validation::archive::ArchiveValidator;
use rkyv::validation::{ArchiveContext, archive::ArchiveContextExt as _};

use super::FRAME_ALIGN;
use super::any_ref::AnyRef;
use super::local::ArchivedLocal;
use crate::address::{ActorRef, Address, LocalRef};
use crate::message::{LocalMessage, Schema, Stored};

/// How deep boxes and collections may be nested in a message from another node.
pub const DEPTH_LIMIT: usize = 64;

/// What rkyv counts down from: the root is a level, and the level at which nothing is left is refused.
const DEPTH_AND_ROOT: Option<NonZeroUsize> = NonZeroUsize::new(DEPTH_LIMIT + 1);

/// A reason that is longer than this gets no further additions.
const REASON_BYTES: usize = 256;

/// Bytes that are no archive of the message they claim to be. Nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{payload_bytes} bytes are no archived `{message}`: {reason}")]
pub struct Malformed {
    /// The message that was expected.
    pub message: &'static str,
    /// How many bytes there were.
    pub payload_bytes: usize,
    /// What is wrong with them.
    pub reason: Reason,
}

/// What is wrong with an archive.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(Box<str>);

/// Checks an archive from another node: its bounds, its depth, and its references.
pub struct WireChecker<'a> {
    archive: ArchiveValidator<'a>,
    references: &'a dyn References,
}

/// Who knows which references may be true.
pub(crate) trait References {
    /// Whether such a reference, to an actor that takes messages with this fingerprint, may have been given out.
    fn is_possible(&self, reference: Address, fingerprint: u64) -> bool;
}

/// Believes every reference.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Believing;

#[cfg(test)]
impl References for Believing {
    fn is_possible(&self, _: Address, _: u64) -> bool {
        true
    }
}

/// Checks an archive that nobody vouches for. No reference passes, whatever its bytes.
pub type StoredChecker<'a> = Strategy<ArchiveValidator<'a>, Reason>;

/// The root of the archive that is `payload`, after a check of every byte that it uses. The bytes may come from
/// anywhere: from a file, for instance.
///
/// ```
/// use mainspring::frame::archive::write_boxed;
/// use mainspring::frame::validation::read_checked;
/// use mainspring::prelude::*;
///
/// #[message]
/// struct Deposited {
///     amount: u64,
/// }
///
/// let payload = write_boxed(&Deposited { amount: 5 }, 1024)?;
/// assert_eq!(read_checked::<Deposited>(payload.as_slice())?.amount, 5);
/// assert!(read_checked::<Deposited>(&payload.as_slice()[1..]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`Malformed`] if the bytes are no archive of `M`, do not start at a multiple of [`FRAME_ALIGN`], or are nested
/// deeper than [`DEPTH_LIMIT`].
pub fn read_checked<M: Stored>(payload: &[u8]) -> Result<&M::Archived, Malformed> {
    let malformed = |reason| Malformed { message: M::NAME, payload_bytes: payload.len(), reason };
    let position = root_position::<M>(payload).map_err(malformed)?;
    let mut checker = ArchiveValidator::with_max_depth(payload, DEPTH_AND_ROOT);
    rkyv::api::access_pos_with_context::<M::Archived, _, Reason>(payload, position, &mut checker)
        .map_err(malformed)
}

/// The root of the archive that is `payload`, after a check of every byte that it uses.
///
/// # Errors
///
/// [`Malformed`] if the bytes are no archive of `M`, nested deeper than [`DEPTH_LIMIT`], or hold a reference that
/// cannot be.
///
/// # Safety
///
/// A reference that `references` take for possible is believed. Where they cannot know, the bytes must come from a
/// node that is trusted to pass on only references it was given, for the type they were given for.
pub(crate) unsafe fn check<'a, M: LocalMessage>(
    payload: &'a [u8],
    references: &dyn References,
) -> Result<&'a M::Archived, Malformed> {
    let malformed = |reason| Malformed { message: M::NAME, payload_bytes: payload.len(), reason };
    let position = root_position::<M>(payload).map_err(malformed)?;
    let archive = ArchiveValidator::with_max_depth(payload, DEPTH_AND_ROOT);
    let mut checker = WireChecker { archive, references };
    let root = payload.as_ptr().wrapping_add(position).cast::<M::Archived>();
    checker
        // SAFETY: `in_subtree` calls it only if the root's bytes lie in the payload and are aligned.
        .in_subtree(root, |checker| unsafe { M::Archived::check_bytes(root, checker) })
        .map_err(malformed)?;
    // SAFETY: the bytes are an archive of `M` and borrowed for as long as the result.
    Ok(unsafe { &*root })
}

/// Where the root lies, if the payload's start and length allow for one.
fn root_position<M: Archive>(payload: &[u8]) -> Result<usize, Reason> {
    let root_bytes = size_of::<M::Archived>();
    if !payload.as_ptr().addr().is_multiple_of(FRAME_ALIGN) {
        return Err(Reason("it does not start at a multiple of 16".into()));
    }
    if root_bytes == 0 {
        let reason = || Reason("a message without fields is one zero byte".into());
        return if payload == [0] { Ok(0) } else { Err(reason()) };
    }
    let position = payload.len().checked_sub(root_bytes);
    let position = position.ok_or_else(|| Reason("it is too short for the type".into()))?;
    if !position.is_multiple_of(align_of::<M::Archived>()) {
        return Err(Reason("its length leaves the root misaligned".into()));
    }
    Ok(position)
}

impl<'a> WireChecker<'a> {
    /// Who is asked about references.
    pub(super) fn references(&self) -> &'a dyn References {
        self.references
    }
}

impl fmt::Debug for WireChecker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireChecker").field("archive", &self.archive).finish_non_exhaustive()
    }
}

impl Fallible for WireChecker<'_> {
    type Error = Reason;
}

// SAFETY: every call goes to rkyv's own context.
unsafe impl ArchiveContext<Reason> for WireChecker<'_> {
    fn check_subtree_ptr(&mut self, ptr: *const u8, layout: &Layout) -> Result<(), Reason> {
        self.archive.check_subtree_ptr(ptr, layout)
    }

    unsafe fn push_subtree_range(
        &mut self,
        root: *const u8,
        end: *const u8,
    ) -> Result<Range<usize>, Reason> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.archive.push_subtree_range(root, end) }
    }

    unsafe fn pop_subtree_range(&mut self, range: Range<usize>) -> Result<(), Reason> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.archive.pop_subtree_range(range) }
    }
}

// SAFETY: any 16 bytes are a reference; whether it was given out is asked of those who may know.
unsafe impl<M: Schema> CheckBytes<WireChecker<'_>> for ActorRef<M> {
    #[inline]
    unsafe fn check_bytes(value: *const Self, checker: &mut WireChecker<'_>) -> Result<(), Reason> {
        // SAFETY: the caller gives aligned bytes inside the archive, and any of them are a reference.
        let reference = unsafe { value.read() }.address();
        if checker.references.is_possible(reference, M::FINGERPRINT) {
            return Ok(());
        }
        Err(Reason(format!("{reference} was never an address for `{}`", M::NAME).into()))
    }
}

// SAFETY: any 24 bytes are a reference; whether it was given out for such messages is asked of those who may know.
unsafe impl CheckBytes<WireChecker<'_>> for AnyRef {
    unsafe fn check_bytes(value: *const Self, checker: &mut WireChecker<'_>) -> Result<(), Reason> {
        // SAFETY: the caller gives aligned bytes inside the archive, and any of them are a reference.
        let reference = unsafe { value.read() };
        let (address, fingerprint) = (reference.address(), reference.fingerprint());
        if checker.references.is_possible(address, fingerprint) {
            return Ok(());
        }
        let reason = format!("{address} was never an address for messages {fingerprint:016x}");
        Err(Reason(reason.into()))
    }
}

/// What only its own node can use is refused when it comes from another.
macro_rules! never_from_another_node {
    ($archived:ident<$parameter:ident $(: ?$relaxed:ident)?>) => {
        // SAFETY: nothing passes.
        unsafe impl<$parameter $(: ?$relaxed)?> CheckBytes<WireChecker<'_>> for $archived<$parameter> {
            unsafe fn check_bytes(_: *const Self, _: &mut WireChecker<'_>) -> Result<(), Reason> {
                Err(Reason(concat!(stringify!($archived), " from another node").into()))
            }
        }
    };
}

never_from_another_node!(LocalRef<M: ?Sized>);
never_from_another_node!(ArchivedLocal<T>);

impl Reason {
    pub(super) fn of(text: &str) -> Self {
        Reason(text.into())
    }
}

impl Source for Reason {
    fn new<T: std::error::Error + Send + Sync + 'static>(source: T) -> Self {
        Reason(source.to_string().into())
    }
}

impl Trace for Reason {
    /// Adds where it was found; of many levels the innermost.
    fn trace<R: fmt::Display>(self, place: R) -> Self {
        if self.0.len() > REASON_BYTES {
            return self;
        }
        Reason(format!("{self}; {place}").into())
    }
}

impl std::error::Error for Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
