//! The segment files of one core's folder: their names, how they are made, opened, emptied and repaired.
//!
//! A file appears under its number only when it is zero-filled as a whole and synced, so a commit into it changes
//! written blocks and nothing else. A file that is used again leaves its old number first: no reader ever finds a
//! log with a segment of which half is zeroes.
//!
//! Everything here blocks, and belongs before a core runs or onto a background thread.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, OFlags};
use rustix::io::Errno;

use super::durable_file::{FileError, TEMPORARY, sync_folder, temporary_of};
use crate::format::BLOCK_BYTES;
use crate::log::recovery::Repair;
use crate::log::{BlockBuffer, SegmentFile};

/// How much is zeroed by one write: no more than a long commit, because commits of the cores wait for it at the device.
pub const ZERO_BYTES: usize = 256 << 10;

/// The name of a segment's file: its number as 16 hexadecimal digits.
pub fn segment_name(file: SegmentFile) -> String {
    format!("{:016x}.{ENDING}", file.0)
}

/// The number in the name of a segment's file; `None` when it is no such name.
pub fn segment_of(name: &OsStr) -> Option<SegmentFile> {
    let digits = name.to_str()?.strip_suffix(ENDING)?.strip_suffix('.')?;
    let is_canonical = digits.len() == 16
        && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    is_canonical.then(|| u64::from_str_radix(digits, 16).ok().map(SegmentFile)).flatten()
}

/// The segment files of a folder, in the order of their numbers.
///
/// # Errors
/// [`FileError`].
pub fn segments_in(folder: &Path) -> Result<Vec<SegmentFile>, FileError> {
    let names = names_in(folder)?;
    let mut files: Vec<SegmentFile> = names.iter().filter_map(|name| segment_of(name)).collect();
    files.sort_unstable();
    Ok(files)
}

/// Opens a segment for reading and writing; `direct` past the page cache.
///
/// # Errors
/// [`FileError`].
pub fn open_segment(folder: &Path, file: SegmentFile, direct: bool) -> Result<File, FileError> {
    let path = folder.join(segment_name(file));
    open(&path, direct, false).map_err(FileError::at("open", &path))
}

/// Zeroes a torn tail, durably.
///
/// # Errors
/// [`FileError`]. The log must not be written on then.
pub fn repair(folder: &Path, repair: &Repair) -> Result<(), FileError> {
    let path = folder.join(segment_name(repair.file));
    let zeroed = open(&path, false, false).and_then(|file| {
        let end = repair.offset.checked_add(repair.zero_bytes);
        if end.is_none_or(|end| end > file.metadata().map_or(0, |facts| facts.len())) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it would grow"));
        }
        let zeroes = zeroes();
        let mut offset = repair.offset;
        while let Some(left) = end.map(|end| end - offset).filter(|left| *left > 0) {
            let piece = left.min(ZERO_BYTES as u64);
            file.write_all_at(&zeroes[..piece as usize], offset)?;
            offset += piece;
        }
        file.sync_all()
    });
    zeroed.map_err(FileError::at("repair", &path))
}

/// Removes files that recovery has found to be stale, durably.
///
/// # Errors
/// [`FileError`]. The log must not be written on then.
pub fn remove_stale(folder: &Path, files: &[SegmentFile]) -> Result<(), FileError> {
    if files.is_empty() {
        return Ok(());
    }
    for file in files {
        let path = folder.join(segment_name(*file));
        fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
    }
    sync_folder(folder)
}

/// Takes a segment that no log needs any more out of its folder, durably: from then on no log has it. To the pool, its
/// file stays under a temporary name, for [`NewSegment::recycle`] or to be removed when the folder is opened.
///
/// # Errors
/// [`FileError`]. The segment may be there or not.
pub fn retire(folder: &Path, file: SegmentFile, to_pool: bool) -> Result<(), FileError> {
    let path = folder.join(segment_name(file));
    let gone = match to_pool {
        true => fs::rename(&path, temporary_of(&path)),
        false => fs::remove_file(&path),
    };
    gone.map_err(FileError::at("retire", &path))?;
    sync_folder(folder)
}

/// Makes durable what stands in a core's folder, and removes what never became a file: to be called before anything
/// there is trusted. After a crash of the process alone a log reads back what a crash of the machine may yet take.
///
/// # Errors
/// [`FileError`].
pub fn settle(folder: &Path) -> Result<(), FileError> {
    for name in names_in(folder)? {
        let path = folder.join(&name);
        if path.extension().is_some_and(|ending| ending == TEMPORARY) {
            fs::remove_file(&path).map_err(FileError::at("remove", &path))?;
        } else if segment_of(&name).is_some() {
            let synced = open(&path, false, false).and_then(|file| file.sync_all());
            synced.map_err(FileError::at("sync", &path))?;
        }
    }
    sync_folder(folder)
}

/// A segment's file that is being made. It has no number yet; unless it is published it is thrown away.
#[derive(Debug)]
pub struct NewSegment {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    folder: PathBuf,
}

