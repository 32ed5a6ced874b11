//! `savina-chat`: clients that post, join, leave and invite, in turns.
//!
//! The directories are dealt to the cores and make their clients, and clients make their chats, where they live.
//! Friends belong to the same directory, so chatting is local. The poker and the accumulator live on core 0.
//!
//! An announcement may reach the accumulator behind the completion that it belongs to, when the two come from
//! different cores. So a completion says how many announcements belong to it, and a turn is over when all of these
//! and all that they announce are in. No message meets a chat that has stopped: a chat stops when its last member
//! leaves, whoever writes to it is a member, and a turn ends only when everybody invited has joined.

mod client;
mod room;

use mainspring::prelude::*;
use mainspring_perf_contest::program::{CHAT_CLIENTS, CHAT_DIRECTORIES, CHAT_TURNS};

use self::client::{Client, ClientMessage};
use super::crew::{Crew, Members, Roster, Spread, Team, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static CHAT: Savina<Chat> = Savina {
    description: &Description {
        name: "savina-chat",
        measures: "one act of one of 1,024 clients in 20 turns: a post, an invitation, a goodbye, or work",
        default_messages: 5 * CHAT_CLIENTS * CHAT_TURNS,
        counted_messages: CHAT_CLIENTS * CHAT_TURNS,
        ..COMMON
    },
    program: Chat { directories: CHAT_DIRECTORIES, clients: CHAT_CLIENTS, turns: CHAT_TURNS },
};

/// The program.
#[derive(Clone)]
pub struct Chat {
    /// Groups in which clients make friends.
    pub directories: u64,
    /// Clients of all directories together, a multiple of their number.
    pub clients: u64,
    /// Turns in which every client acts once.
    pub turns: u64,
}

impl Program for Chat {
    type Main = Poker;

    fn messages(&self) -> u64 {
        self.clients * self.turns
    }

    fn sum(&self) -> u64 {
        self.clients * self.turns
    }

    fn main_actor(&self, iteration: Iteration) -> Poker {
        Poker {
            iteration,
            program: self.clone(),
            roster: Roster::new(self.directories, SPREAD),
            directories: Vec::new(),
            turns_left: self.turns,
            acts: 0,
        }
    }
}

const SPREAD: Spread = Spread::Dealt;

/// To the poker.
#[message]
pub enum PokerMessage {
    /// The directories of one core.
    Made { core: u16, directories: Vec<ActorRef<BeginTurn>> },
    /// A turn is over, in which so many clients acted.
    TurnOver { acts: u64 },
}

/// To a directory: its clients are to act.
#[message]
pub struct BeginTurn;

/// Begins the turns.
pub struct Poker {
    iteration: Iteration,
    program: Chat,
    roster: Roster<BeginTurn>,
    directories: Vec<ActorRef<BeginTurn>>,
    turns_left: u64,
    acts: u64,
}

impl Actor for Poker {
    type Message = PokerMessage;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let poker = ctx.me();
        let accumulator = Accumulator::new(poker, self.program.clients);
        let Ok(accumulator) = ctx.spawn_value(accumulator) else { return Next::Fault };
        let clients_each = self.program.clients / self.program.directories;
        let crew = Directories { poker, accumulator, clients_each };
        muster(ctx, &crew, self.program.directories, SPREAD);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        news: &Archived<PokerMessage>,
    ) -> Next<Self> {
        match news {
            ArchivedPokerMessage::Made { core, directories } => {
                let all = self.roster.complete(core.to_native(), ctx.cores(), directories);
                let Some(all) = all else { return Next::Same };
                self.directories = all;
            }
            ArchivedPokerMessage::TurnOver { acts } => self.acts += acts.to_native(),
        }
        if self.turns_left == 0 {
            self.iteration.done(ctx, self.acts);
            return Next::Stop;
        }
        self.turns_left -= 1;
        for directory in &self.directories {
            ctx.tell(*directory, &BeginTurn);
        }
        Next::Same
    }
}

#[derive(Clone)]
struct Directories {
    poker: ActorRef<PokerMessage>,
    accumulator: ActorRef<Tally>,
    clients_each: u64,
}

impl Crew for Directories {
    type Member = Directory;

    fn member(&self, number: u64) -> Directory {
        let first = number * self.clients_each;
        let numbers = first..first + self.clients_each;
        Directory { accumulator: self.accumulator, numbers, clients: Vec::new() }
    }

    fn made(&self, team: &mut Context<'_, Team<Self>>, directories: Members<Self>) {
        let core = team.core();
        team.tell(self.poker, &PokerMessage::Made { core, directories });
    }
}

/// Makes its clients and introduces them to each other.
struct Directory {
    accumulator: ActorRef<Tally>,
    numbers: std::ops::Range<u64>,
    clients: Vec<ActorRef<ClientMessage>>,
}

impl Actor for Directory {
    type Message = BeginTurn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        for number in self.numbers.clone() {
            match ctx.spawn_value(Client::new(number, self.accumulator)) {
                Ok(client) => self.clients.push(client),
                Err(_) => return Next::Fault,
            }
        }
        for (place, client) in self.clients.iter().enumerate() {
            let mut others = self.clients.clone();
            others.remove(place);
            ctx.tell(*client, &ClientMessage::Befriend { others });
        }
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<BeginTurn>) -> Next<Self> {
        for client in &self.clients {
            ctx.tell(*client, &ClientMessage::Act);
        }
        Next::Same
    }
}

/// To the accumulator.
#[message]
pub enum Tally {
    /// So many deliveries or invitations are under way.
    Announced { number: u64 },
    /// One of them has arrived.
    Arrived,
    /// A client has acted, and so many announcements belong to that.
    Acted { announcements: u64 },
}

/// Knows when a turn is over.
struct Accumulator {
    poker: ActorRef<PokerMessage>,
    clients: u64,
    counted: Counted,
}

/// What came in during a turn.
#[derive(Default)]
struct Counted {
    acts: u64,
    /// Announcements that completions have named, less those that came.
    announcements_missing: i64,
    /// What was announced, less what arrived.
    arrivals_missing: i64,
}

impl Accumulator {
    fn new(poker: ActorRef<PokerMessage>, clients: u64) -> Self {
        Accumulator { poker, clients, counted: Counted::default() }
    }
}

impl Actor for Accumulator {
    type Message = Tally;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, tally: &Archived<Tally>) -> Next<Self> {
        let counted = &mut self.counted;
        match tally {
            ArchivedTally::Announced { number } => {
                counted.announcements_missing -= 1;
                counted.arrivals_missing += number.to_native() as i64;
            }
            ArchivedTally::Arrived => counted.arrivals_missing -= 1,
            ArchivedTally::Acted { announcements } => {
                counted.acts += 1;
                counted.announcements_missing += announcements.to_native() as i64;
            }
        }
        if counted.acts == self.clients
            && counted.announcements_missing == 0
            && counted.arrivals_missing == 0
        {
            let acts = std::mem::take(counted).acts;
            ctx.tell(self.poker, &PokerMessage::TurnOver { acts });
        }
        Next::Same
    }
}
