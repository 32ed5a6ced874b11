//! Names that a segment's dictionary must hold before a record refers to them.
//!
//! Whoever appends keeps them, so that no table has to be asked for each record: each remembers the segment in which
//! it was declared last, and an entity where its rows in the index were. Segments are known by their numbers, so a name
//! that goes to another log is made anew there. After a restart a name is declared once more; an entry that stands
//! twice says the same twice.

use std::cell::Cell;

use crate::format::dictionary::{EntityEntry, MOST_NAME_BYTES, SchemaEntry};
use crate::index::RowGuess;

/// A payload's name, version and layout.
#[derive(Clone, Debug)]
pub struct DeclaredSchema {
    name: String,
    version: u16,
    fingerprint: u64,
    /// The segment, and the number there. A group of records may hold several of one layout, so it is shared.
    declared: Cell<Option<(u64, u16)>>,
}

/// An entity's full name.
#[derive(Clone, Debug)]
pub struct DeclaredEntity {
    payload: Box<[u8]>,
    hash: u64,
    declared_segment: Option<u64>,
    rows: RowGuess,
}

/// A name that the format has no room for. Nothing was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name of {bytes} bytes is too long; the journal keeps names and ids of up to {MOST_NAME_BYTES} bytes"
)]
pub struct NameTooLong {
    /// How long it is.
    pub bytes: usize,
}

impl DeclaredSchema {
    /// A layout that no segment knows yet.
    pub fn new(name: &str, version: u16, fingerprint: u64) -> Result<Self, NameTooLong> {
        checked(name.len())?;
        Ok(DeclaredSchema {
            name: name.to_owned(),
            version,
            fingerprint,
            declared: Cell::new(None),
        })
    }

    /// Its number in a segment's dictionary, when it is there.
    pub(super) fn number_in(&self, segment_id: u64) -> Option<u16> {
        self.declared.get().filter(|(segment, _)| *segment == segment_id).map(|(_, number)| number)
    }

    /// The entry that declares it under a number.
    pub(super) fn declare(&self, segment_id: u64, number: u16) -> SchemaEntry {
        self.declared.set(Some((segment_id, number)));
        SchemaEntry {
            number,
            version: self.version,
            fingerprint: self.fingerprint,
            name: self.name.clone(),
        }
    }

    /// Bytes of the entry.
    pub(super) fn entry_bytes(&self) -> usize {
        16 + self.name.len()
    }
}

impl DeclaredEntity {
    /// An entity that no segment knows yet.
    pub fn new(entity_type: &str, id: &[u8]) -> Result<Self, NameTooLong> {
        checked(entity_type.len())?;
        checked(id.len())?;
        let entry = EntityEntry { entity_type: entity_type.to_owned(), id: id.to_vec() };
        let payload = entry.encode().into_boxed_slice();
        let hash = EntityEntry::hash_of(&payload);
        Ok(DeclaredEntity::of(payload, hash))
    }

    /// An entity by its name as a segment's dictionary has it.
    pub(crate) fn named(payload: &[u8]) -> Self {
        let hash = EntityEntry::hash_of(payload);
        DeclaredEntity::of(payload.into(), hash)
    }

    /// No entity: of it are the records that are about a shard alone.
    pub(crate) fn nobody() -> Self {
        DeclaredEntity::of(Box::default(), 0)
    }

    fn of(payload: Box<[u8]>, hash: u64) -> Self {
        DeclaredEntity { payload, hash, declared_segment: None, rows: RowGuess::default() }
    }

    /// The hash by which records refer to it.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Where an index has found its rows last.
    pub(crate) fn rows(&self) -> RowGuess {
        self.rows
    }

    /// For an index that looks for its rows.
    pub(crate) fn rows_mut(&mut self) -> &mut RowGuess {
        &mut self.rows
    }

    /// The payload of its entry.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether it is in a segment's dictionary.
    pub(super) fn is_in(&self, segment_id: u64) -> bool {
        self.declared_segment == Some(segment_id) || self.payload.is_empty()
    }

    /// Its entry is in a segment's dictionary now.
    pub(crate) fn declare(&mut self, segment_id: u64) {
        self.declared_segment = Some(segment_id);
    }
}

fn checked(bytes: usize) -> Result<(), NameTooLong> {
    if bytes > MOST_NAME_BYTES { Err(NameTooLong { bytes }) } else { Ok(()) }
}
