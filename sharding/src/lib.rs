//! Entities on demand: shards, hand-off, cluster. Not begun: the crate holds its place so that imports go one way.
#![forbid(unsafe_code)]
