//! Devices that fail on purpose, for tests of this crate and of those who build on it.

pub mod simulated_disk;

pub use simulated_disk::{DiskError, Fate, Fault, SimulatedDisk};
