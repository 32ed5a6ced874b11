//! The logs of a journal that is open, for those who read them beside its cores.

use super::journal::Journal;
use crate::directory::{Manifest, ManifestError, core_folder};
use crate::log::recovery::Expected;
use crate::query::Log;

/// Why the logs of a journal cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogsError {
    /// No node has opened it, so nobody says what is durable.
    #[error("the journal in {} is not open: start a node with it first", path.display())]
    NotOpen {
        /// Its directory.
        path: std::path::PathBuf,
    },
    /// Its manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl Journal {
    /// Its logs, one for each core, for an [`EventQuery`](crate::query::EventQuery). The node must have started.
    ///
    /// # Errors
    /// [`LogsError`].
    pub fn logs(&self) -> Result<Vec<Log>, LogsError> {
        let not_open = || LogsError::NotOpen { path: self.path().to_owned() };
        let manifest = Manifest::read(self.path())?.ok_or_else(not_open)?;
        let identity = &manifest.identity;
        let log = |core: u32| {
            let durable = u16::try_from(core).ok().and_then(|core| self.durable_lsn(core));
            let durable = durable.ok_or_else(not_open)?;
            let (system, shard_count) = (identity.system.clone(), identity.shard_count);
            let expected = Expected { system, core, shard_count };
            Ok(Log::in_folder(&core_folder(self.path(), core), expected, durable))
        };
        (0..identity.cores).map(log).collect()
    }
}
