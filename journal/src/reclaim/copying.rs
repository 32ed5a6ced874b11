//! What is live in a segment, read frame by frame and handed on to be appended once more.

use std::collections::BTreeMap;

use super::machine::Surroundings;
use crate::format::commit_frame::{FRAME_HEADER_BYTES, FrameError, FrameHeader, MOST_FRAME_BYTES};
use crate::format::dictionary::{DictionaryError, SchemaEntry};
use crate::format::record::{Record, RecordError, read_at, record_bytes};
use crate::format::{BLOCK_BYTES, RecordHeader, RecordKind};
use crate::index::{FrameEnd, Posting};
use crate::log::{AppendError, BlockBuffer, DeclaredSchema};

/// Records that are looked at before the core does something else.
const RECORDS_AT_A_TIME: usize = 256;

/// The layout of payloads of the segment that is copied.
#[derive(Debug)]
pub struct Layout {
    /// Its entry there.
    pub entry: SchemaEntry,
    /// The same, to be declared elsewhere.
    pub declared: DeclaredSchema,
}

/// A record that is to be appended once more.
#[derive(Debug)]
pub struct CopiedRecord<'a> {
    /// Its header, as it was.
    pub header: RecordHeader,
    /// Its layout, when it has one.
    pub layout: Option<&'a Layout>,
    /// Its payload.
    pub payload: &'a [u8],
}

/// Records that have to stand together: an event and its tags, or one record by itself.
#[derive(Debug)]
pub struct CopyGroup<'a> {
    /// The name of their entity, as a dictionary has it; none of records that are about a shard alone.
    pub name: Option<&'a [u8]>,
    /// The records; at least one.
    pub records: Vec<CopiedRecord<'a>>,
}

impl CopyGroup<'_> {
    /// The most that it takes: as if none of its names were declared yet.
    pub fn needed_bytes(&self) -> usize {
        let name = self.name.map_or(0, |name| record_bytes(name.len()));
        let records = self.records.iter().map(|record| {
            let layout =
                record.layout.map_or(0, |layout| record_bytes(layout.entry.encode().len()));
            record_bytes(record.payload.len()) + layout
        });
        name + records.sum::<usize>()
    }
}

/// Why a segment is not copied. It stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyFailed {
    /// A frame cannot be used.
    #[error("at byte {offset} stands no frame that can be copied: {source}")]
    Frame {
        /// Where in the segment's file.
        offset: u64,
        /// What is wrong with it.
        source: FrameError,
    },
    /// Another frame stands there.
    #[error("at byte {offset} stands a frame that does not follow the one before")]
    Follows {
        /// Where in the segment's file.
        offset: u64,
    },
    /// A record cannot be used.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A layout cannot be used.
    #[error(transparent)]
    Layout(#[from] DictionaryError),
    /// A record refers to a name that does not stand before it.
    #[error("a record at byte {offset} refers to a name that its segment does not have")]
    Name {
        /// Where in the segment's file.
        offset: u64,
    },
    /// The log will never take a record that it had taken.
    #[error(transparent)]
    Refused(#[from] AppendError),
}

/// How copying goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Copied {
    /// This part of the segment is needed.
    Read { offset: u64, bytes: u64 },
    /// There is more to do at once.
    More,
    /// The log takes nothing at present.
    Blocked,
    /// Everything live stands in the log once more.
    All,
}

/// A segment that is being copied.
#[derive(Debug)]
pub(super) struct Copying {
    pub segment_id: u64,
    end: FrameEnd,
    /// The next frame.
    offset: u64,
    /// The number of the last frame; none before the first.
    last_frame: Option<u64>,
    part: Part,
    /// Within the records of the frame.
    at: usize,
    /// Names of the segment's entities: no more bytes than the segment has.
    names: BTreeMap<u64, Box<[u8]>>,
    layouts: BTreeMap<u16, Layout>,
}

/// Bytes of the segment.
#[derive(Debug, Default)]
struct Part {
    offset: u64,
    bytes: BlockBuffer,
}

impl Part {
    /// What is there from a place of the file on.
    fn from(&self, offset: u64) -> &[u8] {
        let at = offset.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bytes.get(at..)).unwrap_or_default()
    }
}

impl Copying {
    pub fn new(segment_id: u64, end: FrameEnd) -> Self {
        Copying {
            segment_id,
            end,
            offset: BLOCK_BYTES as u64,
            last_frame: None,
            part: Part::default(),
            at: 0,
            names: BTreeMap::new(),
            layouts: BTreeMap::new(),
        }
    }

    /// The part of the segment that the last step wanted.
    pub fn take(&mut self, bytes: BlockBuffer) {
        self.part = Part { offset: self.offset, bytes };
    }

