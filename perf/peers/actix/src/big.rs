//! `savina-big`: 120 actors ping one another at random, and a sink hears from each that is done.

use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;

use super::stage;

#[derive(Message)]
#[rtype(result = "()")]
enum ToPlayer {
    /// Comes to all before the first begins.
    Meet(Arc<World>),
    Begin,
    Ping {
        from: usize,
    },
    Pong,
    Stop,
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToSink {
    Begin(Arc<World>),
    /// All pings of a player have been answered.
    Done {
        pongs: u64,
    },
}

struct World {
    sink: Addr<Sink>,
    players: Vec<Addr<Player>>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (done, pongs) = oneshot::channel();
        let sink = stage.start(Sink { world: None, players_done: 0, pongs: 0, done: Some(done) });
        let start = |number: u64| {
            let random = Random::seeded(number);
            stage.start(Player { number: number as usize, world: None, random, pongs: 0 })
        };
        let world = Arc::new(World { sink, players: (0..BIG_ACTORS).map(start).collect() });
        world.sink.do_send(ToSink::Begin(world.clone()));
        for player in &world.players {
            player.do_send(ToPlayer::Meet(world.clone()));
        }
        world.players.iter().for_each(|player| player.do_send(ToPlayer::Begin));
        pongs.await.unwrap_or(0)
    })
}

struct Player {
    number: usize,
    world: Option<Arc<World>>,
    random: Random,
    pongs: u64,
}

impl Player {
    fn ping(&mut self) {
        if let Some(world) = &self.world {
            let partner = self.random.below(BIG_ACTORS) as usize;
            world.players[partner].do_send(ToPlayer::Ping { from: self.number });
        }
    }
}

impl Actor for Player {
    type Context = Context<Self>;
}

impl Handler<ToPlayer> for Player {
    type Result = ();

    fn handle(&mut self, message: ToPlayer, ctx: &mut Self::Context) {
        match (message, &self.world) {
            (ToPlayer::Meet(world), _) => self.world = Some(world),
            (ToPlayer::Begin, _) => self.ping(),
            (ToPlayer::Ping { from }, Some(world)) => world.players[from].do_send(ToPlayer::Pong),
            (ToPlayer::Pong, Some(world)) => {
                self.pongs += 1;
                if self.pongs < BIG_PINGS {
                    self.ping();
                } else {
                    world.sink.do_send(ToSink::Done { pongs: self.pongs });
                }
            }
            (ToPlayer::Ping { .. } | ToPlayer::Pong, None) => {}
            (ToPlayer::Stop, _) => ctx.stop(),
        }
    }
}

struct Sink {
    world: Option<Arc<World>>,
    players_done: u64,
    pongs: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Actor for Sink {
    type Context = Context<Self>;
}

impl Handler<ToSink> for Sink {
    type Result = ();

    fn handle(&mut self, message: ToSink, ctx: &mut Self::Context) {
        match message {
            ToSink::Begin(world) => self.world = Some(world),
            ToSink::Done { pongs } => {
                self.pongs += pongs;
                self.players_done += 1;
                if self.players_done < BIG_ACTORS {
                    return;
                }
                for player in self.world.iter().flat_map(|world| &world.players) {
                    player.do_send(ToPlayer::Stop);
                }
                if let Some(done) = self.done.take() {
                    let _ = done.send(self.pongs);
                }
                ctx.stop();
            }
        }
    }
}
