//! A direct-I/O core log and event-sourced actors.
//!
//! | module | what |
//! |---|---|
//! | [`format`](mod@format) | the bytes of a core log |
#![forbid(unsafe_code)]

pub mod format;
