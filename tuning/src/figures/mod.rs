//! Figures of measurements, and how sure they are: what this crate's command and the perf harness share.
//!
//! Promises: pure; the same values give the same figures, intervals and texts.

pub mod blocks;
pub mod bootstrap;
mod conclusion;
pub mod hgrm;
mod statistics;

pub use bootstrap::{Estimate, Interval, median_estimate};
pub use conclusion::{Conclusion, conclude};
pub use statistics::{Summary, median_ratio, paired_ratios};
