//! Real files, pipes and devices, one thread unless said otherwise. A pipe without a writer's bytes is an operation
//! that stays under way for as long as the test wants.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{BlockBuffer, Completion, CoreDisk, DISK_TAGS, DiskCompletion, Durability};
use crate::driver::host::CoreRing;
use crate::driver::rig::{PROFILES, Rig, wait_until};
use crate::driver::uring::Uring;
use crate::driver::waker::CoreWaker;
use crate::node::idle::IdleProfile;

const BLOCK: usize = 4096;
const LONG: Duration = Duration::from_secs(20);
const ALL: [Durability; 3] = [Durability::None, Durability::WriteThrough, Durability::ThenSync];

/// A disk, and the ring that the test turns in the core's place.
struct Bench {
    ring: CoreRing,
    disk: CoreDisk,
}

impl Bench {
    fn new(ring_entries: u32, operations_limit: usize) -> Bench {
        let waker = Arc::new(CoreWaker::new().expect("descriptors are free"));
        let ring = Uring::new(ring_entries, waker).expect("this kernel has io_uring");
        let ring = Rc::new(RefCell::new(ring));
        Bench { disk: CoreDisk::new(ring.clone(), operations_limit), ring }
    }

    /// Submits what is queued and hands the disk what is done, without waiting.
    fn turn(&self) {
        let mut completions = Vec::new();
        self.ring.borrow_mut().turn(&mut completions).expect("the enter is accepted");
        completions.into_iter().for_each(|completion| assert!(self.disk.completed(completion)));
    }

    fn next(&self) -> DiskCompletion {
        loop {
            if let Some(done) = self.disk.take_completed() {
                return done;
            }
            let mut completions = Vec::new();
            self.ring.borrow_mut().park(Some(LONG), &mut completions).expect("accepted");
            assert!(!completions.is_empty(), "nothing completed for {LONG:?}");
            completions.into_iter().for_each(|completion| assert!(self.disk.completed(completion)));
        }
    }
}

/// A file of its own that goes away with the test.
struct Scratch {
    path: PathBuf,
    file: Rc<File>,
}

