//! A client, which acts once a turn.

use mainspring_perf_contest::Random;
use mainspring_perf_contest::chat::{self, Act, BEFRIEND_PERCENT};
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{ToAccumulator, ToChat, ToClient, room};
use crate::measure::tell;

/// One of those who chat.
pub struct Client;

pub struct ClientState {
    id: u64,
    random: Random,
    accumulator: ActorRef<ToAccumulator>,
    friends: Vec<ActorRef<ToClient>>,
    chats: Vec<ActorRef<ToChat>>,
    /// The place of the chat that it is leaving.
    leaving: usize,
}

impl ClientState {
    fn be_friends(&mut self, clients: Vec<ActorRef<ToClient>>, own_place: usize) {
        for (place, client) in clients.into_iter().enumerate() {
            if place != own_place && self.random.chance(BEFRIEND_PERCENT) {
                self.friends.push(client);
            }
        }
    }

    async fn act(&mut self, own: ActorRef<ToClient>) {
        if self.chats.is_empty() {
            self.chats.push(room::start(own.clone(), self.accumulator.clone()).await);
        }
        match chat::next_act(&mut self.random) {
            Act::Compute => {
                chat::compute(self.id);
                tell(&self.accumulator, ToAccumulator::ActDone);
            }
            Act::Post => {
                let chat = self.any_chat();
                tell(&self.chats[chat], ToChat::Post { from: own });
            }
            Act::Leave => {
                self.leaving = self.any_chat();
                tell(&self.chats[self.leaving], ToChat::Leave { client: own });
            }
            Act::Invite => {
                let chat = room::start(own, self.accumulator.clone()).await;
                self.invite(chat);
            }
            Act::Rest => tell(&self.accumulator, ToAccumulator::ActDone),
        }
    }

    fn any_chat(&mut self) -> usize {
        self.random.below(self.chats.len() as u64) as usize
    }

    fn invite(&mut self, chat: ActorRef<ToChat>) {
        if !self.friends.is_empty() {
            let invited = 1 + self.random.below(self.friends.len() as u64) as usize;
            tell(&self.accumulator, ToAccumulator::Expect(invited as u64));
            let mut friends = self.friends.clone();
            for place in 0..invited {
                let drawn = place + self.random.below((friends.len() - place) as u64) as usize;
                friends.swap(place, drawn);
                tell(&friends[place], ToClient::Invitation { chat: chat.clone() });
            }
        }
        self.chats.push(chat);
        tell(&self.accumulator, ToAccumulator::ActDone);
    }
}

impl Actor for Client {
    type Msg = ToClient;
    type State = ClientState;
    type Arguments = (u64, ActorRef<ToAccumulator>);

    async fn pre_start(
        &self,
        _: ActorRef<ToClient>,
        (id, accumulator): Self::Arguments,
    ) -> Result<ClientState, ActorProcessingErr> {
        let (friends, chats) = (Vec::new(), Vec::new());
        let random = chat::random_of_client(id);
        Ok(ClientState { id, random, accumulator, friends, chats, leaving: 0 })
    }

    async fn handle(
        &self,
        own: ActorRef<ToClient>,
        message: ToClient,
        state: &mut ClientState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToClient::BeFriends { clients, own_place } => state.be_friends(clients, own_place),
            ToClient::Act => state.act(own).await,
            ToClient::Forwarded => tell(&state.accumulator, ToAccumulator::ActDone),
            ToClient::Deliver => tell(&state.accumulator, ToAccumulator::Delivered),
            ToClient::Left => {
                // Chats that it joined meanwhile stand behind this one.
                state.chats.swap_remove(state.leaving);
                tell(&state.accumulator, ToAccumulator::ActDone);
            }
            ToClient::Invitation { chat } => tell(&chat, ToChat::Join { client: own }),
            ToClient::Joined { chat } => {
                state.chats.push(chat);
                tell(&state.accumulator, ToAccumulator::Delivered);
            }
            ToClient::Close => {
                // Every chat has a member, so every chat is told; those that have stopped take no harm.
                state.chats.iter().for_each(|chat| chat.stop(None));
                own.stop(None);
            }
        }
        Ok(())
    }
}
