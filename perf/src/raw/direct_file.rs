//! A file that is written past the page cache, one commit at a time, each durable before the next begins: what a
//! log's device needs at least, without a log.
//!
//! The file is filled with zeroes and synced first, so that a commit changes no length and no allocation. A commit
//! goes through an io_uring without any setting, and the thread yields its CPU while the commit is under way: on some
//! devices the kernel's own threads have to finish it, on the CPU that submitted it.
//!
//! Promises: [`DirectFile::commit`] returns when the kernel says that the bytes are durable. A commit that is not done
//! within [`COMMIT_LIMIT`] is an error.
//!
//! Invariant: the memory that the kernel reads lives until the kernel has finished with it; when that is not known it
//! is never freed.

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use io_uring::{IoUring, cqueue, opcode, squeue, types};

/// What direct I/O is aligned to, in memory and in the file.
pub const BLOCK_BYTES: usize = 4_096;
/// How long a commit may take.
pub const COMMIT_LIMIT: Duration = Duration::from_secs(30);

/// How a commit is made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitMethod {
    /// The write carries `RWF_DSYNC`.
    WriteThrough,
    /// The write is linked to an `fdatasync` behind it.
    WriteThenSync,
}

/// A file that holds so many commits and is then written from its start again.
pub struct DirectFile {
    file: File,
    ring: IoUring,
    method: CommitMethod,
    /// What a commit writes.
    buffer: Vec<Block>,
    commits_held: u64,
    /// Operations that the kernel has not said to be done.
    under_way: usize,
}

