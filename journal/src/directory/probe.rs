//! What the device under a journal can do, found out by doing it.
//!
//! Promises: direct I/O counts as supported when a block was written that way; the commit method that is chosen is
//! the faster of those that worked, by the median of some writes to a zero-filled file; the file is gone afterwards.
//!
//! Refuses: to go through the page cache unless that was allowed, because there a failed write can be forgotten
//! (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020) and a commit waits for
//! whatever else the file system has to write.
//!
//! The figures are those of a thread that sleeps while it waits. A core that spins instead keeps the kernel's own
//! threads off its CPU, and those may have to finish a commit; the host of a core yields for that reason.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::ReadWriteFlags;

use super::durable_file::{FileError, TEMPORARY};
use super::segment_files::open;
use crate::format::BLOCK_BYTES;
use crate::format::segment_header::CommitMethod;
use crate::log::BlockBuffer;

/// What the device under a directory can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The directory.
    pub path: PathBuf,
    /// Whether files can be written past the page cache.
    pub direct_io: DirectIo,
    /// The median time of one commit of a block, in nanoseconds, by each method that works here.
    pub medians_ns: Vec<(CommitMethod, u64)>,
}

/// Whether files can be written past the page cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectIo {
    /// They can.
    Supported {
        /// What the kernel asks of the alignment of offsets and lengths, in bytes; 0 when it does not say.
        offset_alignment_bytes: u32,
    },
    /// They cannot.
    Refused {
        /// Why.
        reason: String,
    },
}

/// What is asked of the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Whether to go through the page cache where the file system has no direct I/O.
    pub allow_buffered: bool,
    /// How to commit; without it, the faster method.
    pub commit_method: Option<CommitMethod>,
}

/// Why a journal does not run on this device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It cannot be written past the page cache.
    #[error(
        "the file system of {} has no direct I/O: {reason}; put the journal on one that has (ext4, xfs), or set \
         allow_buffered = true to commit through the page cache",
        path.display()
    )]
    NoDirectIo {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The method that was asked for cannot be used.
    #[error("cannot commit by {method} in {}: {reason}", path.display())]
    Method {
        /// The directory.
        path: PathBuf,
        /// The method.
        method: CommitMethod,
        /// Why not.
        reason: &'static str,
    },
}

/// Writes of each method that are timed.
pub const TIMED_COMMITS: usize = 16;

/// Finds out what the device under a directory can do. Writes a small file there and removes it.
///
/// # Errors
/// [`FileError`] when not even a file can be written.
pub fn probe(folder: &Path) -> Result<DeviceFacts, FileError> {
    let path = folder.join(format!("probe.{TEMPORARY}"));
    let found = probe_with(&path);
    let removed = fs::remove_file(&path).map_err(FileError::at("remove", &path));
    let (direct_io, medians_ns) = found?;
    removed?;
    Ok(DeviceFacts { path: folder.to_owned(), direct_io, medians_ns })
}

impl DeviceFacts {
    /// The median of one method, in nanoseconds.
    pub fn median_ns(&self, method: CommitMethod) -> Option<u64> {
        self.medians_ns.iter().find(|(measured, _)| *measured == method).map(|(_, ns)| *ns)
    }

    /// How to commit.
    ///
    /// # Errors
    /// [`DeviceError`], with the remedy.
    pub fn choose(&self, options: &DeviceOptions) -> Result<CommitMethod, DeviceError> {
        let path = || self.path.clone();
        let refused = |method, reason| Err(DeviceError::Method { path: path(), method, reason });
        match (&self.direct_io, options.commit_method) {
            (_, Some(CommitMethod::Simulated)) => {
                refused(CommitMethod::Simulated, "that is for simulated disks")
            }
            (_, Some(CommitMethod::Buffered)) if !options.allow_buffered => {
                refused(CommitMethod::Buffered, "set allow_buffered = true as well")
            }
            (_, Some(CommitMethod::Buffered)) => Ok(CommitMethod::Buffered),
            (DirectIo::Refused { .. }, Some(method)) => {
                refused(method, "the file system has no direct I/O; leave the method to the probe")
            }
            (DirectIo::Refused { .. }, None) if options.allow_buffered => {
                Ok(CommitMethod::Buffered)
            }
            (DirectIo::Refused { reason }, None) => {
                Err(DeviceError::NoDirectIo { path: path(), reason: reason.clone() })
            }
            (DirectIo::Supported { .. }, Some(method)) if self.median_ns(method).is_none() => {
                refused(
                    method,
                    "this file system does not take such writes; leave the method to the probe",
                )
            }
            (DirectIo::Supported { .. }, Some(method)) => Ok(method),
            (DirectIo::Supported { .. }, None) => {
                let faster = self.medians_ns.iter().min_by_key(|(_, median_ns)| *median_ns);
                Ok(faster.map_or(CommitMethod::WriteThenSync, |(method, _)| *method))
            }
        }
    }
}

