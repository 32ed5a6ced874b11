//! A state that is stored as a whole.

use std::ops::Range;

use mainspring::message::Stored;

use super::{EventBuffer, Layout, Reader, SchemaError, WriteError};

/// A type whose archive may stand in a record of kind "state": a snapshot, or the one value of an entity without
/// events. Made by [`#[state]`](macro@crate::state).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a state",
    label = "not a state",
    note = "put `#[state(name = \"..\", version = 1)]` on the type"
)]
pub trait State: Stored {
    /// Its name, version and fields.
    const LAYOUT: Layout;

    /// The layouts that this program reads: its own, and behind it the older ones.
    const READABLE: &'static [Layout];

    /// Writes the archive of the state behind what is in the buffer, at a multiple of 16, and says where it stands.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if it does not fit; then the buffer holds what it held before.
    fn write(&self, into: &mut EventBuffer) -> Result<Range<usize>, WriteError> {
        into.push(self)
    }

    /// What reads records of a layout, as a segment's dictionary gives it.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if no type of this program is laid out so. A snapshot may then be passed over and its events
    /// replayed.
    fn reader(name: &str, version: u16, fingerprint: u64) -> Result<Reader, SchemaError> {
        Reader::find(Self::READABLE, name, version, fingerprint)
    }

    /// Checks a payload and makes the state of it.
    ///
    /// The payload must start at a multiple of 16, as it does in a frame that is read to an aligned place.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if the bytes are no archive of that layout.
    fn read(reader: Reader, payload: &[u8]) -> Result<Self, SchemaError>;
}
