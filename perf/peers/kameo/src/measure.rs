//! The runtime of a round, its clock, and how a message is sent.

use std::future::Future;
use std::time::{Duration, Instant};

use kameo::Actor;
use kameo::actor::ActorRef;
use kameo::message::Message;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use tokio::runtime::{Builder, Runtime};

/// Messages of the section that goes before the measured one.
pub const WARM_UP_MESSAGES: u64 = 50_000;

/// Does a round of a micro program: `work` gets the number of messages and returns the time of its measured
/// section and what it came to.
pub fn section<W>(task: &Task, work: impl FnOnce(u64) -> W) -> RoundReport
where
    W: Future<Output = (Duration, u64)> + Send + 'static,
{
    let (elapsed, sum) = run(task, work(task.messages));
    task.report(elapsed, sum)
}

/// Does a round of a Savina program: one iteration unmeasured, then the others with the clock running. An iteration
/// gets its number and returns what it came to.
pub fn iterations<W>(task: &Task, iteration: impl Fn(u64) -> W + Send + 'static) -> RoundReport
where
    W: Future<Output = u64> + Send + 'static,
{
    let count = task.iterations();
    let (elapsed, sum) = run(task, async move {
        iteration(0).await;
        let start = Instant::now();
        let mut sum = 0;
        for number in 1..=count {
            sum += iteration(number).await;
        }
        (start.elapsed(), sum)
    });
    task.report(elapsed, sum)
}

/// Sends to an actor with an unbounded mailbox.
///
/// # Panics
///
/// When the actor has stopped: none of these programs writes to one that has.
pub fn tell<A, M>(to: &ActorRef<A>, message: M)
where
    A: Message<M>,
    M: Send + 'static,
{
    assert!(
        to.tell(message).try_send().is_ok(),
        "a {} has stopped too early",
        <A as Actor>::name()
    );
}

fn run<W>(task: &Task, work: W) -> W::Output
where
    W: Future<Output: Send> + Send + 'static,
{
    // A task of its own, so that with two workers it runs on one of them and not on a third thread.
    let outcome = runtime(task.cores.len()).block_on(async { tokio::spawn(work).await });
    outcome.expect("the work does not panic")
}

fn runtime(workers: usize) -> Runtime {
    let mut builder = match workers {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if workers > 1 {
        builder.worker_threads(workers);
    }
    builder.enable_time().build().expect("threads can be started")
}
