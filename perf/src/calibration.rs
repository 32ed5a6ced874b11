//! A fixed piece of work that tells how fast the machine is at the moment.
//!
//! Virtual machines change speed from minute to minute, so every run times this loop beside its rounds. Two figures
//! from different runs may be compared after each is divided by its run's `calibration_ns`; a run in which the loop's
//! time varied is marked as degraded.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use crate::raw::affinity::{self, AffinityError};

/// Steps of the loop. Each depends on the one before it, so the loop can be neither split nor reordered.
pub const STEPS: u32 = 2_000_000;

/// Times the loop once, on the calling thread. Nanoseconds, never 0.
pub fn calibration_ns() -> u64 {
    let began = Instant::now();
    black_box(fixed_work(black_box(1), STEPS));
    (began.elapsed().as_nanos() as u64).max(1)
}

/// Why the loop was not timed where it should have been.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The thread could not be pinned.
    #[error(transparent)]
    Affinity(#[from] AffinityError),
    /// The thread was lost.
    #[error("its thread ended before its work was done")]
    Lost,
}

/// Times the loop once, on a thread of its own on this CPU.
///
/// # Errors
/// [`CalibrationError`].
pub fn calibration_ns_on(cpu: usize) -> Result<u64, CalibrationError> {
    let work = || affinity::pin_to(cpu).map(|()| calibration_ns());
    let joined = thread::scope(|scope| scope.spawn(work).join());
    Ok(joined.map_err(|_| CalibrationError::Lost)??)
}

/// A multiplication, an addition and a rotation a step: registers only, no memory, no branch to predict.
#[inline]
pub fn fixed_work(seed: u64, steps: u32) -> u64 {
    let mut state = seed;
    for _ in 0..steps {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state = state.rotate_left(17);
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_takes_time() {
        assert!(calibration_ns() > 0);
    }

    #[test]
    fn the_work_is_fixed() {
        assert_eq!(fixed_work(1, 1_000), fixed_work(1, 1_000));
        assert_ne!(fixed_work(1, 1_000), fixed_work(1, 999));
    }
}
