//! Devices: what a core polls once per sweep beside its actors.
//!
//! The link to other nodes and the journal are devices: a state machine that decides, and a driver that does. The
//! simulator supplies other drivers for the same machines.

/// Something polled once per sweep, after the actors' turns and before the flush.
pub trait Device {
    /// Does what is due at `now_ns`, a bounded amount; how many things it did.
    fn poll(&mut self, now_ns: u64) -> usize;
}
