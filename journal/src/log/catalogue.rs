//! The segments of a log's directory, by their headers alone.

use super::recovery::{Expected, RecoveryError, SegmentReader, Start};
use super::segment::SegmentFile;
use super::window::Window;
use crate::format::BLOCK_BYTES;
use crate::format::segment_header::{SegmentHeader, SegmentHeaderError};

/// A segment with a header that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its file.
    pub file: SegmentFile,
    /// Its header.
    pub header: SegmentHeader,
}

/// The files of a directory, sorted out.
pub(super) struct Catalogue {
    /// In the order of the log.
    pub segments: Vec<Segment>,
    /// Files without a header that can be used: never used, or torn when they were begun.
    pub headless: Vec<(SegmentFile, SegmentHeaderError)>,
}

/// The segments of a log in their order. A log may begin with any number; a hole is not looked for.
pub fn segments(
    reader: &mut dyn SegmentReader,
    expected: &Expected,
) -> Result<Vec<Segment>, RecoveryError> {
    Ok(Catalogue::read(reader, expected)?.segments)
}

impl Catalogue {
    pub fn read(
        reader: &mut dyn SegmentReader,
        expected: &Expected,
    ) -> Result<Self, RecoveryError> {
        let mut catalogue = Catalogue { segments: Vec::new(), headless: Vec::new() };
        let mut files = reader.files()?;
        files.sort_unstable();
        for file in files {
            let bytes = reader.length_bytes(file)?;
            if bytes < BLOCK_BYTES as u64 {
                let error = SegmentHeaderError::TooShort { bytes: bytes as usize };
                catalogue.headless.push((file, error));
                continue;
            }
            let mut window = Window::new(file, bytes.min(BLOCK_BYTES as u64));
            match SegmentHeader::decode(window.at(reader, 0)?) {
                Ok(header) => {
                    check_owner(file, &header, expected)?;
                    catalogue.segments.push(Segment { file, header });
                }
                // A log that this program cannot read is not one that is damaged.
                Err(
                    source @ (SegmentHeaderError::NewerVersion { .. }
                    | SegmentHeaderError::ForeignEndianness
                    | SegmentHeaderError::ArchiveLayout { .. }),
                ) => return Err(RecoveryError::Header { file, source }),
                Err(error) => catalogue.headless.push((file, error)),
            }
        }
        catalogue.segments.sort_by_key(|segment| segment.header.segment_id);
        catalogue.check_order()?;
        Ok(catalogue)
    }

    fn check_order(&self) -> Result<(), RecoveryError> {
        for pair in self.segments.windows(2) {
            let [before, after] = pair else { continue };
            let segment_id = after.header.segment_id;
            if before.header.segment_id == segment_id {
                return Err(RecoveryError::Segments { segment_id, how: "there twice" });
            }
            if before.header.log_id != after.header.log_id {
                return Err(RecoveryError::Foreign {
                    file: after.file,
                    what: "log",
                    found: format!("{:032x}", after.header.log_id),
                    expected: format!("{:032x}", before.header.log_id),
                });
            }
        }
        Ok(())
    }

    /// The place of the segment with which reading begins. Those before it are there without a hole, and each begins
    /// where the one before ends.
    pub fn place_of(&self, start: &Start) -> Result<usize, RecoveryError> {
        let segment_id = start.segment_id;
        let refused = |what| RecoveryError::Start { segment_id, what };
        let place = self.segments.iter().position(|at| at.header.segment_id == segment_id);
        let place = place.ok_or(refused("is not there"))?;
        let header = &self.segments[place].header;
        if (header.previous_frame, header.previous_chain) != (start.last_frame, start.last_chain) {
            return Err(refused("follows another frame"));
        }
        for pair in self.segments[..=place].windows(2) {
            let [before, after] = pair else { continue };
            let segment_id = before.header.segment_id + 1;
            if after.header.segment_id != segment_id {
                return Err(RecoveryError::Segments { segment_id, how: "missing" });
            }
            if after.header.base_lsn != end_lsn(&before.header) {
                return Err(RecoveryError::Segments { segment_id, how: "out of its place" });
            }
        }
        Ok(place)
    }
}

/// Whether a segment is of the log that is meant.
pub(crate) fn check_owner(
    file: SegmentFile,
    header: &SegmentHeader,
    expected: &Expected,
) -> Result<(), RecoveryError> {
    let foreign = |what, found: String, expected: String| {
        Err(RecoveryError::Foreign { file, what, found, expected })
    };
    if header.system != expected.system {
        return foreign("system", header.system.clone(), expected.system.clone());
    }
    if header.shard_count != expected.shard_count {
        let (found, expected) = (header.shard_count, expected.shard_count);
        return foreign("a system of shard count", found.to_string(), expected.to_string());
    }
    if header.core != expected.core {
        return foreign("core", header.core.to_string(), expected.core.to_string());
    }
    Ok(())
}

/// The log sequence number of the byte behind a segment's last block.
fn end_lsn(header: &SegmentHeader) -> u64 {
    header.base_lsn + (header.segment_bytes - BLOCK_BYTES as u64)
}
