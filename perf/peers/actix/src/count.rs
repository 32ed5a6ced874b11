//! `savina-count`: a producer sends a million increments to a counter, then asks for the count.

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::COUNT_MESSAGES;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::stage::{self, STREAM_MESSAGES};

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let counter = stage.start(Counter { count: 0 });
        let (done, count) = oneshot::channel();
        stage.start(Producer { counter, done: Some(done) });
        count.await.unwrap_or(0)
    })
}

#[derive(Message)]
#[rtype(result = "()")]
struct Increment;

#[derive(Message)]
#[rtype(result = "u64")]
struct Get;

/// Stops when the producer's address of it is gone.
struct Counter {
    count: u64,
}

impl Actor for Counter {
    type Context = Context<Self>;
}

impl Handler<Increment> for Counter {
    type Result = ();

    fn handle(&mut self, _: Increment, _: &mut Self::Context) {
        self.count += 1;
    }
}

impl Handler<Get> for Counter {
    type Result = u64;

    fn handle(&mut self, _: Get, _: &mut Self::Context) -> u64 {
        self.count
    }
}

struct Producer {
    counter: Addr<Counter>,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Producer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(done) = self.done.take() else { return };
        let counter = self.counter.clone();
        let producing = async move {
            for sent in 1..=COUNT_MESSAGES {
                counter.do_send(Increment);
                if sent % STREAM_MESSAGES == 0 {
                    yield_now().await;
                }
            }
            let _ = done.send(counter.send(Get).await.unwrap_or(0));
        };
        ctx.spawn(producing.into_actor(self));
    }
}
