//! What an event is, and a set of them.

use std::ops::Range;

use mainspring::message::Stored;

use super::{EventBuffer, Layout, Reader, SchemaError, WriteError};

/// A type whose archive may stand in a record. Made by [`#[event]`](macro@crate::event).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "put `#[event(name = \"..\", version = 1)]` on the type"
)]
pub trait Event: Stored {
    /// Its name, version and fields.
    const LAYOUT: Layout;
}

/// The events of an entity. Made by [`#[events]`](macro@crate::events).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of events",
    label = "not a set of events",
    note = "put `#[events]` on an enum with one variant for each event"
)]
pub trait Events: Sized + 'static {
    /// One event, read where its archive lies.
    type Archived<'a>: Copy;

    /// The layouts that this program writes, in the order of the variants.
    const LAYOUTS: &'static [Layout];

    /// The layouts that this program reads: those it writes, and behind them the older ones.
    const READABLE: &'static [Layout];

    /// The index in [`LAYOUTS`](Events::LAYOUTS) of this event's layout.
    fn layout(&self) -> usize;

    /// Writes the archive of the event behind what is in the buffer, at a multiple of 16, and says where it stands.
    ///
    /// # Errors
    ///
    /// [`WriteError`] if it does not fit; then the buffer holds what it held before.
    fn write(&self, into: &mut EventBuffer) -> Result<Range<usize>, WriteError>;

    /// Gives the archive of this event to `apply`, as [`read`](Events::read) gives it when it reads the event's record.
    /// What the buffer holds is forgotten: the archive is made there.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if the record could not be read; then nothing was applied.
    fn read_back(
        &self,
        buffer: &mut EventBuffer,
        apply: &mut dyn FnMut(Self::Archived<'_>),
    ) -> Result<(), SchemaError>;

    /// What reads records of a layout, as a segment's dictionary gives it. To be asked once for each entry.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if no type of this program is laid out so.
    fn reader(name: &str, version: u16, fingerprint: u64) -> Result<Reader, SchemaError> {
        Reader::find(Self::READABLE, name, version, fingerprint)
    }

    /// Checks a payload and gives the event in it to `apply`: once; of an older layout as often as its upcaster says.
    ///
    /// The payload must start at a multiple of 16, as it does in a frame that is read to an aligned place.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if the bytes are no archive of that layout: then nothing was applied. If an upcaster fails,
    /// some of its events may have been applied, so what was being built is to be thrown away.
    fn read(
        reader: Reader,
        payload: &[u8],
        apply: &mut dyn FnMut(Self::Archived<'_>),
    ) -> Result<(), SchemaError>;

    /// A copy of an event that lies in a journal, for those who cannot stay where it lies.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] if a field of it has no owned form.
    fn own(event: Self::Archived<'_>) -> Result<Self, SchemaError>;
}

/// One event of the set `E`, read where its archive lies: for `AccountEvent` the same as `ArchivedAccountEvent`.
pub type ArchivedEvent<'a, E> = <E as Events>::Archived<'a>;
