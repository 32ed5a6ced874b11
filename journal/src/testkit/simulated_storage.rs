//! A storage on a simulated disk, in virtual time.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use super::SimulatedDisk;
use crate::device::{LogFile, ReadRequest, SealedSegment, Storage, StorageEvent};
use crate::format::BLOCK_BYTES;
use crate::index::{Footer, IndexReader};
use crate::log::recovery::SegmentReader;
use crate::log::{BlockBuffer, SegmentFile, Write};

/// The wall clock of a simulation begins here: 2024-01-01, in milliseconds since 1970.
const WALL_CLOCK_START_MS: u64 = 1_704_067_200_000;

/// How a simulated device behaves from now on. Shared by the test and the storage.
#[derive(Clone, Debug)]
pub struct DeviceConduct {
    /// How long a write takes to become durable.
    pub write_ns: u64,
    /// How long a read takes.
    pub read_ns: u64,
    /// How long a segment takes to be made.
    pub segment_ns: u64,
    /// Length of a segment's file.
    pub segment_bytes: u64,
    /// Whether there is room for another segment.
    pub has_space: bool,
    /// So many of the next writes fail.
    pub failing_writes: u32,
    /// So many of the next reads fail.
    pub failing_reads: u32,
    /// Writes are called durable that were never synced: a device that lies, for tests that must find it out.
    pub skips_sync: bool,
    /// Writes that fail are called durable.
    pub hides_failures: bool,
}

impl Default for DeviceConduct {
    fn default() -> Self {
        DeviceConduct {
            write_ns: 50_000,
            read_ns: 80_000,
            segment_ns: 1_000_000,
            segment_bytes: 1 << 20,
            has_space: true,
            failing_writes: 0,
            failing_reads: 0,
            skips_sync: false,
            hides_failures: false,
        }
    }
}

/// What is under way.
#[derive(Debug)]
enum Job {
    Write(Write),
    Read(ReadRequest),
    Segment,
    Footer(SealedSegment),
    Drop(u64),
}

/// The footers of a simulated log, by their segments. They are durable at once.
#[derive(Clone, Debug, Default)]
pub struct SimulatedFooters(Rc<RefCell<BTreeMap<u64, Vec<u8>>>>);

