//! The log as a whole: what is taken, in which order it is written, and when it is durable.

use super::*;
use crate::format::record::Records;

const ENTITY: &str = "account";

fn identity() -> LogIdentity {
    LogIdentity { system: "test".into(), log_id: 7, core: 0, shard_count: 16 }
}

/// A log with small segments, so that a test sees several, and so many of them ready.
fn log_with(segments: u64, change: impl FnOnce(&mut LogSettings)) -> CoreLog {
    let mut settings = LogSettings { segment_bytes: 8 * BLOCK_BYTES as u64, ..Default::default() };
    change(&mut settings);
    let mut log = CoreLog::new(identity(), settings);
    (1..=segments).for_each(|file| log.add_segment(SegmentFile(file)));
    log
}

fn log() -> CoreLog {
    log_with(4, |_| ())
}

fn entity() -> DeclaredEntity {
    DeclaredEntity::new(ENTITY, b"42").expect("short")
}

fn append_bytes(
    log: &mut CoreLog,
    entity: &mut DeclaredEntity,
    payload: &[u8],
) -> Result<Position, AppendError> {
    let record = NewRecord {
        kind: RecordKind::Event,
        schema: None,
        shard: 3,
        entity_sequence: 1,
        shard_sequence: 1,
        epoch: 1,
        payload,
    };
    log.append(0, entity, &[record])
}

/// The first segment has its header.
fn begin(log: &mut CoreLog, entity: &mut DeclaredEntity) {
    append_bytes(log, entity, b"first").expect("room");
    let write = log.next_write(0, 0).expect("a frame");
    log.completed(write.frame).expect("in flight");
}

/// The frame of a write, read back.
fn read(write: &Write) -> (FrameHeader, Vec<(RecordKind, Vec<u8>)>) {
    let from = if write.offset == 0 { BLOCK_BYTES } else { 0 };
    let (header, payload) = FrameHeader::decode(&write.bytes[from..]).expect("a frame");
    let records = Records::new(payload, header.record_count)
        .map(|record| record.map(|record| (record.header.kind, record.payload.to_vec())));
    (header, records.collect::<Result<_, _>>().expect("records"))
}

#[test]
fn records_of_one_turn_share_a_frame_that_declares_their_entity_once() {
    let (mut log, mut entity) = (log(), entity());
    let first = append_bytes(&mut log, &mut entity, b"one").expect("room");
    let second = append_bytes(&mut log, &mut entity, b"two").expect("room");
    assert_eq!((first.frame, second.frame), (1, 1));
    let write = log.next_write(0, 5).expect("a frame");
    assert_eq!((write.offset, write.bytes.len()), (0, 2 * BLOCK_BYTES));
    let header = SegmentHeader::decode(&write.bytes).expect("a segment header");
    assert_eq!((header.segment_id, header.base_lsn, header.previous_frame), (1, 0, 0));
    let (frame, records) = read(&write);
    let kinds: Vec<RecordKind> = records.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [RecordKind::Entity, RecordKind::Event, RecordKind::Event]);
    assert_eq!((frame.sequence, frame.durable_lsn, frame.written_at_ms), (1, 0, 5));
}

#[test]
fn one_commit_is_in_flight_and_what_comes_meanwhile_is_gathered() {
    let (mut log, mut entity) = (log(), entity());
    append_bytes(&mut log, &mut entity, b"one").expect("room");
    let first = log.next_write(0, 0).expect("a frame");
    append_bytes(&mut log, &mut entity, b"two").expect("room");
    append_bytes(&mut log, &mut entity, b"three").expect("room");
    assert!(log.next_write(0, 0).is_none(), "one is in flight");
    assert_eq!(log.completed(first.frame), Ok(Durable { frame: 1, lsn: 4096 }));
    let (frame, records) = read(&log.next_write(0, 0).expect("a frame"));
    assert_eq!((frame.sequence, frame.lsn, frame.durable_lsn), (2, 4096, 4096));
    assert_eq!(
        records,
        [(RecordKind::Event, b"two".to_vec()), (RecordKind::Event, b"three".to_vec())]
    );
}

