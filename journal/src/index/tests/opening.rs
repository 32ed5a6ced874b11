//! A log is opened with what is left of its index, and comes out as if all of it had been read.

use std::io::Read;

use super::super::{
    Entity, IndexReader, NewCheckpoint, OpenedIndex, ShardRow, merge, open_index, rebuild_footer,
};
use super::*;
use crate::format::SegmentHeader;
use crate::log::recovery::{
    Expected, FoundFrame, Recovered, RecoveryError, Segment, Start, recover_from, segments,
};
use crate::log::{CoreLog, DeclaredEntity, LogIdentity, LogSettings, NewRecord};
use crate::testkit::SimulatedDisk;

const SMALL_SEGMENT_BYTES: u64 = 16 * BLOCK_BYTES as u64;

fn expected() -> Expected {
    Expected { system: "test".into(), core: 0, shard_count: 16 }
}

/// A log on a disk, with the derived files beside it.
struct Stored {
    disk: SimulatedDisk,
    footers: BTreeMap<u64, Vec<u8>>,
    checkpoints: BTreeMap<u64, Vec<u8>>,
}

impl IndexReader for Stored {
    fn footer(&mut self, segment_id: u64) -> Option<Box<dyn Read + '_>> {
        let bytes = self.footers.get(&segment_id)?;
        Some(Box::new(bytes.as_slice()))
    }

    fn checkpoint(&mut self, file_number: u64) -> Option<Box<dyn Read + '_>> {
        let bytes = self.checkpoints.get(&file_number)?;
        Some(Box::new(bytes.as_slice()))
    }
}

/// Everything that opening a log comes to.
#[derive(Debug, PartialEq)]
struct Answer {
    entities: Vec<Entity>,
    shards: Vec<ShardRow>,
    tail: crate::log::Tail,
    end_offset: Option<u64>,
    /// The records of every entity, by segment.
    records: BTreeMap<(u64, u64), Vec<Posting>>,
}

/// The visitor that a core has: tables, and an index for each segment whose frames are read.
#[derive(Default)]
struct Visitor {
    opened: OpenedIndex,
    indexes: BTreeMap<u64, (SegmentIndex, FrameEnd)>,
}

impl Visitor {
    fn visit(&mut self, frame: &FoundFrame<'_>) {
        let id = frame.header.segment_id;
        let (index, end) = self.indexes.entry(id).or_insert_with(|| {
            let (log_id, segment_bytes) = (LOG_ID, SMALL_SEGMENT_BYTES);
            let file = frame.file;
            let segment = IndexedSegment { log_id, segment_id: id, file, segment_bytes };
            (SegmentIndex::new(segment), FrameEnd::default())
        });
        end.take_in(&frame.header, frame.offset);
        let OpenedIndex { entities, shards, .. } = &mut self.opened;
        index
            .add_frame(frame, &mut |header, place| {
                shards.apply(header, id, place)?;
                Ok(entities.apply(header, id)?)
            })
            .expect("room");
    }
}

impl Stored {
    /// A log of several segments with many entities, durable as a whole.
    fn seeded(seed: u64) -> Stored {
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = LogSettings { segment_bytes: SMALL_SEGMENT_BYTES, ..LogSettings::default() };
        let identity =
            LogIdentity { system: "test".into(), log_id: LOG_ID, core: 0, shard_count: 16 };
        let mut log = CoreLog::new(identity, settings);
        let mut disk = SimulatedDisk::seeded(seed);
        let mut entities: Vec<DeclaredEntity> = (0..20u64)
            .map(|number| DeclaredEntity::new("account", &number.to_le_bytes()).expect("short"))
            .collect();
        let mut files = 1..;
        for step in 1..200 {
            while log.wanted_segments() > 0 {
                let file = SegmentFile(files.next().expect("endless"));
                disk.create(file, SMALL_SEGMENT_BYTES).expect("room");
                log.add_segment(file);
            }
            for sequence in 0..random.u64(1..4) {
                let payload = vec![7; random.usize(0..2_000)];
                let number = random.usize(0..entities.len());
                let record = NewRecord {
                    kind: if random.u8(0..6) == 0 { RecordKind::State } else { RecordKind::Event },
                    schema: None,
                    shard: number as u32 % 4,
                    entity_sequence: step + sequence,
                    shard_sequence: step,
                    epoch: 1,
                    payload: &payload,
                };
                log.append(0, &mut entities[number], &[record]).expect("room");
            }
            while let Some(write) = log.next_write(0, step) {
                disk.write(write.frame, write.file, write.offset, &write.bytes).expect("in range");
                disk.sync(write.frame).expect("no fault is set");
                log.completed(write.frame).expect("in flight");
            }
        }
        let mut stored = Stored { disk, footers: BTreeMap::new(), checkpoints: BTreeMap::new() };
        stored.write_footers();
        stored
    }

