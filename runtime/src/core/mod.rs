//! core

#[cfg_attr(not(test), expect(dead_code, reason = "the sweep that turns the wheel is being built"))]
pub(crate) mod timers;
