//! `savina-count`: a producer sends a million increments to a counter, then asks for the count.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::COUNT_MESSAGES;
use tokio::task::yield_now;
use xtra::prelude::*;

use super::stage::{self, STREAM_MESSAGES, start, tell_first};

struct Increment;

struct Get;

/// Sends all increments and answers the count.
struct Produce;

#[derive(xtra::Actor)]
struct Counter {
    count: u64,
}

#[derive(xtra::Actor)]
struct Producer {
    counter: Address<Counter>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let producer = start(Producer { counter: start(Counter { count: 0 }) });
        producer.send(Produce).await.unwrap_or(0)
    })
}

impl Handler<Increment> for Counter {
    type Return = ();

    async fn handle(&mut self, _: Increment, _: &mut Context<Self>) {
        self.count += 1;
    }
}

impl Handler<Get> for Counter {
    type Return = u64;

    async fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.count
    }
}

impl Handler<Produce> for Producer {
    type Return = u64;

    async fn handle(&mut self, _: Produce, _: &mut Context<Self>) -> u64 {
        for sent in 1..=COUNT_MESSAGES {
            tell_first(&self.counter, Increment).await;
            if sent % STREAM_MESSAGES == 0 {
                yield_now().await;
            }
        }
        self.counter.send(Get).await.unwrap_or(0)
    }
}
