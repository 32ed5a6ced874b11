//! Monotonic nanoseconds since the start of the process, read from the time stamp counter.
//!
//! Promises: [`Clock::now_ns`] costs one counter read and one multiplication, never enters the kernel where the
//! counter is invariant, never goes back on one core, and counts from one epoch for every core and thread of the
//! process.
//!
//! Refuses: to be a wall clock. The rate is calibrated once against the kernel's monotonic clock, so it may be off
//! by some parts in a million; compare only values of this clock with each other.
//!
//! Across cores the counter reads are not ordered with memory accesses: a value taken on one core may be some tens of
//! nanoseconds behind a value that arrived from another core. Subtract with saturation.
//!
//! ```
//! use mainspring::driver::clock::Clock;
//!
//! let clock = Clock::new();
//! let before_ns = clock.now_ns();
//! let after_ns = clock.now_ns();
//! assert!(after_ns >= before_ns);
//! ```

use std::sync::OnceLock;

/// The epoch and the scale of the process, set by whoever asks first.
static PROCESS: OnceLock<Clock> = OnceLock::new();

/// A handle on the process's monotonic clock. Cheap to clone; every handle tells the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    source: quanta::Clock,
    epoch_raw: u64,
}

impl Clock {
    /// The process's clock.
    ///
    /// The first call in a process calibrates the counter, which takes up to 200 ms. A node makes it before its cores
    /// start.
    pub fn new() -> Clock {
        PROCESS
            .get_or_init(|| {
                let source = quanta::Clock::new();
                let epoch_raw = source.raw();
                Clock { source, epoch_raw }
            })
            .clone()
    }

    /// Nanoseconds since the epoch, which is the first use of a clock in this process.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.source.delta_as_nanos(self.epoch_raw, self.source.raw())
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use super::Clock;

    /// More than the counters of two cores can differ in a machine whose counter is usable as a clock at all.
    const SKEW_NS: u64 = 100_000;

    #[test]
    fn every_handle_counts_from_one_epoch() {
        let first = Clock::new();
        let before_ns = first.now_ns();
        let (second, between_ns) = std::thread::spawn(|| {
            let clock = Clock::new();
            let now_ns = clock.now_ns();
            (clock, now_ns)
        })
        .join()
        .expect("reading a clock does not panic");
        let after_ns = first.now_ns();
        assert!(between_ns + SKEW_NS >= before_ns, "{between_ns} long before {before_ns}");
        assert!(between_ns <= after_ns + SKEW_NS, "{between_ns} long after {after_ns}");
        assert_eq!(first.epoch_raw, second.epoch_raw);
    }

    #[test]
    fn time_never_goes_back_on_one_thread() {
        let clock = Clock::new();
        let mut last_ns = clock.now_ns();
        for _ in 0..100_000 {
            let now_ns = clock.now_ns();
            assert!(now_ns >= last_ns, "{now_ns} after {last_ns}");
            last_ns = now_ns;
        }
    }

    #[test]
    fn the_rate_is_that_of_the_kernels_monotonic_clock() {
        let clock = Clock::new();
        let (outer, start_ns) = (Instant::now(), clock.now_ns());
        let inner = Instant::now();
        while inner.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let at_least = inner.elapsed();
        let elapsed_ns = clock.now_ns() - start_ns;
        let at_most = outer.elapsed();
        // One part in a thousand is far beyond any calibration error and far below a wrong scale.
        assert!(
            elapsed_ns * 1001 / 1000 + 1_000 >= at_least.as_nanos() as u64,
            "{elapsed_ns} ns, {at_least:?}"
        );
        assert!(
            elapsed_ns * 999 / 1000 <= at_most.as_nanos() as u64 + 1_000,
            "{elapsed_ns} ns, {at_most:?}"
        );
    }

    #[test]
    fn a_value_passed_on_is_not_far_in_the_readers_future() {
        static PASSED: AtomicU64 = AtomicU64::new(0);
        let writer = std::thread::spawn(|| {
            let clock = Clock::new();
            for _ in 0..20_000 {
                PASSED.store(clock.now_ns(), Ordering::Release);
            }
        });
        let clock = Clock::new();
        while !writer.is_finished() {
            let passed_ns = PASSED.load(Ordering::Acquire);
            assert!(passed_ns <= clock.now_ns() + SKEW_NS);
        }
        writer.join().expect("the writer does not panic");
    }
}
