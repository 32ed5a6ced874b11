//! A journal as a node's program has it: put together from logs, devices and real files.

mod journal;

pub use journal::{Journal, JournalError};
