//! A log as a query finds it: its files, and up to where it is durable.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::directory::reader::DirectoryReader;
use crate::log::SegmentFile;
use crate::log::recovery::{Expected, ReadError, SegmentReader};

/// Up to where a log is durable. Everything before that number can be read and never changes.
pub trait DurableUpTo {
    /// The log sequence number behind the last durable frame. It never falls.
    fn durable_lsn(&self) -> u64;
}

impl DurableUpTo for u64 {
    fn durable_lsn(&self) -> u64 {
        *self
    }
}

/// What a core that runs says of its log.
impl DurableUpTo for Arc<AtomicU64> {
    fn durable_lsn(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
}

/// One core's log.
pub struct Log {
    pub(super) expected: Expected,
    pub(super) reader: Box<dyn SegmentReader + Send>,
    pub(super) durable: Box<dyn DurableUpTo + Send>,
}

impl Log {
    /// A log by the files it is in.
    pub fn new(
        expected: Expected,
        reader: impl SegmentReader + Send + 'static,
        durable: impl DurableUpTo + Send + 'static,
    ) -> Self {
        Log { expected, reader: Box::new(reader), durable: Box::new(durable) }
    }

    /// The log in a core's folder.
    pub fn in_folder(
        folder: &Path,
        expected: Expected,
        durable: impl DurableUpTo + Send + 'static,
    ) -> Self {
        Log::new(expected, FolderReader::new(folder), durable)
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("expected", &self.expected).finish_non_exhaustive()
    }
}

/// The files of a core's folder as they are at each moment: segments come while it is read, and old ones go.
#[derive(Debug)]
pub struct FolderReader {
    folder: PathBuf,
    reader: Option<DirectoryReader>,
}

impl FolderReader {
    /// A folder, which need not be there yet.
    pub fn new(folder: &Path) -> Self {
        FolderReader { folder: folder.to_owned(), reader: None }
    }

    fn open(&self, file: SegmentFile) -> Result<DirectoryReader, ReadError> {
        DirectoryReader::open(&self.folder).map_err(|error| ReadError {
            file,
            offset: 0,
            source: error.source,
        })
    }

    fn opened(&mut self, file: SegmentFile) -> Result<&mut DirectoryReader, ReadError> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.open(file)?,
        };
        Ok(self.reader.insert(reader))
    }
}

impl SegmentReader for FolderReader {
    fn files(&mut self) -> Result<Vec<SegmentFile>, ReadError> {
        let reader = self.open(SegmentFile(0))?;
        self.reader.insert(reader).files()
    }

    fn length_bytes(&mut self, file: SegmentFile) -> Result<u64, ReadError> {
        self.opened(file)?.length_bytes(file)
    }

    fn read(&mut self, file: SegmentFile, offset: u64, bytes: &mut [u8]) -> Result<(), ReadError> {
        self.opened(file)?.read(file, offset, bytes)
    }
}
