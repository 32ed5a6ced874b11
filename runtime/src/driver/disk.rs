//! Direct file I/O on the core's ring: positioned writes and reads that the core does not wait for.
//!
//! Promises:
//! - Starting an operation is no system call: the ring submits it with its next turn or sleep, together with
//!   everything else that is queued.
//! - Files and buffers belong to the disk from the call until the kernel has returned every part of the operation;
//!   then the buffer comes back with the result. If the disk is dropped before, they are leaked: the kernel still
//!   writes to them.
//! - Each accepted operation is given out by [`CoreDisk::take_completed`] once, in the order in which the kernel
//!   completes them, which is not the order in which they were started.
//! - A write that was asked to be durable and whose result is its length has been made so by the kernel.
//!
//! Refuses: more operations at a time than its limit, those included whose result was not taken yet; and to try
//! anything again. A short write or read is reported as its length: what that means is the caller's to say.
//!
//! Invariants: a slot is used again only after all parts of its operation have completed, so a tag names one
//! operation. The tags of [`DISK_TAGS`] belong to the one disk of a ring; a ring has no second one.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use io_uring::types::{Fd, FsyncFlags};
use io_uring::{opcode, squeue};
use rkyv::util::AlignedVec;

use super::host::CoreRing;
use super::uring::Completion;

/// Memory that a device may read from and write to directly: its start is aligned to a block of 4,096 bytes.
pub type BlockBuffer = AlignedVec<4096>;

/// Operations of one core at a time, unless told otherwise.
pub const DEFAULT_DISK_OPERATIONS: usize = 128;

/// The most bytes of one operation.
pub const MOST_OPERATION_BYTES: usize = 1 << 30;

/// The tags of a ring that belong to its disk: no other driver of the core uses one of these.
pub const DISK_TAGS: Range<u64> = 0xD15C << 48..0xD15D << 48;

/// How a write is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Not at all: it is complete when the device has taken the bytes.
    None,
    /// With the write itself (`RWF_DSYNC`): on devices that can, a forced unit access instead of a flush.
    WriteThrough,
    /// By an `fdatasync` that the kernel starts when the write has completed as a whole.
    ThenSync,
}

/// An operation that is done.
pub struct DiskCompletion {
    /// What the operation was started with.
    pub token: u64,
    /// The operation's buffer.
    pub bytes: BlockBuffer,
    /// How many bytes were written or read, which may be fewer than asked for; or why none of them count.
    pub result: io::Result<usize>,
}

/// There is no room for another operation now. Nothing was started; the buffer comes back.
#[derive(thiserror::Error)]
#[error(
    "{held} disk operations are under way or not taken yet, the limit is {limit}, or the ring's queue is full; nothing \
     was started; take what has completed and try again after the next sweep"
)]
pub struct DiskBusy {
    /// The buffer.
    pub bytes: BlockBuffer,
    /// Operations under way, and those whose result was not taken.
    pub held: usize,
    /// How many there may be.
    pub limit: usize,
}

/// The disk of one core. Clones are handles on the same disk; it stays on its core's thread.
#[derive(Clone)]
pub struct CoreDisk {
    shared: Rc<Shared>,
}

impl CoreDisk {
    /// The disk of the core that owns `ring`; to be made once for a ring. [`CoreLoop::completed`] hands it what the
    /// ring completes.
    ///
    /// [`CoreLoop::completed`]: super::host::CoreLoop::completed
    pub(crate) fn new(ring: CoreRing, operations_limit: usize) -> CoreDisk {
        let (in_flight, slots) = (Cell::new(0), RefCell::default());
        CoreDisk { shared: Rc::new(Shared { ring, limit: operations_limit, in_flight, slots }) }
    }

    /// Starts to write the whole of `bytes` at byte `offset` of `file`. When it has completed it is durable, as far
    /// as `durability` says. A file opened for direct I/O takes whole blocks at whole blocks.
    ///
    /// With [`Durability::ThenSync`] the operation completes when both parts have; if the write fails or is short,
    /// the result is the write's and nothing is synced.
    ///
    /// # Errors
    /// [`DiskBusy`] with the buffer. What the kernel refuses is found in the completion.
    pub fn write(
        &self,
        token: u64,
        file: &Rc<File>,
        offset: u64,
        bytes: BlockBuffer,
        durability: Durability,
    ) -> Result<(), DiskBusy> {
        let fd = Fd(file.as_raw_fd());
        let flags = if durability == Durability::WriteThrough { libc::RWF_DSYNC } else { 0 };
        // The length is checked by `start`, before the entry is queued.
        let write = opcode::Write::new(fd, bytes.as_ptr(), bytes.len() as u32)
            .offset(offset)
            .rw_flags(flags)
            .build();
        let sync = (durability == Durability::ThenSync)
            .then(|| opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build());
        self.start(Operation::new(token, file, bytes), offset, write, sync)
    }

