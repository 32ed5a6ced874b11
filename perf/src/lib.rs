//! The perf harness of mainspring: what a message costs, beside what the machine itself needs for it.
//!
//! It promises that a figure was measured, not believed: every round checks the sums of what it handled, the raw
//! limit and a calibration loop are timed in the same run and in turn with the scenario, allocations and system
//! calls are counted and never estimated, and every result carries a verdict with its reasons. An invalid run
//! shows no headline figure. Speed is shown, never asserted.
//!
//! The binary `mainspring-perf` is a command line over this library; [`command`] is its whole face.
//!
//! | module | what |
//! |---|---|
//! | [`scenario`] | what is measured; one file a scenario, registered in one place |
//! | [`run`] | one run: passes, interleaved rounds, verdict |
//! | [`load`] | load at a rate: response times from a schedule |
//! | [`section`] | the measured part of a round |
//! | [`comparison`] | scenarios beside peers and beside other revisions, as processes that take turns |
//! | [`verdict`], [`evidence`] | whether the figures may be believed |
//! | [`result`], [`statistics`], [`calibration`], [`latency`] | figures |
//! | [`counts`] | what a message takes, counted, and whether that rose |
//! | [`revision`] | the program as it was at another git revision |
//! | [`report`] | what was found, as a page for a browser |
//! | [`raw`] | what the kernel is asked for; the only module with `unsafe` |
#![deny(unsafe_code)]

pub mod calibration;
pub mod command;
pub mod comparison;
pub mod counts;
pub mod evidence;
pub mod latency;
pub mod load;
#[allow(unsafe_code)]
pub mod raw;
pub mod report;
pub mod result;
pub mod result_folder;
pub mod revision;
pub mod run;
pub mod scenario;
pub mod section;
pub use mainspring_tuning::figures as statistics;
mod system_call;
pub mod verdict;
