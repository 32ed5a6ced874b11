//! A direct-I/O core log and event-sourced actors. Not begun: the crate holds its place so that imports go one way.
#![forbid(unsafe_code)]