impl SimulatedFooters {
    pub(super) fn fork(&self) -> Self {
        SimulatedFooters(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    pub(super) fn lose(&self) {
        self.0.borrow_mut().clear();
    }

    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    fn remove(&self, segment_id: u64) {
        self.0.borrow_mut().remove(&segment_id);
    }

    fn write(&self, footer: &Footer) {
        self.0.borrow_mut().insert(footer.header().segment_id, footer.encode());
    }

    fn read(&self, segment_id: u64, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let footers = self.0.borrow();
        let footer = footers.get(&segment_id).ok_or(io::ErrorKind::NotFound)?;
        let part = footer.get(offset as usize..).and_then(|rest| rest.get(..bytes.len()));
        bytes.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl IndexReader for SimulatedFooters {
    fn footer(&mut self, segment_id: u64) -> Option<Box<dyn Read + '_>> {
        let footer = self.0.borrow().get(&segment_id).cloned()?;
        Some(Box::new(Cursor::new(footer)))
    }

    fn checkpoint(&mut self, _file_number: u64) -> Option<Box<dyn Read + '_>> {
        None
    }
}

/// See the module's header.
#[derive(Debug)]
pub struct SimulatedStorage {
    disk: Rc<RefCell<SimulatedDisk>>,
    conduct: Rc<RefCell<DeviceConduct>>,
    footers: SimulatedFooters,
    /// In the order in which they are finished.
    jobs: VecDeque<(u64, Job)>,
    segments_under_way: usize,
    /// Files that recovery found to be unused.
    spare: Vec<SegmentFile>,
    next_file: u64,
    now_ns: u64,
}

impl SimulatedStorage {
    /// A storage for a log whose unused files are `spare`.
    pub fn new(
        disk: Rc<RefCell<SimulatedDisk>>,
        conduct: Rc<RefCell<DeviceConduct>>,
        footers: SimulatedFooters,
        spare: Vec<SegmentFile>,
    ) -> Self {
        let files = disk.borrow_mut().files().unwrap_or_default();
        let next_file = files.iter().map(|file| file.0 + 1).max().unwrap_or(1);
        let jobs = VecDeque::new();
        SimulatedStorage {
            disk,
            conduct,
            footers,
            jobs,
            segments_under_way: 0,
            spare,
            next_file,
            now_ns: 0,
        }
    }

    fn begin(&mut self, takes_ns: u64, job: Job) {
        let due_ns = self.now_ns + takes_ns;
        let at = self.jobs.partition_point(|(other_ns, _)| *other_ns <= due_ns);
        self.jobs.insert(at, (due_ns, job));
    }

    fn finish(&mut self, job: Job) -> StorageEvent {
        match job {
            Job::Write(Write { frame, offset, bytes, .. }) => {
                let conduct = &mut *self.conduct.borrow_mut();
                let fails = conduct.failing_writes > 0;
                conduct.failing_writes = conduct.failing_writes.saturating_sub(1);
                let result = match fails {
                    true if conduct.hides_failures => Ok(()),
                    true => Err(io::Error::other("a write that fails on purpose")),
                    false if conduct.skips_sync => Ok(()),
                    false => self.disk.borrow_mut().sync(frame).map_err(io::Error::other),
                };
                StorageEvent::Written { frame, offset, bytes, result }
            }
            Job::Read(ReadRequest { token, file, offset, bytes }) => {
                let mut buffer = BlockBuffer::with_capacity(bytes);
                buffer.resize(bytes, 0);
                let conduct = &mut *self.conduct.borrow_mut();
                let fails = conduct.failing_reads > 0;
                conduct.failing_reads = conduct.failing_reads.saturating_sub(1);
                let result = match fails {
                    true => Err(io::Error::other("a read that fails on purpose")),
                    false => match file {
                        LogFile::Segment(file) => {
                            let read = self.disk.borrow_mut().read(file, offset, &mut buffer);
                            read.map_err(io::Error::other)
                        }
                        LogFile::Footer(segment_id) => {
                            self.footers.read(segment_id, offset, &mut buffer)
                        }
                    },
                };
                StorageEvent::Read { token, bytes: buffer, result }
            }
            Job::Segment => self.make_segment(),
            Job::Footer(SealedSegment { index, end }) => {
                let footer = (*index).clone().finish(end);
                self.footers.write(&footer);
                StorageEvent::FooterWritten(footer.summary())
            }
            Job::Drop(segment_id) => {
                self.disk.borrow_mut().sync_directory();
                self.footers.remove(segment_id);
                StorageEvent::SegmentDropped { segment_id, result: Ok(()) }
            }
        }
    }

    fn make_segment(&mut self) -> StorageEvent {
        self.segments_under_way -= 1;
        let bytes = self.conduct.borrow().segment_bytes;
        let disk = &mut *self.disk.borrow_mut();
        if let Some(file) = self.spare.pop() {
            disk.zero(file, 0, bytes);
            return StorageEvent::SegmentReady(file);
        }
        let file = SegmentFile(self.next_file);
        let has_space = self.conduct.borrow().has_space;
        let made =
            if has_space { disk.create(file, bytes) } else { Err(super::DiskError::NoSpace) };
        match made {
            Ok(()) => {
                self.next_file += 1;
                StorageEvent::SegmentReady(file)
            }
            Err(error) => StorageEvent::NoSegment(io::Error::other(error)),
        }
    }
}

impl Storage for SimulatedStorage {
    fn write(&mut self, write: Write) -> Result<(), Write> {
        debug_assert!(write.bytes.len().is_multiple_of(BLOCK_BYTES));
        let begun =
            self.disk.borrow_mut().write(write.frame, write.file, write.offset, &write.bytes);
        if begun.is_err() {
            return Err(write);
        }
        let takes_ns = self.conduct.borrow().write_ns;
        self.begin(takes_ns, Job::Write(write));
        Ok(())
    }

    fn read(&mut self, read: ReadRequest) -> Result<(), ReadRequest> {
        let takes_ns = self.conduct.borrow().read_ns;
        self.begin(takes_ns, Job::Read(read));
        Ok(())
    }

    fn want_segments(&mut self, count: usize) {
        let takes_ns = self.conduct.borrow().segment_ns;
        while self.segments_under_way < count {
            self.segments_under_way += 1;
            self.begin(takes_ns, Job::Segment);
        }
    }

    fn write_footer(&mut self, sealed: SealedSegment) {
        let takes_ns = self.conduct.borrow().segment_ns;
        self.begin(takes_ns, Job::Footer(sealed));
    }

    fn drop_segment(&mut self, segment_id: u64, file: SegmentFile) {
        // A crash before the job is done may leave the name or take it.
        let removed = self.disk.borrow_mut().remove(file);
        debug_assert!(removed.is_ok(), "a segment of the log has a file");
        let takes_ns = self.conduct.borrow().segment_ns;
        self.begin(takes_ns, Job::Drop(segment_id));
    }

    fn next_event(&mut self, now_ns: u64) -> Option<StorageEvent> {
        self.now_ns = self.now_ns.max(now_ns);
        let is_due = self.jobs.front().is_some_and(|(due_ns, _)| *due_ns <= now_ns);
        let (_, job) = is_due.then(|| self.jobs.pop_front()).flatten()?;
        Some(self.finish(job))
    }

    fn has_events(&mut self) -> bool {
        false
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.jobs.front().map(|(due_ns, _)| *due_ns)
    }

    fn wall_clock_ms(&mut self) -> u64 {
        WALL_CLOCK_START_MS + self.now_ns / 1_000_000
    }
}
