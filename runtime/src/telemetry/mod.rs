//! What a core counts, always on: plain numbers that only the core touches, copied out when someone asks.

mod counters;
mod histograms;
mod prometheus;

pub use counters::Counters;
pub(crate) use histograms::Histograms;
pub use histograms::{CoreMetrics, Distribution, NodeMetrics};
