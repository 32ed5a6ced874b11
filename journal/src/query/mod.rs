//! Events read outside the cores that write them: by entity, by type, by shard, by tag; what there is, or what comes.
//!
//! A thread of the caller reads the segment files beside a journal that runs. It takes nothing from the cores but
//! one number for each log, up to where the log is durable, and gives out nothing beyond it: an event that a query
//! gives out is never taken back. A [`Selection`] says which events, an [`Offset`] where to begin, and an
//! [`EventQuery`] gives them in batches. Every event has an offset, to be stored as text, from which a later query
//! goes on with the next one.
//!
//! ```
//! use mainspring_journal::query::{Batch, EventQuery, Log, Offset, Progress, Selection};
//! # fn logs() -> Vec<Log> { Vec::new() }
//!
//! let selection = Selection::all().of_type("account").with_tag("large");
//! let mut query = EventQuery::current(logs(), selection, &Offset::beginning())?;
//! let mut batch = Batch::new();
//! loop {
//!     let progress = query.read(&mut batch)?;
//!     for event in batch.events() {
//!         println!("{} {} of {}", event.offset(), event.name(), event.entity_id());
//!     }
//!     if progress == Progress::Ended {
//!         break;
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Invariants:
//!
//! - Nothing is read that the log does not call durable, and no byte is used before checksum and chain were checked.
//! - In one log events come in the order in which they were written, each once, from an offset on without a gap.
//!   Between two logs there is no order; an entity is in one log only. Events that were copied forward out of segments
//!   which were given back are passed over: their place was where they stood first.
//! - What cannot be given without a gap is an error: an offset whose segment was given back, or a damaged frame.
//! - A query never waits: what it waits for, and how, is for its thread to say.
//!
//! Refuses: to run on a core. Reading files blocks.

mod batch;
mod cursor;
mod event_query;
mod names;
mod offset;
mod segments;
mod selection;
mod source;

pub use batch::{Batch, IdOf, StoredEvent};
pub use cursor::{Cursor, CursorError, CursorFrame};
pub use event_query::{EventQuery, Lag, Progress, QueryError, ReadLimits};
pub use names::Names;
pub use offset::{Offset, OffsetError};
pub use selection::Selection;
pub use source::{DurableUpTo, FolderReader, Log};

#[cfg(test)]
pub(crate) mod tests;
