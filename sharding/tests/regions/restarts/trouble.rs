//! Records that are damaged, a device that does not read, a journal without room: the entities go on.

use std::time::Duration;

use mainspring::testkit::Simulation;
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::commit_frame::FRAME_HEADER_BYTES;
use mainspring_journal::format::record::{RECORD_HEADER_BYTES, Records};
use mainspring_journal::sourced::Retention;
use mainspring_journal::testkit::{SimulatedJournal, SimulatedJournals};

use super::{Hotel, Wish, guest};

/// Turns a bit of the first event over that has this in it.
fn damage_event_with(journal: &SimulatedJournal, part: &[u8]) {
    let mut place = None;
    let found = journal.read(0, &mut |frame| {
        for record in Records::new(frame.records, frame.header.record_count).flatten() {
            let has_it = record.payload.windows(part.len()).any(|window| window == part);
            if record.header.kind == RecordKind::Event && has_it && place.is_none() {
                let at = frame.offset as usize + FRAME_HEADER_BYTES + record.offset;
                place = Some((frame.file, (at + RECORD_HEADER_BYTES) as u64 * 8));
            }
        }
    });
    found.expect("the log can be read");
    let (file, bit) = place.expect("there is such an event");
    journal.disk().flip_bit(file, bit);
}

fn open(seed: u64, journals: &SimulatedJournals) -> Hotel {
    Hotel::open(Simulation::seeded(seed), journals, 1, guest(1))
}

#[test]
fn a_list_that_cannot_be_read_leaves_its_shard_working_and_is_there_for_the_next_restart() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = open(1, &journals);
    (0..10).for_each(|id| hotel.stay(id));
    hotel.run_for(Duration::from_millis(50));
    hotel.crash(&journals);

    journals.core(0).fail_next_read();
    let mut hotel = open(2, &journals);
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), [0; 0]);
    assert_eq!(hotel.sum(|figures| figures.records_unreadable), 1, "told once");
    hotel.stay(3);
    hotel.stay(77);
    hotel.run_for(Duration::from_millis(20));
    hotel.tell(3, &Wish::Leave);
    hotel.run_for(Duration::from_millis(20));
    assert_eq!((hotel.stayed().len(), hotel.running()), (2, vec![77]));
    hotel.crash(&journals);

    let mut hotel = open(3, &journals);
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), [0, 1, 2, 4, 5, 6, 7, 8, 9, 77]);
    assert_eq!(hotel.sum(|figures| figures.records_unreadable), 0);
}

#[test]
fn a_damaged_event_loses_what_it_said_and_is_told_once() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = open(1, &journals);
    for id in 0..10 {
        hotel.stay(id);
        hotel.run_for(Duration::from_millis(5));
    }
    // What is behind a segment's end is not read when the log is opened.
    for _ in 0..400 {
        hotel.stay(0);
        hotel.run_for(Duration::from_millis(1));
    }
    hotel.crash(&journals);
    damage_event_with(journals.core(0), &4_u64.to_be_bytes());

    let expected: Vec<u64> = (0..10).filter(|id| *id != 4).collect();
    for (seed, unreadable) in [(2, 1), (3, 0)] {
        let mut hotel = open(seed, &journals);
        hotel.run_for(Duration::from_millis(200));
        assert_eq!(hotel.running(), expected);
        assert_eq!(hotel.sum(|figures| figures.records_unreadable), unreadable);
        hotel.crash(&journals);
    }
    let mut hotel = open(4, &journals);
    hotel.stay(4);
    hotel.run_for(Duration::from_millis(50));
    assert_eq!(hotel.stayed()[0].nights, 2, "it is what it was, and starts with its next message");
}

#[test]
fn events_stand_in_for_a_damaged_snapshot() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = open(1, &journals);
    for id in 0..150 {
        hotel.tell(id, &Wish::Leave);
        hotel.run_for(Duration::from_millis(3));
        hotel.stay(id);
        hotel.run_for(Duration::from_millis(1));
    }
    hotel.crash(&journals);
    journals.core(0).damage_last_state();
    for (seed, unreadable) in [(2, 1), (3, 0)] {
        let mut hotel = open(seed, &journals);
        hotel.run_for(Duration::from_millis(200));
        assert_eq!(hotel.running(), (0..150).collect::<Vec<_>>());
        assert_eq!(hotel.sum(|figures| figures.records_unreadable), unreadable);
        hotel.crash(&journals);
    }
}

