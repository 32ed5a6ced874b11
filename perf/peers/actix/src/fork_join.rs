//! The fork-join programs: a stream of work to 60 actors, and an actor made for each piece of work.

use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_CREATED, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work::{ANGLE, compute};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::stage::{self, STREAM_MESSAGES, Stage};

/// So many actors are made before the maker lets them run.
const CREATED_AT_ONCE: u64 = 8;

pub fn throughput(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (collector, sum) = start_collector(&stage, FORK_JOIN_ACTORS);
        let start = |_| {
            let collector = collector.clone();
            stage.start(Worker { expected: FORK_JOIN_MESSAGES, handled: 0, collector })
        };
        let workers = (0..FORK_JOIN_ACTORS).map(start).collect();
        stage.start(Sender { workers });
        sum.await.unwrap_or(0)
    })
}

pub fn create(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (collector, sum) = start_collector(&stage, FORK_JOIN_CREATED);
        stage.start(Maker { collector });
        sum.await.unwrap_or(0)
    })
}

fn start_collector(stage: &Stage, reports: u64) -> (Arc<Addr<Collector>>, oneshot::Receiver<u64>) {
    let (done, sum) = oneshot::channel();
    let collector = Collector { reports, sum: 0, done: Some(done) };
    (Arc::new(stage.start(collector)), sum)
}

#[derive(Message)]
#[rtype(result = "()")]
struct Work(f64);

/// What an actor has handled when it has all that it waits for.
#[derive(Message)]
#[rtype(result = "()")]
struct Handled(u64);

/// Stops when it has handled as many messages as it waits for.
struct Worker {
    expected: u64,
    handled: u64,
    collector: Arc<Addr<Collector>>,
}

impl Actor for Worker {
    type Context = Context<Self>;
}

impl Handler<Work> for Worker {
    type Result = ();

    fn handle(&mut self, Work(angle): Work, ctx: &mut Self::Context) {
        compute(angle);
        self.handled += 1;
        if self.handled == self.expected {
            self.collector.do_send(Handled(self.handled));
            ctx.stop();
        }
    }
}

/// Adds up what the actors have handled.
struct Collector {
    reports: u64,
    sum: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Collector {
    type Context = Context<Self>;
}

impl Handler<Handled> for Collector {
    type Result = ();

    fn handle(&mut self, Handled(count): Handled, ctx: &mut Self::Context) {
        self.sum += count;
        self.reports -= 1;
        if self.reports == 0 {
            if let Some(done) = self.done.take() {
                let _ = done.send(self.sum);
            }
            ctx.stop();
        }
    }
}

struct Sender {
    workers: Arc<[Addr<Worker>]>,
}

impl Actor for Sender {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let workers = self.workers.clone();
        let sending = async move {
            for round in 1..=FORK_JOIN_MESSAGES {
                workers.iter().for_each(|worker| worker.do_send(Work(ANGLE)));
                if round % (STREAM_MESSAGES / FORK_JOIN_ACTORS) == 0 {
                    yield_now().await;
                }
            }
        };
        ctx.spawn(sending.into_actor(self));
    }
}

struct Maker {
    collector: Arc<Addr<Collector>>,
}

impl Actor for Maker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let collector = self.collector.clone();
        let making = async move {
            for created in 1..=FORK_JOIN_CREATED {
                let worker = Worker { expected: 1, handled: 0, collector: collector.clone() };
                worker.start().do_send(Work(ANGLE));
                if created % CREATED_AT_ONCE == 0 {
                    yield_now().await;
                }
            }
        };
        ctx.spawn(making.into_actor(self));
    }
}
