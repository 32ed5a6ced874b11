//! The system that a program runs on, where its actors are placed, and the measured section: warm-up first, then the
//! clock.

use std::time::{Duration, Instant};

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;

/// Messages of the warm-up of a program that is not one of the suite's.
pub const WARM_UP_MESSAGES: u64 = 50_000;

/// The arbiters of a round, each a thread that runs actors.
pub struct Stage {
    arbiters: Vec<ArbiterHandle>,
}

impl Stage {
    /// Starts an actor on the arbiter whose turn it is: actor `number` goes to arbiter `number` modulo their count.
    pub fn start<A>(&self, number: u64, actor: A) -> Addr<A>
    where
        A: Actor<Context = Context<A>> + Send,
    {
        match &self.arbiters[..] {
            [] => actor.start(),
            several => {
                let arbiter = &several[number as usize % several.len()];
                A::start_in_arbiter(arbiter, move |_| actor)
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
pub fn iterate<F>(task: &Task, iteration: impl Fn(std::rc::Rc<Stage>, u64) -> F) -> RoundReport
where
    F: Future<Output = u64>,
{
    let iterations = task.iterations();
    run(task, async move |stage| {
        let stage = std::rc::Rc::new(stage);
        iteration(stage.clone(), 0).await;
        let start = Instant::now();
        let mut sum = 0;
        for number in 1..=iterations {
            sum += iteration(stage.clone(), number).await;
        }
        (start.elapsed(), sum)
    })
}