    /// Starts to read from byte `offset` of `file` as many bytes as `bytes` is long. At the end of the file there
    /// are fewer.
    ///
    /// # Errors
    /// [`DiskBusy`] with the buffer. What the kernel refuses is found in the completion.
    pub fn read(
        &self,
        token: u64,
        file: &Rc<File>,
        offset: u64,
        mut bytes: BlockBuffer,
    ) -> Result<(), DiskBusy> {
        let fd = Fd(file.as_raw_fd());
        let read =
            opcode::Read::new(fd, bytes.as_mut_ptr(), bytes.len() as u32).offset(offset).build();
        self.start(Operation::new(token, file, bytes), offset, read, None)
    }

    /// The operation that completed first among those not taken yet.
    pub fn take_completed(&self) -> Option<DiskCompletion> {
        self.shared.slots.borrow_mut().completed.pop_front()
    }

    /// Whether there is something to take.
    #[inline]
    pub fn has_completed(&self) -> bool {
        !self.shared.slots.borrow().completed.is_empty()
    }

    /// Operations that the kernel has not completed.
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.get()
    }

    /// Takes in what the ring has completed; `false` when the tag is not the disk's.
    pub(crate) fn completed(&self, completion: Completion) -> bool {
        if !DISK_TAGS.contains(&completion.tag) {
            return false;
        }
        if self.shared.slots.borrow_mut().part_completed(completion) {
            self.shared.in_flight.set(self.shared.in_flight.get() - 1);
        }
        true
    }

    /// Waits until everything under way has completed, but not longer than `patience`; whether it has. For the end of
    /// a core: what it has written to must not change any more when somebody else has it. Completions of others that
    /// come meanwhile are dropped.
    pub(crate) fn settle(&self, patience: Duration) -> bool {
        let start = Instant::now();
        let mut completions = Vec::new();
        while self.in_flight() > 0 {
            let left = patience.saturating_sub(start.elapsed());
            // A core that ends in a panic may hold its ring.
            let Ok(mut ring) = self.shared.ring.try_borrow_mut() else { break };
            let parked = ring.park(Some(left), &mut completions);
            drop(ring);
            for completion in completions.drain(..) {
                self.completed(completion);
            }
            if left.is_zero() || parked.is_err() {
                break;
            }
        }
        self.in_flight() == 0
    }

    /// Queues the parts of an operation, of which the second waits for the first.
    fn start(
        &self,
        operation: Operation,
        offset: u64,
        first: squeue::Entry,
        then: Option<squeue::Entry>,
    ) -> Result<(), DiskBusy> {
        let mut slots = self.shared.slots.borrow_mut();
        let (limit, held) = (self.shared.limit, self.in_flight() + slots.completed.len());
        if held >= limit {
            return Err(DiskBusy { bytes: operation.bytes, held, limit });
        }
        // The kernel takes the highest offset for "where the file's position is".
        if operation.bytes.len() > MOST_OPERATION_BYTES || offset > i64::MAX as u64 {
            slots.completed.push_back(operation.refused());
            return Ok(());
        }
        let slot = slots.insert(Operation { sync_pending: then.is_some(), ..operation });
        let first = first.user_data(tag(slot, MAIN_PART));
        let mut ring = self.shared.ring.borrow_mut();
        // SAFETY: the slot holds the buffer, whose memory does not move with it, and the file until every part has
        // completed, or forgets both; nothing else uses the buffer meanwhile.
        let queued = unsafe {
            match then {
                Some(then) => {
                    let linked = first.flags(squeue::Flags::IO_LINK);
                    ring.push_together(&[linked, then.user_data(tag(slot, SYNC_PART))])
                }
                None => ring.push_together(&[first]),
            }
        };
        if queued {
            self.shared.in_flight.set(self.in_flight() + 1);
            return Ok(());
        }
        match slots.remove(slot) {
            Some(Operation { bytes, .. }) => Err(DiskBusy { bytes, held, limit }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for CoreDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreDisk")
            .field("in_flight", &self.in_flight())
            .field("limit", &self.shared.limit)
            .finish_non_exhaustive()
    }
}

// Not the bytes: there may be a million of them.
impl fmt::Debug for DiskCompletion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskCompletion")
            .field("token", &self.token)
            .field("buffer_bytes", &self.bytes.len())
            .field("result", &self.result)
            .finish()
    }
}

