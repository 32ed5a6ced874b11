//! `Local` payloads: values that only this process can hold, sent to actors of the same node.
//!
//! The value goes into a table of this process, and the frame carries its handle. A frame that owns handles bears
//! [`FLAG_LOCAL`](super::FLAG_LOCAL), starts with a prefix and lists its handles, so that code which does not know
//! the type of the message can free them:
//!
//! | bytes | what |
//! |---|---|
//! | 0–3 | where the list of handles starts, counted from the payload's start |
//! | 4–7 | how many handles there are |
//! | 8–15 | zero |
//! | then | data out of line · the list of handles · the root, last as ever |
//!
//! Invariants: a value is owned by its `Local`, by one frame, or by the receiver that took it, and by one of them
//! only. Copying a frame's bytes moves the ownership with them, since only the first `take` or `drop_locals` finds
//! the value. Handles are meaningless outside this process: a frame with [`FLAG_LOCAL`](super::FLAG_LOCAL) from
//! elsewhere must be refused.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rkyv::rend::u64_le;
use rkyv::{Archive, Place, Portable, Serialize};

use super::archive::LocalRefusal;
use super::handles::{HANDLES, HANDLES_LIMIT, Value};
use super::serializer::LocalSerializer;

/// How many `Local` payloads one message may hold.
pub const LOCALS_PER_MESSAGE_LIMIT: usize = 32;

/// Bytes before the archive in the payload of a message that can hold `Local` payloads.
pub(super) const LOCAL_PREFIX_BYTES: usize = 16;

/// A value of a message that may go to actors of the same node only: a channel, a descriptor, an `Arc`, a closure.
///
/// Sending the message hands the value over; the receiver takes it out of the archived message with
/// [`ArchivedLocal::take`]. What the receiver does not take in that turn is dropped, and so is the value in a message
/// that is never read. Sending the same message again carries nothing: the value left with the first send.
///
/// A type that holds a `Local` is a [`LocalMessage`](crate::message::LocalMessage) and not a
/// [`Message`](crate::message::Message), so only a [`LocalRef`](crate::LocalRef) accepts it.
///
/// At most [`LOCALS_PER_MESSAGE_LIMIT`] of them go into one message; to send more, put them into a `Vec` inside one
/// `Local`.
///
/// ```
/// use mainspring::prelude::*;
/// use std::sync::mpsc::Sender;
///
/// #[message]
/// pub struct Subscribe {
///     pub channel: u32,
///     pub events: Local<Sender<String>>,
/// }
/// ```
pub struct Local<T: Send + 'static> {
    place: Cell<Where<T>>,
}

enum Where<T> {
    Here(Box<T>),
    /// In the table. Whether it has been sent, the table knows.
    InTable(u64),
    Gone,
}

impl<T: Send + 'static> Local<T> {
    /// A payload.
    pub fn new(value: T) -> Self {
        Local { place: Cell::new(Where::Here(Box::new(value))) }
    }

    /// The value, if it has not been sent.
    pub fn into_inner(self) -> Option<T> {
        self.take_back().map(|value| *value)
    }

    fn take_back(&self) -> Option<Box<T>> {
        match self.place.replace(Where::Gone) {
            Where::Here(value) => Some(value),
            Where::InTable(handle) => HANDLES.take_held(handle)?.downcast().ok(),
            Where::Gone => None,
        }
    }

    /// The handle under which the value can go into a frame; 0 if it has been sent.
    fn handle(&self) -> Result<u64, LocalRefusal> {
        let handle = match self.place.replace(Where::Gone) {
            Where::Here(value) => match HANDLES.insert(value as Value) {
                Ok(handle) => handle,
                Err(value) => {
                    if let Ok(value) = value.downcast() {
                        self.place.set(Where::Here(value));
                    }
                    return Err(LocalRefusal::LocalsFull { limit: HANDLES_LIMIT });
                }
            },
            Where::InTable(handle) if HANDLES.is_held(handle) => handle,
            Where::InTable(_) | Where::Gone => return Ok(0),
        };
        self.place.set(Where::InTable(handle));
        Ok(handle)
    }
}

