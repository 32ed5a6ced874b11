//! `savina-chat`: clients that post, invite and leave, turn by turn.
//!
//! A chat ends when nobody holds its address any more, as is usual with channels: the last member has left and no
//! invitation is on its way. So no message ever meets a chat that has stopped.

use std::ops::ControlFlow;
use std::sync::Arc;

use mainspring_perf_contest::chat::{Act, BEFRIEND_PERCENT, compute, next_act, random_of_client};
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};
use mainspring_perf_contest::{Random, RoundReport};

use super::mailbox::{Address, Inbox, handle_each, mailbox, tell};
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

#[derive(Clone)]
struct ChatRoom {
    name: ChatName,
    address: Address<ToChat>,
}

enum ToDirectory {
    Befriend,
    BeginTurn,
    Stop,
}

enum ToClient {
    /// The clients of the directory, the first and how many.
    Befriend {
        first: ClientNumber,
    },
    Act,
    /// Somebody has posted in one of its chats.
    Posted,
    /// Its own post has been sent on.
    Forwarded,
    Left(ChatName),
    Invited(ChatRoom),
    Joined(ChatName),
    Stop,
}

enum ToChat {
    Post { author: ClientNumber },
    Join { client: ClientNumber },
    Leave { client: ClientNumber },
}

enum ToAccumulator {
    /// So many deliveries or invitations are on their way.
    Expect(u64),
    /// One of them has arrived.
    Arrived,
    ActDone,
}

/// All are in; so many acts were done in the turn.
struct TurnDone {
    acts: u64,
}

/// Whom everybody may write to.
struct World {
    clients: Vec<Address<ToClient>>,
    accumulator: Address<ToAccumulator>,
}

pub fn savina(task: &Task) -> RoundReport {
    stage::iterate(task, |_| async {
        let (addresses, inboxes): (Vec<_>, Vec<_>) = (0..CHAT_CLIENTS).map(|_| mailbox()).unzip();
        let (accumulator, inbox_of_accumulator) = mailbox();
        let (poker, inbox_of_poker) = mailbox();
        let world = Arc::new(World { clients: addresses, accumulator });
        for (number, inbox) in inboxes.into_iter().enumerate() {
            tokio::spawn(Client::new(number, world.clone()).run(inbox));
        }
        tokio::spawn(accumulate(inbox_of_accumulator, poker));
        let start_directory = |directory: u64| {
            let (address, inbox) = mailbox();
            let first = directory as usize * CLIENTS_OF_DIRECTORY;
            tokio::spawn(direct(first, inbox, world.clone()));
            address
        };
        let directories = (0..CHAT_DIRECTORIES).map(start_directory).collect();
        tokio::spawn(poke(directories, inbox_of_poker)).await.unwrap_or(0)
    })
}

/// Comes to the acts of all turns.
async fn poke(directories: Vec<Address<ToDirectory>>, mut inbox: Inbox<TurnDone>) -> u64 {
    directories.iter().for_each(|directory| tell(directory, ToDirectory::Befriend));
    let mut acts_of_all = 0;
    for _ in 0..CHAT_TURNS {
        directories.iter().for_each(|directory| tell(directory, ToDirectory::BeginTurn));
        let Some(TurnDone { acts }) = inbox.recv().await else { break };
        acts_of_all += acts;
    }
    directories.iter().for_each(|directory| tell(directory, ToDirectory::Stop));
    acts_of_all
}