impl NewSegment {
    /// A new file with all its room allocated.
    ///
    /// # Errors
    /// [`FileError`]; nothing is left.
    pub fn create(
        folder: &Path,
        number: SegmentFile,
        bytes: u64,
        direct: bool,
    ) -> Result<NewSegment, FileError> {
        let new = NewSegment::open(folder, number, direct, true)?;
        match rustix::fs::fallocate(&new.file, FallocateFlags::empty(), 0, bytes) {
            // A file system that cannot allocate ahead does so when the zeroes are written.
            Ok(()) | Err(Errno::OPNOTSUPP) => Ok(new),
            Err(error) => {
                let error = FileError::at("allocate", &new.temporary)(error.into());
                new.abandon();
                Err(error)
            }
        }
    }

    /// A file that no log needs any more, under a new number. From here on it has neither. It may have been retired
    /// before.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn recycle(
        folder: &Path,
        retired: SegmentFile,
        number: SegmentFile,
        direct: bool,
    ) -> Result<NewSegment, FileError> {
        let (from, to) = (folder.join(segment_name(retired)), folder.join(segment_name(number)));
        let temporary = temporary_of(&to);
        let pooled = temporary_of(&from);
        let from = if pooled.exists() { pooled } else { from };
        fs::rename(&from, &temporary).map_err(FileError::at("rename", &from))?;
        sync_folder(folder)?;
        NewSegment::open(folder, number, direct, false)
    }

    /// Writes zeroes, whole blocks at a whole block.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn zero(&self, offset: u64, zeroes: &[u8]) -> Result<(), FileError> {
        self.file.write_all_at(zeroes, offset).map_err(FileError::at("zero", &self.temporary))
    }

    /// Makes the zeroes durable; the file then has `bytes` and not more.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn sync(&self, bytes: u64) -> Result<(), FileError> {
        let synced = self.file.set_len(bytes).and_then(|()| self.file.sync_all());
        synced.map_err(FileError::at("sync", &self.temporary))
    }

    /// Gives the file its number, durably.
    ///
    /// # Errors
    /// [`FileError`]. It may be there or not; it holds zeroes.
    pub fn publish(&self) -> Result<(), FileError> {
        let renamed = fs::rename(&self.temporary, &self.path);
        renamed.map_err(FileError::at("rename to", &self.path))?;
        sync_folder(&self.folder)
    }

    /// Throws the file away. If it cannot be removed, the next opening of the directory does it.
    pub fn abandon(self) {
        if let Err(error) = fs::remove_file(&self.temporary) {
            tracing::warn!(path = %self.temporary.display(), %error, "a file that was not completed is left");
        }
    }

    fn open(
        folder: &Path,
        number: SegmentFile,
        direct: bool,
        anew: bool,
    ) -> Result<NewSegment, FileError> {
        let path = folder.join(segment_name(number));
        let temporary = temporary_of(&path);
        let file = open(&temporary, direct, anew).map_err(FileError::at("open", &temporary))?;
        Ok(NewSegment { file, temporary, path, folder: folder.to_owned() })
    }
}

/// [`ZERO_BYTES`] zeroes that a device reads directly.
pub fn zeroes() -> BlockBuffer {
    let mut zeroes = BlockBuffer::with_capacity(ZERO_BYTES);
    zeroes.resize(ZERO_BYTES, 0);
    zeroes
}

const ENDING: &str = "segment";
const _: () = assert!(ZERO_BYTES.is_multiple_of(BLOCK_BYTES));

pub(super) fn open(path: &Path, direct: bool, anew: bool) -> io::Result<File> {
    let flags = if direct { OFlags::DIRECT.bits() as i32 } else { 0 };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(anew).truncate(anew).custom_flags(flags).open(path)
}

