//! Space given back: the oldest segment of a log is dropped when nothing in it is needed, and what is needed of one
//! that is nearly empty is copied forward first.
//!
//! [`Reclaim`] is a machine without files, clock or thread. It looks at the oldest sealed segment by its footer,
//! decides, and asks for one thing at a time: [`Order::Read`] or [`Order::Drop`]. What it has to know of the log, and
//! the one way to write to it, is [`Surroundings`].
//!
//! Promises:
//!
//! - A segment is dropped only when no record in it is live ([`is_live`](crate::index::retention::is_live)), or every
//!   live one stands in a later segment; when everything that made the others dead, and every copy, is durable; and
//!   when nobody reads any more who may have looked for a record before the copies stood.
//! - Only the oldest segment is dropped, and the next one not before that is durable: a log never has a hole.
//! - What is copied takes no more than the log can spare: so many bytes a second, nothing while much waits to be
//!   written, and never the last segment that is ready.
//!
//! Refuses: to copy events of an entity that has given no events up, unless it is told to
//! ([`ReclaimSettings::moves_all_events`]). A query from the beginning of the log finds them in the order in which they
//! were written, and would not find copies. While the oldest segment holds one, it stays.

mod assessing;
mod copying;
mod machine;

pub use copying::{CopiedRecord, CopyFailed, CopyGroup, Layout};
pub use machine::{Front, Order, Reclaim, ReclaimFailed, Surroundings};

/// When and how fast space is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReclaimSettings {
    /// What is live is copied forward when it is at most so much of a segment's records, in percent; 0 to drop only
    /// what is dead as a whole.
    pub live_limit_percent: u8,
    /// Whether events of an entity that has given none up are copied forward too. Queries pass over copies, so one that
    /// begins with the log does not find these any more; without it, one such event keeps its segment and all later
    /// ones. [`Journal::retention`](crate::Journal::retention) sets it where events are given up.
    pub moves_all_events: bool,
    /// Bytes of footers and segments that are read in a second, and so the most that is copied.
    pub bytes_per_second: u64,
    /// Nothing is copied while so many bytes wait to be written.
    pub pending_limit_bytes: usize,
}

impl Default for ReclaimSettings {
    fn default() -> Self {
        ReclaimSettings {
            live_limit_percent: 25,
            moves_all_events: false,
            bytes_per_second: 32 << 20,
            pending_limit_bytes: 256 << 10,
        }
    }
}
