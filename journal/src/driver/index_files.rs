//! Footers and checkpoints as files in a core's folder, read when a log is opened.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::index::IndexReader;

/// The name of a segment's footer, by the segment's number in the log.
pub fn footer_name(segment_id: u64) -> String {
    format!("{segment_id:016x}.footer")
}

/// The name of a checkpoint.
pub fn checkpoint_name(file_number: u64) -> String {
    format!("checkpoint-{file_number}")
}

/// Reads the index files of one core's folder. What cannot be read counts as not there.
#[derive(Clone, Debug)]
pub struct IndexFiles {
    folder: PathBuf,
}

impl IndexFiles {
    /// Those of a folder.
    pub fn new(folder: &Path) -> Self {
        IndexFiles { folder: folder.to_owned() }
    }

    fn open(&self, name: &str) -> Option<Box<dyn Read + '_>> {
        let file = File::open(self.folder.join(name)).ok()?;
        Some(Box::new(BufReader::with_capacity(READ_BYTES, file)))
    }
}

/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;

impl IndexReader for IndexFiles {
    fn footer(&mut self, segment_id: u64) -> Option<Box<dyn Read + '_>> {
        self.open(&footer_name(segment_id))
    }

    fn checkpoint(&mut self, file_number: u64) -> Option<Box<dyn Read + '_>> {
        self.open(&checkpoint_name(file_number))
    }
}
