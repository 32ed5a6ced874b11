//! The files of a damaged log, sorted out: which segment each is, known from its header, or from the frames in it.

use std::collections::BTreeMap;

use super::ToolError;
use super::blocks::Blocks;
use super::scan::Damage;
use crate::format::commit_frame::FrameHeader;
use crate::format::record::Records;
use crate::format::{BLOCK_BYTES, SegmentHeader};
use crate::log::SegmentFile;
use crate::log::recovery::SegmentReader;

/// A file that is a segment of the log.
pub struct Piece {
    pub file: SegmentFile,
    pub segment_id: u64,
    pub base_lsn: u64,
    pub file_bytes: u64,
    /// Number and chain value of the frame before its first.
    pub previous: Option<(u64, u32)>,
    /// Why its header cannot be used.
    pub bad_header: Option<String>,
}

/// A file with frames of the log in it that is none of its segments, if it should be one.
pub struct Stray {
    pub damage: Damage,
    lowest_segment: u64,
    highest_durable_lsn: u64,
}

impl Stray {
    /// Whether it is one, when the log ends with this segment and before this log sequence number.
    pub fn is_of(&self, last: Option<&Piece>, lsn: u64) -> bool {
        let last_id = last.map_or(0, |piece| piece.segment_id);
        self.lowest_segment <= last_id || self.highest_durable_lsn > lsn
    }
}

/// All files, sorted out, and each of their blocks seen once.
pub struct Catalogue {
    /// In the order of the log.
    pub pieces: Vec<Piece>,
    pub strays: Vec<Stray>,
    /// Some frame states that everything before this was durable.
    pub proven_lsn: u64,
    /// How many were looked at.
    pub blocks: u64,
}

impl Catalogue {
    pub fn read(reader: &mut dyn SegmentReader) -> Result<Catalogue, ToolError> {
        let mut pieces: BTreeMap<u64, Piece> = BTreeMap::new();
        let mut catalogue =
            Catalogue { pieces: Vec::new(), strays: Vec::new(), proven_lsn: 0, blocks: 0 };
        let mut files = reader.files()?;
        files.sort_unstable();
        let mut headless = Vec::new();
        for file in files {
            let length = reader.length_bytes(file)?;
            let mut blocks = Blocks::new(reader, file, length);
            let survey = Survey::of(&mut blocks);
            catalogue.blocks += blocks.file_bytes() / BLOCK_BYTES as u64;
            catalogue.proven_lsn = catalogue.proven_lsn.max(survey.durable_lsn);
            match SegmentHeader::decode(blocks.at(0)) {
                Ok(header) if !pieces.contains_key(&header.segment_id) => {
                    pieces.insert(header.segment_id, Piece::with_header(file, &header, length));
                }
                Ok(header) => {
                    let reason = format!("a second file of segment {}", header.segment_id);
                    catalogue.strays.push(survey.stray(file, reason));
                }
                Err(error) => headless.push((file, length, survey, error.to_string())),
            }
        }
        for (file, length, survey, reason) in headless {
            match survey.piece(file, length, &reason) {
                Some(piece) if !pieces.contains_key(&piece.segment_id) => {
                    pieces.insert(piece.segment_id, piece);
                }
                _ if survey.lowest_segment < u64::MAX => {
                    catalogue.strays.push(survey.stray(file, reason));
                }
                _ => {}
            }
        }
        catalogue.pieces = pieces.into_values().collect();
        Ok(catalogue)
    }
}

/// What the frames of one file say, whatever its header says.
struct Survey {
    durable_lsn: u64,
    lowest_segment: u64,
    /// The first whole frame that does not stand in the header's block, and where it stands.
    first: Option<(u64, FrameHeader)>,
}

impl Survey {
    fn of(blocks: &mut Blocks<'_>) -> Survey {
        let mut survey = Survey { durable_lsn: 0, lowest_segment: u64::MAX, first: None };
        for offset in (0..blocks.file_bytes()).step_by(BLOCK_BYTES) {
            let bytes = blocks.at(offset);
            let Ok(frame) = FrameHeader::decode_header(bytes) else { continue };
            survey.durable_lsn = survey.durable_lsn.max(frame.durable_lsn);
            survey.lowest_segment = survey.lowest_segment.min(frame.segment_id);
            if offset > 0 && survey.first.is_none() && FrameHeader::decode(bytes).is_ok() {
                survey.first = Some((offset, frame));
            }
        }
        survey
    }

    /// The segment that the file must be, known from its first whole frame.
    fn piece(&self, file: SegmentFile, file_bytes: u64, reason: &str) -> Option<Piece> {
        let (offset, frame) = self.first?;
        let base_lsn = frame.lsn.checked_sub(offset - BLOCK_BYTES as u64)?;
        let is_first = offset == BLOCK_BYTES as u64 && frame.sequence > 0;
        Some(Piece {
            file,
            segment_id: frame.segment_id,
            base_lsn,
            file_bytes,
            previous: is_first.then(|| (frame.sequence - 1, frame.previous_chain)),
            bad_header: Some(reason.to_owned()),
        })
    }

    fn stray(&self, file: SegmentFile, reason: String) -> Stray {
        let segment_id = self.first.map_or(self.lowest_segment, |(_, frame)| frame.segment_id);
        let bytes = BLOCK_BYTES as u64;
        let file = Some(file.0);
        let damage = Damage { file, segment_id, bytes, reason, ..Damage::default() };
        let (lowest_segment, highest_durable_lsn) = (self.lowest_segment, self.durable_lsn);
        Stray { damage, lowest_segment, highest_durable_lsn }
    }
}

impl Piece {
    fn with_header(file: SegmentFile, header: &SegmentHeader, length: u64) -> Piece {
        Piece {
            file,
            segment_id: header.segment_id,
            base_lsn: header.base_lsn,
            file_bytes: length.min(header.segment_bytes),
            previous: Some((header.previous_frame, header.previous_chain)),
            bad_header: None,
        }
    }

    /// The log sequence number of a byte of the file.
    pub fn lsn_at(&self, offset: u64) -> u64 {
        self.base_lsn.saturating_add(offset.saturating_sub(BLOCK_BYTES as u64))
    }

    /// Where the byte with a log sequence number would stand, within the file.
    pub fn offset_of(&self, lsn: u64) -> u64 {
        let behind_header = lsn.saturating_sub(self.base_lsn);
        behind_header.saturating_add(BLOCK_BYTES as u64).min(self.file_bytes)
    }

    /// Whether the segment begins where the log was left.
    pub fn follows(&self, segment_id: u64, tail: Option<(u64, u32)>) -> bool {
        let is_next = self.segment_id == segment_id + 1 && self.bad_header.is_none();
        is_next && tail.is_some() && self.previous == tail
    }

    /// The frame at an offset, when it is one of this segment and stands where it says.
    pub fn frame<'b>(
        &self,
        bytes: &'b [u8],
        offset: u64,
    ) -> Result<(FrameHeader, &'b [u8]), String> {
        let (header, records) = FrameHeader::decode(bytes).map_err(|error| error.to_string())?;
        if header.segment_id != self.segment_id || header.lsn != self.lsn_at(offset) {
            return Err("a frame that belongs elsewhere".to_owned());
        }
        if header.frame_bytes() > bytes.len() {
            return Err("the frame ends behind the segment".to_owned());
        }
        for record in Records::new(records, header.record_count) {
            record.map_err(|error| error.to_string())?;
        }
        Ok((header, records))
    }
}
