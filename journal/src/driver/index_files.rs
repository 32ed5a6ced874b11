//! Footers and checkpoints as files in a core's folder, read when a log is opened.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

use crate::directory::durable_file::{FileError, remove};
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

    /// Has the kernel read footers into its page cache, in the order in which they are named, as far as 32 MiB go. So
    /// the first entities after a start wait for their records alone. Returns how many footers; it does not wait, and
    /// what fails is read when it is needed.
    pub fn read_ahead(&self, segments: impl Iterator<Item = u64>) -> usize {
        let (mut left, mut asked) = (READ_AHEAD_BYTES, 0);
        for segment_id in segments {
            let Ok(file) = File::open(self.folder.join(footer_name(segment_id))) else { continue };
            let bytes = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
            let Some(rest) = left.checked_sub(bytes) else { break };
            left = rest;
            asked += usize::from(fadvise(&file, 0, None, Advice::WillNeed).is_ok());
        }
        asked
    }

    fn open(&self, name: &str) -> Option<Box<dyn Read + '_>> {
        let file = File::open(self.folder.join(name)).ok()?;
        Some(Box::new(BufReader::with_capacity(READ_BYTES, file)))
    }
}

/// Removes the footers of segments before the first one of a log: a process that ended while it dropped a segment has
/// left them.
///
/// # Errors
/// [`FileError`].
pub fn remove_footers_before(folder: &Path, first_segment: u64) -> Result<(), FileError> {
    let listed = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect());
    let names: Vec<_> = listed.map_err(FileError::at("list", folder))?;
    let is_old =
        |name: &String| footer_of(name).is_some_and(|segment_id| segment_id < first_segment);
    let old: Vec<String> =
        names.into_iter().filter_map(|name| name.into_string().ok()).filter(is_old).collect();
    remove(folder, &old)
}

/// The segment in the name of a footer; none when it is no such name.
fn footer_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".footer")?;
    let segment_id = u64::from_str_radix(digits, 16).ok()?;
    (footer_name(segment_id) == name).then_some(segment_id)
}

/// Of footers, when a log is opened; a core's memory for them is the kernel's to take back.
const READ_AHEAD_BYTES: u64 = 32 << 20;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    #[test]
    fn footers_are_read_ahead_in_their_order_until_the_limit() {
        let scratch = Scratch::new("ahead");
        let write = |segment_id, bytes| {
            let file = File::create(scratch.path().join(footer_name(segment_id)));
            file.and_then(|file| file.set_len(bytes)).expect("it can be written");
        };
        write(1, 4_096);
        write(2, READ_AHEAD_BYTES);
        write(4, 8_192);
        let files = IndexFiles::new(scratch.path());
        assert_eq!(files.read_ahead([4, 3, 1].into_iter()), 2, "one is not there");
        assert_eq!(files.read_ahead([4, 2, 1].into_iter()), 1, "the second one is too long");
        assert_eq!(files.read_ahead([2, 1].into_iter()), 1);
    }

    #[test]
    fn footers_of_segments_that_are_gone_are_removed_and_nothing_else() {
        let scratch = Scratch::new("old-footers");
        let old = [footer_name(1), footer_name(0xA)];
        let kept = [footer_name(0xB), "x.footer".into(), "1.footer".into(), checkpoint_name(0)];
        for name in old.iter().chain(&kept) {
            fs::write(scratch.path().join(name), b"x").expect("it can be written");
        }
        remove_footers_before(scratch.path(), 0xB).expect("they can be removed");
        let mut kept = kept.to_vec();
        kept.sort_unstable();
        assert_eq!(scratch.names(), kept);
    }
}
