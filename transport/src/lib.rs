//! Frames between nodes at wire speed. Not begun: the crate holds its place so that imports go one way.
#![forbid(unsafe_code)]
