//! Segments of a log that is being written, by their headers.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use crate::format::BLOCK_BYTES;
use crate::format::segment_header::{SegmentHeader, SegmentHeaderError};
use crate::log::recovery::{Expected, ReadError, RecoveryError, Segment, SegmentReader};
use crate::log::window::Window;
use crate::log::{SegmentFile, check_owner};

/// The segments that were found so far. A log is written on meanwhile, so files come, go and are used again.
#[derive(Debug, Default)]
pub(super) struct Segments {
    known: BTreeMap<SegmentFile, Segment>,
}

impl Segments {
    /// Looks at every file. In the order of the log.
    pub fn read(
        &mut self,
        reader: &mut dyn SegmentReader,
        expected: &Expected,
    ) -> Result<Vec<Segment>, RecoveryError> {
        self.known.clear();
        for file in reader.files()? {
            self.look_at(reader, expected, file)?;
        }
        let mut segments: Vec<Segment> = self.known.values().cloned().collect();
        segments.sort_by_key(|segment| segment.header.segment_id);
        Ok(segments)
    }

    /// The segment of a number: first among files that were not seen before, then among all.
    pub fn find(
        &mut self,
        reader: &mut dyn SegmentReader,
        expected: &Expected,
        segment_id: u64,
    ) -> Result<Option<Segment>, RecoveryError> {
        let files = reader.files()?;
        self.known.retain(|file, _| files.contains(file));
        for file in files {
            if !self.known.contains_key(&file) {
                self.look_at(reader, expected, file)?;
            }
        }
        let found = self.known.values().find(|known| known.header.segment_id == segment_id);
        if let Some(found) = found {
            return Ok(Some(found.clone()));
        }
        let all = self.read(reader, expected)?;
        Ok(all.into_iter().find(|segment| segment.header.segment_id == segment_id))
    }

    /// A file without a header that can be used is none of the log's: not yet, or not any more.
    fn look_at(
        &mut self,
        reader: &mut dyn SegmentReader,
        expected: &Expected,
        file: SegmentFile,
    ) -> Result<(), RecoveryError> {
        let header = match header_of(reader, file) {
            Ok(Some(Ok(header))) => header,
            Ok(Some(Err(
                source @ (SegmentHeaderError::NewerVersion { .. }
                | SegmentHeaderError::ForeignEndianness
                | SegmentHeaderError::ArchiveLayout { .. }),
            ))) => return Err(RecoveryError::Header { file, source }),
            Ok(_) => return Ok(()),
            Err(error) if error.source.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        check_owner(file, &header, expected)?;
        self.known.insert(file, Segment { file, header });
        Ok(())
    }
}

/// What stands in the first block of a file; none when it has no whole block.
pub(super) fn header_of(
    reader: &mut dyn SegmentReader,
    file: SegmentFile,
) -> Result<Option<Result<SegmentHeader, SegmentHeaderError>>, ReadError> {
    if reader.length_bytes(file)? < BLOCK_BYTES as u64 {
        return Ok(None);
    }
    let mut window = Window::new(file, BLOCK_BYTES as u64);
    Ok(Some(SegmentHeader::decode(window.at(reader, 0)?)))
}
