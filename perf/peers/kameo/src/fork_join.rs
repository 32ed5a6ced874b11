//! `savina-fork-join-throughput` and `savina-fork-join-create`: many messages to a few actors that compute, and one
//! message each to many actors.

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_CREATED, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work;
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// How many messages each worker is sent before it may run: so few that they stay in the cache.
const MESSAGES_AT_ONCE: u64 = 64;
/// How many actors are made before those that have a message may run.
const CREATED_AT_ONCE: u64 = 16;

/// The round of `savina-fork-join-throughput`.
pub fn throughput(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let worker = |_| Worker::spawn_with_mailbox(Worker { handled: 0 }, mailbox::unbounded());
        let workers: Vec<_> = (0..FORK_JOIN_ACTORS).map(worker).collect();
        for number in 1..=FORK_JOIN_MESSAGES {
            workers.iter().for_each(|worker| tell(worker, Work));
            if number % MESSAGES_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut sum = 0;
        for worker in workers {
            sum += worker.ask(Handled).send().await.expect("the worker lives");
        }
        sum
    })
}

/// The round of `savina-fork-join-create`.
pub fn create(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, count) = oneshot::channel();
        let tally = Tally { count: 0, done: Some(done) };
        let tally = Tally::spawn_with_mailbox(tally, mailbox::unbounded());
        for number in 1..=FORK_JOIN_CREATED {
            let once = Once { tally: tally.clone() };
            let once = Once::spawn_with_mailbox(once, mailbox::unbounded());
            tell(&once, Work);
            if number % CREATED_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        count.await.expect("the tally answers")
    })
}

struct Work;
struct Handled;
struct Did;

#[derive(Actor)]
struct Worker {
    handled: u64,
}

impl Message<Work> for Worker {
    type Reply = ();

    async fn handle(&mut self, _: Work, _: &mut Context<Self, ()>) {
        work::compute(work::ANGLE);
        self.handled += 1;
    }
}

impl Message<Handled> for Worker {
    type Reply = u64;

    async fn handle(&mut self, _: Handled, _: &mut Context<Self, u64>) -> u64 {
        self.handled
    }
}

#[derive(Actor)]
struct Once {
    tally: ActorRef<Tally>,
}

impl Message<Work> for Once {
    type Reply = ();

    async fn handle(&mut self, _: Work, context: &mut Context<Self, ()>) {
        work::compute(work::ANGLE);
        tell(&self.tally, Did);
        context.stop();
    }
}

#[derive(Actor)]
struct Tally {
    count: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Message<Did> for Tally {
    type Reply = ();

    async fn handle(&mut self, _: Did, _: &mut Context<Self, ()>) {
        self.count += 1;
        if self.count == FORK_JOIN_CREATED
            && let Some(done) = self.done.take()
        {
            let _ = done.send(self.count);
        }
    }
}
