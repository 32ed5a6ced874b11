//! Reads a log that may be damaged anywhere, and never stops at the first damage.
//!
//! The rules are those of recovery. What differs is what follows a frame that is not there: when a later frame proves
//! that it was durable, the scan goes on at the next frame that stands where it says; the frames between are damage,
//! and each of their records whose own checksum is right is given out. Without proof the log ends there.
//!
//! A file whose header is gone is known by the frames in it: each states its segment and its place.

use super::ToolError;
use super::blocks::Blocks;
use super::catalogue::{Catalogue, Piece};
use crate::format::commit_frame::{FRAME_HEADER_BYTES, FrameHeader};
use crate::format::record::{RECORD_HEADER_BYTES, Record, Records, read_at, record_bytes};
use crate::format::{BLOCK_BYTES, RECORD_ALIGNMENT, RecordKind};
use crate::log::recovery::SegmentReader;

/// What a scan comes upon, in the order of the log.
pub enum Finding<'a> {
    /// A record that is whole.
    Record { segment_id: u64, written_at_ms: u64, record: Record<'a> },
    /// Something that was durable is not there.
    Damage(Damage),
}

/// A stretch of the log that is damaged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// The file, when there is one.
    pub file: Option<u64>,
    pub segment_id: u64,
    pub offset: u64,
    pub bytes: u64,
    pub reason: String,
    /// Numbers of frames that are not there, the first and the last.
    pub frames: Option<(u64, u64)>,
    /// Hashes that stand where the damaged records' entities do. Only a hash that is known elsewhere means something.
    pub entities: Vec<u64>,
}

/// What a scan comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// The number of the first segment that is there, with a header or without.
    pub first_segment: u64,
    pub blocks: u64,
    pub frames: u64,
    pub damages: u64,
    /// File, offset and length of what was never acknowledged.
    pub torn: Option<(u64, u64, u64)>,
}

/// The most entities that are named with one damage.
const MOST_ENTITIES_NAMED: usize = 16;

/// The most missing segments in a row that are named.
const MOST_MISSING_NAMED: u64 = 1_000;

/// Reads all of a log.
pub fn scan(
    reader: &mut dyn SegmentReader,
    visit: &mut dyn FnMut(Finding<'_>) -> Result<(), ToolError>,
) -> Result<Scanned, ToolError> {
    let catalogue = Catalogue::read(reader)?;
    let mut walk = Walk {
        visit,
        proven_lsn: catalogue.proven_lsn,
        tail: None,
        is_astray: false,
        time_ms: 0,
        lsn: 0,
        scanned: Scanned {
            first_segment: catalogue.pieces.first().map_or(0, |piece| piece.segment_id),
            blocks: catalogue.blocks,
            ..Scanned::default()
        },
    };
    let mut last: Option<&Piece> = None;
    for (place, piece) in catalogue.pieces.iter().enumerate() {
        if !walk.enter(last, piece)? {
            break;
        }
        last = Some(piece);
        let mut blocks = Blocks::new(reader, piece.file, piece.file_bytes);
        if !walk.segment(&mut blocks, piece, catalogue.pieces.get(place + 1))? {
            break;
        }
    }
    for stray in catalogue.strays {
        if stray.is_of(last, walk.lsn) {
            walk.damage(stray.damage)?;
        }
    }
    Ok(walk.scanned)
}

/// The way through the segments.
struct Walk<'a> {
    visit: &'a mut dyn FnMut(Finding<'_>) -> Result<(), ToolError>,
    proven_lsn: u64,
    /// Number and chain value of the last frame; none before the first.
    tail: Option<(u64, u32)>,
    /// Damage was reported, and no frame found since: the next one need not follow.
    is_astray: bool,
    /// When the last frame was written.
    time_ms: u64,
    /// Where the last frame ends.
    lsn: u64,
    scanned: Scanned,
}

