//! A log is written on a simulated disk, the power fails at any moment, and what is found is held against what was
//! acknowledged.

use std::collections::BTreeMap;

use super::*;
use crate::log::{CoreLog, DeclaredEntity, LogIdentity, LogSettings, NewRecord, Position, Write};
use crate::testkit::simulated_disk::SECTOR_BYTES;
use crate::testkit::{Fate, SimulatedDisk};

const SEGMENT_BYTES: u64 = 16 * BLOCK_BYTES as u64;

fn expected() -> Expected {
    Expected { system: "test".into(), core: 0, shard_count: 16 }
}

/// Number and payload of an event that was found.
type Event = (u64, Vec<u8>);

/// A log, its disk, and what an observer outside knows of it.
struct World {
    disk: SimulatedDisk,
    log: CoreLog,
    entity: DeclaredEntity,
    random: fastrand::Rng,
    in_flight: Vec<Write>,
    next_file: u64,
    now_ns: u64,
    /// The payload of the record with this number, with the frame it is in.
    appended: BTreeMap<u64, (u64, Vec<u8>)>,
    /// Records up to this number are known to be durable.
    acknowledged: u64,
}

impl World {
    fn seeded(seed: u64, frames_in_flight_limit: usize) -> World {
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES,
            frames_in_flight_limit,
            frame_limit_bytes: 4 * BLOCK_BYTES,
            ..LogSettings::default()
        };
        let identity = LogIdentity { system: "test".into(), log_id: 9, core: 0, shard_count: 16 };
        World {
            disk: SimulatedDisk::seeded(seed),
            log: CoreLog::new(identity, settings),
            entity: DeclaredEntity::new("account", b"42").expect("short"),
            random: fastrand::Rng::with_seed(seed ^ 0x5EED),
            in_flight: Vec::new(),
            next_file: 1,
            now_ns: 0,
            appended: BTreeMap::new(),
            acknowledged: 0,
        }
    }

    fn append(&mut self) -> Option<Position> {
        let number = self.appended.len() as u64 + 1;
        let payload = vec![number as u8; self.random.usize(0..6_000)];
        let record = NewRecord {
            kind: RecordKind::Event,
            schema: None,
            shard: 1,
            entity_sequence: number,
            shard_sequence: number,
            epoch: 1,
            payload: &payload,
        };
        let position = self.log.append(self.now_ns, &mut self.entity, &[record]).ok()?;
        self.appended.insert(number, (position.frame, payload));
        Some(position)
    }

    fn submit(&mut self) {
        while let Some(write) = self.log.next_write(self.now_ns, self.now_ns / 1_000_000) {
            self.disk.write(write.frame, write.file, write.offset, &write.bytes).expect("in range");
            self.in_flight.push(write);
        }
    }

    fn complete_one(&mut self) {
        if self.in_flight.is_empty() {
            return;
        }
        let write = self.in_flight.swap_remove(self.random.usize(0..self.in_flight.len()));
        self.disk.sync(write.frame).expect("no fault is set");
        let durable = self.log.completed(write.frame).expect("in flight").frame;
        let is_durable = |record: &(&u64, &(u64, Vec<u8>))| record.1.0 <= durable;
        self.acknowledged = self.appended.iter().take_while(is_durable).count() as u64;
    }

    fn step(&mut self) {
        self.now_ns += 300_000;
        while self.log.wanted_segments() > 0 {
            let file = SegmentFile(self.next_file);
            self.disk.create(file, SEGMENT_BYTES).expect("there is room");
            self.log.add_segment(file);
            self.next_file += 1;
        }
        match self.random.u8(0..10) {
            0..=4 => _ = self.append(),
            5..=6 => self.submit(),
            7..=8 => self.complete_one(),
            _ => _ = self.log.mark_idle(self.now_ns),
        }
    }

    /// Everything that was taken is durable, and the log has said so.
    fn settle(&mut self) {
        for _ in 0..3 {
            self.now_ns += 2_000_000;
            self.log.mark_idle(self.now_ns);
            while !self.log.is_settled() {
                self.submit();
                self.complete_one();
            }
        }
        assert_eq!(self.acknowledged, self.appended.len() as u64);
    }

    fn recover(&mut self) -> Result<(Recovered, Vec<Event>), RecoveryError> {
        let mut found = Vec::new();
        let recovered = recover(&mut self.disk, &expected(), &mut |frame| {
            for record in Records::new(frame.records, frame.header.record_count) {
                let record = record.expect("checked");
                if record.header.kind == RecordKind::Event {
                    found.push((record.header.entity_sequence, record.payload.to_vec()));
                }
            }
        })?;
        Ok((recovered, found))
    }

    /// Acknowledged: present. Not acknowledged: present as a whole or absent, without a gap.
    fn check(&self, found: &[Event], context: &str) {
        assert!(
            found.len() as u64 >= self.acknowledged,
            "{context}: {} of {}",
            found.len(),
            self.acknowledged
        );
        for (place, (number, payload)) in found.iter().enumerate() {
            assert_eq!(*number, place as u64 + 1, "{context}");
            assert_eq!(
                Some(payload),
                self.appended.get(number).map(|record| &record.1),
                "{context}"
            );
        }
    }
}

