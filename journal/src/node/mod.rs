//! A journal as a node's program has it: put together from logs, devices and real files.

mod journal;
mod logs;

pub use journal::{Journal, JournalError};
pub use logs::LogsError;
