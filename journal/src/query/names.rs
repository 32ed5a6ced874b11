//! What the records of one segment refer to by number: the names of entities and the layouts of payloads.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::Selection;
use crate::format::dictionary::{DictionaryError, EntityEntry, SchemaEntry};
use crate::format::{RecordKind, record::Record};

/// The dictionaries of a segment up to a frame. They are bounded by the segment.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// By hash; none for those whose events are not asked for.
    entities: HashMap<u64, Option<Arc<EntityEntry>>>,
    layouts: BTreeMap<u16, Arc<SchemaEntry>>,
}

impl Names {
    /// The layout of a number.
    pub fn layout(&self, number: u16) -> Option<&Arc<SchemaEntry>> {
        self.layouts.get(&number)
    }

    /// The name of an entity by its hash: none in the inner place if its events are not asked for.
    pub fn entity(&self, hash: u64) -> Option<Option<&Arc<EntityEntry>>> {
        self.entities.get(&hash).map(Option::as_ref)
    }

    /// Enters a record if it belongs to a dictionary.
    pub(super) fn take_in(
        &mut self,
        record: &Record<'_>,
        selection: &Selection,
    ) -> Result<(), DictionaryError> {
        match record.header.kind {
            RecordKind::Schema => {
                let entry = SchemaEntry::decode(record.payload)?;
                self.layouts.insert(entry.number, Arc::new(entry));
            }
            RecordKind::Entity => {
                let hash = EntityEntry::hash_of(record.payload);
                if let Entry::Vacant(place) = self.entities.entry(hash) {
                    let entry = EntityEntry::decode(record.payload)?;
                    place.insert(selection.takes_entity(&entry).then(|| Arc::new(entry)));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
