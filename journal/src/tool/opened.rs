//! A log that a command looks at: the reader of its folder, and whose log its first header says it is.

use std::path::Path;

use super::ToolError;
use super::verdict::is_foreign;
use crate::directory::DirectoryReader;
use crate::format::{BLOCK_BYTES, SegmentHeader};
use crate::log::SegmentFile;
use crate::log::recovery::{Expected, SegmentReader};

/// A log that can be read.
pub struct OpenedLog {
    pub reader: DirectoryReader,
    /// The segment with the lowest number that has a header.
    pub first: SegmentHeader,
    /// The segment with the highest number that has a header.
    pub last: SegmentHeader,
    /// Files in the folder.
    pub files: usize,
}

impl OpenedLog {
    /// Opens the folder of one core.
    pub fn open(folder: &Path) -> Result<OpenedLog, ToolError> {
        let mut reader = DirectoryReader::open(folder)?;
        let files = reader.files()?;
        let mut ends: Option<(SegmentHeader, SegmentHeader)> = None;
        for file in &files {
            let Some(header) = header_of(&mut reader, *file)? else { continue };
            let (first, last) = ends.get_or_insert_with(|| (header.clone(), header.clone()));
            if header.segment_id < first.segment_id {
                *first = header;
            } else if header.segment_id > last.segment_id {
                *last = header;
            }
        }
        let no_log = || ToolError::NoLog(folder.display().to_string());
        let (first, last) = ends.ok_or_else(no_log)?;
        Ok(OpenedLog { reader, first, last, files: files.len() })
    }

    /// What recovery must find.
    pub fn expected(&self) -> Expected {
        Expected {
            system: self.first.system.clone(),
            core: self.first.core,
            shard_count: self.first.shard_count,
        }
    }
}

/// The header of a file, when it has one. A header that this program cannot read ends the command; a block that cannot
/// be read does not: the commands report it where it matters.
fn header_of(
    reader: &mut DirectoryReader,
    file: SegmentFile,
) -> Result<Option<SegmentHeader>, ToolError> {
    if reader.length_bytes(file)? < BLOCK_BYTES as u64 {
        return Ok(None);
    }
    let mut block = [0; BLOCK_BYTES];
    if reader.read(file, 0, &mut block).is_err() {
        return Ok(None);
    }
    match SegmentHeader::decode(&block) {
        Ok(header) => Ok(Some(header)),
        Err(error) if is_foreign(&error) => {
            Err(ToolError::Unreadable { file: file.0, reason: error.to_string() })
        }
        Err(_) => Ok(None),
    }
}
