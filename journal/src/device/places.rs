//! Where the records of each entity stand.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::format::dictionary::SchemaEntry;
use crate::format::{RecordHeader, RecordKind};
use crate::log::SegmentFile;

/// One record of an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub kind: RecordKind,
    /// Number of its layout in the segment's dictionary.
    pub schema: u16,
    pub sequence: u64,
    pub segment_id: u64,
    pub file: SegmentFile,
    /// In the file.
    pub offset: u64,
    /// Of the whole record.
    pub bytes: u32,
}

/// What is known of one entity.
#[derive(Clone, Debug, Default)]
pub(super) struct Entity {
    /// Of the last event, or the last revision of a state.
    pub sequence: u64,
    /// Events up to this one are no longer needed.
    pub deleted_to: u64,
    places: Vec<Place>,
}

/// All entities of a log.
#[derive(Debug, Default)]
pub(super) struct Places {
    entities: HashMap<u64, Entity>,
    layouts: BTreeMap<(u64, u16), Arc<SchemaEntry>>,
}

impl Places {
    /// A record stands in the log.
    pub fn add(
        &mut self,
        header: &RecordHeader,
        segment_id: u64,
        file: SegmentFile,
        offset: u64,
        bytes: u32,
    ) {
        let (kind, sequence) = (header.kind, header.entity_sequence);
        match kind {
            RecordKind::Event | RecordKind::State | RecordKind::Command => {
                let entity = self.entities.entry(header.entity).or_default();
                entity.sequence = entity.sequence.max(sequence);
                entity.places.push(Place {
                    kind,
                    schema: header.schema,
                    sequence,
                    segment_id,
                    file,
                    offset,
                    bytes,
                });
            }
            RecordKind::Deletion => {
                let entity = self.entities.entry(header.entity).or_default();
                // A state that is deleted has a revision for it.
                entity.sequence = entity.sequence.max(sequence);
                entity.deleted_to = entity.deleted_to.max(sequence);
                let deleted_to = entity.deleted_to;
                // The snapshot that stands for them stays, with the commands that it knows.
                entity.places.retain(|place| {
                    let is_event = place.kind == RecordKind::Event;
                    place.sequence > deleted_to || (!is_event && place.sequence == deleted_to)
                });
            }
            _ => {}
        }
    }

    /// A segment's dictionary has an entry.
    pub fn add_layout(&mut self, segment_id: u64, entry: SchemaEntry) {
        self.layouts.insert((segment_id, entry.number), Arc::new(entry));
    }

    /// The layout of a record.
    pub fn layout(&self, segment_id: u64, number: u16) -> Option<Arc<SchemaEntry>> {
        self.layouts.get(&(segment_id, number)).cloned()
    }

    /// What is known of an entity.
    pub fn entity(&self, entity: u64) -> Option<&Entity> {
        self.entities.get(&entity)
    }

    /// How many entities there are.
    pub fn len(&self) -> usize {
        self.entities.len()
    }
}

impl Entity {
    /// The latest state below a limit, and the events behind it, in order.
    pub fn history(&self, below: u64) -> Vec<Place> {
        let states = self.places.iter().filter(|place| place.kind == RecordKind::State);
        let state =
            states.filter(|place| place.sequence < below).max_by_key(|place| place.sequence);
        let from = state.map_or(0, |place| place.sequence);
        let behind = self.places.iter().filter(|place| match place.kind {
            RecordKind::Event => place.sequence > from,
            RecordKind::Command => place.sequence >= from,
            _ => false,
        });
        let mut history: Vec<Place> = state.into_iter().chain(behind).copied().collect();
        history.sort_by_key(|place| (place.sequence, place.kind != RecordKind::State));
        history
    }
}
