//! Logs that were written once and must be read for ever: `tests/golden/`, made by the code below and compared byte for
//! byte, so that a change of the format cannot slip in. A change that is meant is a new format version, with files
//! of its own beside these.
//!
//! `MAINSPRING_JOURNAL_WRITE_GOLDEN=1` writes them anew.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mainspring_journal::format::segment_header::CommitMethod;
use mainspring_journal::format::{BLOCK_BYTES, RecordKind};
use mainspring_journal::log::{
    CoreLog, DeclaredEntity, DeclaredSchema, LogIdentity, LogSettings, NewRecord, SegmentFile,
};

use crate::page_reader::{self, ALL_RULES, Frame, Record};

/// The committed logs.
pub const LOGS: [&str; 3] = ["whole", "torn", "corrupt"];

/// The files of a committed log: names and bytes.
pub fn committed(log: &str) -> BTreeMap<u64, Vec<u8>> {
    let entries = fs::read_dir(folder(log)).expect("the files are committed");
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.expect("a file").path();
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
        let number = u64::from_str_radix(name, 16).expect("a number");
        (number, fs::read(&path).expect("a file"))
    };
    entries.map(file).collect()
}

/// The folder of a committed log.
pub fn folder(log: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(log)
}

const SEGMENT_BYTES: usize = 4 * BLOCK_BYTES;

/// Writes a log to files in memory, as a driver does.
struct Author {
    log: CoreLog,
    files: BTreeMap<u64, Vec<u8>>,
    sequences: BTreeMap<u64, u64>,
    shard_sequence: u64,
    now_ms: u64,
}

impl Author {
    fn new() -> Author {
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES as u64,
            commit_method: CommitMethod::WriteThenSync,
            ..LogSettings::default()
        };
        let log_id = 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF;
        let identity = LogIdentity { system: "bank".into(), log_id, core: 3, shard_count: 64 };
        let mut log = CoreLog::new(identity, settings);
        let files = (1..=3).map(|number| (number, vec![0; SEGMENT_BYTES])).collect();
        (1..=3).for_each(|number| log.add_segment(SegmentFile(number)));
        Author { log, files, sequences: BTreeMap::new(), shard_sequence: 0, now_ms: 1_000 }
    }

    fn append(
        &mut self,
        entity: &mut DeclaredEntity,
        kind: RecordKind,
        schema: Option<&DeclaredSchema>,
        payload: &[u8],
    ) {
        let sequence = self.sequences.entry(entity.hash()).or_default();
        let is_counted = matches!(kind, RecordKind::Event | RecordKind::State);
        *sequence += u64::from(is_counted);
        self.shard_sequence += 1;
        let record = NewRecord {
            kind,
            schema,
            shard: 9,
            entity_sequence: *sequence,
            shard_sequence: self.shard_sequence,
            epoch: 2,
            payload,
        };
        self.log.append(0, entity, &[record]).expect("there is room");
    }

    /// Everything that was taken becomes one frame, which is durable.
    fn commit(&mut self) -> (u64, usize) {
        self.now_ms += 1;
        let write = self.log.next_write(0, self.now_ms).expect("something was appended");
        let file = self.files.get_mut(&write.file.0).expect("it was made");
        file[write.offset as usize..][..write.bytes.len()].copy_from_slice(&write.bytes);
        self.log.completed(write.frame).expect("in flight");
        (write.file.0, write.offset as usize)
    }
}

/// A log with every kind of record, a second segment and a marker.
fn written(log: &str) -> BTreeMap<u64, Vec<u8>> {
    let mut author = Author::new();
    let mut account = DeclaredEntity::new("account", b"42").expect("short");
    let mut odd = DeclaredEntity::new("cart", b"\xFF/\0").expect("short");
    let deposited = DeclaredSchema::new("account.deposited", 1, 0xD0).expect("short");
    let balance = DeclaredSchema::new("account.balance", 3, 0xBA).expect("short");
    author.append(&mut account, RecordKind::Event, Some(&deposited), b"five");
    author.append(&mut account, RecordKind::Event, Some(&deposited), b"sixteen is exact");
    author.append(&mut account, RecordKind::Tag, None, b"large");
    author.append(&mut account, RecordKind::Command, None, &[0xC0; 16]);
    author.commit();
    author.append(&mut odd, RecordKind::State, Some(&balance), b"everything");
    author.append(&mut odd, RecordKind::Deletion, None, b"");
    author.append(&mut odd, RecordKind::ShardEpoch, None, b"");
    author.append(&mut odd, RecordKind::Remembered, None, b"");
    author.append(&mut odd, RecordKind::Forgotten, None, b"");
    let (file, offset) = author.commit();
    author.append(&mut account, RecordKind::Event, Some(&deposited), &[7; 5_000]);
    let (last_file, last_offset) = author.commit();
    match log {
        "torn" => {
            author.append(&mut account, RecordKind::Event, Some(&deposited), &[8; 3_000]);
            let (file, offset) = author.commit();
            author.files.get_mut(&file).expect("it is there")[offset + 1_024..].fill(0);
        }
        _ => {
            assert!(author.log.mark_idle(1_000_000_000));
            author.commit();
        }
    }
    if log == "corrupt" {
        author.files.get_mut(&file).expect("it is there")[offset + 64 + 200] ^= 0x10;
    }
    assert_eq!((file, last_file, last_offset), (1, 2, 0), "the log rolls to a second segment");
    author.files.retain(|_, bytes| bytes.iter().any(|byte| *byte != 0));
    author.files
}