impl fmt::Debug for DiskBusy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskBusy")
            .field("buffer_bytes", &self.bytes.len())
            .field("held", &self.held)
            .field("limit", &self.limit)
            .finish()
    }
}

struct Shared {
    ring: CoreRing,
    limit: usize,
    in_flight: Cell<usize>,
    slots: RefCell<Slots>,
}

/// The operations under way, and those that are done.
#[derive(Default)]
struct Slots {
    operations: Vec<Option<Operation>>,
    vacant: Vec<usize>,
    completed: VecDeque<DiskCompletion>,
}

/// What the kernel uses until all parts have completed.
struct Operation {
    token: u64,
    /// Held so that the descriptor stays what it is.
    _file: Rc<File>,
    bytes: BlockBuffer,
    /// The result of the read or write, when it has completed.
    moved: Option<io::Result<usize>>,
    sync_pending: bool,
    sync_error: Option<io::Error>,
}

const MAIN_PART: u64 = 0;
const SYNC_PART: u64 = 1;

fn tag(slot: usize, part: u64) -> u64 {
    DISK_TAGS.start | (slot as u64) << 1 | part
}

impl Slots {
    fn insert(&mut self, operation: Operation) -> usize {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.operations.push(None);
            self.operations.len() - 1
        });
        self.operations[slot] = Some(operation);
        slot
    }

    fn remove(&mut self, slot: usize) -> Option<Operation> {
        let operation = self.operations.get_mut(slot)?.take()?;
        self.vacant.push(slot);
        Some(operation)
    }

    /// Takes in one part; whether that was the last one of an operation.
    fn part_completed(&mut self, completion: Completion) -> bool {
        let slot = ((completion.tag - DISK_TAGS.start) >> 1) as usize;
        let Some(Some(operation)) = self.operations.get_mut(slot) else { return false };
        operation.take_part(completion.tag & 1, completion.result);
        if operation.moved.is_none() || operation.sync_pending {
            return false;
        }
        let done = self.remove(slot).map(Operation::completion);
        self.completed.extend(done);
        true
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let operations = self.operations.drain(..).flatten();
        // The kernel may still read or write this memory, and may still have to look the descriptor up.
        operations.for_each(mem::forget);
    }
}

impl Operation {
    fn new(token: u64, file: &Rc<File>, bytes: BlockBuffer) -> Operation {
        Operation {
            token,
            _file: file.clone(),
            bytes,
            moved: None,
            sync_pending: false,
            sync_error: None,
        }
    }

    fn take_part(&mut self, part: u64, result: i32) {
        let result = if result < 0 {
            Err(io::Error::from_raw_os_error(-result))
        } else {
            Ok(result as usize)
        };
        if part == MAIN_PART {
            self.moved = Some(result);
            return;
        }
        self.sync_pending = false;
        self.sync_error = match (&self.moved, result) {
            (_, Err(error)) => Some(error),
            // Whatever broke the link: what was synced then need not be what was written.
            (None, Ok(_)) => Some(io::Error::other("the sync did not wait for its write")),
            (Some(_), Ok(_)) => None,
        };
    }

    fn completion(self) -> DiskCompletion {
        let asked_bytes = self.bytes.len();
        let result = match (self.moved, self.sync_error) {
            // The sync of a write that failed or was short is cancelled, which is not the cause.
            (Some(Ok(moved)), Some(error)) if moved == asked_bytes => Err(error),
            (Some(moved), _) => moved,
            (None, error) => Err(error.unwrap_or_else(|| io::ErrorKind::Other.into())),
        };
        DiskCompletion { token: self.token, bytes: self.bytes, result }
    }

    /// The completion of an operation that was not given to the kernel.
    fn refused(self) -> DiskCompletion {
        let refusal = "more bytes than one operation takes, or an offset beyond any file";
        let result = Err(io::Error::new(io::ErrorKind::InvalidInput, refusal));
        DiskCompletion { token: self.token, bytes: self.bytes, result }
    }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
