//! The store that nodes share: one set of scenarios over the store in memory and over etcd, and what only a real etcd
//! can do to a node.
//!
//! Each test runs an etcd of its own on 127.0.0.1. Without etcd in the path they say so and are skipped.
#![forbid(unsafe_code)]

mod faults;
mod members;
mod scenarios;
mod scene;
mod three;