impl fmt::Display for DeviceFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.direct_io {
            DirectIo::Supported { offset_alignment_bytes: 0 } => f.write_str("direct I/O")?,
            DirectIo::Supported { offset_alignment_bytes } => {
                write!(f, "direct I/O in units of {offset_alignment_bytes} bytes")?;
            }
            DirectIo::Refused { reason } => write!(f, "no direct I/O ({reason})")?,
        }
        let mut separator = "; a commit of 4 KiB takes";
        for (method, median_ns) in &self.medians_ns {
            write!(f, "{separator} {} µs by {method}", median_ns / 1_000)?;
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Display for CommitMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommitMethod::WriteThrough => "RWF_DSYNC",
            CommitMethod::WriteThenSync => "write and fdatasync",
            CommitMethod::Buffered => "page cache and fsync",
            CommitMethod::Simulated => "simulation",
        })
    }
}

type Found = (DirectIo, Vec<(CommitMethod, u64)>);

fn probe_with(path: &Path) -> Result<Found, FileError> {
    // First through the page cache: whatever fails here has nothing to do with direct I/O.
    let buffered = open(path, false, true).map_err(FileError::at("make", path))?;
    let zeroes = block(PROBE_BLOCKS);
    let filled = buffered.write_all_at(&zeroes, 0).and_then(|()| buffered.sync_all());
    filled.map_err(FileError::at("fill", path))?;
    match direct_file(path, &buffered) {
        Ok((file, offset_alignment_bytes)) => {
            let medians_ns = measure(&file).map_err(FileError::at("write", path))?;
            Ok((DirectIo::Supported { offset_alignment_bytes }, medians_ns))
        }
        Err(reason) => {
            let timed: io::Result<Vec<u64>> =
                (0..TIMED_COMMITS).map(|_| timed(|| buffered_commit(&buffered))).collect();
            let mut timed_ns = timed.map_err(FileError::at("write", path))?;
            let medians_ns = vec![(CommitMethod::Buffered, median(&mut timed_ns))];
            Ok((DirectIo::Refused { reason }, medians_ns))
        }
    }
}

/// The file for direct I/O with the alignment that it wants, or why there is none.
fn direct_file(path: &Path, buffered: &File) -> Result<(File, u32), String> {
    let facts = rustix::fs::fstatfs(buffered).map_err(|error| error.to_string())?;
    if [TMPFS_MAGIC, RAMFS_MAGIC].contains(&(facts.f_type as u64)) {
        return Err("it keeps its files in memory, where nothing is durable".to_owned());
    }
    let wanted = StatxFlags::DIOALIGN;
    let aligned = rustix::fs::statx(buffered, "", AtFlags::EMPTY_PATH, wanted)
        .ok()
        .filter(|facts| StatxFlags::from_bits_retain(facts.stx_mask).contains(wanted));
    let offset_alignment_bytes = match aligned {
        // An older kernel, or a file system that does not say; trying it is the answer then.
        None => 0,
        Some(facts) if facts.stx_dio_offset_align == 0 => {
            return Err("the kernel says that this file cannot be written so".to_owned());
        }
        Some(facts) => facts.stx_dio_offset_align.max(facts.stx_dio_mem_align),
    };
    if offset_alignment_bytes as usize > BLOCK_BYTES {
        return Err(format!("it takes units of {offset_alignment_bytes} bytes, not {BLOCK_BYTES}"));
    }
    let refused = |error: io::Error| format!("a write past the page cache is refused ({error})");
    let file = open(path, true, false).map_err(refused)?;
    file.write_all_at(&block(1), 0).map_err(refused)?;
    Ok((file, offset_alignment_bytes))
}

/// The methods turn by turn, so that whatever else the device does meanwhile meets all of them alike.
fn measure(file: &File) -> io::Result<Vec<(CommitMethod, u64)>> {
    let (mut through_ns, mut then_sync_ns) = (Vec::new(), Vec::new());
    let block = block(1);
    for commit in 0..TIMED_COMMITS {
        let offset = (commit % PROBE_BLOCKS * BLOCK_BYTES) as u64;
        match timed(|| write_through(file, offset, &block)) {
            Ok(elapsed_ns) => through_ns.push(elapsed_ns),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(error) => return Err(error),
        }
        then_sync_ns.push(timed(|| {
            file.write_all_at(&block, offset)?;
            file.sync_data()
        })?);
    }
    let mut medians_ns = Vec::new();
    if !through_ns.is_empty() {
        medians_ns.push((CommitMethod::WriteThrough, median(&mut through_ns)));
    }
    medians_ns.push((CommitMethod::WriteThenSync, median(&mut then_sync_ns)));
    Ok(medians_ns)
}