fn crashed(seed: u64, frames_in_flight: usize) -> World {
    let mut world = World::seeded(seed, frames_in_flight);
    let steps = world.random.usize(1..200);
    (0..steps).for_each(|_| world.step());
    world.disk.crash();
    world
}

#[test]
fn an_empty_directory_is_a_log_that_begins() {
    let (recovered, found) = World::seeded(1, 1).recover().expect("nothing is wrong");
    assert!(recovered.segment.is_none() && recovered.log_id.is_none() && found.is_empty());
}

#[test]
fn what_was_acknowledged_is_found_after_a_crash_at_any_moment() {
    for seed in 0..2_000 {
        for frames_in_flight in [1, 4] {
            let mut world = crashed(seed, frames_in_flight);
            let context = format!("seed {seed}, {frames_in_flight} in flight");
            let (_, found) = world.recover().unwrap_or_else(|error| panic!("{context}: {error}"));
            world.check(&found, &context);
        }
    }
}

#[test]
fn a_log_goes_on_after_a_crash_and_crashes_again() {
    for seed in 0..500 {
        let mut world = crashed(seed, 1 + seed as usize % 3);
        for round in 0..3 {
            let context = format!("seed {seed}, round {round}");
            let (recovered, found) =
                world.recover().unwrap_or_else(|error| panic!("{context}: {error}"));
            world.check(&found, &context);
            world.resume(recovered, found.len() as u64);
            (0..60).for_each(|_| world.step());
            world.disk.crash();
        }
    }
}

#[test]
fn a_flipped_bit_in_what_was_acknowledged_is_reported_and_never_cut_off() {
    for seed in 0..1_000 {
        let mut world = World::seeded(seed, 1);
        (0..120).for_each(|_| world.step());
        world.settle();
        let (whole, all) = world.recover().expect("nothing is wrong yet");
        let Some(open) = whole.segment else { continue };
        let file = SegmentFile(world.random.u64(1..=open.file.0));
        let used = if file == open.file { open.next_offset } else { SEGMENT_BYTES };
        // The last frame is the marker, which nobody was told of.
        let last = if file == open.file { BLOCK_BYTES as u64 } else { 0 };
        let bit = world.random.u64(0..(used - last) * 8);
        world.disk.flip_bit(file, bit);
        match world.recover() {
            Err(_) => {}
            // A bit of the zeroes behind a frame, or behind the last frame of a segment, belongs to nothing.
            Ok((_, found)) => assert!(found == all, "seed {seed}: bit {bit} of file {}", file.0),
        }
    }
}

#[test]
fn corruption_names_the_frame_its_proof_and_its_entities() {
    let mut world = World::seeded(3, 1);
    for _ in 0..3 {
        world.step_until_appended();
        world.submit();
        world.complete_one();
    }
    let mut found = Vec::new();
    recover(&mut world.disk, &expected(), &mut |frame| found.push((frame.file, frame.offset)))
        .expect("nothing is wrong yet");
    let (file, offset) = found[1];
    // The last byte of the second frame's records: its header and the start of its records stay readable.
    let end = offset + world.second_frame_payload_end(offset);
    world.disk.flip_bit(file, (end - 1) * 8);
    let Err(RecoveryError::Corrupt(corruption)) = world.recover().map(|_| ()) else {
        panic!("an acknowledged frame is gone");
    };
    assert_eq!((corruption.frame, corruption.proof, corruption.offset), (2, 3, offset));
    assert_eq!(corruption.reason, FrameReason::Frame(FrameError::PayloadChecksum));
    assert!(corruption.to_string().contains("frame 2 at byte"), "{corruption}");
}

