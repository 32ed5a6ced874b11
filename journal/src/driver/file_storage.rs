//! Segment files on the core's own ring.
//!
//! Writes and reads go through the ring past the page cache; segments are made ahead by the journal's thread. The
//! only calls that the core itself makes of the kernel are to open a segment once: a path that was made or read a
//! moment before.

use std::any::Any;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mainspring::driver::CoreDisk;
use mainspring::driver::disk::Durability;

use super::librarian::Librarian;
use crate::device::{IndexExtent, LogFile, ReadRequest, SealedSegment, Storage, StorageEvent};
use crate::directory::{MakerClient, MakerEvent, Request, open_segment};
use crate::driver::index_files::footer_name;
use crate::format::segment_header::CommitMethod;
use crate::log::{BlockBuffer, SegmentFile, Write};

/// Files that are kept open at a time.
const OPEN_FILES_LIMIT: usize = 256;
/// Reads under way; the rest of the disk's operations is for commits.
const READS_LIMIT: usize = 96;
/// Files of dropped segments that are kept to become others; further ones are removed.
const POOL_FILES: usize = 2;
/// Memory that is kept to be read into again.
const SPARE_BUFFERS_LIMIT: usize = 32;
/// The pause before another segment is asked for when one failed: each try is a file.
const SEGMENT_REST_NS: u64 = 1_000_000_000;

/// Where a core's log is on real files.
#[derive(Clone, Debug)]
pub struct LogFolder {
    /// The folder.
    pub path: PathBuf,
    /// How commits are made durable.
    pub commit_method: CommitMethod,
    /// Files that recovery found to be unused.
    pub spare: Vec<SegmentFile>,
    /// The highest number of a file.
    pub last_file: u64,
}

/// A segment that is being dropped.
struct Dropping {
    token: u64,
    segment_id: u64,
    file: SegmentFile,
    to_pool: bool,
}

/// See the module's header.
pub struct FileStorage {
    disk: CoreDisk,
    maker: MakerClient,
    folder: LogFolder,
    /// Oldest first.
    open: VecDeque<(LogFile, Rc<File>)>,
    /// What the ring had no room for, in order.
    postponed: VecDeque<Write>,
    writing: Vec<(u64, u64, usize)>,
    reading: Vec<(u64, usize)>,
    /// Memory to read into.
    spare: Vec<BlockBuffer>,
    segments_under_way: usize,
    /// A segment failed for another reason than room: none is asked for before this.
    segments_rest_until_ns: Option<u64>,
    now_ns: u64,
    librarian: Librarian,
    /// Segments whose footers are to be written.
    sealed: VecDeque<SealedSegment>,
    /// The oldest segment, when it is to be dropped and that was not begun.
    to_drop: Option<(u64, SegmentFile)>,
    dropping: Option<Dropping>,
    /// Events that did not come from the ring.
    ready: VecDeque<StorageEvent>,
    /// Keeps the journal's lock and thread for as long as this core runs.
    _journal: Arc<dyn Any + Send + Sync>,
}

impl FileStorage {
    /// The storage of one core. `journal` is kept as long as the storage is.
    pub fn new(
        disk: CoreDisk,
        maker: MakerClient,
        folder: LogFolder,
        extent: &IndexExtent,
        journal: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let librarian = Librarian::new(extent);
        FileStorage {
            disk,
            maker,
            folder,
            open: VecDeque::new(),
            postponed: VecDeque::new(),
            writing: Vec::new(),
            reading: Vec::new(),
            spare: Vec::new(),
            segments_under_way: 0,
            segments_rest_until_ns: None,
            now_ns: 0,
            librarian,
            sealed: VecDeque::new(),
            to_drop: None,
            dropping: None,
            ready: VecDeque::new(),
            _journal: journal,
        }
    }

    fn file(&mut self, file: LogFile) -> io::Result<Rc<File>> {
        if let Some((_, open)) = self.open.iter().rev().find(|(number, _)| *number == file) {
            return Ok(Rc::clone(open));
        }
        let folder = &self.folder;
        let opened = match file {
            LogFile::Segment(segment) => {
                let direct = folder.commit_method != CommitMethod::Buffered;
                open_segment(&folder.path, segment, direct).map_err(io::Error::other)?
            }
            LogFile::Footer(segment_id) => File::open(folder.path.join(footer_name(segment_id)))?,
        };
        let opened = Rc::new(opened);
        if self.open.len() >= OPEN_FILES_LIMIT {
            // Operations under way hold the file themselves.
            self.open.pop_front();
        }
        self.open.push_back((file, Rc::clone(&opened)));
        Ok(opened)
    }

