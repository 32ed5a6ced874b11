//! `savina-chat`: clients that post, invite and leave, turn by turn. Clients are in `client.rs`.
//!
//! A chat stops when nobody holds its address any more, which is how actors of xtra end: the last member has left
//! and no invitation is on its way. So no message ever meets a chat that has stopped. What a client wants of a chat
//! it asks for; the answer is the chat's confirmation.

mod client;

use std::sync::Arc;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};
use xtra::prelude::*;

use client::{Client, ToClient};

use super::stage::{self, start, tell, tell_first};

const CLIENTS_OF_DIRECTORY: usize = (CHAT_CLIENTS / CHAT_DIRECTORIES) as usize;

/// A client by its place in the table of all.
type ClientNumber = usize;

/// Whom everybody may write to.
struct World {
    clients: Vec<Address<Client>>,
    accumulator: Address<Accumulator>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (clients, mailboxes): (Vec<Address<Client>>, Vec<_>) =
            (0..CHAT_CLIENTS).map(|_| Mailbox::unbounded()).unzip();
        let (poker, mailbox_of_poker) = Mailbox::unbounded();
        let accumulator = start(Accumulator { poker, outstanding: CHAT_CLIENTS, acts: 0 });
        let world = Arc::new(World { clients, accumulator });
        for (number, mailbox) in mailboxes.into_iter().enumerate() {
            let address = world.clients[number].clone();
            xtra::spawn_tokio(Client::new(number, world.clone()), (address, mailbox));
        }
        let start_directory = |directory: u64| {
            let first = directory as usize * CLIENTS_OF_DIRECTORY;
            start(Directory { first, world: world.clone() })
        };
        let directories = (0..CHAT_DIRECTORIES).map(start_directory).collect();
        let poker = Poker { directories, turns: 0, acts: 0 };
        tokio::spawn(xtra::run(mailbox_of_poker, poker)).await.unwrap_or(0)
    })
}

/// All are in; so many acts were done in the turn.
struct TurnDone {
    acts: u64,
}

/// Stops after the last turn, with the acts of all.
struct Poker {
    directories: Vec<Address<Directory>>,
    turns: u64,
    acts: u64,
}

impl Poker {
    async fn begin_turn(&self) {
        for directory in &self.directories {
            tell(directory, ToDirectory::BeginTurn).await;
        }
    }
}

impl Actor for Poker {
    type Stop = u64;

    async fn started(&mut self, _: &Mailbox<Self>) -> Result<(), u64> {
        for directory in &self.directories {
            tell_first(directory, ToDirectory::Befriend).await;
        }
        self.begin_turn().await;
        Ok(())
    }

    async fn stopped(self) -> u64 {
        for directory in &self.directories {
            tell(directory, ToDirectory::Stop).await;
        }
        self.acts
    }
}

impl Handler<TurnDone> for Poker {
    type Return = ();

    async fn handle(&mut self, TurnDone { acts }: TurnDone, ctx: &mut Context<Self>) {
        self.acts += acts;
        self.turns += 1;
        if self.turns < CHAT_TURNS {
            self.begin_turn().await;
        } else {
            ctx.stop_self();
        }
    }
}

enum ToDirectory {
    Befriend,
    BeginTurn,
    Stop,
}

#[derive(xtra::Actor)]
struct Directory {
    first: ClientNumber,
    world: Arc<World>,
}

impl Handler<ToDirectory> for Directory {
    type Return = ();

    async fn handle(&mut self, message: ToDirectory, ctx: &mut Context<Self>) {
        let first = self.first;
        for client in &self.world.clients[first..first + CLIENTS_OF_DIRECTORY] {
            match message {
                ToDirectory::Befriend => tell_first(client, ToClient::Befriend { first }).await,
                ToDirectory::BeginTurn => tell(client, ToClient::Act).await,
                ToDirectory::Stop => tell(client, ToClient::Stop).await,
            }
        }
        if matches!(message, ToDirectory::Stop) {
            ctx.stop_self();
        }
    }
}

enum ToAccumulator {
    /// So many deliveries or invitations are on their way; sent first, so that it overtakes what it announces.
    Expect(u64),
    /// One of them has arrived.
    Arrived,
    ActDone,
}

/// Stops with the last of the clients and chats.
#[derive(xtra::Actor)]
struct Accumulator {
    poker: Address<Poker>,
    outstanding: u64,
    acts: u64,
}

impl Handler<ToAccumulator> for Accumulator {
    type Return = ();

    async fn handle(&mut self, message: ToAccumulator, _: &mut Context<Self>) {
        match message {
            ToAccumulator::Expect(more) => self.outstanding += more,
            ToAccumulator::Arrived => self.outstanding -= 1,
            ToAccumulator::ActDone => {
                self.acts += 1;
                self.outstanding -= 1;
            }
        }
        if self.outstanding == 0 {
            tell(&self.poker, TurnDone { acts: self.acts }).await;
            (self.outstanding, self.acts) = (CHAT_CLIENTS, 0);
        }
    }
}

enum ToChat {
    /// Answered when every member has been sent the post.
    Post,
    Join {
        client: ClientNumber,
    },
    Leave {
        client: ClientNumber,
    },
}

/// A chat; its founder is in it from the start.
#[derive(xtra::Actor)]
struct Chat {
    members: Vec<ClientNumber>,
    world: Arc<World>,
}

impl Handler<ToChat> for Chat {
    type Return = ();

    async fn handle(&mut self, message: ToChat, _: &mut Context<Self>) {
        match message {
            ToChat::Post => {
                let deliveries = self.members.len() as u64;
                tell_first(&self.world.accumulator, ToAccumulator::Expect(deliveries)).await;
                for member in &self.members {
                    tell(&self.world.clients[*member], ToClient::Posted).await;
                }
            }
            ToChat::Join { client } => self.members.push(client),
            ToChat::Leave { client } => self.members.retain(|member| *member != client),
        }
    }
}
