//! Records that were read, as they are given to who asked for them.
//!
//! Promises: a record is given only when its checksum is right and it is the one that the index says; what cannot be
//! given stands in its place as an error, so one damaged record says nothing of the others. Each checksum is counted
//! once, when the record is looked at.

use std::rc::Rc;
use std::sync::Arc;

use rkyv::util::AlignedVec;

use super::log_index::Layouts;
use crate::format::dictionary::SchemaEntry;
use crate::format::record::{Record, RecordError, read_at};
use crate::format::{RECORD_ALIGNMENT, RecordKind};
use crate::log::BlockBuffer;

/// Some records of an entity, in order.
#[derive(Clone, Debug)]
pub struct Found {
    pub(super) bytes: RecordBytes,
    pub(super) records: Vec<Expected>,
    /// Those of the records' segments.
    pub(super) layouts: Vec<Layouts>,
    pub(super) entity: u64,
    /// Whether these were the last.
    pub is_last: bool,
}

/// One record that was read.
#[derive(Clone, Debug)]
pub struct FoundRecord<'a> {
    /// What it is, as the index says.
    pub kind: RecordKind,
    /// Its number, as the index says.
    pub sequence: u64,
    /// The record, if it is whole and the one that the index says.
    pub record: Result<Record<'a>, RecordError>,
    /// The layout of its payload, if it has one.
    pub layout: Option<&'a Arc<SchemaEntry>>,
}

/// Memory in which whole records stand, each at a multiple of 16.
pub(super) type GatheredBytes = AlignedVec<RECORD_ALIGNMENT>;

/// Where the records lie.
#[derive(Clone, Debug)]
pub(super) enum RecordBytes {
    /// In the blocks as they were fetched.
    Fetched(Rc<BlockBuffer>),
    /// Behind each other.
    Gathered(GatheredBytes),
}

/// A record that should be there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub sequence: u64,
    pub start: u32,
    /// Which of the batch's layouts are its segment's.
    pub layouts: u16,
    pub kind: RecordKind,
}

impl Found {
    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = FoundRecord<'_>> {
        let bytes = self.bytes.as_slice();
        self.records.iter().map(move |expected| {
            let Expected { sequence, kind, .. } = *expected;
            let offset = expected.start as usize;
            let record = read_at(bytes, offset).and_then(|record| {
                let found =
                    (record.header.kind, record.header.entity_sequence, record.header.entity);
                let is_meant = found == (kind, sequence, self.entity);
                is_meant.then_some(record).ok_or(RecordError::Other { offset })
            });
            let number = record.as_ref().map_or(0, |record| record.header.schema);
            let layouts = self.layouts.get(usize::from(expected.layouts));
            let layout = layouts.and_then(|layouts| layout_of(layouts, number));
            FoundRecord { kind, sequence, record, layout }
        })
    }
}

impl RecordBytes {
    fn as_slice(&self) -> &[u8] {
        match self {
            RecordBytes::Fetched(bytes) => bytes.as_slice(),
            RecordBytes::Gathered(bytes) => bytes.as_slice(),
        }
    }
}

/// The entry of a number: mostly the one in its place, because the numbers of a segment count from 1.
fn layout_of(layouts: &[Arc<SchemaEntry>], number: u16) -> Option<&Arc<SchemaEntry>> {
    let in_place = layouts.get(usize::from(number).checked_sub(1)?);
    in_place.filter(|layout| layout.number == number).or_else(|| {
        let place = layouts.binary_search_by_key(&number, |layout| layout.number);
        place.ok().and_then(|place| layouts.get(place))
    })
}
