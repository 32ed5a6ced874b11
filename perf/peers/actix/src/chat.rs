//! `savina-chat`: clients that post, invite and leave, turn by turn. Clients are in `client.rs`.
//!
//! A chat stops when nobody holds its address any more, which is how actors of actix end: the last member has left
//! and no invitation is on its way. So no message ever meets a chat that has stopped.
//!
//! Directories are spread over the arbiters, and their clients and chats with them.

mod client;

use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};
use tokio::sync::oneshot;

use client::{Client, ToClient};

use super::stage;

const CLIENTS_OF_DIRECTORY: usize = (CHAT_CLIENTS / CHAT_DIRECTORIES) as usize;

/// A client by its place in the table of all.
type ClientNumber = usize;

/// A chat by the one who made it, and how many that one had made before.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ChatName {
    founder: ClientNumber,
    number: u32,
}

/// Everybody that can be written to from the start.
struct World {
    clients: Vec<Addr<Client>>,
    directories: Vec<Addr<Directory>>,
    accumulator: Addr<Accumulator>,
    poker: Addr<Poker>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, async |stage, _| {
        let (done, acts) = oneshot::channel();
        let start_client =
            |number: u64| stage.start_apart(number, CHAT_CLIENTS, Client::new(number as usize));
        let start_directory = |number: u64| {
            let directory =
                Directory { first: number as usize * CLIENTS_OF_DIRECTORY, world: None };
            stage.start_apart(number, CHAT_DIRECTORIES, directory)
        };
        let world = Arc::new(World {
            clients: (0..CHAT_CLIENTS).map(start_client).collect(),
            directories: (0..CHAT_DIRECTORIES).map(start_directory).collect(),
            accumulator: stage.start(Accumulator::default()),
            poker: stage.start(Poker { world: None, turns: 0, acts: 0, done: Some(done) }),
        });
        world.accumulator.do_send(ToAccumulator::Meet(world.clone()));
        for client in &world.clients {
            client.do_send(ToClient::Meet(world.clone()));
        }
        for directory in &world.directories {
            directory.do_send(ToDirectory::Meet(world.clone()));
        }
        world.poker.do_send(ToPoker::Begin(world.clone()));
        acts.await.unwrap_or(0)
    })
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToPoker {
    Begin(Arc<World>),
    /// All are in; so many acts were done in the turn.
    TurnDone {
        acts: u64,
    },
}

struct Poker {
    world: Option<Arc<World>>,
    turns: u64,
    acts: u64,
    done: Option<oneshot::Sender<u64>>,
}

impl Poker {
    fn tell_directories(&self, message: impl Fn() -> ToDirectory) {
        for directory in self.world.iter().flat_map(|world| &world.directories) {
            directory.do_send(message());
        }
    }
}

impl Actor for Poker {
    type Context = Context<Self>;
}

impl Handler<ToPoker> for Poker {
    type Result = ();

    fn handle(&mut self, message: ToPoker, ctx: &mut Self::Context) {
        match message {
            ToPoker::Begin(world) => {
                self.world = Some(world);
                self.tell_directories(|| ToDirectory::Befriend);
                self.tell_directories(|| ToDirectory::BeginTurn);
            }
            ToPoker::TurnDone { acts } => {
                self.acts += acts;
                self.turns += 1;
                if self.turns < CHAT_TURNS {
                    self.tell_directories(|| ToDirectory::BeginTurn);
                    return;
                }
                self.tell_directories(|| ToDirectory::Stop);
                if let Some(world) = self.world.take() {
                    world.accumulator.do_send(ToAccumulator::Stop);
                }
                if let Some(done) = self.done.take() {
                    let _ = done.send(self.acts);
                }
                ctx.stop();
            }
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToDirectory {
    Meet(Arc<World>),
    Befriend,
    BeginTurn,
    Stop,
}

struct Directory {
    first: ClientNumber,
    world: Option<Arc<World>>,
}

impl Actor for Directory {
    type Context = Context<Self>;
}

impl Handler<ToDirectory> for Directory {
    type Result = ();

    fn handle(&mut self, message: ToDirectory, ctx: &mut Self::Context) {
        if let ToDirectory::Meet(world) = message {
            self.world = Some(world);
            return;
        }
        let first = self.first;
        let own = first..first + CLIENTS_OF_DIRECTORY;
        for client in self.world.iter().flat_map(|world| &world.clients[own.clone()]) {
            client.do_send(match message {
                ToDirectory::Befriend => ToClient::Befriend { first },
                ToDirectory::BeginTurn => ToClient::Act,
                ToDirectory::Meet(_) | ToDirectory::Stop => ToClient::Stop,
            });
        }
        if matches!(message, ToDirectory::Stop) {
            ctx.stop();
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToAccumulator {
    Meet(Arc<World>),
    /// So many deliveries or invitations are on their way.
    Expect(u64),
    /// One of them has arrived.
    Arrived,
    ActDone,
    Stop,
}

struct Accumulator {
    world: Option<Arc<World>>,
    outstanding: u64,
    acts: u64,
}

impl Default for Accumulator {
    fn default() -> Self {
        Accumulator { world: None, outstanding: CHAT_CLIENTS, acts: 0 }
    }
}

impl Actor for Accumulator {
    type Context = Context<Self>;
}

impl Handler<ToAccumulator> for Accumulator {
    type Result = ();

    fn handle(&mut self, message: ToAccumulator, ctx: &mut Self::Context) {
        match message {
            ToAccumulator::Meet(world) => self.world = Some(world),
            ToAccumulator::Expect(more) => self.outstanding += more,
            ToAccumulator::Arrived => self.outstanding -= 1,
            ToAccumulator::ActDone => {
                self.acts += 1;
                self.outstanding -= 1;
            }
            ToAccumulator::Stop => ctx.stop(),
        }
        if self.outstanding == 0
            && let Some(world) = &self.world
        {
            world.poker.do_send(ToPoker::TurnDone { acts: self.acts });
            (self.outstanding, self.acts) = (CHAT_CLIENTS, 0);
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
enum ToChat {
    Post { author: ClientNumber },
    Join { client: ClientNumber },
    Leave { client: ClientNumber },
}

/// A chat; its founder is in it from the start.
struct Chat {
    name: ChatName,
    members: Vec<ClientNumber>,
    world: Arc<World>,
}

impl Chat {
    fn new(name: ChatName, world: Arc<World>) -> Self {
        Chat { name, members: vec![name.founder], world }
    }
}

impl Actor for Chat {
    type Context = Context<Self>;
}

impl Handler<ToChat> for Chat {
    type Result = ();

    fn handle(&mut self, message: ToChat, _: &mut Self::Context) {
        let clients = &self.world.clients;
        match message {
            ToChat::Post { author } => {
                let deliveries = self.members.len() as u64;
                self.world.accumulator.do_send(ToAccumulator::Expect(deliveries));
                self.members.iter().for_each(|member| clients[*member].do_send(ToClient::Posted));
                clients[author].do_send(ToClient::Forwarded);
            }
            ToChat::Join { client } => {
                self.members.push(client);
                clients[client].do_send(ToClient::Joined(self.name));
            }
            ToChat::Leave { client } => {
                self.members.retain(|member| *member != client);
                clients[client].do_send(ToClient::Left(self.name));
            }
        }
    }
}
