//! The clock that goes on while the machine is suspended.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since the machine was started, suspended or not.
pub(super) fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}
