//! Two threads, each pinned to its own CPU, that start together, answer each other and leave together.
//!
//! Neither runs before both are pinned: a thread whose partner could not be pinned would wait for ever. Neither ends
//! before both are done: the end of a thread makes system calls, and the one that gave the last answer would make them
//! while the other is still in its measured section.

use std::hint;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use hdrhistogram::Histogram;

use super::ScenarioError;
use crate::latency::LapTimer;
use crate::raw::affinity;
use crate::section::{Purpose, Section};

/// Runs `first` and `second` on the given CPUs and returns what both returned. When a thread cannot be pinned,
/// neither closure is called.
pub fn run<A: Send, B: Send>(
    cpus: [usize; 2],
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> Result<(A, B), ScenarioError> {
    let [first_cpu, second_cpu] = cpus;
    let at_work = AtomicUsize::new(2);
    thread::scope(|scope| {
        let (first_pinned, first_go, first_thread) = start(scope, &at_work, first_cpu, first);
        let (second_pinned, second_go, second_thread) = start(scope, &at_work, second_cpu, second);
        let pinned = [first_pinned, second_pinned].map(|pinned| pinned.recv());
        for answer in pinned {
            // An early return drops both `go` channels, which sends the threads home.
            answer.map_err(|_| ScenarioError::ThreadLost)??;
        }
        first_go.send(()).map_err(|_| ScenarioError::ThreadLost)?;
        second_go.send(()).map_err(|_| ScenarioError::ThreadLost)?;
        let outcomes = (first_thread.join(), second_thread.join());
        match outcomes {
            (Ok(Some(first)), Ok(Some(second))) => Ok((first, second)),
            _ => Err(ScenarioError::ThreadLost),
        }
    })
}

/// The measured section of a thread that waits for an answer each time: timed as a whole, or each round trip singly
/// when the round is run for latency.
#[inline(always)]
pub fn ask_all(
    section: &Section,
    numbers: RangeInclusive<u64>,
    mut round_trip: impl FnMut(u64),
) -> Option<Histogram<u64>> {
    thread::sleep(section.purpose().pause());
    if section.purpose() != Purpose::Latency {
        section.begin();
        numbers.for_each(round_trip);
        section.end();
        return None;
    }
    let mut timer = LapTimer::new();
    section.begin();
    timer.restart();
    for number in numbers {
        round_trip(number);
        timer.lap();
    }
    section.end();
    Some(timer.finish())
}

type Started<'scope, T> = (
    mpsc::Receiver<Result<(), affinity::AffinityError>>,
    mpsc::Sender<()>,
    thread::ScopedJoinHandle<'scope, Option<T>>,
);

/// One of the threads that are at work, until it is dropped; a panic drops it too, so no partner waits for it.
struct AtWork<'pair>(&'pair AtomicUsize);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn start<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    at_work: &'scope AtomicUsize,
    cpu: usize,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Started<'scope, T> {
    let (tell_pinned, pinned) = mpsc::channel();
    let (go, wait_for_go) = mpsc::channel();
    let handle = scope.spawn(move || {
        tell_pinned.send(affinity::pin_to(cpu)).ok()?;
        wait_for_go.recv().ok()?;
        let here = AtWork(at_work);
        let outcome = work();
        drop(here);
        // A poll and no wait: falling asleep is a system call as well.
        while at_work.load(Ordering::Acquire) > 0 {
            hint::spin_loop();
        }
        Some(outcome)
    });
    (pinned, go, handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_threads_run_on_their_cpus() {
        let allowed = affinity::allowed_cpus().expect("readable");
        let cpus = [allowed[0], *allowed.last().expect("at least one CPU")];
        let here = || affinity::allowed_cpus().expect("readable");
        let (first, second) = run(cpus, here, here).expect("both can be pinned");
        assert_eq!((first, second), (vec![cpus[0]], vec![cpus[1]]));
    }

    #[test]
    fn a_panic_in_one_sends_the_other_home() {
        let allowed = affinity::allowed_cpus().expect("readable")[0];
        let outcome = run([allowed, allowed], || panic!("on purpose"), || 7);
        assert!(matches!(outcome, Err(ScenarioError::ThreadLost)), "{outcome:?}");
    }

    #[test]
    fn neither_runs_when_one_cannot_be_pinned() {
        let allowed = affinity::allowed_cpus().expect("readable")[0];
        let outcome =
            run([allowed, 1_000_000], || panic!("must not run"), || panic!("must not run"));
        assert!(matches!(outcome, Err(ScenarioError::Affinity(_))), "{outcome:?}");
    }
}
