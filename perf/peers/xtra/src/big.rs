//! `savina-big`: 120 actors ping one another at random, and a sink hears from each that is done.

use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};
use mainspring_perf_contest::{Random, RoundReport};
use xtra::prelude::*;

use super::stage::{self, tell};

enum ToPlayer {
    Ping { from: usize },
    Pong,
    Stop,
}

/// What a player says to the sink when all its pings have been answered.
struct Done {
    pongs: u64,
}

type Players = Arc<[Address<Player>]>;

struct Player {
    number: usize,
    players: Players,
    sink: Address<Sink>,
    random: Random,
    pongs: u64,
}

/// Stops all when all are done, itself too, with the pongs that they got.
struct Sink {
    players: Players,
    players_done: u64,
    pongs: u64,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (players, mailboxes): (Vec<Address<Player>>, Vec<_>) =
            (0..BIG_ACTORS).map(|_| Mailbox::unbounded()).unzip();
        let players: Players = players.into();
        let (sink, mailbox_of_sink) = Mailbox::unbounded();
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            let player = Player {
                number,
                players: players.clone(),
                sink: sink.clone(),
                random: Random::seeded(number as u64),
                pongs: 0,
            };
            xtra::spawn_tokio(player, (players[number].clone(), mailbox));
        }
        let actor = Sink { players, players_done: 0, pongs: 0 };
        tokio::spawn(xtra::run(mailbox_of_sink, actor)).await.unwrap_or(0)
    })
}

impl Player {
    async fn ping(&mut self) {
        let partner = self.random.below(BIG_ACTORS) as usize;
        tell(&self.players[partner], ToPlayer::Ping { from: self.number }).await;
    }
}

impl Actor for Player {
    type Stop = ();

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), ()> {
        self.ping().await;
        Ok(())
    }

    async fn stopped(self) {}
}

impl Handler<ToPlayer> for Player {
    type Return = ();

    async fn handle(&mut self, message: ToPlayer, ctx: &mut Context<Self>) {
        match message {
            ToPlayer::Ping { from } => tell(&self.players[from], ToPlayer::Pong).await,
            ToPlayer::Pong => {
                self.pongs += 1;
                if self.pongs < BIG_PINGS {
                    self.ping().await;
                } else {
                    tell(&self.sink, Done { pongs: self.pongs }).await;
                }
            }
            ToPlayer::Stop => ctx.stop_self(),
        }
    }
}

impl Actor for Sink {
    type Stop = u64;

    async fn stopped(self) -> u64 {
        for player in self.players.iter() {
            tell(player, ToPlayer::Stop).await;
        }
        self.pongs
    }
}

impl Handler<Done> for Sink {
    type Return = ();

    async fn handle(&mut self, Done { pongs }: Done, ctx: &mut Context<Self>) {
        self.pongs += pongs;
        self.players_done += 1;
        if self.players_done == BIG_ACTORS {
            ctx.stop_self();
        }
    }
}
