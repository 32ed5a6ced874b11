//! `savina-chat`: clients of a chat program make chats, write to them, invite friends and leave.
//!
//! An invariant of the program keeps every message from meeting a chat that has stopped: a client acts once a turn,
//! a turn ends when all its deliveries and invitations are done, and a chat stops when its last member has left.

mod client;
mod room;
mod turns;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use ractor::ActorRef;
use tokio::sync::oneshot;

use crate::measure::{self, spawn};

/// The round of `savina-chat`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, acts) = oneshot::channel();
        spawn(turns::Poker, done).await;
        acts.await.expect("the poker answers")
    })
}

pub enum ToAccumulator {
    Expect(u64),
    ActDone,
    Delivered,
}
pub enum ToDirectory {
    Turn,
    Close,
}
pub enum ToClient {
    BeFriends { clients: Vec<ActorRef<ToClient>>, own_place: usize },
    Act,
    Forwarded,
    Deliver,
    Left,
    Invitation { chat: ActorRef<ToChat> },
    Joined { chat: ActorRef<ToChat> },
    Close,
}
pub enum ToChat {
    Post { from: ActorRef<ToClient> },
    Leave { client: ActorRef<ToClient> },
    Join { client: ActorRef<ToClient> },
}