#[test]
fn an_unreadable_block_is_an_error_and_no_end_of_the_log() {
    let mut world = World::seeded(5, 1);
    world.step_until_appended();
    world.settle();
    world.disk.make_unreadable(SegmentFile(1), BLOCK_BYTES as u64);
    let error = world.recover().map(|_| ()).expect_err("a block cannot be read");
    assert!(matches!(error, RecoveryError::Read(ReadError { offset: 4096, .. })), "{error}");
}

#[test]
fn a_log_of_somebody_else_is_refused() {
    let mut world = World::seeded(6, 1);
    world.step_until_appended();
    world.settle();
    for (change, what) in [
        (Expected { system: "other".into(), ..expected() }, "system test, not to other"),
        (Expected { shard_count: 17, ..expected() }, "shard count 16, not to 17"),
        (Expected { core: 1, ..expected() }, "core 0, not to 1"),
    ] {
        let error = recover(&mut world.disk, &change, &mut |_| ()).expect_err("not ours");
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn a_segment_that_is_missing_is_named() {
    let mut world = World::seeded(7, 1);
    (0..600).for_each(|_| world.step());
    world.settle();
    let (whole, _) = world.recover().expect("nothing is wrong yet");
    assert!(whole.segment.is_some_and(|open| open.id > 3), "the test needs several segments");
    world.disk.zero(SegmentFile(2), 0, SEGMENT_BYTES);
    let error = world.recover().map(|_| ()).expect_err("segment 2 is gone");
    assert!(error.to_string().contains("segment 2 of the log is missing"), "{error}");
}

#[test]
fn a_file_in_which_a_segment_was_begun_in_vain_is_stale_and_no_other_spare_one_is() {
    let mut world = World::seeded(8, 1);
    for number in 1..=2 {
        world.disk.create(SegmentFile(number), SEGMENT_BYTES).expect("there is room");
        world.log.add_segment(SegmentFile(number));
    }
    world.append().expect("there is room");
    let before = world.disk.unsynced();
    world.submit();
    // The power is cut: the segment's header is lost, the frame behind it is there.
    let header_sectors = BLOCK_BYTES / SECTOR_BYTES;
    world.disk.crash_with(&mut |number| match number {
        lost if (before..before + header_sectors).contains(&lost) => Fate::Lost,
        _ => Fate::Kept,
    });
    let (recovered, found) = world.recover().expect("nothing was acknowledged");
    assert!(found.is_empty() && recovered.segment.is_none());
    assert_eq!(recovered.spare_files, [SegmentFile(1), SegmentFile(2)]);
    assert_eq!(recovered.stale_files, [SegmentFile(1)]);
    world.disk.zero(SegmentFile(1), 0, SEGMENT_BYTES);
    let (recovered, _) = world.recover().expect("nothing is left");
    assert_eq!(recovered.stale_files, []);
}

impl World {
    fn step_until_appended(&mut self) {
        let before = self.appended.len();
        while self.appended.len() == before {
            self.step();
        }
        self.submit();
    }

    fn second_frame_payload_end(&mut self, offset: u64) -> u64 {
        let bytes = &self.disk.bytes(SegmentFile(1))[offset as usize..];
        let header = FrameHeader::decode_header(bytes).expect("a frame");
        crate::format::commit_frame::FRAME_HEADER_BYTES as u64 + u64::from(header.payload_bytes)
    }

    /// Opens the log again as the driver does: repair first, then the spare files.
    fn resume(&mut self, recovered: Recovered, records: u64) {
        if let Some(repair) = recovered.repair {
            self.disk.zero(repair.file, repair.offset, repair.zero_bytes);
        }
        let settings = LogSettings {
            segment_bytes: SEGMENT_BYTES,
            frame_limit_bytes: 4 * BLOCK_BYTES,
            ..LogSettings::default()
        };
        let identity = LogIdentity { system: "test".into(), log_id: 9, core: 0, shard_count: 16 };
        self.log = CoreLog::resumed(identity, settings, recovered.segment, recovered.tail);
        for file in recovered.spare_files {
            self.disk.zero(file, 0, SEGMENT_BYTES);
            self.log.add_segment(file);
        }
        self.entity = DeclaredEntity::new("account", b"42").expect("short");
        self.in_flight.clear();
        self.appended.retain(|number, _| *number <= records);
        self.appended.values_mut().for_each(|record| record.0 = 0);
        self.acknowledged = records;
    }
}
