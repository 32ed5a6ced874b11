//! Records that were read, in memory of their own, so that they can go to another core.

use crate::device::Found;
use crate::device::found::{Expected, GatheredBytes, RecordBytes};
use crate::device::log_index::Layouts;

/// Some records of an entity, in order.
#[derive(Debug)]
pub(crate) struct OwnedFound {
    bytes: GatheredBytes,
    records: Vec<Expected>,
    layouts: Vec<Layouts>,
    entity: u64,
    /// Whether these were the last.
    pub is_last: bool,
}

#[cfg(test)]
impl OwnedFound {
    /// No records.
    pub fn empty(is_last: bool) -> Self {
        let bytes = GatheredBytes::new();
        OwnedFound { bytes, records: Vec::new(), layouts: Vec::new(), entity: 0, is_last }
    }
}

impl From<Found> for OwnedFound {
    /// Records in blocks as they were fetched are copied: other readers may have the same blocks.
    fn from(found: Found) -> Self {
        let Found { bytes, records, layouts, entity, is_last } = found;
        let bytes = match bytes {
            RecordBytes::Gathered(bytes) => bytes,
            RecordBytes::Fetched(blocks) => {
                let mut bytes = GatheredBytes::with_capacity(blocks.len());
                bytes.extend_from_slice(&blocks);
                bytes
            }
        };
        OwnedFound { bytes, records, layouts, entity, is_last }
    }
}

impl From<OwnedFound> for Found {
    fn from(found: OwnedFound) -> Self {
        let OwnedFound { bytes, records, layouts, entity, is_last } = found;
        Found { bytes: RecordBytes::Gathered(bytes), records, layouts, entity, is_last }
    }
}