impl Scratch {
    /// With direct I/O where the file system of temporary files has it.
    fn new(name: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("mainspring-disk-{}-{name}", std::process::id()));
        let open = |flags| {
            let mut options = OpenOptions::new();
            options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .custom_flags(flags)
                .open(&path)
        };
        let file = open(libc::O_DIRECT).or_else(|_| open(0)).expect("a temporary file");
        Scratch { file: Rc::new(file), path }
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("it is there")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn buffer(blocks: usize, byte: u8) -> BlockBuffer {
    let mut bytes = BlockBuffer::new();
    bytes.resize(blocks * BLOCK, byte);
    bytes
}

fn pipe() -> (Rc<File>, File) {
    let (reader, writer) = io::pipe().expect("descriptors are free");
    (Rc::new(File::from(OwnedFd::from(reader))), File::from(OwnedFd::from(writer)))
}

#[test]
fn what_is_written_is_in_the_file_and_is_read_back() {
    let bench = Bench::new(16, 16);
    let scratch = Scratch::new("read-back");
    for (place, durability) in ALL.into_iter().enumerate() {
        let bytes = buffer(2, place as u8 + 1);
        let offset = (place * 2 * BLOCK) as u64;
        bench.disk.write(place as u64, &scratch.file, offset, bytes, durability).expect("room");
        let done = bench.next();
        assert_eq!((done.token, done.result.ok()), (place as u64, Some(2 * BLOCK)));
        assert_eq!(done.bytes.as_slice(), buffer(2, place as u8 + 1).as_slice());
    }
    let expected: Vec<u8> = (1..=3).flat_map(|byte| vec![byte; 2 * BLOCK]).collect();
    assert!(scratch.bytes() == expected);
    bench.disk.read(9, &scratch.file, BLOCK as u64, buffer(4, 0)).expect("room");
    let done = bench.next();
    assert_eq!((done.token, done.result.ok()), (9, Some(4 * BLOCK)));
    assert!(done.bytes.as_slice() == &expected[BLOCK..5 * BLOCK]);
}

#[test]
fn starting_operations_enters_no_kernel_and_one_turn_submits_them_all() {
    let bench = Bench::new(32, 16);
    let scratch = Scratch::new("enters");
    let before = bench.ring.borrow().enters();
    for token in 0..8 {
        let (offset, bytes) = (token * BLOCK as u64, buffer(1, 7));
        bench.disk.write(token, &scratch.file, offset, bytes, Durability::ThenSync).expect("room");
    }
    assert_eq!(bench.ring.borrow().enters(), before, "queued, not submitted");
    assert_eq!(bench.disk.in_flight(), 8);
    bench.turn();
    assert_eq!(bench.ring.borrow().enters() - before, 1, "sixteen parts in one enter");
    let mut tokens: Vec<u64> = (0..8).map(|_| bench.next().token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, (0..8).collect::<Vec<_>>());
    assert_eq!(bench.disk.in_flight(), 0);
    let quiet = bench.ring.borrow().enters();
    bench.turn();
    assert_eq!(bench.ring.borrow().enters(), quiet, "a disk without operations costs nothing");
}

#[test]
fn operations_complete_in_the_kernels_order_not_in_that_of_their_start() {
    let bench = Bench::new(16, 16);
    let scratch = Scratch::new("order");
    let (reader, mut writer) = pipe();
    bench.disk.read(1, &reader, 0, buffer(1, 0)).expect("room");
    bench.disk.write(2, &scratch.file, 0, buffer(1, 5), Durability::ThenSync).expect("room");
    assert_eq!(bench.next().token, 2);
    assert_eq!(bench.disk.in_flight(), 1);
    writer.write_all(b"at last").expect("the pipe is open");
    let done = bench.next();
    assert_eq!((done.token, done.result.ok()), (1, Some(7)), "a short read is its length");
    assert_eq!(&done.bytes[..7], b"at last");
}

#[test]
fn the_cause_of_a_failed_write_is_not_hidden_by_its_cancelled_sync() {
    let bench = Bench::new(16, 16);
    let full = Rc::new(OpenOptions::new().write(true).open("/dev/full").expect("Linux has it"));
    let read_only = Rc::new(File::open("/dev/null").expect("Linux has it"));
    for (file, cause) in [(&full, libc::ENOSPC), (&read_only, libc::EBADF)] {
        for durability in ALL {
            bench.disk.write(1, file, 0, buffer(1, 1), durability).expect("room");
            let error = bench.next().result.expect_err("it cannot be written");
            assert_eq!(error.raw_os_error(), Some(cause), "{durability:?}");
            assert_eq!(bench.disk.in_flight(), 0, "both parts are done");
        }
    }
}

#[test]
fn a_failed_sync_fails_the_write() {
    let bench = Bench::new(16, 16);
    let (_reader, writer) = pipe();
    let writer = Rc::new(writer);
    bench.disk.write(1, &writer, 0, buffer(1, 1), Durability::None).expect("room");
    assert_eq!(bench.next().result.ok(), Some(BLOCK), "a pipe takes it");
    bench.disk.write(2, &writer, 0, buffer(1, 1), Durability::ThenSync).expect("room");
    let error = bench.next().result.expect_err("and cannot be synced");
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_short_write_is_reported_as_its_length_and_not_synced() {
    let bench = Bench::new(16, 16);
    let (_reader, writer) = pipe();
    // A pipe holds 64 KiB unless told otherwise.
    bench.disk.write(1, &Rc::new(writer), 0, buffer(32, 1), Durability::ThenSync).expect("room");
    assert_eq!(bench.next().result.ok(), Some(16 * BLOCK));
}

#[test]
fn at_the_limit_the_buffer_comes_back_until_results_are_taken() {
    let bench = Bench::new(16, 2);
    let scratch = Scratch::new("limit");
    for token in 0..2 {
        bench.disk.write(token, &scratch.file, 0, buffer(1, 1), Durability::None).expect("room");
    }
    let write = || bench.disk.write(3, &scratch.file, 0, buffer(1, 42), Durability::None);
    let busy = write().expect_err("two is the limit");
    assert_eq!((busy.held, busy.limit, busy.bytes[0]), (2, 2, 42));
    let first = bench.next();
    first.result.expect("it is written");
    write().expect("one was taken");
    while bench.disk.in_flight() > 0 {
        let mut completions = Vec::new();
        bench.ring.borrow_mut().park(Some(LONG), &mut completions).expect("accepted");
        completions.into_iter().for_each(|completion| assert!(bench.disk.completed(completion)));
    }
    assert!(bench.disk.has_completed());
    assert_eq!(write().expect_err("two wait to be taken").held, 2);
    bench.next();
    bench.next();
    assert!(!bench.disk.has_completed());
    write().expect("both were taken");
}

#[test]
fn a_write_and_its_sync_are_queued_together_or_not_at_all() {
    let bench = Bench::new(4, 16);
    let scratch = Scratch::new("together");
    let started =
        |token, durability| bench.disk.write(token, &scratch.file, 0, buffer(1, 1), durability);
    for token in 0..3 {
        started(token, Durability::None).expect("room");
    }
    let busy = started(3, Durability::ThenSync).expect_err("one entry is left, two are needed");
    assert_eq!((busy.held, busy.bytes.len()), (3, BLOCK));
    assert_eq!(bench.disk.in_flight(), 3);
    started(4, Durability::None).expect("the one entry is still there");
    bench.turn();
    started(5, Durability::ThenSync).expect("submitted entries make room");
    let mut tokens: Vec<u64> = (0..5).map(|_| bench.next().token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [0, 1, 2, 4, 5]);
}

#[test]
fn what_no_file_can_take_completes_with_an_error() {
    let bench = Bench::new(16, 16);
    let scratch = Scratch::new("beyond");
    // To the kernel this offset means "where the file's position is".
    bench.disk.write(1, &scratch.file, u64::MAX, buffer(1, 1), Durability::None).expect("room");
    let error = bench.next().result.expect_err("no file reaches there");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(scratch.bytes().is_empty());
}

#[test]
fn completions_of_others_are_left_to_them() {
    let bench = Bench::new(16, 16);
    for tag in [0, 7, DISK_TAGS.start - 1, DISK_TAGS.end] {
        assert!(!bench.disk.completed(Completion { tag, result: 0, flags: 0 }), "{tag:#x}");
    }
    let unknown = Completion { tag: DISK_TAGS.start, result: 0, flags: 0 };
    assert!(bench.disk.completed(unknown), "the disk's, though it knows no such operation");
    assert!(!bench.disk.has_completed());
}

#[test]
fn a_disk_dropped_with_an_operation_under_way_leaves_file_and_buffer_to_the_kernel() {
    let bench = Bench::new(16, 16);
    let (reader, mut writer) = pipe();
    bench.disk.read(1, &reader, 0, buffer(1, 0)).expect("room");
    bench.turn();
    let Bench { ring, disk } = bench;
    drop(disk);
    assert_eq!(Rc::strong_count(&reader), 2, "somebody still holds the file");
    writer.write_all(b"into the buffer").expect("the pipe is open");
    let mut completions = Vec::new();
    ring.borrow_mut().park(Some(LONG), &mut completions).expect("accepted");
    assert!(completions.iter().any(|done| DISK_TAGS.contains(&done.tag) && done.result == 15));
}

#[test]
fn a_core_that_ends_waits_for_what_is_under_way_but_not_for_ever() {
    let bench = Bench::new(16, 16);
    let scratch = Scratch::new("settle");
    assert!(bench.disk.settle(Duration::ZERO), "nothing is under way");
    for token in 0..4 {
        let (offset, bytes) = (token * BLOCK as u64, buffer(1, 3));
        bench.disk.write(token, &scratch.file, offset, bytes, Durability::ThenSync).expect("room");
    }
    assert!(bench.disk.settle(LONG), "not even submitted before");
    assert!(scratch.bytes() == vec![3; 4 * BLOCK]);
    let (reader, _writer) = pipe();
    bench.disk.read(9, &reader, 0, buffer(1, 0)).expect("room");
    assert!(!bench.disk.settle(Duration::from_millis(1)), "nobody writes to the pipe");
    assert_eq!(bench.disk.in_flight(), 1);
}

#[test]
fn a_core_commits_in_every_idle_profile() {
    const COMMITS: u64 = 20;
    for idle in PROFILES {
        let scratch = Scratch::new("core");
        let path = scratch.path.clone();
        let committed = Arc::new(AtomicU64::new(0));
        let counts = committed.clone();
        let rig = Rig::start(idle, move |mut core, ring| {
            let disk = CoreDisk::new(ring, 4);
            let file = OpenOptions::new().write(true).open(path).expect("the test made it");
            let file = Rc::new(file);
            let (starter, yielder) = (disk.clone(), disk.clone());
            let start = move |number: u64| {
                let (offset, durability) = (number * BLOCK as u64, ALL[number as usize % 3]);
                starter.write(number, &file, offset, buffer(1, 9), durability).expect("room");
            };
            let next = start.clone();
            core.on_seen = Box::new(move |_, _| start(0));
            core.on_completed = Box::new(move |completion| {
                assert!(disk.completed(completion));
                while let Some(done) = disk.take_completed() {
                    assert_eq!(done.result.expect("it is written"), BLOCK);
                    counts.store(done.token + 1, Ordering::Release);
                    if done.token + 1 < COMMITS {
                        next(done.token + 1);
                    }
                }
            });
            core.yields = Box::new(move || yielder.in_flight() > 0);
            core
        });
        rig.give(1);
        wait_until("all commits", || committed.load(Ordering::Acquire) == COMMITS);
        rig.finish();
        assert!(scratch.bytes() == vec![9; COMMITS as usize * BLOCK], "{idle}");
    }
}

#[test]
fn a_core_that_does_not_sleep_yields_while_an_operation_is_under_way_and_only_then() {
    for never_idle in [false, true] {
        let (reader, mut writer) = io::pipe().expect("descriptors are free");
        let rig = Rig::start(IdleProfile::Busy, move |mut core, ring| {
            let disk = CoreDisk::new(ring, 4);
            let file = Rc::new(File::from(OwnedFd::from(reader)));
            let (starter, yielder) = (disk.clone(), disk.clone());
            let shared = core.shared.clone();
            core.never_idle = never_idle;
            core.on_seen = Box::new(move |value, _| {
                if value == 1 {
                    starter.read(1, &file, 0, buffer(1, 0)).expect("room");
                }
            });
            core.on_completed = Box::new(move |completion| {
                assert!(disk.completed(completion));
                shared.seen.store(2, Ordering::Release);
            });
            core.yields = Box::new(move || yielder.in_flight() > 0);
            core
        });
        assert_eq!(rig.figures().yields(), 0, "nothing is under way");
        rig.give(1);
        wait_until("the core to yield", || rig.figures().yields() > 1);
        writer.write_all(b"done").expect("the pipe is open");
        rig.wait_until_seen(2);
        let yields = rig.figures().yields();
        for value in 3..1_000 {
            rig.give(value);
            rig.wait_until_seen(value);
        }
        assert_eq!(rig.figures().yields(), yields, "nothing is under way any more");
        rig.finish();
    }
}
