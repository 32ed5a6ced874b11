//! The atomics of the ring: the standard ones, or those of loom when its model checker runs.
//!
//! Every other file of this folder takes its atomics from here and from nowhere else. So loom sees
//! every access that two threads can make at once, and a normal build pays nothing for it.

#[cfg(loom)]
pub(super) use loom::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(not(loom))]
pub(super) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};