    /// Memory of a length. That which was read into before needs no zeroes.
    fn buffer(&mut self, bytes: usize) -> BlockBuffer {
        let fits = |spare: &BlockBuffer| {
            spare.capacity() >= bytes && spare.capacity() <= bytes.saturating_mul(4)
        };
        let at = self.spare.iter().rposition(fits);
        let mut buffer = match at {
            Some(at) => self.spare.swap_remove(at),
            None => BlockBuffer::with_capacity(bytes),
        };
        buffer.resize(bytes, 0);
        buffer
    }

    fn begin_write(&mut self, write: Write) {
        let Write { frame, file, offset, bytes } = write;
        let opened = match self.file(LogFile::Segment(file)) {
            Ok(opened) => opened,
            Err(error) => {
                let result = Err(error);
                self.ready.push_back(StorageEvent::Written { frame, offset, bytes, result });
                return;
            }
        };
        let durability = match self.folder.commit_method {
            CommitMethod::WriteThrough => Durability::WriteThrough,
            _ => Durability::ThenSync,
        };
        let length = bytes.len();
        match self.disk.write(frame << 1, &opened, offset, bytes, durability) {
            Ok(()) => self.writing.push((frame, offset, length)),
            Err(busy) => {
                self.postponed.push_back(Write { frame, file, offset, bytes: busy.bytes });
            }
        }
    }

    fn written(
        &mut self,
        token: u64,
        bytes: BlockBuffer,
        result: io::Result<usize>,
    ) -> StorageEvent {
        let frame = token >> 1;
        let at = self.writing.iter().position(|(writing, ..)| *writing == frame);
        let (_, offset, length) =
            at.map_or((frame, 0, bytes.len()), |at| self.writing.swap_remove(at));
        let result = result.and_then(|written| whole(written, length, "written"));
        StorageEvent::Written { frame, offset, bytes, result }
    }

    fn was_read(
        &mut self,
        token: u64,
        bytes: BlockBuffer,
        result: io::Result<usize>,
    ) -> StorageEvent {
        let token = token >> 1;
        let at = self.reading.iter().position(|(reading, _)| *reading == token);
        let (_, length) = at.map_or((token, bytes.len()), |at| self.reading.swap_remove(at));
        let result = result.and_then(|read| whole(read, length, "read"));
        StorageEvent::Read { token, bytes, result }
    }

    /// Hands footers to the journal's thread, as many as it takes.
    fn give_footers(&mut self) {
        while let Some(sealed) = self.sealed.front() {
            let request = self.librarian.request(sealed);
            if self.maker.submit(request).is_err() {
                return;
            }
            self.sealed.pop_front();
        }
    }

    /// Hands the drop of a segment to the journal's thread, if there is one and it takes it.
    fn give_drop(&mut self) {
        let Some((segment_id, file)) = self.to_drop else { return };
        let to_pool = self.folder.spare.len() < POOL_FILES;
        let request = self.librarian.drop_request(segment_id, file, to_pool);
        if self.maker.submit(request).is_ok() {
            let token = self.librarian.last_token();
            self.dropping = Some(Dropping { token, segment_id, file, to_pool });
            self.to_drop = None;
        }
    }

    /// What has become of a segment that was being dropped, if the request was that.
    fn dropped(&mut self, token: u64, result: io::Result<()>) -> Option<StorageEvent> {
        let Dropping { segment_id, file, to_pool, .. } =
            self.dropping.take_if(|dropping| dropping.token == token)?;
        if to_pool && result.is_ok() {
            self.folder.spare.push(file);
        }
        Some(StorageEvent::SegmentDropped { segment_id, result })
    }

    fn take_made(&mut self) {
        while let Some(event) = self.maker.take_event() {
            let event = self.made(event);
            self.ready.extend(event);
        }
        self.give_footers();
        self.give_drop();
    }

