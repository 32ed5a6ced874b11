//! `ping-pong-same-core` and `savina-ping-pong`: a number goes to another actor and comes back.

use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::PING_PONG_PINGS;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort};

use crate::measure::{self, WARM_UP_MESSAGES, ask, spawn, tell};

/// The round of `ping-pong-same-core`.
pub fn same_core(task: &Task) -> RoundReport {
    measure::section(task, |messages| async move {
        let pinger = spawn(Pinger, ()).await;
        play(&pinger, WARM_UP_MESSAGES / 2).await;
        let start = Instant::now();
        let score = play(&pinger, messages / 2).await;
        (start.elapsed(), score.sum)
    })
}

/// The round of `savina-ping-pong`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let pinger = spawn(Pinger, ()).await;
        let score = play(&pinger, PING_PONG_PINGS).await;
        tell(&pinger, ToPinger::Stop);
        score.pongs
    })
}

async fn play(pinger: &ActorRef<ToPinger>, pings: u64) -> Score {
    ask(pinger, |done| ToPinger::Begin { pings, done }).await
}

#[derive(Clone, Copy, Default)]
struct Score {
    pongs: u64,
    sum: u64,
}

enum ToPinger {
    Begin { pings: u64, done: RpcReplyPort<Score> },
    Pong(u64),
    Stop,
}
struct Ping(u64);

struct Pinger;

struct Play {
    ponger: ActorRef<Ping>,
    pings: u64,
    score: Score,
    done: Option<RpcReplyPort<Score>>,
}

impl Actor for Pinger {
    type Msg = ToPinger;
    type State = Play;
    type Arguments = ();

    async fn pre_start(&self, own: ActorRef<ToPinger>, _: ()) -> Result<Play, ActorProcessingErr> {
        let ponger = spawn(Ponger, own).await;
        Ok(Play { ponger, pings: 0, score: Score::default(), done: None })
    }

    async fn handle(
        &self,
        own: ActorRef<ToPinger>,
        message: ToPinger,
        play: &mut Play,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToPinger::Pong(number) => {
                play.score.sum += number;
                play.score.pongs += 1;
                if play.score.pongs < play.pings {
                    tell(&play.ponger, Ping(play.score.pongs));
                } else if let Some(done) = play.done.take() {
                    done.send(play.score)?;
                }
            }
            ToPinger::Begin { pings, done } => {
                play.pings = pings;
                play.score = Score::default();
                play.done = Some(done);
                tell(&play.ponger, Ping(0));
            }
            ToPinger::Stop => {
                play.ponger.stop(None);
                own.stop(None);
            }
        }
        Ok(())
    }
}

struct Ponger;

impl Actor for Ponger {
    type Msg = Ping;
    type State = ActorRef<ToPinger>;
    type Arguments = ActorRef<ToPinger>;

    async fn pre_start(
        &self,
        _: ActorRef<Ping>,
        pinger: ActorRef<ToPinger>,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(pinger)
    }

    async fn handle(
        &self,
        _: ActorRef<Ping>,
        Ping(number): Ping,
        pinger: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        tell(pinger, ToPinger::Pong(number));
        Ok(())
    }
}