#[test]
fn the_code_writes_the_committed_files_byte_for_byte() {
    for log in LOGS {
        let files = written(log);
        if std::env::var("MAINSPRING_JOURNAL_WRITE_GOLDEN").is_ok() {
            fs::create_dir_all(folder(log)).expect("a folder");
            for (number, bytes) in &files {
                let path = folder(log).join(format!("{number:016x}.segment"));
                fs::write(path, bytes).expect("a file");
            }
        }
        assert!(files == committed(log), "the format of {log} is not what it was");
    }
}

#[test]
fn a_reader_made_from_the_page_alone_reads_the_committed_files() {
    let log = page_reader::read(&committed("whole"), ALL_RULES).expect("nothing is wrong");
    let lines: Vec<String> = log.frames.iter().flat_map(lines_of).collect();
    assert_eq!(lines.join("\n"), WHOLE.trim());
    assert!(!log.is_torn);
    let header = page_reader::header_of(&committed("whole")[&2]).expect("a header");
    assert_eq!((header.system.as_str(), header.core, header.shards), ("bank", 3, 64));
    assert_eq!((header.method, header.log_id), (2, 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF));

    let torn = page_reader::read(&committed("torn"), ALL_RULES).expect("it may be written on");
    assert!(torn.is_torn);
    assert_eq!(torn.frames, log.frames[..3]);

    let corrupt = page_reader::read(&committed("corrupt"), ALL_RULES).expect_err("it is corrupt");
    assert_eq!(corrupt, "segment 1: what was durable at 8192 is gone");
}

/// What `whole` holds.
const WHOLE: &str = r#"
frame 1 of segment 1 at 4096, lsn 0, durable 0, time 1001
 8 - 0/0/0 epoch 0, account42
 7 - 0/0/0 epoch 0, account.deposited
 1 account/42 9/1/1 epoch 2, account.deposited v1 d0: five
 1 account/42 9/2/2 epoch 2, account.deposited v1 d0: sixteen is exact
 10 account/42 9/2/3 epoch 2: large
 9 account/42 9/2/4 epoch 2: \xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0
frame 2 of segment 1 at 8192, lsn 4096, durable 4096, time 1002
 8 - 0/0/0 epoch 0, cart\xff/\x00
 7 - 0/0/0 epoch 0, account.balance
 2 cart/\xff/\x00 9/1/5 epoch 2, account.balance v3 ba: everything
 3 cart/\xff/\x00 9/1/6 epoch 2: nothing
 4 cart/\xff/\x00 9/1/7 epoch 2: nothing
 5 cart/\xff/\x00 9/1/8 epoch 2: nothing
 6 cart/\xff/\x00 9/1/9 epoch 2: nothing
frame 3 of segment 2 at 4096, lsn 12288, durable 8192, time 1003
 8 - 0/0/0 epoch 0, account42
 7 - 0/0/0 epoch 0, account.deposited
 1 account/42 9/3/10 epoch 2, account.deposited v1 d0: 5000 bytes
frame 4 of segment 2 at 12288, lsn 20480, durable 20480, time 1004
"#;

fn lines_of(frame: &Frame) -> Vec<String> {
    let Frame { number, segment, offset, lsn, durable_lsn, time_ms, .. } = frame;
    let head = format!(
        "frame {number} of segment {segment} at {offset}, lsn {lsn}, durable {durable_lsn}, time {time_ms}"
    );
    std::iter::once(head).chain(frame.records.iter().map(line_of)).collect()
}

fn line_of(record: &Record) -> String {
    let Record { kind, shard, sequence, shard_sequence, epoch, payload, .. } = record;
    let entity = match &record.entity {
        Some(entity) => format!("{}/{}", entity.kind, entity.id.escape_ascii()),
        None => "-".to_owned(),
    };
    let layout = match &record.layout {
        Some(layout) => format!(", {} v{} {:x}", layout.name, layout.version, layout.fingerprint),
        None => String::new(),
    };
    let content = match kind {
        7 => format!(", {}", payload[16..].escape_ascii()),
        8 => format!(", {}", payload[2..].escape_ascii()),
        _ if payload.is_empty() => ": nothing".to_owned(),
        _ if payload.len() > 100 => format!(": {} bytes", payload.len()),
        _ => format!(": {}", payload.escape_ascii()),
    };
    format!(" {kind} {entity} {shard}/{sequence}/{shard_sequence} epoch {epoch}{layout}{content}")
}
