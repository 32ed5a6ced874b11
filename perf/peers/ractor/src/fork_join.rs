//! `savina-fork-join-throughput` and `savina-fork-join-create`: many messages to a few actors that compute, and one
//! message each to many actors.

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_CREATED, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use tokio::sync::oneshot;

use crate::measure::{self, ask, spawn, tell};

/// How many messages each worker is sent before it may run: so few that they stay in the cache.
const MESSAGES_AT_ONCE: u64 = 64;
/// How many actors are made before those that have a message may run.
const CREATED_AT_ONCE: u64 = 16;

/// The round of `savina-fork-join-throughput`.
pub fn throughput(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let mut workers = Vec::new();
        for _ in 0..FORK_JOIN_ACTORS {
            workers.push(spawn(Worker, ()).await);
        }
        for number in 1..=FORK_JOIN_MESSAGES {
            workers.iter().for_each(|worker| tell(worker, ToWorker::Work));
            if number % MESSAGES_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut sum = 0;
        for worker in workers {
            sum += ask(&worker, ToWorker::Handled).await;
        }
        sum
    })
}

/// The round of `savina-fork-join-create`.
pub fn create(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, count) = oneshot::channel();
        let tally = spawn(Tally, done).await;
        for number in 1..=FORK_JOIN_CREATED {
            let once = spawn(Once, tally.clone()).await;
            tell(&once, Work);
            if number % CREATED_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
        count.await.expect("the tally answers")
    })
}

enum ToWorker {
    Work,
    /// Asks how many messages it has handled; it stops after its answer.
    Handled(RpcReplyPort<u64>),
}
struct Work;
struct Did;

struct Worker;

impl Actor for Worker {
    type Msg = ToWorker;
    type State = u64;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<ToWorker>, _: ()) -> Result<u64, ActorProcessingErr> {
        Ok(0)
    }

    async fn handle(
        &self,
        own: ActorRef<ToWorker>,
        message: ToWorker,
        handled: &mut u64,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToWorker::Work => {
                work::compute(work::ANGLE);
                *handled += 1;
            }
            ToWorker::Handled(reply) => {
                reply.send(*handled)?;
                own.stop(None);
            }
        }
        Ok(())
    }
}

struct Once;

impl Actor for Once {
    type Msg = Work;
    type State = ActorRef<Did>;
    type Arguments = ActorRef<Did>;

    async fn pre_start(
        &self,
        _: ActorRef<Work>,
        tally: ActorRef<Did>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(tally)
    }

    async fn handle(
        &self,
        own: ActorRef<Work>,
        _: Work,
        tally: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        work::compute(work::ANGLE);
        tell(tally, Did);
        own.stop(None);
        Ok(())
    }
}

struct Tally;

struct TallyState {
    count: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Tally {
    type Msg = Did;
    type State = TallyState;
    type Arguments = oneshot::Sender<u64>;

    async fn pre_start(
        &self,
        _: ActorRef<Did>,
        done: oneshot::Sender<u64>,
    ) -> Result<TallyState, ActorProcessingErr> {
        Ok(TallyState { count: 0, done: Some(done) })
    }

    async fn handle(
        &self,
        own: ActorRef<Did>,
        _: Did,
        state: &mut TallyState,
    ) -> Result<(), ActorProcessingErr> {
        state.count += 1;
        if state.count == FORK_JOIN_CREATED
            && let Some(done) = state.done.take()
        {
            let _ = done.send(state.count);
            own.stop(None);
        }
        Ok(())
    }
}
