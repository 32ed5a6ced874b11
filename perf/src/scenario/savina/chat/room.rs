//! A chat: it knows its members and sends each post on to all of them.

use mainspring::prelude::*;

use super::Tally;
use super::client::ClientMessage;

/// To a chat.
#[message]
pub enum RoomMessage {
    /// A member writes.
    Post { from: ActorRef<ClientMessage> },
    /// Somebody who was invited comes in.
    Join { client: ActorRef<ClientMessage> },
    /// A member goes.
    Leave { client: ActorRef<ClientMessage> },
}

/// A chat with its members. It stops when the last one leaves.
pub struct Room {
    members: Vec<ActorRef<ClientMessage>>,
    accumulator: ActorRef<Tally>,
}

impl Room {
    /// A chat with its maker in it.
    pub fn new(maker: ActorRef<ClientMessage>, accumulator: ActorRef<Tally>) -> Self {
        Room { members: vec![maker], accumulator }
    }
}

impl Actor for Room {
    type Message = RoomMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        asked: &Archived<RoomMessage>,
    ) -> Next<Self> {
        let room = ctx.me();
        match asked {
            ArchivedRoomMessage::Post { from } => {
                let number = self.members.len() as u64;
                ctx.tell(self.accumulator, &Tally::Announced { number });
                for member in &self.members {
                    ctx.tell(*member, &ClientMessage::Delivered);
                }
                ctx.tell(*from, &ClientMessage::Forwarded);
            }
            ArchivedRoomMessage::Join { client } => {
                self.members.push(*client);
                ctx.tell(*client, &ClientMessage::Joined { room });
            }
            ArchivedRoomMessage::Leave { client } => {
                self.members.retain(|member| member != client);
                ctx.tell(*client, &ClientMessage::Left { room });
                if self.members.is_empty() {
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}
