//! A checkpoint that was merged is the fold of all records.

use std::io::Read;

use super::super::{Checkpoint, CheckpointError, CheckpointHeader, Entity, NewCheckpoint, merge};
use super::*;

/// Merges footers into a checkpoint.
pub fn merged(
    generation: u64,
    first_segment: u64,
    previous: Option<&[u8]>,
    footers: &[Footer],
) -> Result<(CheckpointHeader, Vec<u8>), CheckpointError> {
    let files: Vec<Vec<u8>> = footers.iter().map(Footer::encode).collect();
    let mut slices: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let mut inputs: Vec<&mut dyn Read> =
        slices.iter_mut().map(|slice| slice as &mut dyn Read).collect();
    let mut previous = previous;
    let previous = previous.as_mut().map(|slice| slice as &mut dyn Read);
    let mut bytes = Vec::new();
    let new = NewCheckpoint { log_id: LOG_ID, generation, first_segment };
    let header = merge(&new, previous, &mut inputs, &mut bytes)?;
    Ok((header, bytes))
}

fn rows(table: &EntityTable) -> Vec<Entity> {
    table.iter_sorted().copied().collect()
}

#[test]
fn any_way_of_merging_comes_to_the_fold_of_all_records() {
    proptest::proptest!(|(seed: u64, segments in 1..8_u64, count in 1..300_usize, entities in 1..200_u64)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let (footers, (table, shards)) = log_of(&mut random, segments, count, entities);
        let mut previous: Option<Vec<u8>> = None;
        let mut rest = footers.as_slice();
        for generation in 1.. {
            let (now, later) = rest.split_at(random.usize(1..=rest.len()));
            let (header, bytes) =
                merged(generation, 1, previous.as_deref(), now).expect("in order");
            assert_eq!(header.last_segment, segments - later.len() as u64);
            previous = Some(bytes);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let read = Checkpoint::decode(&previous.expect("at least one")).expect("whole");
        assert_eq!(rows(&read.entities), rows(&table));
        assert_eq!(read.shards.sorted(), shards.sorted());
        let last = footers.last().expect("at least one").header();
        assert_eq!((read.header.last_frame, read.header.last_chain),
            (last.end.last_frame, last.end.last_chain));
    });
}

#[test]
fn entities_whose_segments_were_all_given_back_are_left_out() {
    let mut random = fastrand::Rng::with_seed(4);
    let (footers, (table, _)) = log_of(&mut random, 4, 30, 60);
    let expected: Vec<Entity> =
        rows(&table).into_iter().filter(|entity| entity.last_segment >= 3).collect();
    assert!(expected.len() < table.len());
    let (_, old) = merged(1, 1, None, &footers[..2]).expect("in order");
    let (_, bytes) = merged(2, 3, Some(&old), &footers[2..]).expect("in order");
    assert_eq!(rows(&Checkpoint::decode(&bytes).expect("whole").entities), expected);
    let (_, all) = merged(1, 1, None, &footers).expect("in order");
    let late = Checkpoint::load(&mut all.as_slice(), 3).expect("whole");
    assert_eq!(rows(&late.entities), expected);
}

#[test]
fn a_table_of_many_blocks_is_read_as_it_was_merged() {
    let mut random = fastrand::Rng::with_seed(8);
    let (footers, (table, _)) = log_of(&mut random, 3, 2_000, 3_000);
    let (_, bytes) = merged(1, 1, None, &footers).expect("in order");
    let read = Checkpoint::decode(&bytes).expect("whole");
    assert!(read.entities.len() > 1_000);
    assert_eq!(rows(&read.entities), rows(&table));
}

#[test]
fn footers_that_do_not_follow_are_refused() {
    let mut random = fastrand::Rng::with_seed(1);
    let (footers, _) = log_of(&mut random, 4, 10, 5);
    let hole = merged(1, 1, None, &[footers[0].clone(), footers[2].clone()]);
    assert!(matches!(hole, Err(CheckpointError::NotInOrder { found: 3, expected: 2 })));
    let (_, first) = merged(5, 1, None, &footers[..1]).expect("in order");
    let again = merged(6, 1, Some(&first), &footers[..1]);
    assert!(matches!(again, Err(CheckpointError::NotInOrder { found: 1, expected: 2 })));
    let older = merged(5, 1, Some(&first), &footers[1..2]);
    assert!(matches!(older, Err(CheckpointError::Content(_))));
    assert!(matches!(merged(1, 1, None, &[]), Err(CheckpointError::Nothing)));
}

#[test]
fn a_damaged_footer_is_named_and_nothing_is_taken_for_whole() {
    let mut random = fastrand::Rng::with_seed(2);
    let (footers, _) = log_of(&mut random, 2, 100, 50);
    let (whole, mut damaged) = (footers[0].encode(), footers[1].encode());
    // Block 1 holds the shards, block 2 the first hashes, block 3 the entities.
    damaged[3 * BLOCK_BYTES + 100] ^= 1;
    let (mut one, mut two) = (whole.as_slice(), damaged.as_slice());
    let new = NewCheckpoint { log_id: LOG_ID, generation: 1, first_segment: 1 };
    let error = merge(&new, None, &mut [&mut one, &mut two], &mut Vec::new()).expect_err("damaged");
    assert_eq!(
        error.to_string(),
        "the footer of segment 2 cannot be merged: the checksum of block 3 is wrong"
    );
}

#[test]
fn a_checkpoint_that_is_cut_off_anywhere_is_refused() {
    let mut random = fastrand::Rng::with_seed(3);
    let (footers, _) = log_of(&mut random, 2, 400, 300);
    let (_, bytes) = merged(1, 1, None, &footers).expect("in order");
    for blocks in 0..bytes.len() / BLOCK_BYTES {
        assert!(Checkpoint::decode(&bytes[..blocks * BLOCK_BYTES]).is_err(), "{blocks} blocks");
    }
    let mut long = bytes.clone();
    long.push(0);
    assert!(Checkpoint::decode(&long).is_err());
    // A block in the middle is gone, and all others are right.
    let mut short = bytes;
    short.drain(3 * BLOCK_BYTES..4 * BLOCK_BYTES);
    assert!(Checkpoint::decode(&short).is_err());
}

#[test]
fn a_block_that_was_left_over_from_another_checkpoint_is_found_at_the_end() {
    let checkpoint = |count| {
        let (footers, _) = log_of(&mut fastrand::Rng::with_seed(5), 1, count, 40);
        merged(1, 1, None, &footers).expect("in order").1
    };
    let (one, other) = (checkpoint(100), checkpoint(200));
    // The same log, generation and place: block 2 holds the entities, and block 3 the end.
    let mut mixed = one.clone();
    mixed[2 * BLOCK_BYTES..3 * BLOCK_BYTES]
        .copy_from_slice(&other[2 * BLOCK_BYTES..][..BLOCK_BYTES]);
    assert_ne!(mixed, one);
    let error = Checkpoint::decode(&mixed).expect_err("not of one piece");
    assert_eq!(error.to_string(), "block 3: the checkpoint is not whole");
}
