//! The runtime of a round, its clock, and how a message is sent.

use std::future::Future;
use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use ractor::{Actor, ActorRef, Message, RpcReplyPort};
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

/// Starts an actor.
///
/// # Panics
///
/// When its `pre_start` fails: none of these does.
pub async fn spawn<A: Actor>(actor: A, arguments: A::Arguments) -> ActorRef<A::Msg> {
    let started = Actor::spawn(None, actor, arguments).await;
    started.expect("the actor starts").0
}

/// Sends to an actor.
///
/// # Panics
///
/// When the actor has stopped: none of these programs writes to one that has.
pub fn tell<M: Message>(to: &ActorRef<M>, message: M) {
    assert!(to.cast(message).is_ok(), "an actor has stopped too early");
}

/// Asks an actor and waits for the answer without a deadline.
///
/// # Panics
///
/// When the actor stops without an answer.
pub async fn ask<M: Message, R: Send + 'static>(
    of: &ActorRef<M>,
    question: impl FnOnce(RpcReplyPort<R>) -> M,
) -> R {
    let answer = of.call(question, None).await;
    answer.ok().and_then(|answer| answer.success_or(()).ok()).expect("the actor answers")
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
