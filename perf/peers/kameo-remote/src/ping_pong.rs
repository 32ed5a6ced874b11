//! `remote-ping-pong`: a number goes to an actor of the other node and comes back.

use std::time::{Duration, Instant};

use kameo::actor::RemoteActorRef;
use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::REMOTE_PING_PONG_WARM_UP;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::node;

/// The word of the far node of this program.
pub const FAR: &str = "ping-pong";
const PONGER: &str = "ponger";

/// The round of `remote-ping-pong`.
pub fn round(task: &Task) -> RoundReport {
    let numbers = task.messages / 2;
    let (elapsed, sum) = node::near(&task.cores, FAR, PONGER, |ponger| near(ponger, numbers));
    task.report(elapsed, sum)
}

/// The actor of the far node.
pub async fn far() {
    let ponger = Ponger::spawn_with_mailbox(Ponger, mailbox::unbounded());
    ponger.register(PONGER).await.expect("its name is free");
}

async fn near(ponger: RemoteActorRef<Ponger>, numbers: u64) -> (Duration, u64) {
    let prepared = Pinger::prepare_with_mailbox(mailbox::unbounded());
    let pinger = prepared.actor_ref().clone();
    let own = pinger.into_remote_ref().await;
    prepared.spawn(Pinger { ponger, own, numbers: 0, next: 0, sum: 0, done: None });
    play(&pinger, REMOTE_PING_PONG_WARM_UP / 2).await;
    let start = Instant::now();
    let sum = play(&pinger, numbers).await;
    (start.elapsed(), sum)
}

async fn play(pinger: &ActorRef<Pinger>, numbers: u64) -> u64 {
    let (done, sum) = oneshot::channel();
    pinger.tell(Begin { numbers, done }).try_send().expect("the pinger lives");
    sum.await.expect("the pinger answers")
}

struct Begin {
    numbers: u64,
    done: oneshot::Sender<u64>,
}

#[derive(Serialize, Deserialize)]
struct Ping {
    number: u64,
    from: RemoteActorRef<Pinger>,
}

#[derive(Serialize, Deserialize)]
struct Pong {
    number: u64,
}

#[derive(Actor, RemoteActor)]
struct Pinger {
    ponger: RemoteActorRef<Ponger>,
    own: RemoteActorRef<Pinger>,
    numbers: u64,
    next: u64,
    sum: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Pinger {
    fn send(&mut self) {
        let ping = Ping { number: self.next, from: self.own.clone() };
        self.next += 1;
        self.ponger.tell(&ping).send().expect("a number can be written");
    }
}

impl Message<Begin> for Pinger {
    type Reply = ();

    async fn handle(&mut self, Begin { numbers, done }: Begin, _: &mut Context<Self, ()>) {
        (self.numbers, self.next, self.sum, self.done) = (numbers, 0, 0, Some(done));
        self.send();
    }
}

#[remote_message]
impl Message<Pong> for Pinger {
    type Reply = ();

    async fn handle(&mut self, Pong { number }: Pong, _: &mut Context<Self, ()>) {
        self.sum += number;
        if self.next < self.numbers {
            self.send();
        } else if let Some(done) = self.done.take() {
            let _ = done.send(self.sum);
        }
    }
}

#[derive(Actor, RemoteActor)]
struct Ponger;

#[remote_message]
impl Message<Ping> for Ponger {
    type Reply = ();

    async fn handle(&mut self, Ping { number, from }: Ping, _: &mut Context<Self, ()>) {
        from.tell(&Pong { number }).send().expect("a number can be written");
    }
}