impl Walk<'_> {
    /// Whether the log goes on in this segment, after the one before.
    fn enter(&mut self, before: Option<&Piece>, piece: &Piece) -> Result<bool, ToolError> {
        if let Some(before) = before
            && !piece.follows(before.segment_id, self.tail)
        {
            if self.proven_lsn <= self.lsn {
                return Ok(false);
            }
            self.missing_between(before.segment_id, piece)?;
        } else if before.is_none() {
            self.tail = piece.previous;
            self.lsn = piece.base_lsn;
        }
        if let Some(reason) = piece.bad_header.clone() {
            let (file, segment_id) = (Some(piece.file.0), piece.segment_id);
            let bytes = BLOCK_BYTES as u64;
            self.damage(Damage { file, segment_id, bytes, reason, ..Damage::default() })?;
        }
        Ok(true)
    }

    fn missing_between(&mut self, before_id: u64, piece: &Piece) -> Result<(), ToolError> {
        let missing = before_id + 1..piece.segment_id;
        if missing.is_empty() && piece.bad_header.is_none() && !self.is_astray {
            let reason = "the segment does not follow the one before".to_owned();
            let (file, segment_id) = (Some(piece.file.0), piece.segment_id);
            let frames = self.missing_frames(piece.previous.map(|(frame, _)| frame + 1));
            self.damage(Damage { file, segment_id, reason, frames, ..Damage::default() })?;
        }
        for segment_id in missing.take(MOST_MISSING_NAMED as usize) {
            let reason = "the segment is missing".to_owned();
            self.damage(Damage { segment_id, reason, ..Damage::default() })?;
        }
        Ok(())
    }

    /// Reads the frames of one segment. Whether the log goes on behind it.
    fn segment(
        &mut self,
        blocks: &mut Blocks<'_>,
        piece: &Piece,
        next: Option<&Piece>,
    ) -> Result<bool, ToolError> {
        let mut offset = BLOCK_BYTES as u64;
        while offset < blocks.file_bytes() {
            let reason = match piece.frame(blocks.at(offset), offset) {
                Ok((header, records)) if self.is_next(&header) => {
                    self.take_in(piece, &header, records)?;
                    offset += header.frame_bytes() as u64;
                    continue;
                }
                Ok(_) => "the frame does not follow the one before".to_owned(),
                Err(reason) => reason,
            };
            let found = next_frame(blocks, piece, offset, self.tail.map_or(0, |tail| tail.0));
            let follows = next.is_some_and(|next| next.follows(piece.segment_id, self.tail));
            if found.is_none() && follows {
                return Ok(true);
            }
            let end = found.as_ref().map_or(blocks.file_bytes(), |(end, _)| *end);
            if !self.is_damage(blocks, piece, offset, end) {
                self.tear(blocks, piece, offset);
                return Ok(false);
            }
            let found_frame = found.map(|(_, header)| header.sequence);
            let stated = next.and_then(|next| next.previous).map(|(frame, _)| frame + 1);
            let frames = self.missing_frames(found_frame.or(stated));
            self.report(blocks, piece, offset..end, reason, frames)?;
            offset = end;
        }
        Ok(true)
    }

    fn is_next(&self, header: &FrameHeader) -> bool {
        let follows = |tail: (u64, u32)| tail == (header.sequence - 1, header.previous_chain);
        header.sequence > 0 && (self.is_astray || self.tail.is_none_or(follows))
    }

    fn take_in(
        &mut self,
        piece: &Piece,
        header: &FrameHeader,
        records: &[u8],
    ) -> Result<(), ToolError> {
        self.scanned.frames += 1;
        self.tail = Some((header.sequence, header.chain()));
        self.is_astray = false;
        self.time_ms = header.written_at_ms;
        self.lsn = header.lsn + header.frame_bytes() as u64;
        for record in Records::new(records, header.record_count).flatten() {
            let (segment_id, written_at_ms) = (piece.segment_id, self.time_ms);
            (self.visit)(Finding::Record { segment_id, written_at_ms, record })?;
        }
        Ok(())
    }

    /// Whether something durable stood here. What cannot be read is never taken for the end of a log.
    fn is_damage(&self, blocks: &mut Blocks<'_>, piece: &Piece, from: u64, to: u64) -> bool {
        if self.proven_lsn > piece.lsn_at(from) {
            return true;
        }
        let is_foreign = (from..blocks.file_bytes()).step_by(BLOCK_BYTES).any(|offset| {
            FrameHeader::decode_header(blocks.at(offset))
                .is_ok_and(|frame| frame.segment_id != piece.segment_id)
        });
        is_foreign || blocks.unreadable_in(from, to).is_some()
    }

    /// Reports a stretch of a segment, and gives out the records in it that are whole.
    fn report(
        &mut self,
        blocks: &mut Blocks<'_>,
        piece: &Piece,
        stretch: std::ops::Range<u64>,
        reason: String,
        frames: Option<(u64, u64)>,
    ) -> Result<(), ToolError> {
        let (from, to) = (stretch.start, stretch.end);
        let reason = match blocks.unreadable_in(from, to) {
            Some(block) => format!("the block at {block} cannot be read"),
            None => reason,
        };
        // Behind what is known to have been durable stands, at best, what nobody was told of.
        let durable_end = to.min(piece.offset_of(self.proven_lsn).max(from));
        let (entities, found) = records_in(blocks, piece, from, durable_end);
        let (file, segment_id) = (Some(piece.file.0), piece.segment_id);
        let (offset, bytes) = (from, to - from);
        self.damage(Damage { file, segment_id, offset, bytes, reason, frames, entities })?;
        for (base, start) in found {
            let (segment_id, written_at_ms) = (piece.segment_id, self.time_ms);
            if let Some(record) = whole_record(blocks.at(base), start) {
                (self.visit)(Finding::Record { segment_id, written_at_ms, record })?;
            }
        }
        Ok(())
    }

    fn damage(&mut self, damage: Damage) -> Result<(), ToolError> {
        self.scanned.damages += 1;
        self.is_astray = true;
        (self.visit)(Finding::Damage(damage))
    }

    /// The numbers of the frames between the last one and this.
    fn missing_frames(&self, next: Option<u64>) -> Option<(u64, u64)> {
        let first = self.tail.map_or(0, |(frame, _)| frame) + 1;
        next.and_then(|next| next.checked_sub(1))
            .filter(|last| *last >= first)
            .map(|last| (first, last))
    }

    fn tear(&mut self, blocks: &mut Blocks<'_>, piece: &Piece, from: u64) {
        let mut end = from;
        for offset in (from..blocks.file_bytes()).step_by(BLOCK_BYTES) {
            if blocks.at(offset).iter().take(BLOCK_BYTES).any(|byte| *byte != 0) {
                end = offset + BLOCK_BYTES as u64;
            }
        }
        self.scanned.torn = (end > from).then_some((piece.file.0, from, end - from));
    }
}

