//! The table of local payloads that are on their way: values that frames name by a number.
//!
//! A frame cannot own a value, since its bytes are copied, dropped and overwritten by code that does not know its
//! type. It owns a handle: index and generation. The table checks both at every use, so a stale, copied or doubled
//! handle finds nothing, and a value is taken or freed exactly once.
//!
//! Invariants: a slot is empty, held (its [`Local`](super::local::Local) still owns the value, which can be written
//! into a frame) or framed (a frame owns it). Its generation grows when it is emptied; a slot whose generation has no
//! successor is never used again. No operation waits: a slot's lock is contended only while the same handle is used
//! twice at once.

#![forbid(unsafe_code)]

use std::any::Any;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Slots are made in blocks of this many.
const SEGMENT_SLOTS: usize = 1_024;
const SEGMENTS: usize = 64;

/// Values that can be in the table at once, in one process.
pub(super) const HANDLES_LIMIT: usize = SEGMENT_SLOTS * SEGMENTS;

/// A value whose type only its sender and its receiver know.
pub(super) type Value = Box<dyn Any + Send>;

/// The one table of this process.
pub(super) static HANDLES: Handles = Handles::new();

/// Values by handle.
#[derive(Debug)]
pub(super) struct Handles {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    /// How many slots were ever used.
    made: AtomicU32,
    /// The list of emptied slots: index of the first plus one (0: none), and above it a count of changes, so that an
    /// old list is not taken for the present one.
    free: AtomicU64,
}

#[derive(Debug)]
struct Slot {
    contents: Mutex<Contents>,
    /// In the list of emptied slots: index of the next plus one.
    next_free: AtomicU32,
}

#[derive(Debug)]
struct Contents {
    generation: u32,
    value: Option<Value>,
    framed: bool,
}

impl Handles {
    pub(super) const fn new() -> Self {
        Handles {
            segments: [const { OnceLock::new() }; SEGMENTS],
            made: AtomicU32::new(0),
            free: AtomicU64::new(0),
        }
    }

    /// Puts a value in, held. The handle is never 0.
    ///
    /// # Errors
    ///
    /// The value comes back if the table is full.
    pub(super) fn insert(&self, value: Value) -> Result<u64, Value> {
        let Some(index) = self.pop_free().or_else(|| self.make()) else { return Err(value) };
        let mut contents = self.slot(index).lock();
        contents.value = Some(value);
        contents.framed = false;
        Ok(u64::from(index) | u64::from(contents.generation) << 32)
    }

    /// Whether the value is still held by its `Local`.
    pub(super) fn is_held(&self, handle: u64) -> bool {
        self.with(handle, |contents| !contents.framed).unwrap_or(false)
    }

    /// Gives a held value to a frame. Does nothing for any other handle.
    pub(super) fn frame(&self, handle: u64) {
        self.with(handle, |contents| contents.framed = true);
    }

    /// Takes the value out of the frame that owns it.
    pub(super) fn take_framed(&self, handle: u64) -> Option<Value> {
        self.take(handle, true)
    }

    /// Takes the value back from a `Local` that still holds it.
    pub(super) fn take_held(&self, handle: u64) -> Option<Value> {
        self.take(handle, false)
    }

    /// Runs `change` on the slot that `handle` names, if it is still that life of it.
    fn with<R>(&self, handle: u64, change: impl FnOnce(&mut Contents) -> R) -> Option<R> {
        let mut contents = self.find(handle as u32)?.lock();
        let is_meant = contents.generation == (handle >> 32) as u32 && contents.value.is_some();
        is_meant.then(|| change(&mut contents))
    }

    fn take(&self, handle: u64, framed: bool) -> Option<Value> {
        let (value, reusable) = self.with(handle, |contents| {
            if contents.framed != framed {
                return None;
            }
            let value = contents.value.take()?;
            let next = contents.generation.checked_add(1);
            contents.generation = next.unwrap_or(contents.generation);
            Some((value, next.is_some()))
        })??;
        if reusable {
            self.push_free(handle as u32);
        }
        Some(value)
    }

    fn find(&self, index: u32) -> Option<&Slot> {
        let index = index as usize;
        self.segments.get(index / SEGMENT_SLOTS)?.get()?.get(index % SEGMENT_SLOTS)
    }

    /// A slot that this table gave out; its block is made if it is the first of it.
    fn slot(&self, index: u32) -> &Slot {
        let index = index as usize;
        let segment = self.segments[index / SEGMENT_SLOTS]
            .get_or_init(|| (0..SEGMENT_SLOTS).map(|_| Slot::new()).collect());
        &segment[index % SEGMENT_SLOTS]
    }

    /// A slot that was never used.
    fn make(&self) -> Option<u32> {
        self.made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |made| {
                ((made as usize) < HANDLES_LIMIT).then_some(made + 1)
            })
            .ok()
    }

    fn pop_free(&self) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let index = (head as u32).checked_sub(1)?;
            let next = self.slot(index).next_free.load(Ordering::Relaxed);
            match self.free.compare_exchange_weak(
                head,
                changed(head, next),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(index),
                Err(now) => head = now,
            }
        }
    }

    fn push_free(&self, index: u32) {
        let mut head = self.free.load(Ordering::Relaxed);
        loop {
            self.slot(index).next_free.store(head as u32, Ordering::Relaxed);
            match self.free.compare_exchange_weak(
                head,
                changed(head, index + 1),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }
}

impl Slot {
    fn new() -> Self {
        Slot {
            // Generation 0 is never given out: handle 0 means "nothing".
            contents: Mutex::new(Contents { generation: 1, value: None, framed: false }),
            next_free: AtomicU32::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        // Nothing that can panic runs under the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The head of the free list with another first slot, and its count of changes raised.
fn changed(head: u64, first: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | u64::from(first)
}
