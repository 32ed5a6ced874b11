//! driver

pub mod cpu;
