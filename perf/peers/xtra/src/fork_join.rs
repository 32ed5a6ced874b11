//! The fork-join programs: a stream of work to 60 actors, and an actor made for each piece of work.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_CREATED, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work::{ANGLE, compute};
use tokio::task::yield_now;
use xtra::prelude::*;

use super::stage::{self, STREAM_MESSAGES, start, tell};

/// So many actors are made before the maker lets them run.
const CREATED_AT_ONCE: u64 = 8;

struct Work(f64);

/// What an actor has handled when it has all that it waits for.
struct Handled(u64);

/// Stops when it has handled as many messages as it waits for.
#[derive(xtra::Actor)]
struct Worker {
    expected: u64,
    handled: u64,
    collector: Address<Collector>,
}

/// Adds up what the actors have handled, and stops with the last address of it.
struct Collector {
    sum: u64,
}

pub fn throughput(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (collector, mailbox) = Mailbox::unbounded();
        let sum = tokio::spawn(xtra::run(mailbox, Collector { sum: 0 }));
        let start = |_| {
            let collector = collector.clone();
            start(Worker { expected: FORK_JOIN_MESSAGES, handled: 0, collector })
        };
        let workers: Vec<Address<Worker>> = (0..FORK_JOIN_ACTORS).map(start).collect();
        drop(collector);
        for round in 1..=FORK_JOIN_MESSAGES {
            for worker in &workers {
                tell(worker, Work(ANGLE)).await;
            }
            if round % (STREAM_MESSAGES / FORK_JOIN_ACTORS) == 0 {
                yield_now().await;
            }
        }
        sum.await.unwrap_or(0)
    })
}

pub fn create(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (collector, mailbox) = Mailbox::unbounded();
        let sum = tokio::spawn(xtra::run(mailbox, Collector { sum: 0 }));
        for created in 1..=FORK_JOIN_CREATED {
            let worker = start(Worker { expected: 1, handled: 0, collector: collector.clone() });
            tell(&worker, Work(ANGLE)).await;
            if created % CREATED_AT_ONCE == 0 {
                yield_now().await;
            }
        }
        drop(collector);
        sum.await.unwrap_or(0)
    })
}

impl Handler<Work> for Worker {
    type Return = ();

    async fn handle(&mut self, Work(angle): Work, ctx: &mut Context<Self>) {
        compute(angle);
        self.handled += 1;
        if self.handled == self.expected {
            tell(&self.collector, Handled(self.handled)).await;
            ctx.stop_self();
        }
    }
}

impl Actor for Collector {
    type Stop = u64;

    async fn stopped(self) -> u64 {
        self.sum
    }
}

impl Handler<Handled> for Collector {
    type Return = ();

    async fn handle(&mut self, Handled(count): Handled, _: &mut Context<Self>) {
        self.sum += count;
    }
}
