//! A direct-I/O core log and event-sourced actors.
//!
//! | module | what |
//! |---|---|
//! | [`format`](mod@format) | the bytes of a core log |
//! | [`log`] | what is written where, what is durable, and what is left after a crash |
//! | [`testkit`] | devices that fail on purpose |
#![forbid(unsafe_code)]

pub mod format;
pub mod log;
pub mod testkit;
