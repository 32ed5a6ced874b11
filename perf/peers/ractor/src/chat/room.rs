//! A chat: its members, and the posts that it sends on to them.

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{ToAccumulator, ToChat, ToClient};
use crate::measure::{spawn, tell};

/// Starts a chat with one member.
pub async fn start(
    member: ActorRef<ToClient>,
    accumulator: ActorRef<ToAccumulator>,
) -> ActorRef<ToChat> {
    spawn(Chat, ChatState { members: vec![member], accumulator }).await
}

struct Chat;

struct ChatState {
    members: Vec<ActorRef<ToClient>>,
    accumulator: ActorRef<ToAccumulator>,
}

impl Actor for Chat {
    type Msg = ToChat;
    type State = ChatState;
    type Arguments = ChatState;

    async fn pre_start(
        &self,
        _: ActorRef<ToChat>,
        state: ChatState,
    ) -> Result<ChatState, ActorProcessingErr> {
        Ok(state)
    }

    async fn handle(
        &self,
        own: ActorRef<ToChat>,
        message: ToChat,
        state: &mut ChatState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            ToChat::Post { from } => {
                tell(&state.accumulator, ToAccumulator::Expect(state.members.len() as u64));
                state.members.iter().for_each(|member| tell(member, ToClient::Deliver));
                tell(&from, ToClient::Forwarded);
            }
            ToChat::Leave { client } => {
                state.members.retain(|member| *member != client);
                tell(&client, ToClient::Left);
                if state.members.is_empty() {
                    own.stop(None);
                }
            }
            ToChat::Join { client } => {
                state.members.push(client.clone());
                tell(&client, ToClient::Joined { chat: own });
            }
        }
        Ok(())
    }
}
