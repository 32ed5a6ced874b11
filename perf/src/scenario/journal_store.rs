//! A journal of its own for one round: in a folder that is gone when the round has ended, with commits made durable
//! as those of the raw limits are.
//!
//! Refuses: places where the raw limits are refused, with the same errors.

use std::fs;
use std::io;

use mainspring_journal::Journal;
use mainspring_journal::format::segment_header::CommitMethod;
use mainspring_perf_contest::StoreFolder;

use super::ScenarioError;
use super::raw_commit_loop::commit_method;
use crate::raw::direct_file::{self, DirectFile};

/// The folder of a journal; removed with the journal when dropped.
#[derive(Debug)]
pub struct JournalStore {
    folder: StoreFolder,
    method: CommitMethod,
}

impl JournalStore {
    /// A folder for a journal.
    ///
    /// # Errors
    /// [`ScenarioError`] when [`is_of_the_place`](ScenarioError::is_of_the_place) or the commit method is no choice.
    pub fn make() -> Result<JournalStore, ScenarioError> {
        let raw = commit_method()?;
        let folder = StoreFolder::make()?;
        let file = folder.path().join("probe");
        DirectFile::create(&file, 1, 1, raw).map_err(ScenarioError::DirectFile)?;
        fs::remove_file(&file).map_err(io_error("remove a file"))?;
        let method = match raw {
            direct_file::CommitMethod::WriteThrough => CommitMethod::WriteThrough,
            direct_file::CommitMethod::WriteThenSync => CommitMethod::WriteThenSync,
        };
        Ok(JournalStore { folder, method })
    }

    /// The journal, to be given to one node. All its settings are the defaults, apart from how commits are made
    /// durable; there are no snapshots, so that every event is read when an entity recovers.
    pub fn journal(&self) -> Journal {
        let journal = Journal::at(self.folder.path().join("journal")).system("perf");
        journal.commit_method(self.method).snapshot_every(0)
    }

    /// Takes the journal's files out of the page cache. No node may have it open.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn forget_cached(&self) -> Result<(), ScenarioError> {
        self.folder.forget_cached().map_err(io_error("take files out of the page cache"))
    }
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> ScenarioError {
    move |source| ScenarioError::Io { doing, source }
}