async fn direct(first: ClientNumber, inbox: Inbox<ToDirectory>, world: Arc<World>) {
    let clients = first..first + CLIENTS_OF_DIRECTORY;
    handle_each(inbox, |message| {
        for client in &world.clients[clients.clone()] {
            let passed_on = match message {
                ToDirectory::Befriend => ToClient::Befriend { first },
                ToDirectory::BeginTurn => ToClient::Act,
                ToDirectory::Stop => ToClient::Stop,
            };
            tell(client, passed_on);
        }
        match message {
            ToDirectory::Stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })
    .await;
}

/// Ends with the last of the clients and chats.
async fn accumulate(inbox: Inbox<ToAccumulator>, poker: Address<TurnDone>) {
    let (mut outstanding, mut acts) = (CHAT_CLIENTS, 0);
    handle_each(inbox, |message| {
        match message {
            ToAccumulator::Expect(more) => outstanding += more,
            ToAccumulator::Arrived => outstanding -= 1,
            ToAccumulator::ActDone => {
                acts += 1;
                outstanding -= 1;
            }
        }
        if outstanding == 0 {
            tell(&poker, TurnDone { acts });
            (outstanding, acts) = (CHAT_CLIENTS, 0);
        }
        ControlFlow::Continue(())
    })
    .await;
}

/// A chat; its founder is in it from the start.
async fn run_chat(name: ChatName, inbox: Inbox<ToChat>, world: Arc<World>) {
    let mut members = vec![name.founder];
    handle_each(inbox, |message| {
        match message {
            ToChat::Post { author } => {
                tell(&world.accumulator, ToAccumulator::Expect(members.len() as u64));
                members.iter().for_each(|member| tell(&world.clients[*member], ToClient::Posted));
                tell(&world.clients[author], ToClient::Forwarded);
            }
            ToChat::Join { client } => {
                members.push(client);
                tell(&world.clients[client], ToClient::Joined(name));
            }
            ToChat::Leave { client } => {
                members.retain(|member| *member != client);
                tell(&world.clients[client], ToClient::Left(name));
            }
        }
        ControlFlow::Continue(())
    })
    .await;
}

struct Client {
    number: ClientNumber,
    world: Arc<World>,
    random: Random,
    friends: Vec<ClientNumber>,
    chats: Vec<ChatRoom>,
    /// Chats that have been asked to take this client in.
    joining: Vec<ChatRoom>,
    chats_made: u32,
}

impl Client {
    fn new(number: ClientNumber, world: Arc<World>) -> Self {
        Client {
            number,
            world,
            random: random_of_client(number as u64),
            friends: Vec::new(),
            chats: Vec::new(),
            joining: Vec::new(),
            chats_made: 0,
        }
    }

    async fn run(mut self, inbox: Inbox<ToClient>) {
        handle_each(inbox, |message| {
            match message {
                ToClient::Befriend { first } => self.befriend(first),
                ToClient::Act => self.act(),
                ToClient::Posted => self.report(ToAccumulator::Arrived),
                ToClient::Forwarded => self.report(ToAccumulator::ActDone),
                ToClient::Left(name) => {
                    self.chats.retain(|chat| chat.name != name);
                    self.report(ToAccumulator::ActDone);
                }
                ToClient::Invited(chat) => {
                    tell(&chat.address, ToChat::Join { client: self.number });
                    self.joining.push(chat);
                }
                ToClient::Joined(name) => self.take_in(name),
                ToClient::Stop => return ControlFlow::Break(()),
            }
            ControlFlow::Continue(())
        })
        .await;
    }

    fn report(&self, message: ToAccumulator) {
        tell(&self.world.accumulator, message);
    }

    fn befriend(&mut self, first: ClientNumber) {
        for other in (first..first + CLIENTS_OF_DIRECTORY).filter(|other| *other != self.number) {
            if self.random.chance(BEFRIEND_PERCENT) {
                self.friends.push(other);
            }
        }
    }

    fn take_in(&mut self, name: ChatName) {
        if let Some(place) = self.joining.iter().position(|chat| chat.name == name) {
            self.chats.push(self.joining.swap_remove(place));
        }
        self.report(ToAccumulator::Arrived);
    }

    fn act(&mut self) {
        if self.chats.is_empty() {
            self.make_chat();
        }
        match next_act(&mut self.random) {
            Act::Compute => {
                compute(self.number as u64);
                self.report(ToAccumulator::ActDone);
            }
            Act::Post => self.tell_one_chat(ToChat::Post { author: self.number }),
            Act::Leave => self.tell_one_chat(ToChat::Leave { client: self.number }),
            Act::Invite => self.invite(),
            Act::Rest => self.report(ToAccumulator::ActDone),
        }
    }

    fn tell_one_chat(&mut self, message: ToChat) {
        let chosen = self.random.below(self.chats.len() as u64) as usize;
        tell(&self.chats[chosen].address, message);
    }

    fn make_chat(&mut self) -> ChatRoom {
        let name = ChatName { founder: self.number, number: self.chats_made };
        self.chats_made += 1;
        let (address, inbox) = mailbox();
        tokio::spawn(run_chat(name, inbox, self.world.clone()));
        let chat = ChatRoom { name, address };
        self.chats.push(chat.clone());
        chat
    }

    fn invite(&mut self) {
        let chat = self.make_chat();
        if !self.friends.is_empty() {
            let invited = 1 + self.random.below(self.friends.len() as u64) as usize;
            let mut drawn = self.friends.clone();
            self.report(ToAccumulator::Expect(invited as u64));
            for place in 0..invited {
                let other = place + self.random.below((drawn.len() - place) as u64) as usize;
                drawn.swap(place, other);
                tell(&self.world.clients[drawn[place]], ToClient::Invited(chat.clone()));
            }
        }
        self.report(ToAccumulator::ActDone);
    }
}