fn write_through(file: &File, offset: u64, block: &[u8]) -> io::Result<()> {
    let written =
        rustix::io::pwritev2(file, &[IoSlice::new(block)], offset, ReadWriteFlags::DSYNC)?;
    if written == block.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

fn buffered_commit(file: &File) -> io::Result<()> {
    file.write_all_at(&block(1), 0)?;
    file.sync_all()
}

fn timed(commit: impl FnOnce() -> io::Result<()>) -> io::Result<u64> {
    let start = Instant::now();
    commit()?;
    Ok(start.elapsed().as_nanos() as u64)
}

fn median(times_ns: &mut [u64]) -> u64 {
    times_ns.sort_unstable();
    times_ns.get(times_ns.len() / 2).copied().unwrap_or(0)
}

fn block(blocks: usize) -> BlockBuffer {
    let mut bytes = BlockBuffer::new();
    bytes.resize(blocks * BLOCK_BYTES, 0);
    bytes
}

const PROBE_BLOCKS: usize = 16;
/// From the kernel's `include/uapi/linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;
const RAMFS_MAGIC: u64 = 0x8584_58F6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::scratch::Scratch;

    fn facts(direct_io: DirectIo, medians_ns: &[(CommitMethod, u64)]) -> DeviceFacts {
        DeviceFacts { path: "/data".into(), direct_io, medians_ns: medians_ns.to_vec() }
    }

    fn direct(medians_ns: &[(CommitMethod, u64)]) -> DeviceFacts {
        facts(DirectIo::Supported { offset_alignment_bytes: 512 }, medians_ns)
    }

    fn options(allow_buffered: bool, commit_method: Option<CommitMethod>) -> DeviceOptions {
        DeviceOptions { allow_buffered, commit_method }
    }

    #[test]
    fn the_faster_method_is_chosen_unless_told_otherwise() {
        use CommitMethod::{Buffered, Simulated, WriteThenSync, WriteThrough};
        let fua = direct(&[(WriteThrough, 20_000), (WriteThenSync, 50_000)]);
        let cache = direct(&[(WriteThrough, 4_000_000), (WriteThenSync, 50_000)]);
        assert_eq!(fua.choose(&options(false, None)), Ok(WriteThrough));
        assert_eq!(cache.choose(&options(true, None)), Ok(WriteThenSync));
        assert_eq!(cache.choose(&options(false, Some(WriteThrough))), Ok(WriteThrough));
        assert_eq!(cache.choose(&options(true, Some(Buffered))), Ok(Buffered));
        let old = direct(&[(WriteThenSync, 50_000)]);
        assert_eq!(old.choose(&options(false, None)), Ok(WriteThenSync));
        for (facts, wanted, reason) in [
            (&old, WriteThrough, "does not take such writes"),
            (&fua, Buffered, "allow_buffered = true"),
            (&fua, Simulated, "simulated disks"),
        ] {
            let error = facts.choose(&options(false, Some(wanted))).expect_err(reason).to_string();
            assert!(error.contains(reason) && error.contains("/data"), "{error}");
        }
    }

    #[test]
    fn without_direct_io_only_who_allows_the_page_cache_gets_it() {
        let memory = facts(DirectIo::Refused { reason: "it is memory".into() }, &[]);
        let error = memory.choose(&options(false, None)).expect_err("not allowed").to_string();
        assert!(
            error.contains("it is memory") && error.contains("allow_buffered = true"),
            "{error}"
        );
        assert_eq!(memory.choose(&options(true, None)), Ok(CommitMethod::Buffered));
        let wanted = options(true, Some(CommitMethod::WriteThrough));
        assert!(matches!(memory.choose(&wanted), Err(DeviceError::Method { .. })));
    }

    #[test]
    fn a_real_device_is_probed_and_nothing_is_left_on_it() {
        let scratch = Scratch::new("probe");
        let facts = probe(scratch.path()).expect("files can be written here");
        assert!(scratch.names().is_empty());
        assert!(facts.medians_ns.iter().all(|(_, median_ns)| *median_ns > 0), "{facts}");
        let chosen = facts.choose(&options(true, None)).expect("one of them works");
        assert!(facts.median_ns(chosen).is_some(), "{facts}");
    }

    #[test]
    fn files_in_memory_are_no_place_for_a_journal() {
        let memory = Path::new("/dev/shm");
        if !memory.is_dir() {
            println!("skipped: this system has no /dev/shm");
            return;
        }
        let scratch = Scratch::under(memory, "probe");
        let facts = probe(scratch.path()).expect("files can be written here");
        assert!(matches!(facts.direct_io, DirectIo::Refused { .. }), "{facts}");
        let error = facts.choose(&options(false, None)).expect_err("not allowed").to_string();
        assert!(error.contains("keeps its files in memory"), "{error}");
        assert_eq!(facts.choose(&options(true, None)), Ok(CommitMethod::Buffered));
        assert!(facts.median_ns(CommitMethod::Buffered).is_some());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_no_missing_feature() {
        let error = probe(Path::new("/no/such/folder")).expect_err("it is not there");
        assert!(error.to_string().starts_with("cannot make /no/such/folder/probe.tmp"), "{error}");
    }
}
