//! `savina-big`: every actor pings others, drawn at random.

use std::sync::Arc;

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// The round of `savina-big`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |iteration| async move {
        let (done, pongs) = oneshot::channel();
        let sink = Sink { neighbours: Arc::new([]), done_yet: 0, pongs: 0, done: Some(done) };
        let sink = Sink::spawn_with_mailbox(sink, mailbox::unbounded());
        let neighbour = |number| {
            let random = Random::seeded(iteration * BIG_ACTORS + number as u64);
            let all: Neighbours = Arc::new([]);
            let neighbour = Neighbour { number, random, pongs: 0, sink: sink.clone(), all };
            Neighbour::spawn_with_mailbox(neighbour, mailbox::unbounded())
        };
        let all: Neighbours = (0..BIG_ACTORS as usize).map(neighbour).collect();
        tell(&sink, Begin { all: all.clone() });
        for neighbour in all.iter() {
            tell(neighbour, Begin { all: all.clone() });
        }
        pongs.await.expect("the sink answers")
    })
}

/// They know each other by number: a reference to an actor is dear to clone.
type Neighbours = Arc<[ActorRef<Neighbour>]>;

struct Begin {
    all: Neighbours,
}
struct Ping {
    from: usize,
}
struct Pong;
struct Done {
    pongs: u64,
}

#[derive(Actor)]
struct Neighbour {
    number: usize,
    random: Random,
    pongs: u64,
    sink: ActorRef<Sink>,
    all: Neighbours,
}

impl Neighbour {
    fn ping(&mut self) {
        let to = self.random.below(BIG_ACTORS) as usize;
        tell(&self.all[to], Ping { from: self.number });
    }
}

impl Message<Begin> for Neighbour {
    type Reply = ();

    async fn handle(&mut self, Begin { all }: Begin, _: &mut Context<Self, ()>) {
        self.all = all;
        self.ping();
    }
}

impl Message<Ping> for Neighbour {
    type Reply = ();

    async fn handle(&mut self, Ping { from }: Ping, context: &mut Context<Self, ()>) {
        match self.all.get(from) {
            Some(neighbour) => tell(neighbour, Pong),
            // It has not been told of the others yet; it will be, before it comes to this ping again.
            None => tell(context.actor_ref(), Ping { from }),
        }
    }
}

impl Message<Pong> for Neighbour {
    type Reply = ();

    async fn handle(&mut self, _: Pong, _: &mut Context<Self, ()>) {
        self.pongs += 1;
        if self.pongs < BIG_PINGS {
            self.ping();
        } else {
            tell(&self.sink, Done { pongs: self.pongs });
        }
    }
}

#[derive(Actor)]
struct Sink {
    neighbours: Neighbours,
    done_yet: u64,
    pongs: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Message<Begin> for Sink {
    type Reply = ();

    async fn handle(&mut self, Begin { all }: Begin, _: &mut Context<Self, ()>) {
        self.neighbours = all;
    }
}

impl Message<Done> for Sink {
    type Reply = ();

    async fn handle(&mut self, Done { pongs }: Done, context: &mut Context<Self, ()>) {
        self.pongs += pongs;
        self.done_yet += 1;
        if self.done_yet == BIG_ACTORS
            && let Some(done) = self.done.take()
        {
            for neighbour in self.neighbours.iter() {
                neighbour.stop_gracefully().await.expect("the neighbour lives");
            }
            let _ = done.send(self.pongs);
            context.stop();
        }
    }
}
