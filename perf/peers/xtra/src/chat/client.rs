//! A client of the chat: what it does in its turn, and what it answers.

use std::sync::Arc;

use mainspring_perf_contest::Random;
use mainspring_perf_contest::chat::{Act, BEFRIEND_PERCENT, compute, next_act, random_of_client};
use xtra::prelude::*;

use super::super::stage::{start, tell, tell_first};
use super::{CLIENTS_OF_DIRECTORY, Chat, ClientNumber, ToAccumulator, ToChat, World};

pub enum ToClient {
    /// The first client of the directory.
    Befriend {
        first: ClientNumber,
    },
    Act,
    /// Somebody has posted in one of its chats.
    Posted,
    Invited(Address<Chat>),
    Stop,
}

#[derive(xtra::Actor)]
pub struct Client {
    number: ClientNumber,
    world: Arc<World>,
    random: Random,
    friends: Vec<ClientNumber>,
    chats: Vec<Address<Chat>>,
}

impl Client {
    /// A client that has no friends yet.
    pub fn new(number: ClientNumber, world: Arc<World>) -> Self {
        let random = random_of_client(number as u64);
        Client { number, world, random, friends: Vec::new(), chats: Vec::new() }
    }

    async fn report(&self, message: ToAccumulator) {
        tell(&self.world.accumulator, message).await;
    }

    fn befriend(&mut self, first: ClientNumber) {
        for other in (first..first + CLIENTS_OF_DIRECTORY).filter(|other| *other != self.number) {
            if self.random.chance(BEFRIEND_PERCENT) {
                self.friends.push(other);
            }
        }
    }

    async fn act(&mut self) {
        if self.chats.is_empty() {
            self.make_chat();
        }
        match next_act(&mut self.random) {
            Act::Compute => {
                compute(self.number as u64);
            }
            Act::Post => {
                let chosen = self.choose_chat();
                let _ = self.chats[chosen].send(ToChat::Post).await;
            }
            Act::Leave => {
                let chosen = self.choose_chat();
                let _ = self.chats[chosen].send(ToChat::Leave { client: self.number }).await;
                self.chats.swap_remove(chosen);
            }
            Act::Invite => self.invite().await,
            Act::Rest => {}
        }
        self.report(ToAccumulator::ActDone).await;
    }

    fn choose_chat(&mut self) -> usize {
        self.random.below(self.chats.len() as u64) as usize
    }

    fn make_chat(&mut self) -> Address<Chat> {
        let chat = start(Chat { members: vec![self.number], world: self.world.clone() });
        self.chats.push(chat.clone());
        chat
    }

    async fn invite(&mut self) {
        let chat = self.make_chat();
        if self.friends.is_empty() {
            return;
        }
        let invited = 1 + self.random.below(self.friends.len() as u64) as usize;
        let mut drawn = self.friends.clone();
        tell_first(&self.world.accumulator, ToAccumulator::Expect(invited as u64)).await;
        for place in 0..invited {
            let other = place + self.random.below((drawn.len() - place) as u64) as usize;
            drawn.swap(place, other);
            tell(&self.world.clients[drawn[place]], ToClient::Invited(chat.clone())).await;
        }
    }
}

impl Handler<ToClient> for Client {
    type Return = ();

    async fn handle(&mut self, message: ToClient, ctx: &mut Context<Self>) {
        match message {
            ToClient::Befriend { first } => self.befriend(first),
            ToClient::Act => self.act().await,
            ToClient::Posted => self.report(ToAccumulator::Arrived).await,
            ToClient::Invited(chat) => {
                let _ = chat.send(ToChat::Join { client: self.number }).await;
                self.chats.push(chat);
                self.report(ToAccumulator::Arrived).await;
            }
            ToClient::Stop => ctx.stop_self(),
        }
    }
}
