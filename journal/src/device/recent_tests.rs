//! What was written last is found in memory, as long as there is room for it, and nothing else is.

use std::rc::Rc;
use std::sync::Arc;

use super::*;
use crate::format::{BLOCK_BYTES, whole_blocks};
use crate::log::{BlockBuffer, SegmentFile};

const ENTITY: u64 = 7;

fn header(kind: RecordKind, entity: u64, sequence: u64) -> RecordHeader {
    RecordHeader {
        kind,
        schema: 0,
        shard: 1,
        entity,
        entity_sequence: sequence,
        shard_sequence: sequence,
        epoch: 1,
    }
}

/// Frames of one segment behind each other, each with one record of [`ENTITY`].
struct Frames {
    recent: Recent,
    offset: u64,
    number: u64,
}

impl Frames {
    fn new(limit_bytes: usize) -> Frames {
        Frames { recent: Recent::new(limit_bytes), offset: BLOCK_BYTES as u64, number: 0 }
    }

    /// One more frame is handed out: where its record stands, and what is said when it is written.
    fn begin(&mut self, payload: &[u8]) -> (Posting, Written) {
        self.number += 1;
        let (sequence, offset) = (self.number, self.offset);
        let record = record_bytes(payload.len());
        let frame = FrameHeader {
            segment_id: 1,
            sequence,
            lsn: 0,
            durable_lsn: 0,
            payload_bytes: record as u32,
            record_count: 1,
            previous_chain: 0,
            payload_checksum: 0,
            written_at_ms: 0,
        };
        let mut bytes = BlockBuffer::new();
        bytes.resize(whole_blocks(FRAME_HEADER_BYTES + record), 0);
        let place = &mut bytes[FRAME_HEADER_BYTES..];
        header(RecordKind::Event, ENTITY, sequence).write(payload, place).expect("it fits");
        self.recent.begun(&frame, offset);
        self.offset += bytes.len() as u64;
        let posting = Posting {
            offset: offset + FRAME_HEADER_BYTES as u64,
            bytes: record as u32,
            kind: RecordKind::Event,
            entity_sequence: sequence,
        };
        (posting, Written { frame: sequence, offset, bytes: Rc::new(bytes) })
    }

    fn write(&mut self, payload: &[u8]) -> Posting {
        let (posting, written) = self.begin(payload);
        self.recent.durable(&written);
        posting
    }

    /// The payload of a record, if it is in memory.
    fn payload(&self, posting: Posting) -> Option<Vec<u8>> {
        let runs = [run(1, &[posting])];
        let found = self.recent.find(ENTITY, &runs)?;
        let [InMemory { record, .. }] = found[..] else { panic!("one record was asked for") };
        let record = crate::format::record::read_at(record, 0).expect("whole");
        assert_eq!(record.header.entity_sequence, posting.entity_sequence);
        Some(record.payload.to_vec())
    }
}

fn run(segment_id: u64, postings: &[Posting]) -> Run {
    let postings = postings.to_vec();
    Run { segment_id, file: SegmentFile(segment_id), layouts: Arc::new([]), postings }
}

#[test]
fn a_record_is_found_when_its_frame_is_durable_and_not_before() {
    let mut frames = Frames::new(1 << 20);
    let (posting, written) = frames.begin(b"soon");
    assert_eq!(frames.payload(posting), None);
    frames.recent.durable(&written);
    assert_eq!(frames.payload(posting).as_deref(), Some(&b"soon"[..]));
}

#[test]
fn what_was_written_first_goes_first_and_what_is_there_is_right_however_long_it_goes_on() {
    let mut frames = Frames::new(16 << 10);
    let mut all = Vec::new();
    for number in 0..500_usize {
        let payload = vec![number as u8; 1 + number * 37 % 3_000];
        all.push((frames.write(&payload), payload));
        let held: Vec<bool> = all
            .iter()
            .map(|(posting, payload)| {
                let found = frames.payload(*posting);
                found.inspect(|found| assert_eq!(found, payload)).is_some()
            })
            .collect();
        assert!(held.is_sorted(), "the last ones, without a gap: {held:?}");
        assert_eq!(held.last(), Some(&true));
    }
    let kept: usize = frames.recent.frames.iter().map(|kept| kept.bytes).sum();
    assert!((8 << 10..=16 << 10).contains(&kept), "{kept} bytes of 16 KiB");
}

#[test]
fn a_frame_that_is_larger_than_the_limit_is_not_kept_and_the_others_are() {
    let mut frames = Frames::new(4_096);
    let small = frames.write(b"small");
    let large = frames.write(&[1; 5_000]);
    let last = frames.write(b"last");
    assert_eq!(frames.payload(large), None);
    assert!(frames.payload(small).is_some() && frames.payload(last).is_some());
}

#[test]
fn records_are_found_together_or_not_at_all() {
    let mut frames = Frames::new(1 << 20);
    let here = frames.write(b"here");
    let elsewhere = Posting { offset: 1 << 20, ..here };
    assert!(frames.recent.find(ENTITY, &[run(1, &[here])]).is_some());
    assert!(frames.recent.find(ENTITY, &[run(1, &[here, elsewhere])]).is_none());
    let in_the_next = Posting { offset: 0, ..here };
    for posting in [here, in_the_next] {
        assert!(frames.recent.find(ENTITY, &[run(2, &[posting])]).is_none(), "another segment");
    }
}

#[test]
fn a_name_that_was_written_long_ago_stands_in_for_its_record() {
    let mut frames = Frames::new(1 << 20);
    frames.recent.named(&header(RecordKind::Entity, ENTITY, 0), b"the name");
    let here = frames.write(b"here");
    let kind = RecordKind::Entity;
    let name = Posting { offset: 1 << 20, bytes: 64, kind, entity_sequence: 0 };
    let runs = [run(1, &[name, here])];
    let found = frames.recent.find(ENTITY, &runs).expect("both are known");
    let record = crate::format::record::read_at(found[0].record, 0).expect("whole");
    assert_eq!((record.header.kind, record.payload), (kind, &b"the name"[..]));
    assert!(frames.recent.find(8, &runs).is_none(), "another entity's name is not known");
}

#[test]
fn names_have_a_limit_and_the_oldest_go_first() {
    let mut recent = Recent::new(4_096);
    let count = 2 * NAMES_LIMIT_BYTES as u64 / 1_000;
    for entity in 1..=count {
        recent.named(&header(RecordKind::Entity, entity, 0), &[1; 1_000]);
    }
    assert!(recent.names.bytes <= NAMES_LIMIT_BYTES);
    assert!(!recent.names.records.contains_key(&1) && recent.names.records.contains_key(&count));
    assert_eq!(recent.names.order.len(), recent.names.records.len());
}

#[test]
fn without_a_limit_nothing_is_kept() {
    let mut frames = Frames::new(0);
    let posting = frames.write(b"gone");
    frames.recent.named(&header(RecordKind::Entity, ENTITY, 0), b"the name");
    assert_eq!(frames.payload(posting), None);
    assert!(frames.recent.names.records.is_empty());
}