    fn segments(&mut self) -> Vec<Segment> {
        segments(&mut self.disk, &expected()).expect("nothing is wrong")
    }

    fn headers(&mut self) -> Vec<SegmentHeader> {
        self.segments().into_iter().map(|segment| segment.header).collect()
    }

    /// Footers of all segments but the last, as a log leaves them that was never opened again.
    fn write_footers(&mut self) {
        let mut visitor = Visitor::default();
        recover_from(&mut self.disk, &expected(), None, &mut |frame| visitor.visit(frame))
            .expect("nothing is wrong");
        for (id, (index, end)) in visitor.indexes {
            self.footers.insert(id, index.finish(end).encode());
        }
        self.footers.pop_last();
    }

    fn write_checkpoint(&mut self, generation: u64, up_to: u64) {
        let first_segment = self.headers()[0].segment_id;
        let new = NewCheckpoint { log_id: LOG_ID, generation, first_segment };
        let mut slices: Vec<&[u8]> =
            self.footers.range(first_segment..=up_to).map(|(_, bytes)| bytes.as_slice()).collect();
        let mut inputs: Vec<&mut dyn Read> =
            slices.iter_mut().map(|slice| slice as &mut dyn Read).collect();
        let mut bytes = Vec::new();
        let header = merge(&new, None, &mut inputs, &mut bytes).expect("in order");
        self.checkpoints.insert(header.file_number(), bytes);
    }

    /// Opens the log with the index, and says what a core then knows.
    fn open(&mut self) -> (OpenedIndex, Recovered, Answer) {
        let segments = self.segments();
        let headers = self.headers();
        let mut visitor = Visitor { opened: open_index(self, &headers), ..Visitor::default() };
        let start = visitor.opened.start;
        let recovered =
            recover_from(&mut self.disk, &expected(), start, &mut |frame| visitor.visit(frame))
                .expect("nothing is wrong");
        let mut records = BTreeMap::new();
        let scanned: Vec<u64> = visitor.indexes.keys().copied().collect();
        for (id, (index, end)) in visitor.indexes.clone() {
            take_records(&mut records, id, &index.finish(end));
        }
        for summary in &visitor.opened.footers {
            let id = summary.header().segment_id;
            assert!(!scanned.contains(&id));
            take_records(&mut records, id, &Footer::decode(&self.footers[&id]).expect("whole"));
        }
        for id in &visitor.opened.footers_missing {
            let place = segments.iter().position(|at| at.header.segment_id == *id);
            let place = place.expect("it is there");
            let next = &segments[place + 1].header;
            let footer = rebuild_footer(&mut self.disk, &segments[place], next).expect("whole");
            take_records(&mut records, *id, &footer);
        }
        let answer = Answer {
            entities: visitor.opened.entities.iter_sorted().copied().collect(),
            shards: visitor.opened.shards.sorted(),
            tail: recovered.tail,
            end_offset: recovered.segment.as_ref().map(|open| open.next_offset),
            records,
        };
        (visitor.opened, recovered, answer)
    }

    /// What reading everything comes to.
    fn read_everything(&mut self) -> Answer {
        let derived = (std::mem::take(&mut self.footers), std::mem::take(&mut self.checkpoints));
        let (opened, _, answer) = self.open();
        assert_eq!(opened.start, None);
        (self.footers, self.checkpoints) = derived;
        answer
    }
}

fn take_records(records: &mut BTreeMap<(u64, u64), Vec<Posting>>, id: u64, footer: &Footer) {
    for row in footer.entities() {
        records.insert((row.entity, id), footer.postings_of(row).to_vec());
    }
}

#[test]
fn a_log_is_opened_from_its_footers_as_if_all_of_it_had_been_read() {
    let mut stored = Stored::seeded(1);
    let expected = stored.read_everything();
    let last = stored.headers().last().expect("several").segment_id;
    assert!(last > 5, "the test needs several segments");
    let (opened, recovered, answer) = stored.open();
    assert_eq!(answer, expected);
    assert_eq!(opened.start.map(|start| start.segment_id), Some(last));
    assert_eq!(opened.footers.len() as u64, last - 1);
    let frames_of_last = recovered.tail.frame - opened.start.map_or(0, |start| start.last_frame);
    assert_eq!(recovered.frames, frames_of_last, "only the last segment was read");
}

