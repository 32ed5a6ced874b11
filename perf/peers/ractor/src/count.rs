//! `savina-count`: a producer floods a counter, then asks for the count.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::COUNT_MESSAGES;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::measure::{self, ask, spawn, tell};

/// Increments that are sent before the counter may run: so few that they stay in the cache.
const BATCH: u64 = 128;

/// The round of `savina-count`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let producer = spawn(Producer, ()).await;
        ask(&producer, Produce).await
    })
}

struct Produce(RpcReplyPort<u64>);
enum ToCounter {
    Increment,
    Count(RpcReplyPort<u64>),
}

struct Producer;

impl Actor for Producer {
    type Msg = Produce;
    type State = ActorRef<ToCounter>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<Produce>,
        _: (),
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(spawn(Counter, ()).await)
    }

    async fn handle(
        &self,
        own: ActorRef<Produce>,
        Produce(done): Produce,
        counter: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        for number in 1..=COUNT_MESSAGES {
            tell(counter, ToCounter::Increment);
            if number % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
        let count = ask(counter, ToCounter::Count).await;
        counter.stop(None);
        own.stop(None);
        done.send(count)?;
        Ok(())
    }
}

struct Counter;

impl Actor for Counter {
    type Msg = ToCounter;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToCounter>, _: ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        _: ActorRef<ToCounter>,
        message: ToCounter,
        count: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToCounter::Increment => *count += 1,
            ToCounter::Count(reply) => reply.send(*count)?,
        }
        Ok(())
    }
}
