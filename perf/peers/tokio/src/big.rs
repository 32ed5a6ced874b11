//! `savina-big`: 120 actors ping one another at random, and a sink hears from each that is done.

use std::ops::ControlFlow;
use std::sync::Arc;

use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};
use mainspring_perf_contest::{Random, RoundReport};

use super::mailbox::{Address, Inbox, handle_each, mailbox, tell};
use super::stage;

enum ToPlayer {
    Ping { from: usize },
    Pong,
    Stop,
}

/// What a player says to the sink when all its pings have been answered.
struct Done {
    pongs: u64,
}

type Players = Arc<[Address<ToPlayer>]>;

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (addresses, inboxes): (Vec<_>, Vec<_>) = (0..BIG_ACTORS).map(|_| mailbox()).unzip();
        let (sink, inbox_of_sink) = mailbox();
        let players: Players = addresses.into();
        for (number, inbox) in inboxes.into_iter().enumerate() {
            tokio::spawn(play(number, inbox, players.clone(), sink.clone()));
        }
        tokio::spawn(collect(inbox_of_sink, players)).await.unwrap_or(0)
    })
}

async fn play(number: usize, inbox: Inbox<ToPlayer>, players: Players, sink: Address<Done>) {
    let mut random = Random::seeded(number as u64);
    let mut pongs = 0;
    let mut ping = || {
        let partner = random.below(BIG_ACTORS) as usize;
        tell(&players[partner], ToPlayer::Ping { from: number });
    };
    ping();
    handle_each(inbox, |message| {
        match message {
            ToPlayer::Ping { from } => tell(&players[from], ToPlayer::Pong),
            ToPlayer::Pong => {
                pongs += 1;
                if pongs < BIG_PINGS {
                    ping();
                } else {
                    tell(&sink, Done { pongs });
                }
            }
            ToPlayer::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    })
    .await;
}

/// Comes to the pongs that the players have got, and stops them when all are done.
async fn collect(inbox: Inbox<Done>, players: Players) -> u64 {
    let mut pongs_of_all = 0;
    let mut players_done = 0;
    handle_each(inbox, |Done { pongs }| {
        pongs_of_all += pongs;
        players_done += 1;
        if players_done < BIG_ACTORS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })
    .await;
    players.iter().for_each(|player| tell(player, ToPlayer::Stop));
    pongs_of_all
}
