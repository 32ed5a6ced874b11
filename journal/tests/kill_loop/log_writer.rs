//! A log whose driver waits for everything: one write after the other, made durable and then acknowledged.

use std::fs::File;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, mpsc};

use mainspring_journal::directory::reader::DirectoryReader;
use mainspring_journal::directory::{
    Directory, MakerClient, MakerEvent, MakerSettings, Request, SegmentMaker, open_segment, repair,
    segments_in,
};
use mainspring_journal::format::record::Records;
use mainspring_journal::format::segment_header::CommitMethod;
use mainspring_journal::format::{BLOCK_BYTES, RecordKind};
use mainspring_journal::log::recovery::{Recovered, recover};
use mainspring_journal::log::{
    AppendError, CoreLog, DeclaredEntity, LogSettings, NewRecord, SegmentFile, Write,
};

use crate::check::{expected, open};
use crate::victim::acknowledge;

/// Small, so that a life goes through several.
const SEGMENT_BYTES: u64 = 64 * BLOCK_BYTES as u64;
/// A life ends by itself here, so that a slow machine does not fill the disk.
const MOST_EVENTS_OF_A_LIFE: u64 = 2_000;
const ENTITY: u64 = 42;

/// What an event says follows from its number.
pub fn payload(_entity: u64, number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let bytes = random.usize(0..6_000);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

/// Recovers the log and goes on with it until it is killed.
pub fn write(path: &Path) {
    let journal = open(path);
    let folder = journal.core_folder(0);
    let mut reader = DirectoryReader::open(&folder).expect("it can be listed");
    let mut last = 0;
    let recovered = recover(&mut reader, &expected(), &mut |frame| {
        for record in Records::new(frame.records, frame.header.record_count) {
            let header = record.expect("checked").header;
            last = if header.kind == RecordKind::Event { header.entity_sequence } else { last };
        }
    });
    let recovered = recovered.unwrap_or_else(|error| panic!("{error}"));
    let mut writer = Writer::resume(&journal, &folder, recovered, last);
    while writer.appended < last + MOST_EVENTS_OF_A_LIFE {
        writer.append_some();
        writer.commit();
    }
}

/// The driver of a log that waits for everything.
struct Writer<'a> {
    journal: &'a Directory,
    folder: &'a Path,
    log: CoreLog,
    entity: DeclaredEntity,
    open: Option<(SegmentFile, File)>,
    appended: u64,
    next_file: u64,
    random: fastrand::Rng,
    client: MakerClient,
    woken: mpsc::Receiver<()>,
    _maker: SegmentMaker,
}

impl<'a> Writer<'a> {
    fn resume(journal: &'a Directory, folder: &'a Path, recovered: Recovered, last: u64) -> Self {
        if let Some(torn) = &recovered.repair {
            repair(folder, torn).expect("it can be zeroed");
        }
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES,
            frame_limit_bytes: 8 * BLOCK_BYTES,
            commit_method: journal.commit_method(),
            ..LogSettings::default()
        };
        let identity = journal.log_identity(0).expect("it has one core");
        let maker = SegmentMaker::start(MakerSettings {
            segment_bytes: SEGMENT_BYTES,
            direct: journal.is_direct(),
            ..MakerSettings::default()
        });
        let maker = maker.expect("a thread");
        let (wake, woken) = mpsc::channel();
        let wake = Arc::new(move || {
            let _ = wake.send(());
        });
        let client = maker.client(folder.to_owned(), wake).expect("it takes us");
        let files = segments_in(folder).expect("it can be listed");
        let mut next_file = files.last().map_or(1, |file| file.0 + 1);
        for retired in recovered.spare_files {
            let file = SegmentFile(next_file);
            client.submit(Request::Recycle { retired, file }).expect("few are spare");
            next_file += 1;
        }
        Writer {
            journal,
            folder,
            log: CoreLog::resumed(identity, settings, recovered.segment, recovered.tail),
            entity: DeclaredEntity::new("account", &ENTITY.to_be_bytes()).expect("short"),
            open: None,
            appended: last,
            next_file,
            random: fastrand::Rng::new(),
            client,
            woken,
            _maker: maker,
        }
    }

    fn append_some(&mut self) {
        for _ in 0..self.random.usize(1..6) {
            let number = self.appended + 1;
            let payload = payload(ENTITY, number);
            let record = NewRecord {
                kind: RecordKind::Event,
                schema: None,
                shard: 1,
                entity_sequence: number,
                shard_sequence: number,
                epoch: 1,
                payload: &payload,
            };
            match self.log.append(0, &mut self.entity, &[record]) {
                Ok(_) => self.appended = number,
                Err(AppendError::Full { .. }) => return self.wait_for_a_segment(),
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn wait_for_a_segment(&mut self) {
        loop {
            while self.client.outstanding() < self.log.wanted_segments() {
                let file = SegmentFile(self.next_file);
                self.client.submit(Request::Segment { file }).expect("few are wanted");
                self.next_file += 1;
            }
            match self.client.take_event() {
                Some(MakerEvent::SegmentReady { file }) => return self.log.add_segment(file),
                Some(event) => panic!("{event:?}"),
                None => self.woken.recv().expect("the thread lives"),
            }
        }
    }

    /// Makes everything durable that was taken, and says so.
    fn commit(&mut self) {
        while let Some(write) = self.log.next_write(0, 0) {
            self.make_durable(&write);
            self.log.completed(write.frame).expect("it is in flight");
        }
        if self.log.is_settled() {
            acknowledge(ENTITY, self.appended);
        }
    }

    fn make_durable(&mut self, write: &Write) {
        let file = match self.open.take() {
            Some((number, file)) if number == write.file => file,
            _ => {
                let direct = self.journal.is_direct();
                open_segment(self.folder, write.file, direct).expect("it is there")
            }
        };
        if self.journal.commit_method() == CommitMethod::WriteThrough {
            let flags = rustix::io::ReadWriteFlags::DSYNC;
            let pieces = [IoSlice::new(&write.bytes)];
            let written = rustix::io::pwritev2(&file, &pieces, write.offset, flags);
            assert_eq!(written.expect("it can be written"), write.bytes.len());
        } else {
            file.write_all_at(&write.bytes, write.offset).expect("it can be written");
            file.sync_data().expect("it can be synced");
        }
        self.open = Some((write.file, file));
    }
}