    /// Copies on until something is needed, or for as long as a core may be held up.
    pub fn step(&mut self, now_ns: u64, log: &mut dyn Surroundings) -> Result<Copied, CopyFailed> {
        let mut left = RECORDS_AT_A_TIME;
        while self.offset < self.end.end_offset {
            let Some(frame) = self.frame()? else {
                let bytes = (self.end.end_offset - self.offset).min(MOST_FRAME_BYTES as u64);
                return Ok(Copied::Read { offset: self.offset, bytes });
            };
            let end = frame.payload_bytes as usize;
            while self.at < end {
                if left == 0 {
                    return Ok(Copied::More);
                }
                left -= 1;
                if !self.record(now_ns, end, log)? {
                    return Ok(Copied::Blocked);
                }
            }
            self.at = 0;
            self.last_frame = Some(frame.sequence);
            self.offset += frame.frame_bytes() as u64;
        }
        if self.last_frame != Some(self.end.last_frame) {
            return Err(CopyFailed::Follows { offset: self.offset });
        }
        Ok(Copied::All)
    }

    /// The header of the next frame, when all of the frame is there.
    fn frame(&self) -> Result<Option<FrameHeader>, CopyFailed> {
        let offset = self.offset;
        let failed = |source| CopyFailed::Frame { offset, source };
        let bytes = self.part.from(offset);
        if bytes.is_empty() {
            return Ok(None);
        }
        let frame = FrameHeader::decode_header(bytes).map_err(failed)?;
        let is_whole = bytes.len() >= frame.frame_bytes();
        if !is_whole && self.part.offset < offset {
            return Ok(None);
        }
        if self.at == 0 {
            FrameHeader::decode(bytes).map_err(failed)?;
        }
        let follows = self.last_frame.is_none_or(|last| last + 1 == frame.sequence);
        if !follows || frame.segment_id != self.segment_id {
            return Err(CopyFailed::Follows { offset });
        }
        Ok(Some(frame))
    }

    /// Takes in a name, or copies a record with what belongs to it. False when the log takes nothing at present.
    fn record(
        &mut self,
        now_ns: u64,
        end: usize,
        log: &mut dyn Surroundings,
    ) -> Result<bool, CopyFailed> {
        let from = FRAME_HEADER_BYTES;
        let records = self.part.from(self.offset).get(from..from + end).unwrap_or_default();
        let first = read_at(records, self.at)?;
        let mut behind = self.at + record_bytes(first.payload.len());
        if take_name(&first, &mut self.names, &mut self.layouts)? {
            self.at = behind;
            return Ok(true);
        }
        // The tags of an event that is not needed are not needed either.
        if !log.is_live(first.header.entity, &posting_of(&first)) {
            self.at = behind;
            return Ok(true);
        }
        let mut group = vec![first];
        while first.header.kind == RecordKind::Event && behind < end {
            let next = read_at(records, behind)?;
            let is_tag = next.header.kind == RecordKind::Tag
                && (next.header.entity, next.header.entity_sequence)
                    == (first.header.entity, first.header.entity_sequence);
            if is_tag {
                group.push(next);
            } else if !take_name(&next, &mut self.names, &mut self.layouts)? {
                break;
            }
            behind += record_bytes(next.payload.len());
        }
        let missing = CopyFailed::Name { offset: self.offset + (from + self.at) as u64 };
        let name = self.names.get(&first.header.entity).ok_or(missing.clone())?;
        let mut records = Vec::with_capacity(group.len());
        for Record { header, payload, .. } in group {
            let layout = self.layouts.get(&header.schema);
            if header.schema > 0 && layout.is_none() {
                return Err(missing);
            }
            records.push(CopiedRecord { header, layout, payload });
        }
        match log.append(now_ns, &CopyGroup { name: Some(name), records }) {
            Ok(()) => {}
            Err(AppendError::Busy { .. } | AppendError::Full { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.at = behind;
        Ok(true)
    }
}

fn posting_of(record: &Record<'_>) -> Posting {
    Posting {
        offset: record.offset as u64,
        bytes: record_bytes(record.payload.len()) as u32,
        kind: record.header.kind,
        entity_sequence: record.header.entity_sequence,
    }
}

/// Takes in a record of a dictionary; false when it is none.
fn take_name(
    record: &Record<'_>,
    names: &mut BTreeMap<u64, Box<[u8]>>,
    layouts: &mut BTreeMap<u16, Layout>,
) -> Result<bool, CopyFailed> {
    match record.header.kind {
        RecordKind::Entity => {
            names.insert(record.header.entity, record.payload.into());
            Ok(true)
        }
        RecordKind::Schema => {
            let entry = SchemaEntry::decode(record.payload)?;
            if let std::collections::btree_map::Entry::Vacant(place) = layouts.entry(entry.number) {
                // The name was read from a dictionary, so it is not too long for one.
                let SchemaEntry { name, version, fingerprint, .. } = &entry;
                if let Ok(declared) = DeclaredSchema::new(name, *version, *fingerprint) {
                    place.insert(Layout { entry, declared });
                }
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}