#[test]
fn frames_that_complete_out_of_order_are_durable_in_order() {
    let (mut log, mut entity) =
        (log_with(4, |settings| settings.frames_in_flight_limit = 3), entity());
    begin(&mut log, &mut entity);
    let frames: Vec<u64> = (0..3)
        .map(|_| {
            append_bytes(&mut log, &mut entity, b"x").expect("room");
            log.next_write(0, 0).expect("a frame").frame
        })
        .collect();
    assert_eq!(log.completed(frames[2]).map(|durable| durable.frame), Ok(1));
    assert_eq!(log.completed(frames[0]).map(|durable| durable.frame), Ok(2));
    assert_eq!(log.completed(frames[1]).map(|durable| durable.frame), Ok(4));
    assert_eq!(log.completed(frames[1]), Err(CommitError { frame: 3 }));
}

#[test]
fn a_frame_that_begins_a_segment_is_in_flight_alone() {
    let (mut log, mut entity) =
        (log_with(4, |settings| settings.frames_in_flight_limit = 3), entity());
    append_bytes(&mut log, &mut entity, &[1; 6_000]).expect("room");
    let first = log.next_write(0, 0).expect("the frame that begins the segment");
    append_bytes(&mut log, &mut entity, &[2; 6_000]).expect("room");
    assert!(!log.can_write() && log.next_write(0, 0).is_none(), "the header is not durable");
    log.completed(first.frame).expect("in flight");
    let second = log.next_write(0, 0).expect("the header is durable");
    append_bytes(&mut log, &mut entity, &[3; 6_000]).expect("room");
    let third = log.next_write(0, 0).expect("two may be in flight");
    append_bytes(&mut log, &mut entity, &[4; 6_000]).expect("the next segment has room");
    for frame in [third.frame, second.frame] {
        assert!(!log.can_write(), "what stands before the next segment is not durable");
        log.completed(frame).expect("in flight");
    }
    assert_eq!(
        log.next_write(0, 0).map(|write| (write.file, write.offset)),
        Some((SegmentFile(2), 0))
    );
}

#[test]
fn each_frame_is_chained_to_the_one_before_across_segments() {
    let (mut log, mut entity) = (log(), entity());
    let (mut chain, mut segments) = (0, Vec::new());
    for number in 1..=20 {
        append_bytes(&mut log, &mut entity, &[7; 5000]).expect("room");
        let write = log.next_write(0, 0).expect("a frame");
        let (frame, records) = read(&write);
        assert_eq!((frame.sequence, frame.previous_chain), (number, chain));
        let declares = records.iter().any(|(kind, _)| *kind == RecordKind::Entity);
        assert_eq!(declares, write.offset == 0, "a segment declares what it refers to");
        chain = frame.chain();
        if write.offset == 0 {
            let header = SegmentHeader::decode(&write.bytes).expect("a segment header");
            assert_eq!((header.previous_frame, header.base_lsn), (number - 1, frame.lsn));
            segments.push(header.segment_id);
        }
        log.completed(write.frame).expect("in flight");
        while log.wanted_segments() > 0 {
            log.add_segment(SegmentFile(100 + number));
        }
    }
    assert_eq!(segments, (1..=7).collect::<Vec<u64>>());
}

#[test]
fn a_full_log_refuses_before_anything_is_written_and_goes_on_when_there_is_room() {
    let (mut log, mut entity) = (log_with(1, |_| ()), entity());
    let mut taken = 0;
    let refused = loop {
        match append_bytes(&mut log, &mut entity, &[1; 6000]) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        let write = log.next_write(0, 0).expect("a frame");
        log.completed(write.frame).expect("in flight");
    };
    assert_eq!(taken, 3, "7 blocks take three frames of two");
    assert!(matches!(refused, AppendError::Full { .. }));
    assert!(log.next_write(0, 0).is_none(), "nothing of the refused record is written");
    log.add_segment(SegmentFile(9));
    assert_eq!(
        append_bytes(&mut log, &mut entity, &[1; 6000]).map(|position| position.frame),
        Ok(4)
    );
    assert_eq!(log.next_write(0, 0).map(|write| write.file), Some(SegmentFile(9)));
}

