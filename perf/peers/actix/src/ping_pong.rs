//! Two actors and one message that goes back and forth between them.

use std::time::Instant;

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::PING_PONG_PINGS;
use tokio::sync::oneshot;

use super::stage::{self, Stage, WARM_UP_MESSAGES};

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages / 2;
    stage::run(task, async move |stage| {
        let ping = start(&stage).await;
        play(&ping, WARM_UP_MESSAGES / 2).await;
        let start = Instant::now();
        let came_back = play(&ping, numbers).await;
        (start.elapsed(), came_back.sum)
    })
}

/// The suite's: both actors are made anew for each iteration.
pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let ping = start(&stage).await;
        let came_back = play(&ping, PING_PONG_PINGS).await;
        ping.do_send(Stop);
        came_back.count
    })
}

/// Both actors, in the same arbiter.
async fn start(stage: &Stage) -> Addr<Ping> {
    let pong = stage.start(Pong { ping: None });
    let ping = Ping { pong: pong.clone(), numbers: 0, came_back: CameBack::default(), done: None };
    let ping = stage.start(ping);
    pong.do_send(Partner(ping.clone()));
    ping
}

async fn play(ping: &Addr<Ping>, numbers: u64) -> CameBack {
    let (done, result) = oneshot::channel();
    ping.do_send(Play { numbers, done });
    result.await.unwrap_or_default()
}

#[derive(Message)]
#[rtype(result = "()")]
struct Number(u64);

#[derive(Message)]
#[rtype(result = "()")]
struct Partner(Addr<Ping>);

#[derive(Message)]
#[rtype(result = "()")]
struct Play {
    numbers: u64,
    done: oneshot::Sender<CameBack>,
}

#[derive(Message)]
#[rtype(result = "()")]
struct Stop;

/// What came back: how many messages, and the sum of their numbers.
#[derive(Clone, Copy, Default)]
struct CameBack {
    count: u64,
    sum: u64,
}

struct Ping {
    pong: Addr<Pong>,
    numbers: u64,
    came_back: CameBack,
    done: Option<oneshot::Sender<CameBack>>,
}

impl Actor for Ping {
    type Context = Context<Self>;
}

impl Handler<Play> for Ping {
    type Result = ();

    fn handle(&mut self, play: Play, _: &mut Self::Context) {
        self.numbers = play.numbers;
        self.came_back = CameBack::default();
        self.done = Some(play.done);
        self.pong.do_send(Number(0));
    }
}

impl Handler<Number> for Ping {
    type Result = ();

    fn handle(&mut self, Number(number): Number, _: &mut Self::Context) {
        self.came_back.count += 1;
        self.came_back.sum += number;
        if self.came_back.count < self.numbers {
            self.pong.do_send(Number(number + 1));
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.came_back);
        }
    }
}

impl Handler<Stop> for Ping {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.pong.do_send(Stop);
        ctx.stop();
    }
}

struct Pong {
    ping: Option<Addr<Ping>>,
}

impl Actor for Pong {
    type Context = Context<Self>;
}

impl Handler<Partner> for Pong {
    type Result = ();

    fn handle(&mut self, Partner(ping): Partner, _: &mut Self::Context) {
        self.ping = Some(ping);
    }
}

impl Handler<Number> for Pong {
    type Result = ();

    fn handle(&mut self, number: Number, _: &mut Self::Context) {
        if let Some(ping) = &self.ping {
            ping.do_send(number);
        }
    }
}

impl Handler<Stop> for Pong {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
