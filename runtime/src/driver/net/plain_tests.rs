//! Any sequence of receives and takes keeps the stream in order and where it must lie.

use proptest::prelude::*;

use super::{FIRST_BYTES, Plain, residue};

/// Plays the kernel: writes the next bytes of the stream where there is room.
fn receive(plain: &mut Plain, taken: u64, needed: usize, most: usize, bytes: usize) -> usize {
    let next = taken + plain.held() as u64;
    let Some((at, room, _)) = plain.room(taken, needed, most, usize::MAX) else { return 0 };
    let bytes = bytes.min(room as usize);
    for index in 0..bytes {
        // SAFETY: the room has that many bytes and nobody else uses them.
        unsafe { at.add(index).write(byte_of(next + index as u64)) };
    }
    assert!(plain.filled(bytes));
    bytes
}

fn byte_of(position: u64) -> u8 {
    (position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

proptest! {
    #[test]
    fn the_stream_stays_in_order_and_aligned(
        begin in 0_u64..40,
        steps in prop::collection::vec((1_usize..3000, 0_usize..3000, 0_usize..2000), 1..60),
    ) {
        let (mut plain, mut taken, mut needed) = (Plain::new(), begin, 1);
        for (bytes, take, wanted) in steps {
            receive(&mut plain, taken, needed, 4096, bytes);
            let view = plain.view();
            prop_assert_eq!(view.start.addr() % 16, residue(taken));
            let expected: Vec<u8> = (taken..taken + view.bytes as u64).map(byte_of).collect();
            prop_assert_eq!(view.to_vec(), expected);
            let take = take.min(view.bytes);
            plain.take(take);
            taken += take as u64;
            needed = wanted.max(plain.held() + 1).min(4096);
            prop_assert!(plain.memory_bytes() <= 4096 + 16);
        }
    }
}

#[test]
fn memory_comes_with_use_and_not_before() {
    let mut plain = Plain::new();
    assert_eq!(plain.memory_bytes(), 0);
    receive(&mut plain, 0, 1, 1 << 16, 10);
    assert_eq!(plain.memory_bytes(), FIRST_BYTES);
    plain.take(10);
    receive(&mut plain, 10, 1, 1 << 16, usize::MAX);
    assert!(plain.was_full());
    receive(&mut plain, 10, 1, 1 << 16, 1);
    assert_eq!(plain.memory_bytes(), 2 * FIRST_BYTES, "there was more than fitted");
}

#[test]
fn what_is_wanted_together_gets_room_together() {
    let mut plain = Plain::new();
    receive(&mut plain, 0, 1, 1 << 16, 40);
    plain.take(40);
    assert_eq!(receive(&mut plain, 40, 9000, 1 << 16, 9000), 9000);
    assert_eq!(plain.view().bytes, 9000);
}

#[test]
fn without_allowance_nothing_grows_beyond_the_first_memory() {
    let mut plain = Plain::new();
    assert!(plain.room(0, 1, 1 << 16, 0).is_some(), "the first is always there");
    assert!(plain.filled(FIRST_BYTES));
    assert!(plain.room(0, 1, 1 << 16, 0).is_none());
    plain.take(FIRST_BYTES);
    assert!(plain.room(FIRST_BYTES as u64, 1, 1 << 16, 0).is_some());
}

#[test]
fn a_stream_is_taken_over_where_another_left_it() {
    let plain = Plain::holding(b"abc", 21);
    assert_eq!((plain.view().to_vec(), plain.view().start.addr() % 16), (b"abc".to_vec(), 5));
}
