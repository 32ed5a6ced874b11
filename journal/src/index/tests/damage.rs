//! Flipped bits and random bytes: an error or the same answer, never a panic and never another answer.

use super::super::{
    Checkpoint, CheckpointHeader, Entity, EntityRow, FooterError, FooterHeader, FooterSummary,
};
use super::checkpoints::merged;
use super::*;

const FLIPS: usize = 4_000;

/// What a reader of single blocks finds of an entity.
fn read(bytes: &[u8], entity: u64) -> Result<Option<(EntityRow, Vec<Posting>)>, FooterError> {
    let summary = FooterSummary::decode(bytes)?;
    let Some(block) = summary.block_of(entity) else { return Ok(None) };
    let block = bytes.get(block as usize..).unwrap_or_default();
    let Some(row) = summary.find(block, entity)? else { return Ok(None) };
    let place = summary.postings_place(&row);
    let part = bytes.get(place.start as usize..place.end as usize).unwrap_or_default();
    let postings = summary.postings(part, &row)?;
    Ok(Some((row, postings)))
}

#[test]
fn a_flipped_bit_of_a_footer_is_found_by_whoever_reads_it() {
    let mut random = fastrand::Rng::with_seed(11);
    let (footers, _) = log_of(&mut random, 1, 1_000, 200);
    let (footer, whole) = (&footers[0], footers[0].encode());
    for flip in 0..FLIPS {
        let mut bytes = whole.clone();
        let bit = random.usize(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Footer::decode(&bytes).is_err(), "flip {flip}: bit {bit}");
        let row = footer.entities()[random.usize(0..footer.entities().len())];
        match read(&bytes, row.entity) {
            Err(_) => {}
            Ok(found) => {
                let expected = Some((row, footer.postings_of(&row).to_vec()));
                assert_eq!(found, expected, "flip {flip}: bit {bit}");
            }
        }
    }
}

#[test]
fn a_flipped_bit_of_a_checkpoint_is_found() {
    let mut random = fastrand::Rng::with_seed(12);
    let (footers, _) = log_of(&mut random, 2, 500, 300);
    let (_, whole) = merged(1, 1, None, &footers).expect("in order");
    for flip in 0..FLIPS {
        let mut bytes = whole.clone();
        let bit = random.usize(0..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(Checkpoint::decode(&bytes).is_err(), "flip {flip}: bit {bit}");
    }
}

#[test]
fn blocks_in_the_wrong_place_or_of_another_file_are_refused() {
    let mut random = fastrand::Rng::with_seed(13);
    let (footers, _) = log_of(&mut random, 2, 1_000, 200);
    let (one, two) = (footers[0].encode(), footers[1].encode());
    let blocks = one.len().min(two.len()) / BLOCK_BYTES;
    for (to, from) in (1..blocks).flat_map(|to| (1..blocks).map(move |from| (to, from))) {
        for source in [&one, &two] {
            if std::ptr::eq(source, &one) && to == from {
                continue;
            }
            let mut bytes = one.clone();
            bytes[to * BLOCK_BYTES..][..BLOCK_BYTES]
                .copy_from_slice(&source[from * BLOCK_BYTES..][..BLOCK_BYTES]);
            assert!(Footer::decode(&bytes).is_err(), "block {from} in the place of {to}");
        }
    }
}

#[test]
fn bytes_whose_checksums_are_right_are_read_without_a_panic() {
    let mut random = fastrand::Rng::with_seed(14);
    let (footers, _) = log_of(&mut random, 2, 300, 100);
    let footer = footers[0].encode();
    let (_, checkpoint) = merged(1, 1, None, &footers).expect("in order");
    for _ in 0..FLIPS {
        for whole in [&footer, &checkpoint] {
            let mut bytes = whole.clone();
            let block = random.usize(0..bytes.len() / BLOCK_BYTES) * BLOCK_BYTES;
            for _ in 0..random.usize(1..4) {
                // Where the fields are, most of the time.
                let reach = if random.bool() { 160 } else { BLOCK_BYTES };
                let at = block + random.usize(0..reach);
                bytes[at] = random.u8(..);
            }
            make_right(&mut bytes[block..block + BLOCK_BYTES], block == 0);
            _ = Footer::decode(&bytes);
            _ = read(&bytes, random.u64(..));
            _ = read(&bytes, footers[0].entities()[0].entity);
            _ = Checkpoint::decode(&bytes);
        }
    }
}

/// Gives a block the checksum of what it holds now.
fn make_right(block: &mut [u8], is_header: bool) {
    let end = BLOCK_BYTES - 4;
    if is_header {
        let sum = crate::format::checksum(&block[..end]);
        block[end..].copy_from_slice(&sum.to_le_bytes());
    } else {
        let sum = crate::format::checksum(&block[4..]);
        block[..4].copy_from_slice(&sum.to_le_bytes());
    }
}

#[test]
fn bytes_of_any_kind_are_read_without_a_panic() {
    proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..9_000), entity: u64)| {
        _ = Footer::decode(&bytes);
        _ = FooterHeader::decode(&bytes);
        _ = read(&bytes, entity);
        _ = CheckpointHeader::decode(&bytes);
        _ = Checkpoint::decode(&bytes);
    });
}

#[test]
fn an_entity_of_a_checkpoint_that_cannot_be_is_refused() {
    let mut random = fastrand::Rng::with_seed(15);
    let (footers, (table, _)) = log_of(&mut random, 1, 50, 10);
    let (_, whole) = merged(1, 1, None, &footers).expect("in order");
    let first: &Entity = table.iter_sorted().next().expect("there are some");
    // Behind the header and one block of shards stand the entities; a state's revision is the third field.
    let block = 2 * BLOCK_BYTES;
    let mut bytes = whole.clone();
    assert_eq!(bytes[block + 16..block + 24], first.hash.to_le_bytes());
    bytes[block + 32..block + 40].fill(0xFF);
    make_right(&mut bytes[block..block + BLOCK_BYTES], false);
    let error = Checkpoint::decode(&bytes).expect_err("a revision beyond the sequence");
    assert_eq!(error.to_string(), "block 2: a row in it is not possible");
}

#[test]
fn an_entity_with_more_records_than_its_segment_is_refused_before_they_are_asked_for() {
    let mut random = fastrand::Rng::with_seed(16);
    let (footers, _) = log_of(&mut random, 1, 300, 100);
    let (mut bytes, row) = (footers[0].encode(), footers[0].entities()[0]);
    let summary = footers[0].summary();
    let block = summary.block_of(row.entity).expect("it is there") as usize;
    // Behind the head of the block, 56 bytes into its first row, stands how many records the entity has.
    let count = block + 16 + 56;
    assert_eq!(bytes[count..count + 4], row.postings.to_le_bytes());
    bytes[count..count + 4].fill(0xFF);
    make_right(&mut bytes[block..block + BLOCK_BYTES], false);
    let found = summary.find(&bytes[block..block + BLOCK_BYTES], row.entity);
    let error = found.expect_err("more records than the segment has").to_string();
    assert!(error.ends_with("an entity is not possible"), "{error}");
}