/// What can be made out in a damaged stretch: hashes of entities, and where whole records start, each as the offset of
/// a block and a place behind it. A frame that belongs elsewhere is passed over: its records would be out of order
/// here, and their layouts are those of another segment.
fn records_in(
    blocks: &mut Blocks<'_>,
    piece: &Piece,
    from: u64,
    to: u64,
) -> (Vec<u64>, Vec<(u64, usize)>) {
    let (mut entities, mut found) = (Vec::new(), Vec::new());
    let mut is_expected = false;
    // A write that landed on the header of the segment reaches into its first frame.
    let in_front = from - BLOCK_BYTES as u64;
    let mut foreign_end = match place_of(blocks.at(in_front), piece, in_front) {
        Place::Elsewhere { bytes } => in_front + bytes,
        Place::Here | Place::Unknown => from,
    };
    let mut at = from;
    while at < to {
        let base = at - at % BLOCK_BYTES as u64;
        let start = (at - base) as usize;
        let view = blocks.at(base);
        // The damaged frame's own header may be what is damaged: its records begin behind it all the same.
        let mut begins_frame = at == from;
        if start == 0 {
            match place_of(view, piece, at) {
                Place::Here => (foreign_end, begins_frame) = (at, true),
                Place::Elsewhere { bytes } => foreign_end = at + bytes,
                Place::Unknown => {}
            }
        }
        if at < foreign_end {
            at = base + BLOCK_BYTES as u64;
            continue;
        }
        if begins_frame {
            at += FRAME_HEADER_BYTES as u64;
            is_expected = true;
            continue;
        }
        let bytes = &view[..view.len().min((to - base) as usize)];
        match whole_record(bytes, start) {
            Some(record) => {
                note(&mut entities, record.header.entity);
                found.push((base, start));
                at += record_bytes(record.payload.len()) as u64;
                is_expected = true;
            }
            None => {
                if std::mem::take(&mut is_expected) {
                    note(&mut entities, entity_at(bytes, start));
                }
                at += RECORD_ALIGNMENT as u64;
            }
        }
    }
    (entities, found)
}

/// Whether a frame header stands at an offset, and whether it belongs there.
enum Place {
    Here,
    Elsewhere { bytes: u64 },
    Unknown,
}

fn place_of(bytes: &[u8], piece: &Piece, offset: u64) -> Place {
    match FrameHeader::decode_header(bytes) {
        Err(_) => Place::Unknown,
        Ok(header) => {
            let is_behind_header = offset >= BLOCK_BYTES as u64;
            let is_own = header.segment_id == piece.segment_id;
            if is_behind_header && is_own && header.lsn == piece.lsn_at(offset) {
                Place::Here
            } else {
                Place::Elsewhere { bytes: header.frame_bytes() as u64 }
            }
        }
    }
}

/// The next frame behind an offset that stands where it says and is later than the last one.
fn next_frame(
    blocks: &mut Blocks<'_>,
    piece: &Piece,
    behind: u64,
    last: u64,
) -> Option<(u64, FrameHeader)> {
    (behind..blocks.file_bytes()).step_by(BLOCK_BYTES).skip(1).find_map(|offset| {
        let (header, _) = piece.frame(blocks.at(offset), offset).ok()?;
        (header.sequence > last).then_some((offset, header))
    })
}

/// The record that starts here, when its checksum is right. Most bytes are ruled out before anything is summed up.
fn whole_record(bytes: &[u8], start: usize) -> Option<Record<'_>> {
    let head = bytes.get(start..start + RECORD_HEADER_BYTES)?;
    let (kind, flags) = (head[KIND_AT], head[KIND_AT + 1]);
    if flags != 0 || RecordKind::of_number(kind).is_none() {
        return None;
    }
    read_at(bytes, start).ok()
}

fn entity_at(bytes: &[u8], start: usize) -> u64 {
    let place = bytes.get(start + ENTITY_AT..).and_then(|rest| rest.first_chunk());
    u64::from_le_bytes(place.copied().unwrap_or_default())
}

fn note(entities: &mut Vec<u64>, entity: u64) {
    if entity != 0 && entities.len() < MOST_ENTITIES_NAMED && !entities.contains(&entity) {
        entities.push(entity);
    }
}

/// Places in a record's header, as the page of the format has them.
const KIND_AT: usize = 8;
const ENTITY_AT: usize = 16;
