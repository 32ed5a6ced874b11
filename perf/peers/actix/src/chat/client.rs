//! A client of the chat: what it does in its turn, and what it answers.

use std::sync::Arc;

use actix::prelude::*;
use mainspring_perf_contest::Random;
use mainspring_perf_contest::chat::{Act, BEFRIEND_PERCENT, compute, next_act, random_of_client};

use super::{CLIENTS_OF_DIRECTORY, Chat, ChatName, ClientNumber, ToAccumulator, ToChat, World};

#[derive(Message)]
#[rtype(result = "()")]
pub enum ToClient {
    Meet(Arc<World>),
    /// The first client of the directory.
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

/// A chat that one can write to; the address is shared because its clone would allocate.
#[derive(Clone)]
pub struct ChatRoom {
    name: ChatName,
    address: Arc<Addr<Chat>>,
}

pub struct Client {
    number: ClientNumber,
    world: Option<Arc<World>>,
    random: Random,
    friends: Vec<ClientNumber>,
    chats: Vec<ChatRoom>,
    /// Chats that have been asked to take this client in.
    joining: Vec<ChatRoom>,
    chats_made: u32,
}

impl Client {
    /// A client that has no friends yet.
    pub fn new(number: ClientNumber) -> Self {
        Client {
            number,
            world: None,
            random: random_of_client(number as u64),
            friends: Vec::new(),
            chats: Vec::new(),
            joining: Vec::new(),
            chats_made: 0,
        }
    }

    fn report(&self, message: ToAccumulator) {
        if let Some(world) = &self.world {
            world.accumulator.do_send(message);
        }
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
        let Some(world) = self.world.clone() else { return };
        if self.chats.is_empty() {
            self.make_chat(&world);
        }
        match next_act(&mut self.random) {
            Act::Compute => {
                compute(self.number as u64);
                self.report(ToAccumulator::ActDone);
            }
            Act::Post => self.tell_one_chat(ToChat::Post { author: self.number }),
            Act::Leave => self.tell_one_chat(ToChat::Leave { client: self.number }),
            Act::Invite => self.invite(&world),
            Act::Rest => self.report(ToAccumulator::ActDone),
        }
    }

    fn tell_one_chat(&mut self, message: ToChat) {
        let chosen = self.random.below(self.chats.len() as u64) as usize;
        self.chats[chosen].address.do_send(message);
    }

    fn make_chat(&mut self, world: &Arc<World>) -> ChatRoom {
        let name = ChatName { founder: self.number, number: self.chats_made };
        self.chats_made += 1;
        let chat = Chat::new(name, world.clone()).start();
        let room = ChatRoom { name, address: Arc::new(chat) };
        self.chats.push(room.clone());
        room
    }

    fn invite(&mut self, world: &Arc<World>) {
        let chat = self.make_chat(world);
        if !self.friends.is_empty() {
            let invited = 1 + self.random.below(self.friends.len() as u64) as usize;
            let mut drawn = self.friends.clone();
            self.report(ToAccumulator::Expect(invited as u64));
            for place in 0..invited {
                let other = place + self.random.below((drawn.len() - place) as u64) as usize;
                drawn.swap(place, other);
                world.clients[drawn[place]].do_send(ToClient::Invited(chat.clone()));
            }
        }
        self.report(ToAccumulator::ActDone);
    }
}

impl Actor for Client {
    type Context = Context<Self>;
}

impl Handler<ToClient> for Client {
    type Result = ();

    fn handle(&mut self, message: ToClient, ctx: &mut Self::Context) {
        match message {
            ToClient::Meet(world) => self.world = Some(world),
            ToClient::Befriend { first } => self.befriend(first),
            ToClient::Act => self.act(),
            ToClient::Posted => self.report(ToAccumulator::Arrived),
            ToClient::Forwarded => self.report(ToAccumulator::ActDone),
            ToClient::Left(name) => {
                self.chats.retain(|chat| chat.name != name);
                self.report(ToAccumulator::ActDone);
            }
            ToClient::Invited(chat) => {
                chat.address.do_send(ToChat::Join { client: self.number });
                self.joining.push(chat);
            }
            ToClient::Joined(name) => self.take_in(name),
            ToClient::Stop => ctx.stop(),
        }
    }
}
