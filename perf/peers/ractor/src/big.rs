//! `savina-big`: every actor pings others, drawn at random.

use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};
use mainspring_perf_contest::{Random, RoundReport};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use crate::measure::{self, spawn, tell};

/// The round of `savina-big`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |iteration| async move {
        let (done, pongs) = oneshot::channel();
        let sink = spawn(Sink, done).await;
        let mut all = Vec::new();
        for number in 0..BIG_ACTORS {
            let random = Random::seeded(iteration * BIG_ACTORS + number);
            all.push(spawn(Neighbour, (random, sink.clone())).await);
        }
        let all: Neighbours = all.into();
        tell(&sink, ToSink::Begin(all.clone()));
        for neighbour in all.iter() {
            tell(neighbour, ToNeighbour::Begin(all.clone()));
        }
        pongs.await.expect("the sink answers")
    })
}

type Neighbours = Arc<[ActorRef<ToNeighbour>]>;

enum ToNeighbour {
    Begin(Neighbours),
    Ping { from: ActorRef<ToNeighbour> },
    Pong,
}
enum ToSink {
    Begin(Neighbours),
    Done { pongs: u64 },
}

struct Neighbour;

struct NeighbourState {
    random: Random,
    pongs: u64,
    sink: ActorRef<ToSink>,
    all: Neighbours,
}

impl NeighbourState {
    fn ping(&mut self, from: ActorRef<ToNeighbour>) {
        let to = self.random.below(BIG_ACTORS) as usize;
        tell(&self.all[to], ToNeighbour::Ping { from });
    }
}

impl Actor for Neighbour {
    type Msg = ToNeighbour;
    type State = NeighbourState;
    type Arguments = (Random, ActorRef<ToSink>);

    async fn pre_start(
        &self,
        _: ActorRef<ToNeighbour>,
        (random, sink): Self::Arguments,
    ) -> Result<NeighbourState, ActorProcessingErr> {
        Ok(NeighbourState { random, pongs: 0, sink, all: Arc::new([]) })
    }

    async fn handle(
        &self,
        own: ActorRef<ToNeighbour>,
        message: ToNeighbour,
        state: &mut NeighbourState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToNeighbour::Ping { from } => tell(&from, ToNeighbour::Pong),
            ToNeighbour::Pong => {
                state.pongs += 1;
                if state.pongs < BIG_PINGS {
                    state.ping(own);
                } else {
                    tell(&state.sink, ToSink::Done { pongs: state.pongs });
                }
            }
            ToNeighbour::Begin(all) => {
                state.all = all;
                state.ping(own);
            }
        }
        Ok(())
    }
}

struct Sink;

struct SinkState {
    neighbours: Neighbours,
    done_yet: u64,
    pongs: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Sink {
    type Msg = ToSink;
    type State = SinkState;
    type Arguments = oneshot::Sender<u64>;

    async fn pre_start(
        &self,
        _: ActorRef<ToSink>,
        done: oneshot::Sender<u64>,
    ) -> Result<SinkState, ActorProcessingErr> {
        Ok(SinkState { neighbours: Arc::new([]), done_yet: 0, pongs: 0, done: Some(done) })
    }

    async fn handle(
        &self,
        own: ActorRef<ToSink>,
        message: ToSink,
        state: &mut SinkState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToSink::Begin(neighbours) => state.neighbours = neighbours,
            ToSink::Done { pongs } => {
                state.pongs += pongs;
                state.done_yet += 1;
                if state.done_yet == BIG_ACTORS
                    && let Some(done) = state.done.take()
                {
                    state.neighbours.iter().for_each(|neighbour| neighbour.stop(None));
                    let _ = done.send(state.pongs);
                    own.stop(None);
                }
            }
        }
        Ok(())
    }
}