#[test]
fn what_waits_is_bounded() {
    let (mut log, mut entity) =
        (log_with(4, |settings| settings.pending_limit_bytes = 4096), entity());
    append_bytes(&mut log, &mut entity, b"x").expect("room");
    let refused = append_bytes(&mut log, &mut entity, b"x");
    assert_eq!(refused, Err(AppendError::Busy { pending_bytes: 4096, limit_bytes: 4096 }));
    log.next_write(0, 0).expect("a frame");
    append_bytes(&mut log, &mut entity, b"x").expect("what waited is on its way");
}

#[test]
fn records_that_fit_no_frame_are_refused() {
    let (mut log, mut entity) =
        (log_with(4, |settings| settings.segment_bytes = 4 << 20), entity());
    let refused = append_bytes(&mut log, &mut entity, &vec![0; MOST_FRAME_BYTES]);
    assert!(matches!(refused, Err(AppendError::TooLarge { .. })), "{refused:?}");
    append_bytes(&mut log, &mut entity, &vec![0; MOST_FRAME_BYTES / 2]).expect("this one fits");
}

#[test]
fn after_a_failed_write_nothing_is_taken_written_or_acknowledged() {
    let (mut log, mut entity) =
        (log_with(4, |settings| settings.frames_in_flight_limit = 2), entity());
    begin(&mut log, &mut entity);
    append_bytes(&mut log, &mut entity, b"one").expect("room");
    let first = log.next_write(0, 0).expect("a frame");
    append_bytes(&mut log, &mut entity, b"two").expect("room");
    let second = log.next_write(0, 0).expect("a frame");
    append_bytes(&mut log, &mut entity, b"three").expect("room");
    assert_eq!(log.failed(first.frame).map(|durable| durable.frame), Ok(1));
    assert!(log.is_poisoned());
    assert_eq!(log.completed(second.frame).map(|durable| durable.frame), Ok(1));
    assert_eq!(append_bytes(&mut log, &mut entity, b"four"), Err(AppendError::Poisoned));
    assert!(log.next_write(0, 0).is_none());
}

#[test]
fn an_idle_log_says_once_that_its_last_record_is_durable() {
    let (mut log, mut entity) = (log(), entity());
    assert!(!log.mark_idle(10_000_000), "nothing was acknowledged");
    append_bytes(&mut log, &mut entity, b"one").expect("room");
    let write = log.next_write(0, 0).expect("a frame");
    assert!(!log.mark_idle(10_000_000), "it is in flight");
    log.completed(write.frame).expect("in flight");
    assert!(!log.mark_idle(999_999), "not idle for long enough");
    assert!(log.mark_idle(1_000_000));
    let marker = log.next_write(1_000_000, 0).expect("the marker");
    let (frame, records) = read(&marker);
    assert_eq!((frame.durable_lsn, records.len()), (4096, 0));
    log.completed(marker.frame).expect("in flight");
    assert!(!log.mark_idle(99_000_000), "a marker needs no marker");
}

#[test]
fn a_clock_that_goes_back_is_held_still() {
    let (mut log, mut entity) = (log(), entity());
    let times = [50, 20, 60].map(|now_ms| {
        append_bytes(&mut log, &mut entity, b"x").expect("room");
        let write = log.next_write(0, now_ms).expect("a frame");
        log.completed(write.frame).expect("in flight");
        read(&write).0.written_at_ms
    });
    assert_eq!(times, [50, 50, 60]);
}

