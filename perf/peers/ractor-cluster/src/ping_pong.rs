//! `remote-ping-pong`: a number goes to an actor of the other node and comes back.

use std::time::{Duration, Instant};

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::REMOTE_PING_PONG_WARM_UP;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};
use ractor_cluster::RactorClusterMessage;

use crate::node::{self, ask};

/// The word of the far node of this program.
pub const FAR: &str = "ping-pong";
const PINGERS: &str = "pingers";
const PONGERS: &str = "pongers";

/// The round of `remote-ping-pong`.
pub fn round(task: &Task) -> RoundReport {
    let (elapsed, sum) = node::near(&task.cores, FAR, near(task.messages / 2));
    task.report(elapsed, sum)
}

/// The actor of the far node.
pub async fn far() {
    node::spawn(Ponger, (), PONGERS).await;
}

async fn near(numbers: u64) -> (Duration, u64) {
    let ponger = node::members(PONGERS, 1).await.remove(0);
    let pinger = node::spawn(Pinger, ponger, PINGERS).await;
    ask(&pinger, |sum| ToPinger::Begin(REMOTE_PING_PONG_WARM_UP / 2, sum)).await;
    let start = Instant::now();
    let sum = ask(&pinger, |sum| ToPinger::Begin(numbers, sum)).await;
    (start.elapsed(), sum)
}

#[derive(RactorClusterMessage)]
enum ToPinger {
    #[rpc]
    Begin(u64, RpcReplyPort<u64>),
    /// A number, and who sends it back.
    Pong(u64, u64),
}

#[derive(RactorClusterMessage)]
enum ToPonger {
    /// A number, and who sent it.
    Ping(u64, u64),
}

struct Pinger;

struct Play {
    ponger: ActorRef<ToPonger>,
    numbers: u64,
    next: u64,
    sum: u64,
    done: Option<RpcReplyPort<u64>>,
}

impl Play {
    fn send(&mut self, own: &ActorRef<ToPinger>) -> Result<(), ActorProcessingErr> {
        self.ponger.cast(ToPonger::Ping(self.next, own.get_id().pid()))?;
        self.next += 1;
        Ok(())
    }
}

impl Actor for Pinger {
    type Msg = ToPinger;
    type State = Play;
    type Arguments = ActorRef<ToPonger>;

    async fn pre_start(
        &self,
        _: ActorRef<ToPinger>,
        ponger: ActorRef<ToPonger>,
    ) -> Result<Play, ActorProcessingErr> {
        Ok(Play { ponger, numbers: 0, next: 0, sum: 0, done: None })
    }

    async fn handle(
        &self,
        own: ActorRef<ToPinger>,
        message: ToPinger,
        play: &mut Play,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToPinger::Pong(number, _) => {
                play.sum += number;
                if play.next < play.numbers {
                    play.send(&own)?;
                } else if let Some(done) = play.done.take() {
                    done.send(play.sum)?;
                }
            }
            ToPinger::Begin(numbers, done) => {
                (play.numbers, play.next, play.sum, play.done) = (numbers, 0, 0, Some(done));
                play.send(&own)?;
            }
        }
        Ok(())
    }
}

struct Ponger;

impl Actor for Ponger {
    type Msg = ToPonger;
    /// The pinger, once it is known: it joins its group before it sends.
    type State = Option<ActorRef<ToPinger>>;
    type Arguments = ();

    async fn pre_start(
        &self,
        _: ActorRef<ToPonger>,
        (): (),
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn handle(
        &self,
        own: ActorRef<ToPonger>,
        ToPonger::Ping(number, _): ToPonger,
        pinger: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let pinger = match pinger {
            Some(pinger) => pinger,
            None => pinger.insert(node::members(PINGERS, 1).await.remove(0)),
        };
        pinger.cast(ToPinger::Pong(number, own.get_id().pid()))?;
        Ok(())
    }
}
