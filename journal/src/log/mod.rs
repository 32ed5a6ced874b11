//! The core log as a machine: what is written where, what is durable, and what is left after a crash.
//!
//! [`CoreLog`] decides and a driver obeys: the machine takes records and completions and returns writes; it opens no
//! file, reads no clock and never waits. [`recovery`] does the same for the way back: it asks for blocks and says
//! what they mean.
//!
//! Invariants:
//!
//! - `durable <= written <= appended`: a record is acknowledged when every frame up to and with its own is durable.
//! - A block that was acknowledged is never written again.
//! - A record is refused before anything of it is written, or it is written as a whole: a group of records is always
//!   within one frame.
//! - Room is promised when a record is taken: a record that was taken never meets a full disk.
//! - After the first failed write nothing is written any more; what was not yet durable has an unknown outcome.

mod catalogue;
mod core_log;
mod declared;
mod frame_buffer;
mod log_settings;
pub mod recovery;
mod segment;
pub(crate) mod window;

pub(crate) use catalogue::check_owner;
pub use core_log::{
    AppendError, CommitError, CoreLog, Durable, NewRecord, Placed, Position, Tail, Write,
};
pub use declared::{DeclaredEntity, DeclaredSchema, NameTooLong};
pub use frame_buffer::BlockBuffer;
pub use log_settings::{LogIdentity, LogSettings};
pub use segment::{OpenSegment, SegmentFile};