#[test]
fn a_position_names_the_byte_where_the_record_stands() {
    let (mut log, mut entity) = (log(), entity());
    let mut files = std::collections::BTreeMap::new();
    for number in 0..30u8 {
        let payload = vec![number; usize::from(number) * 100];
        let position = append_bytes(&mut log, &mut entity, &payload).expect("room");
        let write = log.next_write(0, 0).expect("a frame");
        let base = if write.offset == 0 { 0 } else { write.offset - BLOCK_BYTES as u64 };
        let segment = files.entry(write.file).or_insert(position.lsn - position.lsn % (7 * 4096));
        let from = if write.offset == 0 { BLOCK_BYTES } else { 0 };
        let at = (position.lsn - *segment - base) as usize + from;
        let record = crate::format::record::read_at(&write.bytes[at..], 0).expect("a record");
        assert_eq!(record.payload, payload, "record {number}");
        log.completed(write.frame).expect("in flight");
        log.add_segment(SegmentFile(100 + u64::from(number)));
    }
}

#[test]
fn a_layout_that_the_dictionary_cannot_number_is_refused() {
    let segment =
        OpenSegment { schemas: MOST_LAYOUTS, ..OpenSegment::new(SegmentFile(1), 1, 0, 8 * 4096) };
    let tail = Tail { frame: 1, chain: 0, written_at_ms: 0 };
    let settings = LogSettings { segment_bytes: 8 * 4096, ..Default::default() };
    let mut log = CoreLog::resumed(identity(), settings, Some(segment), tail);
    let refused = append_bytes(&mut log, &mut entity(), b"x");
    assert_eq!(refused, Err(AppendError::TooManyLayouts { declared: MOST_LAYOUTS }));
    assert!(log.next_write(0, 0).is_none());
}

#[test]
fn copies_leave_the_last_segment_that_is_ready_to_those_who_write() {
    let (mut log, mut entity) = (log_with(0, |_| ()), entity());
    assert!(!log.can_spare(100));
    log.add_segment(SegmentFile(1));
    assert!(!log.can_spare(100), "it would be begun");
    log.add_segment(SegmentFile(2));
    assert!(log.can_spare(100));
    // The first segment is open, the second is the last that is ready.
    begin(&mut log, &mut entity);
    assert!(log.can_spare(100));
    assert!(!log.can_spare(6 * BLOCK_BYTES), "it would not fit the first");
    let mut appended = 0;
    while log.can_spare(BLOCK_BYTES) {
        append_bytes(&mut log, &mut entity, &[0; 4_000]).expect("room");
        appended += 1;
    }
    assert!(appended > 1 && log.wanted_segments() == 1, "{appended}");
    // Who writes may use it.
    for _ in 0..6 {
        append_bytes(&mut log, &mut entity, &[0; 4_000]).expect("room");
    }
    assert_eq!(log.wanted_segments(), 2);
}

#[test]
fn a_copy_is_written_as_it_was_with_its_flag() {
    let (mut log, mut entity) = (log(), entity());
    let record = NewRecord {
        kind: RecordKind::Event,
        schema: None,
        shard: 3,
        entity_sequence: 17,
        shard_sequence: 29,
        epoch: 5,
        payload: b"old",
    };
    log.append_copies(0, &mut entity, &[record]).expect("room");
    let write = log.next_write(0, 0).expect("a frame");
    let (header, payload) = FrameHeader::decode(&write.bytes[BLOCK_BYTES..]).expect("a frame");
    let records: Vec<_> = Records::new(payload, header.record_count).flatten().collect();
    let [name, copy] = &records[..] else { panic!("{records:?}") };
    assert_eq!((name.header.kind, name.is_copy), (RecordKind::Entity, false));
    let places = (copy.header.entity_sequence, copy.header.shard_sequence, copy.header.epoch);
    assert_eq!((places, copy.is_copy, copy.payload), ((17, 29, 5), true, &b"old"[..]));
}
