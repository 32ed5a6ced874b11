//! Read sides: a projection hands the events of a query to a handler, and keeps how far it has come.
//!
//! [`Projection::new`] takes a name, a [query](crate::query), a [`Handler`] and an [`OffsetStore`].
//! [`Projection::start`] runs it on a thread of its own; [`ProjectionHandle`] pauses, resumes, rebuilds and stops it,
//! and says how it is doing. `docs/projections.md` is the guide.
//!
//! Promises:
//!
//! - **At least once.** The offset is stored after the handler has taken a batch. A crash between the two brings the
//!   batch again; none is left out.
//! - **Exactly once**, where the handler stores [`Batch::offset`](crate::query::Batch::offset) in the same
//!   transaction as what it makes of the batch, and the store reads it from there.
//! - A handler that fails gets the same batch again after a pause that grows; after so many failures in a row the
//!   projection has failed, says why, and waits for [`resume`](ProjectionHandle::resume) or
//!   [`rebuild`](ProjectionHandle::rebuild).
//! - [`Handler::clear`] is called before everything comes from the beginning: the first time, and at a rebuild.
//!
//! [`Conductor`] decides all of this and does nothing; a projection carries it out, one [`Action`] after the other.
//!
//! Refuses: to run on a core. Handlers, stores and queries block.

mod conductor;
mod handle;
mod handler;
mod offset_store;
mod runner;

pub use conductor::{Action, Conductor, Outcome, ProjectionSettings, ProjectionState};
pub use handle::{ProjectionHandle, ProjectionStatus};
pub use handler::{Handler, HandlerError};
pub use offset_store::{FileOffsets, MemoryOffsets, OffsetStore, OffsetStoreError};
pub use runner::{Projection, ProjectionError};

#[cfg(test)]
mod tests;
