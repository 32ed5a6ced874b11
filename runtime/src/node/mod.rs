//! The node: its cores, its configuration, its clients and its shutdown.

pub mod cores;
pub mod idle;
