//! A client: what it does in a turn is decided by its own generator.

use mainspring::prelude::*;
use mainspring_perf_contest::Random;
use mainspring_perf_contest::chat::{self, Act, BEFRIEND_PERCENT};

use super::Tally;
use super::room::{Room, RoomMessage};

/// To a client.
#[message]
pub enum ClientMessage {
    /// The other clients of its directory, some of whom become its friends.
    Befriend { others: Vec<ActorRef<ClientMessage>> },
    /// A turn begins.
    Act,
    /// Its post has been sent on.
    Forwarded,
    /// A post of somebody.
    Delivered,
    /// It is no member any more.
    Left { room: ActorRef<RoomMessage> },
    /// A friend invites it.
    Invited { room: ActorRef<RoomMessage> },
    /// It is a member now.
    Joined { room: ActorRef<RoomMessage> },
}

/// A client with its friends and its chats.
pub struct Client {
    number: u64,
    accumulator: ActorRef<Tally>,
    random: Random,
    friends: Vec<ActorRef<ClientMessage>>,
    rooms: Vec<ActorRef<RoomMessage>>,
}

impl Client {
    /// A client without friends and chats.
    pub fn new(number: u64, accumulator: ActorRef<Tally>) -> Self {
        let random = chat::random_of_client(number);
        Client { number, accumulator, random, friends: Vec::new(), rooms: Vec::new() }
    }
}

impl Actor for Client {
    type Message = ClientMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<ClientMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedClientMessage::Delivered => ctx.tell(self.accumulator, &Tally::Arrived),
            ArchivedClientMessage::Act => return self.act(ctx),
            ArchivedClientMessage::Forwarded => self.acted(ctx, 1),
            ArchivedClientMessage::Left { room } => {
                self.rooms.retain(|other| other != room);
                self.acted(ctx, 0);
            }
            ArchivedClientMessage::Invited { room } => {
                let client = ctx.me();
                ctx.tell(*room, &RoomMessage::Join { client });
            }
            ArchivedClientMessage::Joined { room } => {
                self.rooms.push(*room);
                ctx.tell(self.accumulator, &Tally::Arrived);
            }
            ArchivedClientMessage::Befriend { others } => {
                let random = &mut self.random;
                let is_friend = |_: &&ActorRef<_>| random.chance(BEFRIEND_PERCENT);
                self.friends = others.iter().filter(is_friend).copied().collect();
            }
        }
        Next::Same
    }
}

impl Client {
    fn act(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        if self.rooms.is_empty() && self.make_room(ctx).is_err() {
            return Next::Fault;
        }
        match chat::next_act(&mut self.random) {
            Act::Compute => {
                chat::compute(self.number);
                self.acted(ctx, 0);
            }
            Act::Post => {
                let (room, from) = (self.draw_room(), ctx.me());
                ctx.tell(room, &RoomMessage::Post { from });
            }
            Act::Leave => {
                let (room, client) = (self.draw_room(), ctx.me());
                ctx.tell(room, &RoomMessage::Leave { client });
            }
            Act::Invite => match self.make_room(ctx) {
                Ok(room) => self.invite(ctx, room),
                Err(_) => return Next::Fault,
            },
            Act::Rest => self.acted(ctx, 0),
        }
        Next::Same
    }

    /// The turn's act is done, and so many announcements belong to it.
    fn acted(&self, ctx: &mut Context<'_, Self>, announcements: u64) {
        ctx.tell(self.accumulator, &Tally::Acted { announcements });
    }

    /// A new chat with this client in it.
    fn make_room(
        &mut self,
        ctx: &mut Context<'_, Self>,
    ) -> Result<ActorRef<RoomMessage>, SpawnError> {
        let me = ctx.me();
        let room = ctx.spawn_value(Room::new(me, self.accumulator))?;
        self.rooms.push(room);
        Ok(room)
    }

    fn draw_room(&mut self) -> ActorRef<RoomMessage> {
        self.rooms[self.random.below(self.rooms.len() as u64) as usize]
    }

    /// Invites some friends, drawn without repetition: the first places of a shuffled copy.
    fn invite(&mut self, ctx: &mut Context<'_, Self>, room: ActorRef<RoomMessage>) {
        if self.friends.is_empty() {
            return self.acted(ctx, 0);
        }
        let mut friends = self.friends.clone();
        let number = 1 + self.random.below(friends.len() as u64) as usize;
        for place in 0..number {
            let other = place + self.random.below((friends.len() - place) as u64) as usize;
            friends.swap(place, other);
        }
        ctx.tell(self.accumulator, &Tally::Announced { number: number as u64 });
        for friend in &friends[..number] {
            ctx.tell(*friend, &ClientMessage::Invited { room });
        }
        self.acted(ctx, 1);
    }
}
