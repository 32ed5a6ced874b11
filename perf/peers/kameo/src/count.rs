//! `savina-count`: a producer floods a counter, then asks for the count.

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::COUNT_MESSAGES;

use crate::measure::{self, tell};

/// Increments that are sent before the counter may run: so few that they stay in the cache.
const BATCH: u64 = 128;

/// The round of `savina-count`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let counter = Counter { count: 0 };
        let counter = Counter::spawn_with_mailbox(counter, mailbox::unbounded());
        let producer = Producer::spawn_with_mailbox(Producer { counter }, mailbox::unbounded());
        // Both stop when the reference to the producer is gone.
        producer.ask(Produce).send().await.expect("the producer lives")
    })
}

struct Produce;
struct Increment;
struct Count;

#[derive(Actor)]
struct Producer {
    counter: ActorRef<Counter>,
}

impl Message<Produce> for Producer {
    type Reply = u64;

    async fn handle(&mut self, _: Produce, _: &mut Context<Self, u64>) -> u64 {
        for number in 1..=COUNT_MESSAGES {
            tell(&self.counter, Increment);
            if number % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        self.counter.ask(Count).send().await.expect("the counter lives")
    }
}

#[derive(Actor)]
struct Counter {
    count: u64,
}

impl Message<Increment> for Counter {
    type Reply = ();

    async fn handle(&mut self, _: Increment, _: &mut Context<Self, ()>) {
        self.count += 1;
    }
}

impl Message<Count> for Counter {
    type Reply = u64;

    async fn handle(&mut self, _: Count, _: &mut Context<Self, u64>) -> u64 {
        self.count
    }
}
