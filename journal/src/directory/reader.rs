//! The segment files of one core's folder, read only and through the page cache: what a log is recovered from, and what
//! the command line looks at.
//!
//! Promises: nothing in the folder is changed, and no lock is needed. The list of files is that of the moment when
//! the reader was made; files that are not segments are not seen.
//!
//! Refuses: to run on a core. Everything here blocks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::durable_file::FileError;
use super::segment_files::{segment_name, segments_in};
use crate::log::SegmentFile;
use crate::log::recovery::{ReadError, SegmentReader};

/// Reads the log in one folder.
#[derive(Debug)]
pub struct DirectoryReader {
    folder: PathBuf,
    files: Vec<SegmentFile>,
    /// The file that was read last.
    open: Option<(SegmentFile, File)>,
}

impl DirectoryReader {
    /// A reader of a core's folder.
    ///
    /// # Errors
    /// [`FileError`] when the folder cannot be listed.
    pub fn open(folder: &Path) -> Result<DirectoryReader, FileError> {
        let files = segments_in(folder)?;
        Ok(DirectoryReader { folder: folder.to_owned(), files, open: None })
    }

    /// The segment file with the highest number.
    pub fn last_file(&self) -> Option<SegmentFile> {
        self.files.iter().max().copied()
    }

    fn file(&mut self, file: SegmentFile) -> std::io::Result<&File> {
        let opened = match self.open.take() {
            Some((number, opened)) if number == file => opened,
            _ => File::open(self.folder.join(segment_name(file)))?,
        };
        Ok(&self.open.insert((file, opened)).1)
    }
}

impl SegmentReader for DirectoryReader {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        Ok(self.files.clone())
    }

    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError> {
        let metadata = self.file(file).and_then(|opened| opened.metadata());
        let metadata = metadata.map_err(|source| ReadError { file, offset: 0, source })?;
        Ok(metadata.len())
    }

    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.file(file)
            .and_then(|opened| opened.read_exact_at(bytes, offset))
            .map_err(|source| ReadError { file, offset, source })
    }
}