#[test]
fn whatever_is_lost_or_damaged_of_an_index_changes_no_answer() {
    for seed in 0..60 {
        let mut stored = Stored::seeded(seed);
        let expected = stored.read_everything();
        let mut random = fastrand::Rng::with_seed(seed);
        let last = stored.headers().last().expect("several").segment_id;
        for generation in 1..=random.u64(1..3) {
            stored.write_checkpoint(generation, random.u64(1..last));
        }
        for _ in 0..random.usize(0..4) {
            let files = if random.bool() { &mut stored.footers } else { &mut stored.checkpoints };
            let Some(number) = random.choice(files.keys().copied().collect::<Vec<_>>()) else {
                continue;
            };
            let bytes = files.get_mut(&number).expect("it is there");
            match random.u8(0..3) {
                0 => _ = files.remove(&number),
                1 => bytes.truncate(random.usize(0..bytes.len())),
                _ => {
                    let at = random.usize(0..bytes.len());
                    bytes[at] ^= 1 << random.u8(0..8);
                }
            }
        }
        // A damaged part of a footer that opening does not read is found by whoever reads it.
        stored.footers.retain(|_, bytes| Footer::decode(bytes).is_ok());
        let (opened, _, answer) = stored.open();
        assert_eq!(answer, expected, "seed {seed}: {opened:?}");
    }
}

#[test]
fn of_two_checkpoints_the_newer_whole_one_counts() {
    let mut stored = Stored::seeded(2);
    stored.write_checkpoint(7, 2);
    stored.write_checkpoint(8, 4);
    let generation = |opened: &OpenedIndex| opened.checkpoint.map(|header| header.generation);
    let (opened, ..) = stored.open();
    assert_eq!((generation(&opened), opened.checkpoints_refused), (Some(8), 0));
    let newer = stored.checkpoints.get_mut(&0).expect("an even generation");
    let at = newer.len() - BLOCK_BYTES;
    newer[at] ^= 1;
    let (opened, ..) = stored.open();
    assert_eq!((generation(&opened), opened.checkpoints_refused), (Some(7), 1));
    assert_eq!(opened.highest_generation, 8);
    stored.checkpoints.clear();
    let (opened, ..) = stored.open();
    assert_eq!((generation(&opened), opened.checkpoints_refused), (None, 0));
}

#[test]
fn a_checkpoint_or_footer_of_a_log_that_went_another_way_is_not_used() {
    let mut stored = Stored::seeded(3);
    let mut other = Stored::seeded(4);
    other.write_checkpoint(9, 3);
    stored.checkpoints = other.checkpoints.clone();
    stored.footers = other.footers.clone();
    let (opened, _, answer) = stored.open();
    assert_eq!((opened.start, opened.checkpoints_refused, opened.footers_refused), (None, 1, 1));
    assert_eq!(answer, stored.read_everything());
}

#[test]
fn a_log_whose_front_was_given_back_is_opened_with_its_index() {
    let mut stored = Stored::seeded(5);
    stored.write_checkpoint(1, 4);
    for id in 1..=3 {
        stored.disk.zero(SegmentFile(id), 0, SMALL_SEGMENT_BYTES);
        stored.footers.remove(&id);
    }
    assert_eq!(stored.headers()[0].segment_id, 4);
    let whole = stored.read_everything();
    let (opened, _, answer) = stored.open();
    assert_eq!(opened.checkpoint.map(|header| header.last_segment), Some(4));
    assert!(opened.start.is_some_and(|start| start.segment_id > 5));
    assert_eq!(answer.records, whole.records);
    let hashes = |answer: &Answer| answer.entities.iter().map(|row| row.hash).collect::<Vec<_>>();
    assert_eq!(hashes(&answer), hashes(&whole));
    // Without the checkpoint the footers alone are enough.
    stored.checkpoints.clear();
    assert_eq!(stored.open().2, whole);
}

#[test]
fn reading_begins_only_where_the_log_goes_on_from() {
    let mut stored = Stored::seeded(6);
    let start = stored.open().0.start.expect("there are footers");
    let refused = |disk: &mut SimulatedDisk, start: Start| {
        let found = recover_from(disk, &expected(), Some(start), &mut |_| ());
        found.map(|_| ()).expect_err("no such start").to_string()
    };
    let nowhere = refused(&mut stored.disk, Start { segment_id: 99, ..start });
    assert!(nowhere.contains("segment 99, which is not there"), "{nowhere}");
    let elsewhere = refused(&mut stored.disk, Start { last_chain: !start.last_chain, ..start });
    assert!(elsewhere.contains("follows another frame"), "{elsewhere}");
    stored.disk.zero(SegmentFile(2), 0, SMALL_SEGMENT_BYTES);
    let hole = refused(&mut stored.disk, start);
    assert!(hole.contains("segment 2 of the log is missing"), "{hole}");
    let whole = recover_from(&mut stored.disk, &expected(), None, &mut |_| ());
    assert!(matches!(whole, Err(RecoveryError::Segments { segment_id: 2, .. })));
}

#[test]
fn a_footer_is_not_made_of_a_segment_that_lost_a_frame() {
    let mut stored = Stored::seeded(7);
    let segments = stored.segments();
    stored.disk.flip_bit(segments[1].file, 3 * BLOCK_BYTES as u64 * 8);
    let error = rebuild_footer(&mut stored.disk, &segments[1], &segments[2].header)
        .expect_err("frames are missing");
    assert!(error.to_string().starts_with("the frames of segment 2 end with frame"), "{error}");
}
