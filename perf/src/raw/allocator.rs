//! The system's allocator with a count in front.
//!
//! A program installs it with `#[global_allocator]`. While nobody counts, an allocation pays one relaxed load more
//! than the system's own. One count at a time: a second [`start_counting`] is refused, because two would each see the
//! other's allocations.
//!
//! All threads of the process are counted, also those that have nothing to do with the measured section.

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The system's allocator with a count in front; see the module's text.
#[derive(Debug)]
pub struct CountingAllocator;

/// What was allocated and freed between [`start_counting`] and [`AllocationCount::finish`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocations {
    /// How often memory was asked for; growing a block counts as once.
    pub allocations: u64,
    /// How many bytes were asked for.
    pub allocated_bytes: u64,
    /// How many bytes were given back, whenever they had been taken.
    pub freed_bytes: u64,
}

impl Allocations {
    /// How many bytes more are in use at the end than at the start; negative when more were freed.
    pub fn growth_bytes(&self) -> i64 {
        self.allocated_bytes as i64 - self.freed_bytes as i64
    }
}

/// Why nothing can be counted now. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CountingError {
    /// The program does not use [`CountingAllocator`].
    #[error("allocations cannot be counted: this program has not installed CountingAllocator")]
    NotInstalled,
    /// Somebody else counts.
    #[error("allocations are being counted already; end that count first")]
    AlreadyCounting,
}

/// A running count. Dropping it ends it.
#[derive(Debug)]
#[must_use = "the count ends when this is dropped"]
pub struct AllocationCount(());

/// Starts counting the allocations of all threads.
pub fn start_counting() -> Result<AllocationCount, CountingError> {
    if COUNTING.swap(true, Ordering::AcqRel) {
        return Err(CountingError::AlreadyCounting);
    }
    let count = AllocationCount(());
    ALLOCATIONS.store(0, Ordering::Relaxed);
    drop(black_box(Box::new(0u8)));
    if ALLOCATIONS.load(Ordering::Relaxed) == 0 {
        return Err(CountingError::NotInstalled);
    }
    for counter in [&ALLOCATIONS, &ALLOCATED_BYTES, &FREED_BYTES] {
        counter.store(0, Ordering::Relaxed);
    }
    Ok(count)
}

impl AllocationCount {
    /// What has been counted so far.
    pub fn so_far(&self) -> Allocations {
        Allocations {
            allocations: ALLOCATIONS.load(Ordering::Relaxed),
            allocated_bytes: ALLOCATED_BYTES.load(Ordering::Relaxed),
            freed_bytes: FREED_BYTES.load(Ordering::Relaxed),
        }
    }

    /// Ends the count and returns it.
    pub fn finish(self) -> Allocations {
        self.so_far()
    }
}

impl Drop for AllocationCount {
    fn drop(&mut self) {
        COUNTING.store(false, Ordering::Release);
    }
}

static COUNTING: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED_BYTES: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);

#[inline]
fn count(allocations: u64, allocated_bytes: usize, freed_bytes: usize) {
    if COUNTING.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(allocations, Ordering::Relaxed);
        ALLOCATED_BYTES.fetch_add(allocated_bytes as u64, Ordering::Relaxed);
        FREED_BYTES.fetch_add(freed_bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract; counting touches only
// atomics.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(1, new_size, layout.size());
        // SAFETY: the caller keeps the contract of `realloc`; the block came from the same allocator.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(0, 0, layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`; the block came from the same allocator.
        unsafe { System.dealloc(block, layout) }
    }
}