    fn made(&mut self, event: MakerEvent) -> Option<StorageEvent> {
        match event {
            MakerEvent::SegmentReady { file } => {
                self.segments_under_way = self.segments_under_way.saturating_sub(1);
                Some(StorageEvent::SegmentReady(file))
            }
            MakerEvent::SegmentFailed { error, .. } => {
                self.segments_under_way = self.segments_under_way.saturating_sub(1);
                self.segments_rest_until_ns = Some(self.now_ns.saturating_add(SEGMENT_REST_NS));
                Some(StorageEvent::NoSegment(io::Error::other(error)))
            }
            MakerEvent::Full { .. } => {
                Some(StorageEvent::NoSegment(io::ErrorKind::StorageFull.into()))
            }
            MakerEvent::JobDone { token } => {
                self.dropped(token, Ok(())).or_else(|| self.librarian.written(token))
            }
            MakerEvent::JobFailed { token, error } => {
                let error = io::Error::other(error);
                match self.dropping.as_ref().is_some_and(|dropping| dropping.token == token) {
                    true => self.dropped(token, Err(error)),
                    false => Some(StorageEvent::NoFooter(error)),
                }
            }
            MakerEvent::SpaceIsBack => None,
        }
    }
}

/// A part is as bad as nothing: what it means for the rest is not known.
fn whole(done: usize, length: usize, what: &str) -> io::Result<()> {
    if done == length {
        return Ok(());
    }
    Err(io::Error::other(format!("{done} of {length} bytes were {what}")))
}

impl Storage for FileStorage {
    fn write(&mut self, write: Write) -> Result<(), Write> {
        self.begin_write(write);
        Ok(())
    }

    fn read(&mut self, read: ReadRequest) -> Result<(), ReadRequest> {
        if self.reading.len() >= READS_LIMIT {
            return Err(read);
        }
        let ReadRequest { token, file, offset, bytes } = read;
        let buffer = self.buffer(bytes);
        let opened = match self.file(file) {
            Ok(opened) => opened,
            Err(error) => {
                let (bytes, result) = (buffer, Err(error));
                self.ready.push_back(StorageEvent::Read { token, bytes, result });
                return Ok(());
            }
        };
        if let Err(busy) = self.disk.read(token << 1 | 1, &opened, offset, buffer) {
            self.recycle(busy.bytes);
            return Err(read);
        }
        self.reading.push((token, bytes));
        Ok(())
    }

    fn recycle(&mut self, memory: BlockBuffer) {
        if self.spare.len() < SPARE_BUFFERS_LIMIT {
            self.spare.push(memory);
        }
    }

    fn want_segments(&mut self, count: usize) {
        if self.segments_rest_until_ns.is_some() {
            return;
        }
        while self.segments_under_way < count {
            let file = SegmentFile(self.folder.last_file + 1);
            let request = match self.folder.spare.last() {
                Some(retired) => Request::Recycle { retired: *retired, file },
                None => Request::Segment { file },
            };
            if self.maker.submit(request).is_err() {
                return;
            }
            self.folder.spare.pop();
            self.folder.last_file += 1;
            self.segments_under_way += 1;
        }
    }

    fn write_footer(&mut self, sealed: SealedSegment) {
        self.sealed.push_back(sealed);
        self.give_footers();
    }

    fn drop_segment(&mut self, segment_id: u64, file: SegmentFile) {
        // A file that is open keeps its room on the device.
        let gone = [LogFile::Segment(file), LogFile::Footer(segment_id)];
        self.open.retain(|(open, _)| !gone.contains(open));
        self.to_drop = Some((segment_id, file));
        self.give_drop();
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        self.segments_rest_until_ns
    }

    fn next_event(&mut self, now_ns: u64) -> Option<StorageEvent> {
        self.now_ns = now_ns;
        if self.segments_rest_until_ns.is_some_and(|until_ns| until_ns <= now_ns) {
            self.segments_rest_until_ns = None;
        }
        if let Some(write) = self.postponed.pop_front() {
            self.begin_write(write);
        }
        if self.ready.is_empty() && self.maker.outstanding() > 0 {
            self.take_made();
        }
        if let Some(ready) = self.ready.pop_front() {
            return Some(ready);
        }
        let done = self.disk.take_completed()?;
        Some(match done.token & 1 {
            0 => self.written(done.token, done.bytes, done.result),
            _ => self.was_read(done.token, done.bytes, done.result),
        })
    }

    fn has_events(&mut self) -> bool {
        // The maker's alarm is heard by a core that sleeps; one that is about to must look.
        if self.ready.is_empty() && self.maker.outstanding() > 0 {
            self.take_made();
        }
        self.disk.has_completed() || !self.ready.is_empty() || !self.postponed.is_empty()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "frames carry the time of day, which nothing is decided by"
    )]
    fn wall_clock_ms(&mut self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
    }
}
