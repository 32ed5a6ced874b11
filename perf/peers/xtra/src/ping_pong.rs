//! Two actors and one message that goes back and forth between them.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::PING_PONG_PINGS;
use tokio::sync::oneshot;
use xtra::prelude::*;

use super::stage::{self, WARM_UP_MESSAGES, tell};

struct Number(u64);

struct Play {
    numbers: u64,
    done: oneshot::Sender<CameBack>,
}

struct Stop;

/// What came back: how many messages, and the sum of their numbers.
#[derive(Clone, Copy, Default)]
struct CameBack {
    count: u64,
    sum: u64,
}

#[derive(xtra::Actor)]
struct Ping {
    pong: Address<Pong>,
    numbers: u64,
    came_back: CameBack,
    done: Option<oneshot::Sender<CameBack>>,
}

#[derive(xtra::Actor)]
struct Pong {
    ping: Address<Ping>,
}

/// The measured section uses the actors of the warm-up.
pub fn same_core(task: &Task) -> RoundReport {
    let numbers = task.messages / 2;
    stage::run(task, async move {
        let ping = start();
        play(&ping, WARM_UP_MESSAGES / 2).await;
        let start = Instant::now();
        let came_back = play(&ping, numbers).await;
        (start.elapsed(), came_back.sum)
    })
}

/// The suite's: both actors are made anew for each iteration.
pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let ping = start();
        let came_back = play(&ping, PING_PONG_PINGS).await;
        tell(&ping, Stop).await;
        came_back.count
    })
}

fn start() -> Address<Ping> {
    let (address, mailbox) = Mailbox::unbounded();
    let pong = stage::start(Pong { ping: address.clone() });
    let ping = Ping { pong, numbers: 0, came_back: CameBack::default(), done: None };
    xtra::spawn_tokio(ping, (address, mailbox))
}

async fn play(ping: &Address<Ping>, numbers: u64) -> CameBack {
    let (done, result) = oneshot::channel();
    tell(ping, Play { numbers, done }).await;
    result.await.unwrap_or_default()
}

impl Handler<Play> for Ping {
    type Return = ();

    async fn handle(&mut self, play: Play, _: &mut Context<Self>) {
        self.numbers = play.numbers;
        self.came_back = CameBack::default();
        self.done = Some(play.done);
        tell(&self.pong, Number(0)).await;
    }
}

impl Handler<Number> for Ping {
    type Return = ();

    async fn handle(&mut self, Number(number): Number, _: &mut Context<Self>) {
        self.came_back.count += 1;
        self.came_back.sum += number;
        if self.came_back.count < self.numbers {
            tell(&self.pong, Number(number + 1)).await;
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.came_back);
        }
    }
}

impl Handler<Stop> for Ping {
    type Return = ();

    /// Pong stops with the last address of it.
    async fn handle(&mut self, _: Stop, ctx: &mut Context<Self>) {
        ctx.stop_self();
    }
}

impl Handler<Number> for Pong {
    type Return = ();

    async fn handle(&mut self, number: Number, _: &mut Context<Self>) {
        tell(&self.ping, number).await;
    }
}
