//! From bytes that nobody vouches for to events and states.

use mainspring::Archived;
use mainspring::frame::validation::{Malformed, Reason, read_checked};
use mainspring::message::{ReadError, Stored, owned};

use super::{Event, EventBuffer, Events, Reader, State, WriteError};

/// A record that this program does not read. Nothing was made of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No type of the program has the name.
    #[error(
        "`{}` is not known to this program: add its type, as a variant or in `upcast(..)`, or run the program that \
         wrote it",
        name.escape_debug()
    )]
    Unknown {
        /// The name in the journal.
        name: Box<str>,
    },
    /// A newer program wrote it.
    #[error(
        "`{name}` has version {found}, this program knows up to {known}: run the newer program"
    )]
    Newer {
        /// The event or state.
        name: &'static str,
        /// The version in the journal.
        found: u16,
        /// The newest version of this program.
        known: u16,
    },
    /// An older program wrote it, and this one has forgotten how.
    #[error(
        "`{name}` has version {found}, which this program no longer reads (it knows {known}): keep the old type and \
         name it in `upcast(..)`"
    )]
    Older {
        /// The event or state.
        name: &'static str,
        /// The version in the journal.
        found: u16,
        /// The newest version of this program.
        known: u16,
    },
    /// Name and version are right, and the fields are not.
    #[error(
        "`{name}` version {version} was written with fingerprint {found:016x}, this program has {expected:016x}: the \
         type was changed without a new version; give the new fields a new version, and the old ones back to this one"
    )]
    Layout {
        /// The event or state.
        name: &'static str,
        /// The version.
        version: u16,
        /// The fingerprint of the type in this program.
        expected: u64,
        /// The fingerprint in the journal.
        found: u64,
    },
    /// The bytes are no archive of the type.
    #[error(
        "the payload is no archive of `{name}` version {version}: {reason}; its checksum was right, so the program \
         that wrote it is at fault: verify the journal, or salvage it"
    )]
    Malformed {
        /// The event or state.
        name: &'static str,
        /// The version.
        version: u16,
        /// What is wrong with them.
        reason: Reason,
    },
    /// An upcaster made something that cannot be applied.
    #[error("the upcaster of `{name}` version {version} failed: {reason}")]
    Upcast {
        /// The older event.
        name: &'static str,
        /// Its version.
        version: u16,
        /// What is wrong.
        reason: UpcastError,
    },
    /// A reader was used that belongs to another set of events, or to another state.
    #[error("the reader belongs to other events: ask `reader` of the same type that reads")]
    ForeignReader,
}

/// What an upcaster made is not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpcastError {
    /// One of its events cannot be written, so it could never have been stored either.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// It makes more events of one than a record could hold.
    #[error("it makes more than {UPCAST_EVENTS_LIMIT} events of one")]
    TooMany,
}

/// How many events an upcaster may make of one.
pub const UPCAST_EVENTS_LIMIT: usize = 4_096;

/// The event that is a payload.
#[doc(hidden)]
#[inline]
pub fn read_event<E: Event>(payload: &[u8]) -> Result<&Archived<E>, SchemaError> {
    checked::<E>(E::LAYOUT.version, payload)
}

/// A copy of an event.
#[doc(hidden)]
pub fn own_event<E: Event>(event: &Archived<E>) -> Result<E, SchemaError> {
    owned::<E>(event)
        .map_err(|ReadError| malformed(E::LAYOUT.name, E::LAYOUT.version, unreadable()))
}

/// The state that is a payload of its own layout.
#[doc(hidden)]
pub fn own_state<S: State>(payload: &[u8]) -> Result<S, SchemaError> {
    let malformed = |ReadError| malformed(S::LAYOUT.name, S::LAYOUT.version, unreadable());
    owned::<S>(read_state::<S>(payload)?).map_err(malformed)
}

/// The state that is a payload of its own layout, where it lies.
#[doc(hidden)]
pub fn read_state<S: State>(payload: &[u8]) -> Result<&Archived<S>, SchemaError> {
    checked::<S>(S::LAYOUT.version, payload)
}

/// Gives to `apply` what `convert` makes of the older event that is a payload.
///
/// What is applied is always an archive, so each event is written and read once more; only older records pay for it.
#[doc(hidden)]
pub fn upcast<Older: Event, E: Events, I: IntoIterator<Item = E>>(
    payload: &[u8],
    convert: impl FnOnce(&Archived<Older>) -> I,
    apply: &mut dyn FnMut(E::Archived<'_>),
) -> Result<(), SchemaError> {
    let (name, version) = (Older::LAYOUT.name, Older::LAYOUT.version);
    let failed = |reason| SchemaError::Upcast { name, version, reason };
    let events = convert(read_event::<Older>(payload)?);
    let mut buffer = EventBuffer::new();
    for (made, event) in events.into_iter().enumerate() {
        if made == UPCAST_EVENTS_LIMIT {
            return Err(failed(UpcastError::TooMany));
        }
        buffer.clear();
        let written = event.write(&mut buffer).map_err(|error| failed(error.into()))?;
        let index = event.layout();
        let layout = *E::LAYOUTS.get(index).ok_or(SchemaError::ForeignReader)?;
        E::read(Reader::of(layout, index), buffer.get(written), apply)?;
    }
    Ok(())
}

#[inline]
fn checked<M: Stored>(version: u16, payload: &[u8]) -> Result<&Archived<M>, SchemaError> {
    read_checked::<M>(payload)
        .map_err(|Malformed { reason, .. }| malformed(M::NAME, version, reason))
}

#[cold]
pub(super) fn malformed(name: &'static str, version: u16, reason: Reason) -> SchemaError {
    SchemaError::Malformed { name, version, reason }
}

fn unreadable() -> Reason {
    <Reason as rkyv::rancor::Source>::new(ReadError)
}
