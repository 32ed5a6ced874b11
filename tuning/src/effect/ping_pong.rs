//! The built-in measurement: a word that two threads on two CPUs hand to each other.
//!
//! Promises: it ends within [`DURATION`] and the time for which the kernel keeps one of the threads from running.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{EffectError, Measurement};
use crate::figures::Summary;
use crate::system;

/// How long one measurement takes.
pub const DURATION: Duration = Duration::from_millis(100);

/// Round trips of a word between two CPUs.
#[derive(Debug, Clone, Copy)]
pub struct PingPong {
    cpus: [u32; 2],
}

impl PingPong {
    /// Between the first two CPUs of this process.
    ///
    /// # Errors
    /// [`EffectError::TooFewCpus`] when it has only one.
    pub fn new() -> Result<PingPong, EffectError> {
        let allowed = system::affinity().map_err(EffectError::Threads)?;
        let mut cpus = allowed.iter();
        match (cpus.next(), cpus.next()) {
            (Some(first), Some(second)) => Ok(PingPong { cpus: [first, second] }),
            _ => Err(EffectError::TooFewCpus { cpus: allowed.len() }),
        }
    }
}

impl Measurement for PingPong {
    /// The median of batches of round trips, a round trip.
    fn measure_ns(&mut self) -> Result<f64, EffectError> {
        let word = AtomicU32::new(AWAY);
        thread::scope(|scope| {
            let answering = scope.spawn(|| answer(self.cpus[1], &word));
            let asking = scope.spawn(|| ask(self.cpus[0], &word));
            let asked = joined(asking.join());
            joined(answering.join())?;
            asked
        })
        .map_err(EffectError::Threads)
    }
}

fn joined<T>(result: thread::Result<io::Result<T>>) -> io::Result<T> {
    result.map_err(|_| io::Error::other("a thread was lost"))?
}

/// Says that it is there, and hands back what it is handed until it is over.
fn answer(cpu: u32, word: &AtomicU32) -> io::Result<()> {
    let pinned = system::pin_to(cpu);
    word.store(if pinned.is_ok() { BACK } else { OVER }, Ordering::Release);
    pinned?;
    loop {
        match word.load(Ordering::Acquire) {
            THERE => word.store(BACK, Ordering::Release),
            OVER => return Ok(()),
            _ => hint::spin_loop(),
        }
    }
}

fn ask(cpu: u32, word: &AtomicU32) -> io::Result<f64> {
    let pinned = system::pin_to(cpu);
    // The other thread has to be met in any case: it waits for the end.
    let is_there = wait(word) && pinned.is_ok();
    let began = Instant::now();
    let mut trips_ns = Vec::new();
    while is_there && began.elapsed() < DURATION {
        let batch = Instant::now();
        for _ in 0..TRIPS_IN_A_BATCH {
            word.store(THERE, Ordering::Release);
            wait(word);
        }
        trips_ns.push(batch.elapsed().as_nanos() as f64 / f64::from(TRIPS_IN_A_BATCH));
    }
    word.store(OVER, Ordering::Release);
    pinned?;
    let median = Summary::of(&trips_ns).map(|summary| summary.median);
    median.ok_or_else(|| io::Error::other("the other thread did not run where it should"))
}

/// Whether the word came back; it does not when the other thread is gone.
fn wait(word: &AtomicU32) -> bool {
    loop {
        match word.load(Ordering::Acquire) {
            BACK => return true,
            OVER => return false,
            _ => hint::spin_loop(),
        }
    }
}

const TRIPS_IN_A_BATCH: u32 = 200;

const AWAY: u32 = 0;
const THERE: u32 = 1;
const BACK: u32 = 2;
const OVER: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_takes_time_and_the_threads_end() {
        let Ok(mut ping_pong) = PingPong::new() else {
            println!("skipped: this process has one CPU only");
            return;
        };
        assert!(ping_pong.measure_ns().expect("two threads") > 0.0);
    }

    #[test]
    fn a_cpu_that_is_none_ends_both_threads() {
        let first = system::affinity().expect("a mask").first().expect("a CPU");
        for cpus in [[first, 8_191], [8_191, first]] {
            assert!(matches!(PingPong { cpus }.measure_ns(), Err(EffectError::Threads(_))));
        }
    }
}
