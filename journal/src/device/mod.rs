//! A core's journal: its log as a device of the core, and what its actors ask of it.
//!
//! [`CoreJournal`] owns the core's log and its index; actors reach it through
//! [`Context::shared`](mainspring::Context::shared). They append groups of records and wait with a ticket until the
//! log says that they are durable, and they ask for an entity's records when they recover. [`JournalDevice`] is
//! polled by the core: it takes what the storage has finished, gives tickets back, and hands out the next write.
//! All actors of the core share a commit: what was appended while one was in flight goes with the next.
//!
//! Invariants: a ticket is given back only when everything up to its frame is durable; a record that was refused
//! changed nothing; the core never waits for the device.

pub(crate) mod afar;
mod cohort;
mod commits;
mod core_journal;
mod core_settings;
mod found;
mod group;
mod hooks;
mod log_index;
mod memory;
mod opened_log;
mod pass;
mod published;
mod reading;
mod reading_table;
mod readings;
mod recent;
mod reclaimer;
mod requests;
mod searches;
mod storage;

pub use commits::{CommitFailed, Committed, CommittedRecord};
pub use core_journal::{CoreJournal, JournalDevice};
pub use core_settings::{CoreSettings, JournalFigures};
pub use found::{Found, FoundRecord};
pub use group::{Group, GroupRecord, Refused, ShardClaim};
pub use log_index::SealedSegment;
pub use opened_log::{IndexExtent, OpenLogError, OpenedLog};
pub use published::Published;
pub use reading_table::ReadingId;
pub use readings::ReadFailed;
pub use storage::{LogFile, ReadRequest, Storage, StorageEvent};
