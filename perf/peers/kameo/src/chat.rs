//! `savina-chat`: clients of a chat program make chats, write to them, invite friends and leave.
//!
//! An invariant of the program keeps every message from meeting a chat that has stopped: a client acts once a turn,
//! a turn ends when all its deliveries and invitations are done, and a chat stops when its last member has left.

use kameo::error::Infallible;
use kameo::mailbox;
use kameo::prelude::*;
use mainspring_perf_contest::chat::{self, Act, BEFRIEND_PERCENT};
use mainspring_perf_contest::entrant::Task;
use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};
use mainspring_perf_contest::{Random, RoundReport};
use tokio::sync::oneshot;

use crate::measure::{self, tell};

/// The round of `savina-chat`.
pub fn savina(task: &Task) -> RoundReport {
    measure::iterations(task, |_| async {
        let (done, acts) = oneshot::channel();
        let poker = Poker::prepare_with_mailbox(mailbox::unbounded());
        let poker_ref = poker.actor_ref().clone();
        let accumulator = Accumulator { pending: 0, acts: 0, poker: poker_ref.clone() };
        let accumulator = Accumulator::spawn_with_mailbox(accumulator, mailbox::unbounded());
        let directory = |number| {
            Directory::spawn_with_mailbox((number, accumulator.clone()), mailbox::unbounded())
        };
        let directories = (0..CHAT_DIRECTORIES).map(directory).collect();
        poker.spawn(Poker { turns_left: CHAT_TURNS, directories, accumulator, done: Some(done) });
        tell(&poker_ref, NextTurn);
        acts.await.expect("the poker answers")
    })
}

struct NextTurn;
struct DoAct;
struct BeFriends {
    clients: Vec<ActorRef<Client>>,
    own_place: usize,
}
struct Close;

struct Expect(u64);
struct ActDone;
struct Delivered;

struct Post {
    from: ActorRef<Client>,
}
struct Forwarded;
struct Deliver;
struct Leave {
    client: ActorRef<Client>,
}
struct Left;
struct Invitation {
    chat: ActorRef<Chat>,
}
struct Join {
    client: ActorRef<Client>,
}
struct Joined {
    chat: ActorRef<Chat>,
}

#[derive(Actor)]
struct Poker {
    turns_left: u64,
    directories: Vec<ActorRef<Directory>>,
    accumulator: ActorRef<Accumulator>,
    done: Option<oneshot::Sender<u64>>,
}

impl Message<NextTurn> for Poker {
    type Reply = ();

    async fn handle(&mut self, _: NextTurn, context: &mut Context<Self, ()>) {
        if self.turns_left > 0 {
            self.turns_left -= 1;
            tell(&self.accumulator, Expect(CHAT_CLIENTS));
            self.directories.iter().for_each(|directory| tell(directory, NextTurn));
        } else if let Some(done) = self.done.take() {
            self.directories.iter().for_each(|directory| tell(directory, Close));
            let acts = self.accumulator.ask(Close).send().await;
            let _ = done.send(acts.expect("the accumulator lives"));
            context.stop();
        }
    }
}

#[derive(Actor)]
struct Accumulator {
    pending: u64,
    acts: u64,
    poker: ActorRef<Poker>,
}

impl Accumulator {
    fn one_less(&mut self) {
        self.pending -= 1;
        if self.pending == 0 {
            tell(&self.poker, NextTurn);
        }
    }
}

impl Message<Expect> for Accumulator {
    type Reply = ();

    async fn handle(&mut self, Expect(more): Expect, _: &mut Context<Self, ()>) {
        self.pending += more;
    }
}

impl Message<ActDone> for Accumulator {
    type Reply = ();

    async fn handle(&mut self, _: ActDone, _: &mut Context<Self, ()>) {
        self.acts += 1;
        self.one_less();
    }
}

impl Message<Delivered> for Accumulator {
    type Reply = ();

    async fn handle(&mut self, _: Delivered, _: &mut Context<Self, ()>) {
        self.one_less();
    }
}

impl Message<Close> for Accumulator {
    type Reply = u64;

    async fn handle(&mut self, _: Close, context: &mut Context<Self, u64>) -> u64 {
        context.stop();
        self.acts
    }
}

struct Directory {
    clients: Vec<ActorRef<Client>>,
}

impl Actor for Directory {
    type Args = (u64, ActorRef<Accumulator>);
    type Error = Infallible;

    async fn on_start(
        (number, accumulator): Self::Args,
        _: ActorRef<Self>,
    ) -> Result<Self, Infallible> {
        let size = CHAT_CLIENTS / CHAT_DIRECTORIES;
        let client = |id| {
            let client = Client::new(id, accumulator.clone());
            Client::spawn_with_mailbox(client, mailbox::unbounded())
        };
        let clients: Vec<_> = (number * size..(number + 1) * size).map(client).collect();
        for (own_place, client) in clients.iter().enumerate() {
            tell(client, BeFriends { clients: clients.clone(), own_place });
        }
        Ok(Directory { clients })
    }
}

impl Message<NextTurn> for Directory {
    type Reply = ();

    async fn handle(&mut self, _: NextTurn, _: &mut Context<Self, ()>) {
        self.clients.iter().for_each(|client| tell(client, DoAct));
    }
}

impl Message<Close> for Directory {
    type Reply = ();

