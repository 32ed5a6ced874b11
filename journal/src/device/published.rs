//! What other threads may know of a core's journal.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::core_settings::JournalFigures;

/// What other threads may know of a core's journal. The core writes it and never waits for a reader.
#[derive(Debug, Default)]
pub struct Published {
    durable_lsn: Arc<AtomicU64>,
    figures: Mutex<JournalFigures>,
}

impl Published {
    /// Of a log that is durable up to a log sequence number.
    pub fn new(durable_lsn: u64) -> Self {
        Published { durable_lsn: Arc::new(AtomicU64::new(durable_lsn)), figures: Mutex::default() }
    }

    /// Up to where the log is durable.
    pub fn durable_lsn(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.durable_lsn)
    }

    /// What the journal had done at its last commit.
    pub fn figures(&self) -> JournalFigures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn publish(&self, durable_lsn: u64, figures: &JournalFigures) {
        self.durable_lsn.store(durable_lsn, Ordering::Release);
        // A reader that is at it sees the figures of an earlier commit.
        if let Ok(mut published) = self.figures.try_lock() {
            *published = *figures;
        }
    }
}
