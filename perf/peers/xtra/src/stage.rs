//! The runtime that a program runs on, how messages are sent, and the measured section: warm-up first, then the clock.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use tokio::runtime::{Builder, Runtime};
use xtra::prelude::*;

/// Messages of the warm-up of a program that is not one of the suite's.
pub const WARM_UP_MESSAGES: u64 = 50_000;

/// After so many messages a sender of a long stream yields; the heaps of the mailboxes then stay small.
pub const STREAM_MESSAGES: u64 = 256;

/// Starts an actor with an unbounded mailbox.
pub fn start<A>(actor: A) -> Address<A>
where
    A: Actor<Stop = ()>,
{
    xtra::spawn_tokio(actor, Mailbox::unbounded())
}

/// Sends a message and waits for nothing: an unbounded mailbox takes it at once.
#[inline]
pub async fn tell<A, M>(address: &Address<A>, message: M)
where
    A: Handler<M>,
    M: Send + 'static,
{
    let _ = address.send(message).detach().await;
}

/// The same, for a message that must be handled before those that are sent later by [`tell`].
#[inline]
pub async fn tell_first<A, M>(address: &Address<A>, message: M)
where
    A: Handler<M>,
    M: Send + 'static,
{
    let _ = address.send(message).priority(1).detach().await;
}

/// One worker is the current thread; more are the runtime that steals work.
fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.build().expect("the threads of tokio")
}

/// Does `work` with the runtime of the task, in a task of its own so that a worker drives it, and reports what it
/// took and came to.
pub fn run<F>(task: &Task, work: F) -> RoundReport
where
    F: Future<Output = (Duration, u64)> + Send + 'static,
{
    let runtime = runtime(task.cores.len());
    let (elapsed, sum) =
        runtime.block_on(async { tokio::spawn(work).await }).expect("the program's first task");
    task.report(elapsed, sum)
}

/// Iterations of a program of the suite: one to warm up, then the measured ones, one after the other. `iteration` is
/// given its number.
pub fn iterate<F>(task: &Task, iteration: impl Fn(u64) -> F + Send + 'static) -> RoundReport
where
    F: Future<Output = u64> + Send,
{
    let iterations = task.iterations();
    run(task, async move {
        iteration(0).await;
        let start = Instant::now();
        let mut sum = 0;
        for number in 1..=iterations {
            sum += iteration(number).await;
        }
        (start.elapsed(), sum)
    })
}