#[test]
fn without_room_in_the_journal_an_entity_starts_and_is_recorded_when_there_is_some() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = open(1, &journals);
    hotel.run_for(Duration::from_millis(10));
    journals.core(0).reject_next();
    hotel.stay(5);
    hotel.run_for(Duration::from_micros(300));
    assert_eq!(hotel.running(), [5], "it does not wait");
    assert_eq!(hotel.sum(|figures| figures.not_recorded), 1);
    hotel.run_for(Duration::from_millis(50));
    hotel.crash(&journals);
    let mut hotel = open(2, &journals);
    hotel.run_for(Duration::from_millis(200));
    assert_eq!(hotel.running(), [5]);
}

#[test]
fn while_the_journal_is_busy_a_start_waits_but_not_for_ever() {
    let journals = SimulatedJournals::seeded(1, 1);
    // The first segment is made, and nothing is taken before.
    journals.core(0).set_conduct(|conduct| conduct.segment_ns = 300_000_000);
    let mut hotel = open(1, &journals);
    hotel.stay(1);
    hotel.run_for(Duration::from_millis(200));
    assert_eq!((hotel.running(), hotel.sum(|figures| figures.not_recorded)), (vec![], 0));
    hotel.run_for(Duration::from_millis(800));
    assert_eq!((hotel.running(), hotel.sum(|figures| figures.not_recorded)), (vec![1], 0));
    assert_eq!(hotel.stayed().len(), 1, "what came meanwhile was kept");
    hotel.crash(&journals);

    let journals = SimulatedJournals::seeded(1, 1);
    journals.core(0).set_conduct(|conduct| conduct.segment_ns = 60_000_000_000);
    let mut hotel = open(2, &journals);
    hotel.stay(1);
    hotel.run_for(Duration::from_millis(1_100));
    assert_eq!((hotel.running(), hotel.sum(|figures| figures.not_recorded)), (vec![1], 1));
}

#[test]
fn after_a_failed_write_entities_go_on_without_records() {
    let journals = SimulatedJournals::seeded(1, 1);
    let mut hotel = open(1, &journals);
    hotel.stay(1);
    hotel.run_for(Duration::from_millis(20));
    journals.core(0).fail_next_write();
    hotel.tell(2, &Wish::Leave);
    hotel.run_for(Duration::from_millis(20));
    hotel.tell(3, &Wish::Leave);
    hotel.tell(1, &Wish::Leave);
    hotel.run_for(Duration::from_millis(20));
    assert_eq!(hotel.sum(|figures| figures.refused_full + figures.refused_broken), 0);
    assert!(hotel.sum(|figures| figures.not_recorded) > 0);
    hotel.crash(&journals);
    let mut hotel = open(2, &journals);
    hotel.run_for(Duration::from_millis(200));
    assert!(hotel.running().contains(&1), "what was durable is");
}

#[test]
fn entities_that_come_and_go_need_no_more_space_than_a_few_segments() {
    let mut journals = SimulatedJournals::seeded(1, 1);
    journals.set(|journal| {
        journal.core.persistence.retention = Retention::ToSnapshot;
        journal.log.segment_bytes = 256 << 10;
    });
    journals.core(0).set_conduct(|conduct| conduct.segment_bytes = 256 << 10);
    let mut hotel = open(1, &journals);
    for round in 0..2_000_u64 {
        hotel.tell(round % 50, &Wish::Leave);
        hotel.run_for(Duration::from_millis(3));
    }
    hotel.run_for(Duration::from_secs(60));
    let events = hotel.sum(|figures| figures.records_written);
    let segments = journals.core(0).footers();
    assert!(events > 3_000, "{events} events");
    // Each start is a commit of its own, of one block at least.
    assert!(events * 4_096 / (256 << 10) > 40 && segments < 12, "{segments} segments");
}
