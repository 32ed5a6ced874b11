//! The system that a program runs on, where its actors are placed, and the measured section: warm-up first, then the
//! clock.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;

/// Messages of the warm-up of a program that is not one of the suite's.
pub const WARM_UP_MESSAGES: u64 = 50_000;

/// After so many messages a sender of a long stream yields; it would fill the memory otherwise.
pub const STREAM_MESSAGES: u64 = 256;

/// Where actors are placed: the current thread, or arbiters that are a thread each. actix moves no actor, so the
/// program says where each of them goes.
#[derive(Clone)]
pub struct Stage {
    arbiters: Arc<[ArbiterHandle]>,
}

impl Stage {
    /// Starts an actor where those that it talks to are. Without a reason to do otherwise an actor of actix starts
    /// in the arbiter of the one that starts it, and a message to another thread costs more than most handlers do.
    pub fn start<A>(&self, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        self.start_apart(0, 1, actor)
    }

    /// Starts actor `number` of `count` that are spread over all arbiters, neighbours together.
    pub fn start_apart<A>(&self, number: u64, count: u64, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        match &self.arbiters[..] {
            [] => actor.start(),
            several => {
                let place = number * several.len() as u64 / count;
                A::start_in_arbiter(&several[place as usize], move |_| actor)
            }
        }
    }
}

/// Does `work` in a system of as many threads as the task has CPUs: one is the current thread, more are arbiters of
/// their own while the current thread sleeps.
pub fn run<F>(task: &Task, work: impl FnOnce(Stage) -> F) -> RoundReport
where
    F: Future<Output = (Duration, u64)>,
{
    let system = System::new();
    let (elapsed, sum) = system.block_on(async {
        let owned: Vec<Arbiter> = match task.cores.len() {
            1 => Vec::new(),
            several => (0..several).map(|_| Arbiter::new()).collect(),
        };
        let arbiters = owned.iter().map(Arbiter::handle).collect();
        let done = work(Stage { arbiters }).await;
        for arbiter in owned {
            arbiter.stop();
            let _ = arbiter.join();
        }
        done
    });
    task.report(elapsed, sum)
}

/// Iterations of a program of the suite: one to warm up, then the measured ones, one after the other. `iteration` is
/// given its number.
pub fn iterate<F>(task: &Task, iteration: impl Fn(Stage, u64) -> F) -> RoundReport
where
    F: Future<Output = u64>,
{
    let iterations = task.iterations();
    run(task, async move |stage| {
        iteration(stage.clone(), 0).await;
        let start = Instant::now();
        let mut sum = 0;
        for number in 1..=iterations {
            sum += iteration(stage.clone(), number).await;
        }
        (start.elapsed(), sum)
    })
}