impl<T: Send + 'static> Drop for Local<T> {
    fn drop(&mut self) {
        drop(self.take_back());
    }
}

impl<T: Send + 'static> From<T> for Local<T> {
    fn from(value: T) -> Self {
        Local::new(value)
    }
}

impl<T: Send + 'static> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Local<{}>", std::any::type_name::<T>())
    }
}

/// A [`Local`] inside a received message.
#[derive(Portable)]
#[rkyv(crate = ::mainspring::rkyv)]
#[repr(C)]
pub struct ArchivedLocal<T> {
    handle: u64_le,
    value: PhantomData<fn() -> T>,
}

impl<T: Send + 'static> ArchivedLocal<T> {
    /// Takes the value out. `None` if it was taken before, or had left with an earlier send of the same message.
    pub fn take(&self) -> Option<T> {
        let value = HANDLES.take_framed(self.handle.to_native())?;
        value.downcast().ok().map(|value| *value)
    }
}

impl<T> fmt::Debug for ArchivedLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchivedLocal<{}>({:#x})", std::any::type_name::<T>(), self.handle.to_native())
    }
}

/// What serialising a [`Local`] leaves to be resolved.
#[derive(Debug)]
pub struct LocalResolver {
    handle: u64,
}

impl<T: Send + 'static> Archive for Local<T> {
    type Archived = ArchivedLocal<T>;
    type Resolver = LocalResolver;

    fn resolve(&self, resolver: LocalResolver, out: Place<ArchivedLocal<T>>) {
        out.write(ArchivedLocal {
            handle: u64_le::from_native(resolver.handle),
            value: PhantomData,
        });
    }
}

impl<'a, T: Send + 'static> Serialize<LocalSerializer<'a>> for Local<T> {
    fn serialize(
        &self,
        serializer: &mut LocalSerializer<'a>,
    ) -> Result<LocalResolver, LocalRefusal> {
        let handle = self.handle()?;
        if handle != 0 {
            serializer.carry(handle)?;
        }
        Ok(LocalResolver { handle })
    }
}

/// Frees what is left of the `Local` payloads that a frame owns, and says how many that were.
///
/// To be called for a frame with [`FLAG_LOCAL`](super::FLAG_LOCAL) when it is dropped unread (dead letter,
/// rolled-back turn, shutdown) and when the turn that read it ends; not when its bytes were copied to be read
/// later. Calling it twice does no harm. A value whose own `drop` panics is counted like the others; the panic
/// goes no further.
pub(crate) fn drop_locals(payload: &[u8]) -> usize {
    let mut freed = 0;
    for handle in handles(payload) {
        if let Some(value) = HANDLES.take_framed(handle) {
            // A foreign `drop` must not end the core that happens to clean up.
            let outcome = catch_unwind(AssertUnwindSafe(|| drop(value)));
            if outcome.is_err() {
                tracing::error!("dropping an unread `Local` payload panicked");
            }
            freed += 1;
        }
    }
    freed
}

/// Gives the payloads that were written to their frame.
#[inline]
pub(super) fn hand_over(handles: &[u64]) {
    for &handle in handles {
        HANDLES.frame(handle);
    }
}

/// The prefix of a payload that lists `count` handles at `offset`.
pub(super) fn prefix(offset: usize, count: usize) -> [u8; LOCAL_PREFIX_BYTES] {
    let word = offset as u64 | (count as u64) << 32;
    let mut bytes = [0; LOCAL_PREFIX_BYTES];
    bytes[..8].copy_from_slice(&word.to_le_bytes());
    bytes
}

/// The handles that a payload lists. A payload that is cut or damaged lists fewer, or none.
fn handles(payload: &[u8]) -> impl Iterator<Item = u64> {
    let field = |at: usize| {
        let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes) as usize
    };
    let (offset, count) = (field(0), field(4).min(LOCALS_PER_MESSAGE_LIMIT));
    let list = payload.get(offset..).unwrap_or_default();
    list.as_chunks::<8>().0.iter().take(count).map(|bytes| u64::from_le_bytes(*bytes))
}