impl DirectFile {
    /// Makes a file of zeroes for `commits_held` commits of `commit_blocks` blocks each, at least one of both, and
    /// syncs it.
    ///
    /// # Errors
    /// What the kernel says; `InvalidInput` where the file system knows no direct I/O.
    pub fn create(
        path: &Path,
        commit_blocks: usize,
        commits_held: u64,
        method: CommitMethod,
    ) -> io::Result<DirectFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)?;
        let (commit_blocks, commits_held) = (commit_blocks.max(1), commits_held.max(1));
        fill_with_zeroes(&file, commit_blocks as u64 * commits_held)?;
        file.sync_all()?;
        Ok(DirectFile {
            file,
            ring: IoUring::new(RING_ENTRIES)?,
            method,
            buffer: vec![Block::FULL; commit_blocks],
            commits_held,
            under_way: 0,
        })
    }

    /// Writes the commit with this number, whose blocks all begin with the number, and returns when it is durable.
    ///
    /// # Errors
    /// What the kernel says; a write that came out short; `TimedOut` behind [`COMMIT_LIMIT`]. Whether it is durable
    /// is then unknown, and no further commit is taken.
    pub fn commit(&mut self, number: u64) -> io::Result<()> {
        if self.under_way > 0 {
            return Err(io::Error::other("a commit before this one was given up"));
        }
        self.buffer.iter_mut().for_each(|block| block.stamp(number));
        self.submit(self.offset_of(number))?;
        self.wait()
    }

    /// The number that the last commit to the place of this number wrote, read from the device.
    ///
    /// # Errors
    /// What the kernel says, or that the blocks do not belong to the same commit.
    pub fn number_at(&mut self, number: u64) -> io::Result<u64> {
        if self.under_way > 0 {
            return Err(io::Error::other("a commit before this one was given up"));
        }
        let offset = self.offset_of(number);
        self.file.read_exact_at(bytes_of(&mut self.buffer), offset)?;
        let first = self.buffer[0].number();
        let is_whole = self.buffer.iter().all(|block| block.number() == first);
        if is_whole { Ok(first) } else { Err(io::Error::other("a commit was torn")) }
    }

    /// The number that stands in one block of the file, read from the device by itself.
    ///
    /// # Errors
    /// What the kernel says, or that a commit was given up.
    pub fn number_of_block(&mut self, block: u64) -> io::Result<u64> {
        if self.under_way > 0 {
            return Err(io::Error::other("a commit before this one was given up"));
        }
        let one = &mut self.buffer[..1];
        self.file.read_exact_at(bytes_of(one), block * BLOCK_BYTES as u64)?;
        Ok(one[0].number())
    }

    /// How many commits the file holds.
    pub fn commits_held(&self) -> u64 {
        self.commits_held
    }

    fn commit_bytes(&self) -> usize {
        self.buffer.len() * BLOCK_BYTES
    }

    fn offset_of(&self, number: u64) -> u64 {
        (number % self.commits_held) * self.commit_bytes() as u64
    }

    fn submit(&mut self, offset: u64) -> io::Result<()> {
        let file = types::Fd(self.file.as_raw_fd());
        let bytes = self.commit_bytes() as u32;
        let write = opcode::Write::new(file, self.buffer.as_ptr().cast(), bytes).offset(offset);
        let sync =
            opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build().user_data(SYNC_TAG);
        let entries = match self.method {
            CommitMethod::WriteThrough => [write.rw_flags(libc::RWF_DSYNC).build(), sync],
            CommitMethod::WriteThenSync => [write.build().flags(squeue::Flags::IO_LINK), sync],
        };
        let entries = &entries[..self.method.operations()];
        // SAFETY: the file and the buffer live as long as `self`, whose drop frees neither while operations may be
        // under way; until then nobody writes to the buffer.
        unsafe { self.ring.submission().push_multiple(entries) }.map_err(io::Error::other)?;
        self.under_way = entries.len();
        let mut submitted = 0;
        while submitted < entries.len() {
            match self.ring.submit() {
                Ok(count) => submitted += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Waits for all that is under way, as a core does: it looks at the ring and yields.
    fn wait(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let mut outcome = Ok(());
        loop {
            for _ in 0..YIELDS_BETWEEN_CLOCKS {
                let expected = [self.commit_bytes() as i32, 0];
                for done in self.ring.completion() {
                    self.under_way -= 1;
                    // The write completes first: where it has failed, it is the cause of what the sync says.
                    outcome = outcome.and(result_of(&done, expected));
                }
                if self.under_way == 0 {
                    return outcome;
                }
                thread::yield_now();
            }
            if began.elapsed() >= COMMIT_LIMIT {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Drop for DirectFile {
    fn drop(&mut self) {
        if self.under_way > 0 {
            // The kernel may still read it.
            mem::forget(mem::take(&mut self.buffer));
        }
    }
}

impl CommitMethod {
    fn operations(self) -> usize {
        match self {
            CommitMethod::WriteThrough => 1,
            CommitMethod::WriteThenSync => 2,
        }
    }
}

const RING_ENTRIES: u32 = 8;
const SYNC_TAG: u64 = 1;
const YIELDS_BETWEEN_CLOCKS: usize = 1_024;
const FILL_BLOCKS: usize = 256;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

impl Block {
    const ZERO: Block = Block([0; BLOCK_BYTES]);
    /// Not zero, so that no device can leave it out.
    const FULL: Block = Block([0xA5; BLOCK_BYTES]);

    fn stamp(&mut self, number: u64) {
        self.0[..8].copy_from_slice(&number.to_le_bytes());
    }

    fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(bytes)
    }
}

fn result_of(done: &cqueue::Entry, expected: [i32; 2]) -> io::Result<()> {
    let (result, is_sync) = (done.result(), done.user_data() == SYNC_TAG);
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    if result == expected[usize::from(is_sync)] {
        Ok(())
    } else {
        Err(io::ErrorKind::WriteZero.into())
    }
}

fn fill_with_zeroes(file: &File, blocks: u64) -> io::Result<()> {
    let mut zeroes = vec![Block::ZERO; FILL_BLOCKS];
    let mut written = 0;
    while written < blocks {
        let count = (blocks - written).min(FILL_BLOCKS as u64);
        let bytes = bytes_of(&mut zeroes[..count as usize]);
        file.write_all_at(bytes, written * BLOCK_BYTES as u64)?;
        written += count;
    }
    Ok(())
}

fn bytes_of(blocks: &mut [Block]) -> &mut [u8] {
    // SAFETY: a block is an array of bytes without padding, and the slice is borrowed for as long as the result.
    unsafe { slice::from_raw_parts_mut(blocks.as_mut_ptr().cast(), mem::size_of_val(blocks)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_perf_contest::store_folder::StoreFolder;

    /// A file in a folder that is gone when the test ends, or none, with the reason printed, where there is no disk.
    fn file(commit_blocks: usize, commits_held: u64, method: CommitMethod) -> Option<DirectFile> {
        let made = StoreFolder::make().map_err(|refused| refused.to_string()).and_then(|folder| {
            DirectFile::create(&folder.path().join("blocks"), commit_blocks, commits_held, method)
                .map_err(|refused| refused.to_string())
        });
        made.inspect_err(|refused| println!("skipped: {refused}")).ok()
    }

    #[test]
    fn commits_are_read_back_and_the_file_begins_again_when_it_is_full() {
        for method in [CommitMethod::WriteThrough, CommitMethod::WriteThenSync] {
            let Some(mut file) = file(3, 4, method) else { return };
            (0..4).for_each(|number| file.commit(number).expect("durable"));
            assert_eq!(file.number_at(1).expect("readable"), 1);
            file.commit(5).expect("durable");
            assert_eq!(file.number_at(1).expect("readable"), 5, "{method:?}");
            assert_eq!(file.number_at(2).expect("readable"), 2, "{method:?}");
            assert_eq!(file.file.metadata().expect("open").len(), 3 * 4 * BLOCK_BYTES as u64);
        }
    }

    #[test]
    fn one_block_is_read_by_itself() {
        let Some(mut file) = file(3, 2, CommitMethod::WriteThrough) else { return };
        (4..6).for_each(|number| file.commit(number).expect("durable"));
        let numbers = (0..6).map(|block| file.number_of_block(block).expect("readable"));
        assert_eq!(numbers.collect::<Vec<_>>(), [4, 4, 4, 5, 5, 5]);
        assert!(file.number_of_block(6).is_err(), "behind the end");
    }

    #[test]
    fn blocks_of_different_commits_are_no_commit() {
        let Some(mut file) = file(2, 1, CommitMethod::WriteThrough) else { return };
        file.commit(1).expect("durable");
        let mut foreign = [Block::FULL];
        foreign[0].stamp(7);
        file.file.write_all_at(bytes_of(&mut foreign), BLOCK_BYTES as u64).expect("writable");
        assert!(file.number_at(1).is_err());
    }

    #[test]
    fn a_write_that_fails_is_the_error_of_its_commit() {
        for method in [CommitMethod::WriteThrough, CommitMethod::WriteThenSync] {
            let Some(mut file) = file(1, 1, method) else { return };
            // A descriptor that may only be read refuses the write; the sync behind it is cancelled.
            let folder = StoreFolder::make().expect("as the first");
            let path = folder.path().join("read-only");
            std::fs::write(&path, []).expect("writable");
            file.file = File::open(&path).expect("readable");
            let error = file.commit(0).expect_err("not writable");
            assert_eq!(error.raw_os_error(), Some(libc::EBADF), "{method:?}");
            assert_eq!(file.under_way, 0, "both parts are over");
        }
    }
}
