//! The counting allocator counts what is allocated while somebody counts, and nothing else. One test, because a count
//! sees the allocations of all threads.

use std::hint::black_box;

use mainspring_perf::raw::allocator::{
    Allocations, CountingAllocator, CountingError, start_counting,
};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn allocations_are_counted_exactly_and_only_while_somebody_counts() {
    drop(black_box(Box::new([0u8; 100])));
    let count = start_counting().expect("nobody else counts");
    let kept = black_box(Box::new([1u8; 64]));
    drop(black_box(Box::new([2u8; 32])));
    let mut grown: Vec<u8> = black_box(Vec::with_capacity(10));
    grown.reserve_exact(30);
    let second = start_counting().err();
    let counted = count.finish();
    drop(black_box(Box::new([0u8; 100])));

    assert_eq!(second, Some(CountingError::AlreadyCounting));
    let expected =
        Allocations { allocations: 4, allocated_bytes: 64 + 32 + 10 + 30, freed_bytes: 32 + 10 };
    assert_eq!(counted, expected);
    assert_eq!(counted.growth_bytes(), 64 + 30);
    drop((kept, grown));

    let empty = start_counting().expect("the first count has ended").finish();
    assert_eq!(empty.allocations, 0);
}
