//! Events that a query has given out, in memory that is used again and again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rkyv::util::AlignedVec;

use super::Offset;
use crate::format::dictionary::{EntityEntry, SchemaEntry};
use crate::format::{RECORD_ALIGNMENT, RecordHeader};
use crate::schema::{ArchivedEvent, Events, SchemaError};

/// Some events, and where the query stands behind them.
#[derive(Default)]
pub struct Batch {
    /// Before the first event.
    start: Offset,
    /// Behind the last event, and behind what was read and not asked for.
    end: Offset,
    bytes: AlignedVec<RECORD_ALIGNMENT>,
    /// Where tags stand in the bytes.
    tags: Vec<Range<usize>>,
    events: Vec<Entry>,
}

/// One event of a batch.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub core: u32,
    /// The log sequence number behind it and its tags.
    pub behind_lsn: u64,
    pub header: RecordHeader,
    pub written_at_ms: u64,
    pub entity: Arc<EntityEntry>,
    pub layout: Arc<SchemaEntry>,
    payload: Range<usize>,
    tags: Range<usize>,
}

/// What is known of an event before it is in a batch.
pub(super) struct NewEntry<'a> {
    pub core: u32,
    pub behind_lsn: u64,
    pub header: RecordHeader,
    pub written_at_ms: u64,
    pub entity: &'a Arc<EntityEntry>,
    pub layout: &'a Arc<SchemaEntry>,
    pub payload: &'a [u8],
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Batch::default()
    }

    /// How many events it holds.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it holds none. Its offset may have moved all the same.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Where the query stands behind the batch. Stored when all of its events are done with.
    pub fn offset(&self) -> &Offset {
        &self.end
    }

    /// Where the query stood before the batch.
    pub fn start(&self) -> &Offset {
        &self.start
    }

    /// Its events, in the order in which they were read.
    pub fn events(&self) -> impl ExactSizeIterator<Item = StoredEvent<'_>> {
        (0..self.events.len()).map(|number| StoredEvent { batch: self, number })
    }

    pub(super) fn clear(&mut self, start: Offset) {
        self.bytes.clear();
        self.tags.clear();
        self.events.clear();
        self.end = start.clone();
        self.start = start;
    }

    /// Bytes of payloads and tags.
    pub(super) fn payload_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn set_end(&mut self, core: u32, lsn: u64) {
        self.end.set(core, lsn);
    }

    pub(super) fn push<'t>(&mut self, new: NewEntry<'_>, tags: impl Iterator<Item = &'t str>) {
        let payload = self.copy(new.payload);
        let first_tag = self.tags.len();
        for tag in tags {
            let place = self.copy(tag.as_bytes());
            self.tags.push(place);
        }
        let NewEntry { core, behind_lsn, header, written_at_ms, entity, layout, .. } = new;
        self.events.push(Entry {
            core,
            behind_lsn,
            header,
            written_at_ms,
            entity: Arc::clone(entity),
            layout: Arc::clone(layout),
            payload,
            tags: first_tag..self.tags.len(),
        });
    }

    /// Takes back what was put in last. The memory stays in use until the batch is cleared.
    pub(super) fn truncate(&mut self, events: usize) {
        self.events.truncate(events);
    }

    /// Copies bytes to where an archive may be read.
    fn copy(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len().next_multiple_of(RECORD_ALIGNMENT);
        self.bytes.resize(start, 0);
        self.bytes.extend_from_slice(bytes);
        start..start + bytes.len()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("start", &self.start)
            .field("end", &self.end)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

/// One event as the journal holds it.
#[derive(Clone, Copy)]
pub struct StoredEvent<'a> {
    batch: &'a Batch,
    number: usize,
}

impl<'a> StoredEvent<'a> {
    fn entry(&self) -> &'a Entry {
        &self.batch.events[self.number]
    }

    /// The type of its entity: the name of the entity's state.
    pub fn entity_type(&self) -> &'a str {
        &self.entry().entity.entity_type
    }

    /// The id of its entity.
    pub fn entity_id(&self) -> IdOf<'a> {
        IdOf(&self.entry().entity.id)
    }

    /// Its place in the entity's sequence, from 1.
    pub fn sequence(&self) -> u64 {
        self.entry().header.entity_sequence
    }

    /// The shard of its entity.
    pub fn shard(&self) -> u32 {
        self.entry().header.shard
    }

    /// Its place in the shard's sequence. Records of other kinds have places there too.
    pub fn shard_sequence(&self) -> u64 {
        self.entry().header.shard_sequence
    }

    /// The epoch of its shard.
    pub fn epoch(&self) -> u64 {
        self.entry().header.epoch
    }

    /// The core in whose log it stands.
    pub fn core(&self) -> u32 {
        self.entry().core
    }

    /// Its name, as in `#[event(name = "account.deposited", ..)]`.
    pub fn name(&self) -> &'a str {
        &self.entry().layout.name
    }

    /// The version of its type.
    pub fn version(&self) -> u16 {
        self.entry().layout.version
    }

    /// The fingerprint of its type.
    pub fn fingerprint(&self) -> u64 {
        self.entry().layout.fingerprint
    }

    /// When its commit was written: wall-clock time in milliseconds since 1970.
    pub fn written_at_ms(&self) -> u64 {
        self.entry().written_at_ms
    }

    /// The archive of the event, at a multiple of 16.
    pub fn payload(&self) -> &'a [u8] {
        &self.batch.bytes[self.entry().payload.clone()]
    }

    /// Its tags, in the order in which they were given.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let batch = self.batch;
        let places = batch.tags[self.entry().tags.clone()].iter();
        // They were checked when they were read.
        places.map(|place| std::str::from_utf8(&batch.bytes[place.clone()]).unwrap_or_default())
    }

    /// Where a query goes on behind it.
    pub fn offset(&self) -> Offset {
        let mut offset = self.batch.start.clone();
        for entry in &self.batch.events[..=self.number] {
            offset.set(entry.core, entry.behind_lsn);
        }
        offset
    }

    /// Gives the event to `apply` as one of a set of events; of an older version as often as its upcaster says.
    ///
    /// # Errors
    /// [`SchemaError`] when the set has no type for it, or its bytes are not of that type.
    pub fn read<E: Events>(
        &self,
        apply: &mut dyn FnMut(ArchivedEvent<'_, E>),
    ) -> Result<(), SchemaError> {
        let reader = E::reader(self.name(), self.version(), self.fingerprint())?;
        E::read(reader, self.payload(), apply)
    }
}

impl fmt::Debug for StoredEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredEvent")
            .field("entity_type", &self.entity_type())
            .field("entity_id", &self.entity_id())
            .field("sequence", &self.sequence())
            .field("name", &self.name())
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

/// The bytes of an entity's id, shown as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdOf<'a>(&'a [u8]);

impl<'a> IdOf<'a> {
    /// The bytes, as [`EntityId::as_bytes`](crate::EntityId::as_bytes).
    pub fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The number, if the id is made of one.
    pub fn as_number(&self) -> Option<u64> {
        self.0.try_into().ok().map(u64::from_be_bytes)
    }

    /// The text, if the id is text.
    pub fn as_text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }
}

impl fmt::Display for IdOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.escape_ascii(), f)
    }
}

impl fmt::Debug for IdOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdOf({self})")
    }
}
