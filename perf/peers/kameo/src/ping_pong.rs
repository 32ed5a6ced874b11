//! `ping-pong-same-core` and `savina-ping-pong`: a number goes to another actor and comes back.

use std::time::Instant;

use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::PING_PONG_PINGS;
use tokio::sync::oneshot;

use crate::measure::{self, WARM_UP_MESSAGES, tell};

/// The round of `ping-pong-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |messages| async move {
        let pinger = make_pair();
        play(&pinger, WARM_UP_MESSAGES / 2).await;
        let start = Instant::now();
        let score = play(&pinger, messages / 2).await;
        (start.elapsed(), score.sum)
    })
}

/// The round of `savina-ping-pong`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let pinger = make_pair();
        let score = play(&pinger, PING_PONG_PINGS).await;
        // The other one stops when the last reference to it, the pinger's, is gone.
        pinger.stop_gracefully().await.expect("the pinger lives");
        score.pongs
    })
}

fn make_pair() -> ActorRef<Pinger> {
    let prepared = Pinger::prepare_with_mailbox(mailbox::unbounded());
    let pinger = prepared.actor_ref().clone();
    let ponger = Ponger { pinger: pinger.clone() };
    let ponger = Ponger::spawn_with_mailbox(ponger, mailbox::unbounded());
    prepared.spawn(Pinger { ponger, pings: 0, score: Score::default(), done: None });
    pinger
}

async fn play(pinger: &ActorRef<Pinger>, pings: u64) -> Score {
    let (done, score) = oneshot::channel();
    tell(pinger, Begin { pings, done });
    score.await.expect("the pinger answers")
}

#[derive(Clone, Copy, Default)]
struct Score {
    pongs: u64,
    sum: u64,
}

struct Begin {
    pings: u64,
    done: oneshot::Sender<Score>,
}
struct Ping(u64);
struct Pong(u64);

#[derive(Actor)]
struct Pinger {
    ponger: ActorRef<Ponger>,
    pings: u64,
    score: Score,
    done: Option<oneshot::Sender<Score>>,
}

impl Message<Begin> for Pinger {
    type Reply = ();

    async fn handle(&mut self, begin: Begin, _: &mut Context<Self, ()>) {
        self.pings = begin.pings;
        self.score = Score::default();
        self.done = Some(begin.done);
        tell(&self.ponger, Ping(0));
    }
}

impl Message<Pong> for Pinger {
    type Reply = ();

    async fn handle(&mut self, Pong(number): Pong, _: &mut Context<Self, ()>) {
        self.score.sum += number;
        self.score.pongs += 1;
        if self.score.pongs < self.pings {
            tell(&self.ponger, Ping(self.score.pongs));
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.score);
        }
    }
}

#[derive(Actor)]
struct Ponger {
    pinger: ActorRef<Pinger>,
}

impl Message<Ping> for Ponger {
    type Reply = ();

    async fn handle(&mut self, Ping(number): Ping, _: &mut Context<Self, ()>) {
        tell(&self.pinger, Pong(number));
    }
}
