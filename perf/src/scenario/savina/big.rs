//! `savina-big`: many actors that ping each other at random.
//!
//! They are dealt to the cores; the sink, which is the main actor, lives on core 0. Each has one ping under way, so the
//! rings hold no more messages than there are actors.

use mainspring::prelude::*;
use mainspring_perf_contest::Random;
use mainspring_perf_contest::program::{BIG_ACTORS, BIG_PINGS};

use super::crew::{Crew, Members, Roster, Spread, Team, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static BIG: Savina<Big> = Savina {
    description: &Description {
        name: "savina-big",
        measures: "one ping or pong among 120 actors that ping each other at random, 20,000 times each",
        default_messages: 2 * BIG_ACTORS * BIG_PINGS,
        counted_messages: 2 * BIG_ACTORS * BIG_PINGS,
        ..COMMON
    },
    program: Big { actors: BIG_ACTORS, pings: BIG_PINGS },
};

/// The program.
#[derive(Clone)]
pub struct Big {
    /// Who pings.
    pub actors: u64,
    /// Pings that each of them sends.
    pub pings: u64,
}

impl Program for Big {
    type Main = Sink;

    fn messages(&self) -> u64 {
        2 * self.actors * self.pings
    }

    fn sum(&self) -> u64 {
        self.actors * self.pings
    }

    fn main_actor(&self, iteration: Iteration) -> Sink {
        Sink {
            iteration,
            program: self.clone(),
            roster: Roster::new(self.actors, SPREAD),
            missing: self.actors,
            pongs: 0,
        }
    }
}

const SPREAD: Spread = Spread::Dealt;

/// To the sink.
#[message]
pub enum Progress {
    /// The actors of one core.
    Made { core: u16, actors: Vec<ActorRef<BigMessage>> },
    /// One is done, with so many pongs.
    Done { pongs: u64 },
}

/// To an actor.
#[message]
pub enum BigMessage {
    /// It may begin; these are all.
    Begin { actors: Vec<ActorRef<BigMessage>> },
    /// Asks for a pong.
    Ping { reply_to: ActorRef<BigMessage> },
    /// The answer.
    Pong,
}

/// Makes the others, hears from them when they are done, and stops them.
pub struct Sink {
    iteration: Iteration,
    program: Big,
    roster: Roster<BigMessage>,
    /// Actors that are not done.
    missing: u64,
    pongs: u64,
}

impl Actor for Sink {
    type Message = Progress;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let crew = Pingers { sink: ctx.me(), pings: self.program.pings };
        muster(ctx, &crew, self.program.actors, SPREAD);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, news: &Archived<Progress>) -> Next<Self> {
        match news {
            ArchivedProgress::Made { core, actors } => {
                let all = self.roster.complete(core.to_native(), ctx.cores(), actors);
                if let Some(actors) = all {
                    let begin = BigMessage::Begin { actors: actors.clone() };
                    actors.iter().for_each(|actor| ctx.tell(*actor, &begin));
                }
            }
            ArchivedProgress::Done { pongs } => {
                self.pongs += pongs.to_native();
                self.missing -= 1;
                if self.missing == 0 {
                    self.iteration.done(ctx, self.pongs);
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}

#[derive(Clone)]
struct Pingers {
    sink: ActorRef<Progress>,
    pings: u64,
}

impl Crew for Pingers {
    type Member = Pinger;

    fn member(&self, number: u64) -> Pinger {
        let (actors, random) = (Vec::new(), Random::seeded(number));
        Pinger { actors, random, left: self.pings, pongs: 0, sink: self.sink }
    }

    fn made(&self, team: &mut Context<'_, Team<Self>>, actors: Members<Self>) {
        let core = team.core();
        team.tell(self.sink, &Progress::Made { core, actors });
    }
}

/// Pings others and answers their pings.
struct Pinger {
    actors: Vec<ActorRef<BigMessage>>,
    random: Random,
    left: u64,
    pongs: u64,
    sink: ActorRef<Progress>,
}

impl Actor for Pinger {
    type Message = BigMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<BigMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedBigMessage::Ping { reply_to } => ctx.tell(*reply_to, &BigMessage::Pong),
            ArchivedBigMessage::Pong => {
                self.pongs += 1;
                self.ping(ctx);
            }
            ArchivedBigMessage::Begin { actors } => {
                self.actors = actors.to_vec();
                self.ping(ctx);
            }
        }
        Next::Same
    }
}

impl Pinger {
    /// The next ping, or the news that there are no more.
    #[inline]
    fn ping(&mut self, ctx: &mut Context<'_, Self>) {
        if self.left == 0 {
            return ctx.tell(self.sink, &Progress::Done { pongs: self.pongs });
        }
        self.left -= 1;
        let drawn = self.random.below(self.actors.len() as u64);
        let reply_to = ctx.me();
        ctx.tell(self.actors[drawn as usize], &BigMessage::Ping { reply_to });
    }
}