fn names_in(folder: &Path) -> Result<Vec<OsString>, FileError> {
    let listed = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.file_name())).collect());
    let mut names: Vec<_> = listed.map_err(FileError::at("list", folder))?;
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    fn made(folder: &Path, number: u64, bytes: u64) -> NewSegment {
        let new = NewSegment::create(folder, SegmentFile(number), bytes, false).expect("room");
        for offset in (0..bytes).step_by(ZERO_BYTES) {
            let piece = (bytes - offset).min(ZERO_BYTES as u64) as usize;
            new.zero(offset, &zeroes()[..piece]).expect("it can be written");
        }
        new.sync(bytes).expect("it can be synced");
        new
    }

    #[test]
    fn a_name_says_the_number_and_nothing_else_is_a_segment() {
        for number in [0, 1, 0xABC, u64::MAX] {
            let file = SegmentFile(number);
            assert_eq!(segment_of(OsStr::new(&segment_name(file))), Some(file));
        }
        assert_eq!(segment_name(SegmentFile(255)), "00000000000000ff.segment");
        for name in
            ["", "lock", "1.segment", "00000000000000FF.segment", "+0000000000000ff.segment"]
        {
            assert_eq!(segment_of(OsStr::new(name)), None, "{name}");
        }
        assert_eq!(segment_of(OsStr::new("00000000000000ff.segment.tmp")), None);
    }

    #[test]
    fn a_segment_has_a_number_only_when_it_is_whole() {
        let scratch = Scratch::new("segment-whole");
        let bytes = (ZERO_BYTES + BLOCK_BYTES) as u64;
        let new = made(scratch.path(), 7, bytes);
        assert_eq!(segments_in(scratch.path()).expect("listed"), []);
        new.publish().expect("it can be renamed");
        assert_eq!(segments_in(scratch.path()).expect("listed"), [SegmentFile(7)]);
        let content = fs::read(scratch.path().join(segment_name(SegmentFile(7)))).expect("there");
        assert!(content.len() as u64 == bytes && content.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_recycled_file_loses_its_old_number_before_it_is_touched() {
        let scratch = Scratch::new("recycle");
        made(scratch.path(), 1, BLOCK_BYTES as u64).publish().expect("it can be renamed");
        let recycled = NewSegment::recycle(scratch.path(), SegmentFile(1), SegmentFile(2), false)
            .expect("there");
        assert_eq!(scratch.names(), ["0000000000000002.segment.tmp"], "it has no number");
        recycled.sync(BLOCK_BYTES as u64).expect("it can be synced");
        recycled.publish().expect("it can be renamed");
        assert_eq!(segments_in(scratch.path()).expect("listed"), [SegmentFile(2)]);
    }

    #[test]
    fn a_retired_segment_is_none_of_the_log_and_becomes_another_one_or_is_gone() {
        let scratch = Scratch::new("retire");
        for number in [1, 2] {
            let new = made(scratch.path(), number, BLOCK_BYTES as u64);
            new.publish().expect("it can be renamed");
        }
        retire(scratch.path(), SegmentFile(1), true).expect("it is there");
        retire(scratch.path(), SegmentFile(2), false).expect("it is there");
        assert_eq!(scratch.names(), ["0000000000000001.segment.tmp"]);
        assert_eq!(segments_in(scratch.path()).expect("listed"), []);
        let recycled = NewSegment::recycle(scratch.path(), SegmentFile(1), SegmentFile(3), false);
        recycled.expect("it is in the pool").publish().expect("it can be renamed");
        assert_eq!(scratch.names(), ["0000000000000003.segment"]);
        let error = retire(scratch.path(), SegmentFile(2), true).expect_err("it is gone");
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_was_never_completed_is_removed_before_the_log_is_read() {
        let scratch = Scratch::new("settle");
        made(scratch.path(), 1, BLOCK_BYTES as u64).publish().expect("it can be renamed");
        // As a crash leaves it.
        std::mem::forget(made(scratch.path(), 2, BLOCK_BYTES as u64));
        fs::write(scratch.path().join("checkpoint-0"), b"kept").expect("it can be written");
        settle(scratch.path()).expect("nothing is wrong");
        assert_eq!(scratch.names(), ["0000000000000001.segment", "checkpoint-0"]);
    }

    #[test]
    fn a_stale_file_is_removed_and_no_other() {
        let scratch = Scratch::new("stale");
        for number in [1, 2, 3] {
            let new = made(scratch.path(), number, BLOCK_BYTES as u64);
            new.publish().expect("it can be renamed");
        }
        remove_stale(scratch.path(), &[SegmentFile(2)]).expect("it is there");
        let left = segments_in(scratch.path()).expect("listed");
        assert_eq!(left, [SegmentFile(1), SegmentFile(3)]);
        let error = remove_stale(scratch.path(), &[SegmentFile(2)]).expect_err("it is gone");
        assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_repair_zeroes_the_torn_tail_alone_and_never_makes_a_file_longer() {
        let scratch = Scratch::new("repair");
        let path = scratch.path().join(segment_name(SegmentFile(3)));
        let bytes = ZERO_BYTES + 4 * BLOCK_BYTES;
        fs::write(&path, vec![9; bytes]).expect("it can be written");
        let offset = BLOCK_BYTES as u64;
        let torn = Repair {
            file: SegmentFile(3),
            offset,
            zero_bytes: bytes as u64 - offset,
            torn_bytes: bytes as u64 - offset,
        };
        let too_long = Repair { zero_bytes: bytes as u64, ..torn };
        let error = repair(scratch.path(), &too_long).expect_err("beyond the end");
        assert_eq!(error.source.kind(), io::ErrorKind::InvalidInput);
        repair(scratch.path(), &torn).expect("it can be repaired");
        let content = fs::read(&path).expect("it is there");
        assert!(content.len() == bytes && content[..BLOCK_BYTES].iter().all(|byte| *byte == 9));
        assert!(content[BLOCK_BYTES..].iter().all(|byte| *byte == 0));
    }
}
