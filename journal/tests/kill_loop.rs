//! A process that writes a log is killed at random moments, and every acknowledgement it gave is found to be true.
//!
//! The writer is this test once more, told by its environment: it opens the journal, recovers its log, goes on with it
//! and prints the number of each event that it was told is durable. The parent sends it SIGKILL, reads what it
//! printed, recovers the log itself and checks: every acknowledged event is there, none is there in part or twice,
//! and there is no gap. Each journal is killed several times, its making included.
//!
//! A SIGKILL is no loss of power. The kernel keeps what it was given, so this shows that nothing is acknowledged
//! before it is written, that a log is left in a state that can be read after any step of the program, and that
//! recovery, repair and the making of segments survive each other. What a device loses is shown on the simulated disk.
//!
//! `MAINSPRING_JOURNAL_KILLS` sets how many times; a run of all tests takes 25.

use std::fs::File;
use std::io::{BufRead, BufReader, IoSlice, Write as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use mainspring_journal::directory::reader::DirectoryReader;
use mainspring_journal::directory::{
    DeviceOptions, Directory, Identity, MakerClient, MakerEvent, MakerSettings, Request,
    SegmentMaker, open_segment, repair, segments_in,
};
use mainspring_journal::format::record::Records;
use mainspring_journal::format::segment_header::CommitMethod;
use mainspring_journal::format::{BLOCK_BYTES, RecordKind};
use mainspring_journal::log::recovery::{Expected, Recovered, recover};
use mainspring_journal::log::{
    AppendError, CoreLog, DeclaredEntity, LogSettings, NewRecord, SegmentFile, Write,
};

/// Names the journal that a child is to write.
const WRITES: &str = "MAINSPRING_JOURNAL_TEST_WRITES";
const KILLS: &str = "MAINSPRING_JOURNAL_KILLS";
const TEST: &str = "every_acknowledgement_of_a_killed_process_is_true";

/// Small, so that a life goes through several.
const SEGMENT_BYTES: u64 = 64 * BLOCK_BYTES as u64;
/// So many kills to a journal; then another one begins.
const LIVES: u64 = 8;
/// A life ends by itself here, so that a slow machine does not fill the disk.
const MOST_EVENTS_OF_A_LIFE: u64 = 2_000;
const LONGEST_LIFE_US: u64 = 60_000;
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn every_acknowledgement_of_a_killed_process_is_true() {
    if let Some(path) = std::env::var_os(WRITES) {
        write_until_killed(Path::new(&path));
        return;
    }
    let kills = std::env::var(KILLS).ok().and_then(|kills| kills.parse().ok()).unwrap_or(25);
    let mut random = fastrand::Rng::with_seed(0x4B11);
    let (mut tally, mut acknowledged) = (Tally::default(), 0);
    for kill in 0..kills {
        let folder = Folder::of_journal(kill / LIVES);
        if kill % LIVES == 0 {
            folder.clear();
            acknowledged = 0;
        }
        let told = live_and_die(&folder.0, Moment::drawn(&mut random));
        acknowledged = told.unwrap_or(acknowledged);
        tally.acknowledging += u64::from(told.is_some());
        tally.events += check(&folder.0, acknowledged, kill);
        if kill % LIVES == LIVES - 1 || kill + 1 == kills {
            folder.clear();
        }
    }
    println!("{kills} kills: {tally:?}");
    let enough = tally.acknowledging * 2 >= kills;
    assert!(enough, "most were killed before they wrote anything: {tally:?}");
}

#[derive(Debug, Default)]
struct Tally {
    /// Lives that acknowledged something before they were killed.
    acknowledging: u64,
    /// Events found after each kill, added up.
    events: u64,
}

struct Folder(PathBuf);

impl Folder {
    fn of_journal(number: u64) -> Folder {
        let name = format!("mainspring-kill-loop-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }

    fn clear(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// When a writer is killed.
#[derive(Clone, Copy)]
enum Moment {
    /// So long after its start: while it opens the journal.
    AfterStart(Duration),
    /// So long after its first acknowledgement: while it writes.
    AfterFirst(Duration),
}

impl Moment {
    fn drawn(random: &mut fastrand::Rng) -> Moment {
        let after = Duration::from_micros(random.u64(0..LONGEST_LIFE_US));
        if random.u8(0..4) == 0 { Moment::AfterStart(after) } else { Moment::AfterFirst(after) }
    }
}

/// Starts a writer and kills it. The last number that it acknowledged, if any.
fn live_and_die(path: &Path, moment: Moment) -> Option<u64> {
    let this = std::env::current_exe().expect("we run");
    let mut child = Command::new(this)
        .args(["--exact", TEST, "--nocapture"])
        .env(WRITES, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let said = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (tell, told) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        let mut last = None;
        for line in said.map_while(Result::ok) {
            // The last line may be cut off in the middle of its number.
            let number = line.rsplit_once("ack ").and_then(|(_, rest)| rest.strip_suffix('.'));
            if let Some(number) = number {
                if last.is_none() {
                    let _ = tell.send(());
                }
                last = Some(number.parse().expect("a number"));
            }
        }
        last
    });
    // Not to let something happen: the moment of the kill is the input of this test.
    match moment {
        Moment::AfterStart(after) => std::thread::sleep(after),
        Moment::AfterFirst(after) => {
            // An error says that the writer has ended by itself, which is seen below.
            let _ = told.recv_timeout(PATIENCE);
            std::thread::sleep(after);
        }
    }
    end(child);
    listener.join().expect("it reads to the end")
}

fn end(mut child: Child) {
    child.kill().expect("it is ours");
    let status = child.wait().expect("it ends");
    assert!(status.code().is_none_or(|code| code == 0), "the writer failed: {status}");
}

/// Recovers the log as the next life does; how many events it holds.
fn check(path: &Path, acknowledged: u64, kill: u64) -> u64 {
    let journal = open(path);
    let mut found = 0;
    let expected = expected();
    let mut reader = DirectoryReader::open(&journal.core_folder(0)).expect("it can be listed");
    let recovered = recover(&mut reader, &expected, &mut |frame| {
        for record in Records::new(frame.records, frame.header.record_count) {
            let record = record.expect("checked");
            if record.header.kind == RecordKind::Event {
                found += 1;
                assert_eq!(record.header.entity_sequence, found, "kill {kill}: a gap");
                assert!(record.payload == payload(found), "kill {kill}: event {found} differs");
            }
        }
    });
    let recovered = recovered.unwrap_or_else(|error| panic!("kill {kill}: {error}"));
    let log_id = journal.log_identity(0).expect("it has one core").log_id;
    assert!(recovered.log_id.is_none_or(|found| found == log_id), "kill {kill}: another log");
    assert!(
        found >= acknowledged,
        "kill {kill}: {acknowledged} were acknowledged, {found} are there"
    );
    found
}

fn open(path: &Path) -> Directory {
    let identity = Identity { system: "kills".into(), shard_count: 16, cores: 1 };
    let options = DeviceOptions { allow_buffered: true, commit_method: None };
    Directory::open(path, &identity, &options).unwrap_or_else(|error| panic!("{error}"))
}

fn expected() -> Expected {
    Expected { system: "kills".into(), core: 0, shard_count: 16 }
}

/// What an event says follows from its number.
fn payload(number: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let bytes = random.usize(0..6_000);
    std::iter::repeat_with(|| random.u8(..)).take(bytes).collect()
}

/// The other role: opens the journal, recovers, and writes until it is killed.
fn write_until_killed(path: &Path) {
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
            entity: DeclaredEntity::new("account", b"42").expect("short"),
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
            let payload = payload(number);
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
            // One write to the pipe, and a mark at its end by which half a line is known.
            let line = format!("ack {}.\n", self.appended);
            std::io::stdout().write_all(line.as_bytes()).expect("the parent reads");
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