    async fn handle(&mut self, _: Close, context: &mut Context<Self, ()>) {
        self.clients.iter().for_each(|client| tell(client, Close));
        context.stop();
    }
}

#[derive(Actor)]
struct Client {
    id: u64,
    random: Random,
    accumulator: ActorRef<Accumulator>,
    friends: Vec<ActorRef<Client>>,
    chats: Vec<ActorRef<Chat>>,
    /// The place of the chat that it is leaving.
    leaving: usize,
}

impl Client {
    fn new(id: u64, accumulator: ActorRef<Accumulator>) -> Self {
        let random = chat::random_of_client(id);
        Client { id, random, accumulator, friends: Vec::new(), chats: Vec::new(), leaving: 0 }
    }

    fn any_chat(&mut self) -> usize {
        self.random.below(self.chats.len() as u64) as usize
    }

    fn invite(&mut self, own: &ActorRef<Client>) {
        let chat = Chat::start(own, &self.accumulator);
        self.chats.push(chat.clone());
        if !self.friends.is_empty() {
            let invited = 1 + self.random.below(self.friends.len() as u64) as usize;
            tell(&self.accumulator, Expect(invited as u64));
            let mut friends = self.friends.clone();
            for place in 0..invited {
                let drawn = place + self.random.below((friends.len() - place) as u64) as usize;
                friends.swap(place, drawn);
                tell(&friends[place], Invitation { chat: chat.clone() });
            }
        }
        tell(&self.accumulator, ActDone);
    }
}

impl Message<BeFriends> for Client {
    type Reply = ();

    async fn handle(&mut self, message: BeFriends, _: &mut Context<Self, ()>) {
        for (place, client) in message.clients.into_iter().enumerate() {
            if place != message.own_place && self.random.chance(BEFRIEND_PERCENT) {
                self.friends.push(client);
            }
        }
    }
}

impl Message<DoAct> for Client {
    type Reply = ();

    async fn handle(&mut self, _: DoAct, context: &mut Context<Self, ()>) {
        let own = context.actor_ref();
        if self.chats.is_empty() {
            self.chats.push(Chat::start(own, &self.accumulator));
        }
        match chat::next_act(&mut self.random) {
            Act::Compute => {
                chat::compute(self.id);
                tell(&self.accumulator, ActDone);
            }
            Act::Post => {
                let chat = self.any_chat();
                tell(&self.chats[chat], Post { from: own.clone() });
            }
            Act::Leave => {
                self.leaving = self.any_chat();
                tell(&self.chats[self.leaving], Leave { client: own.clone() });
            }
            Act::Invite => self.invite(own),
            Act::Rest => tell(&self.accumulator, ActDone),
        }
    }
}

impl Message<Forwarded> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Forwarded, _: &mut Context<Self, ()>) {
        tell(&self.accumulator, ActDone);
    }
}

impl Message<Deliver> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Deliver, _: &mut Context<Self, ()>) {
        tell(&self.accumulator, Delivered);
    }
}

impl Message<Left> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Left, _: &mut Context<Self, ()>) {
        // Chats that it joined meanwhile stand behind this one.
        self.chats.swap_remove(self.leaving);
        tell(&self.accumulator, ActDone);
    }
}

impl Message<Invitation> for Client {
    type Reply = ();

    async fn handle(&mut self, Invitation { chat }: Invitation, context: &mut Context<Self, ()>) {
        tell(&chat, Join { client: context.actor_ref().clone() });
    }
}

impl Message<Joined> for Client {
    type Reply = ();

    async fn handle(&mut self, Joined { chat }: Joined, _: &mut Context<Self, ()>) {
        self.chats.push(chat);
        tell(&self.accumulator, Delivered);
    }
}

impl Message<Close> for Client {
    type Reply = ();

    async fn handle(&mut self, _: Close, context: &mut Context<Self, ()>) {
        // A chat stops when the last of its members has dropped the reference to it.
        context.stop();
    }
}

#[derive(Actor)]
struct Chat {
    members: Vec<ActorRef<Client>>,
    accumulator: ActorRef<Accumulator>,
}

impl Chat {
    fn start(member: &ActorRef<Client>, accumulator: &ActorRef<Accumulator>) -> ActorRef<Chat> {
        let chat = Chat { members: vec![member.clone()], accumulator: accumulator.clone() };
        Chat::spawn_with_mailbox(chat, mailbox::unbounded())
    }
}

impl Message<Post> for Chat {
    type Reply = ();

    async fn handle(&mut self, Post { from }: Post, _: &mut Context<Self, ()>) {
        tell(&self.accumulator, Expect(self.members.len() as u64));
        self.members.iter().for_each(|member| tell(member, Deliver));
        tell(&from, Forwarded);
    }
}

impl Message<Leave> for Chat {
    type Reply = ();

    async fn handle(&mut self, Leave { client }: Leave, context: &mut Context<Self, ()>) {
        self.members.retain(|member| *member != client);
        tell(&client, Left);
        if self.members.is_empty() {
            context.stop();
        }
    }
}

impl Message<Join> for Chat {
    type Reply = ();

    async fn handle(&mut self, Join { client }: Join, context: &mut Context<Self, ()>) {
        self.members.push(client.clone());
        tell(&client, Joined { chat: context.actor_ref().clone() });
    }
}
