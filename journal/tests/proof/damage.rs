//! Damage to what was acknowledged is reported or harmless, and never cut off.
//!
//! The log was idle before the damage, so a marker states that its last record is durable. Both readers are asked.

use mainspring_journal::format::BLOCK_BYTES;
use mainspring_journal::log::SegmentFile;
use mainspring_journal::testkit::Fault;

use crate::page_reader::{ALL_RULES, Rules};
use crate::seeds;
use crate::world::{FAIR, Flaw, Weather, World, events_of, read_by_page, recover_from};

/// What happens to a disk that was trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// One bit turns over.
    Flip,
    /// Hundreds of bits of one block turn over.
    Rot,
    /// A block is as it was before anything was written.
    Forgotten,
    /// A write lands somewhere else, and the device says that all is well.
    Misdirected,
    /// The same happens to the marker that an idle log writes.
    MisdirectedMarker,
    /// A file is gone, other than the oldest and the newest: a log may begin with any segment, and nothing shows that
    /// it was longer once.
    Removed,
}

/// Damages a log and reads it by the page. The error says that something acknowledged was cut off.
pub fn check_damaged(seed: u64, damage: Damage, rules: Rules) -> Result<(), String> {
    let world = damaged(seed, damage);
    match read_by_page(&world.disk, rules) {
        Err(_) => Ok(()),
        Ok(log) => world.ledger.check(&events_of(&log)),
    }
}

/// A log that was idle, and damaged then.
pub fn damaged(seed: u64, damage: Damage) -> World {
    let weather = Weather { frames_in_flight: 1 + (seed % 2) as usize, ..FAIR };
    let mut world = World::new(seed, weather, Flaw::None);
    world.steps(80);
    if damage == Damage::Misdirected {
        world.disk.fail_next_write(Fault::Misdirected);
        world.steps(40);
    }
    world.append();
    if damage == Damage::MisdirectedMarker {
        world.complete_all();
        world.disk.fail_next_write(Fault::Misdirected);
    }
    world.settle();
    let files: Vec<SegmentFile> = world.disk.file_names().collect();
    let file = files[world.random.usize(0..files.len())];
    let bytes = world.disk.bytes(file).len() as u64;
    let offset = world.random.u64(0..bytes / BLOCK_BYTES as u64) * BLOCK_BYTES as u64;
    match damage {
        Damage::Flip => {
            let used = world.disk.bytes(file).iter().rposition(|byte| *byte != 0).unwrap_or(0);
            let bit = world.random.u64(0..(used as u64 + 1) * 8);
            world.disk.flip_bit(file, bit);
        }
        Damage::Rot => {
            for _ in 0..500 {
                let bit = world.random.u64(0..BLOCK_BYTES as u64 * 8);
                world.disk.flip_bit(file, offset * 8 + bit);
            }
        }
        Damage::Forgotten => world.disk.zero(file, offset, BLOCK_BYTES as u64),
        Damage::Removed => {
            let frames = read_by_page(&world.disk, ALL_RULES).expect("nothing is wrong yet").frames;
            let ends = [frames.first(), frames.last()].map(|frame| frame.map(|frame| frame.file));
            if !ends.contains(&Some(file.0)) {
                world.disk.remove(file).expect("it is there");
            }
        }
        Damage::Misdirected | Damage::MisdirectedMarker => {}
    }
    world
}

/// Both readers report the damage, or both find everything that was acknowledged.
fn check_both(seed: u64, damage: Damage) {
    let mut world = damaged(seed, damage);
    let (by_crate, by_page) = (recover_from(&mut world.disk), read_by_page(&world.disk, ALL_RULES));
    match (by_crate, by_page) {
        (Err(_), Err(_)) => {}
        (Ok(_), Ok(log)) => world
            .ledger
            .check(&events_of(&log))
            .unwrap_or_else(|broken| panic!("seed {seed}, {damage:?}: {broken}")),
        (by_crate, by_page) => {
            panic!("seed {seed}, {damage:?}: two readers say {by_crate:?} and {by_page:?}")
        }
    }
}

#[test]
fn a_flipped_bit_is_reported_or_harmless() {
    seeds(4_000).for_each(|seed| check_both(seed, Damage::Flip));
}

#[test]
fn a_block_of_rubbish_is_reported_or_harmless() {
    seeds(1_000).for_each(|seed| check_both(seed, Damage::Rot));
}

#[test]
fn a_block_that_forgot_its_write_is_reported_or_harmless() {
    seeds(2_000).for_each(|seed| check_both(seed, Damage::Forgotten));
}

#[test]
fn a_misdirected_write_is_reported_or_harmless() {
    seeds(4_000).for_each(|seed| check_both(seed, Damage::Misdirected));
    seeds(4_000).for_each(|seed| check_both(seed, Damage::MisdirectedMarker));
}

#[test]
fn a_segment_that_is_gone_is_reported_or_harmless() {
    seeds(1_000).for_each(|seed| check_both(seed, Damage::Removed));
}

#[test]
fn a_block_that_cannot_be_read_is_reported_and_no_end_of_the_log() {
    for seed in seeds(1_000) {
        let mut world = World::new(seed, FAIR, Flaw::None);
        world.steps(80);
        world.append();
        world.settle();
        let frames = read_by_page(&world.disk, ALL_RULES).expect("nothing is wrong yet").frames;
        let frame = &frames[world.random.usize(0..frames.len())];
        world.disk.make_unreadable(SegmentFile(frame.file), frame.offset);
        let error = recover_from(&mut world.disk).map(|_| ()).expect_err("a block cannot be read");
        let text = error.to_string();
        assert!(text.contains("latent sector error"), "seed {seed}: {text}");
    }
}
