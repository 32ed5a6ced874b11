//! `savina-thread-ring`: a token goes round a ring of actors.
//!
//! Neighbours live together: the first half of the ring on core 0, the second on core 1, so that the token crosses
//! between cores twice a lap.

use mainspring::prelude::*;
use mainspring_perf_contest::program::{THREAD_RING_ACTORS, THREAD_RING_HOPS};

use super::crew::{Crew, Members, Roster, Spread, Team, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static THREAD_RING: Savina<ThreadRing> = Savina {
    description: &Description {
        name: "savina-thread-ring",
        measures: "one of 100,000 hops of a token round 100 actors, with making and stopping them",
        default_messages: 50 * THREAD_RING_HOPS,
        counted_messages: THREAD_RING_HOPS,
        ..COMMON
    },
    program: ThreadRing { actors: THREAD_RING_ACTORS, hops: THREAD_RING_HOPS },
};

/// The program.
#[derive(Clone)]
pub struct ThreadRing {
    /// Actors of the ring.
    pub actors: u64,
    /// Hops of the token.
    pub hops: u64,
}

impl Program for ThreadRing {
    type Main = Jeweller;

    fn messages(&self) -> u64 {
        self.hops
    }

    fn sum(&self) -> u64 {
        self.hops
    }

    fn main_actor(&self, iteration: Iteration) -> Jeweller {
        Jeweller {
            iteration,
            program: self.clone(),
            roster: Roster::new(self.actors, SPREAD),
            links: Vec::new(),
            missing: self.actors,
            hops: 0,
        }
    }
}

const SPREAD: Spread = Spread::Parted;

/// To the main actor.
#[message]
pub enum Progress {
    /// The links of one core.
    Made { core: u16, links: Vec<ActorRef<LinkMessage>> },
    /// The token has no hops left.
    Arrived,
    /// What a link has counted.
    Counted { hops: u64 },
}

/// To a link of the ring.
#[message]
pub enum LinkMessage {
    /// Who comes next.
    Connect { next: ActorRef<LinkMessage> },
    /// The token: this is a hop, and so many are left behind it.
    Token { left: u64 },
    /// How many hops were there?
    Count,
}

/// Makes the ring and sets the token on it.
pub struct Jeweller {
    iteration: Iteration,
    program: ThreadRing,
    roster: Roster<LinkMessage>,
    links: Vec<ActorRef<LinkMessage>>,
    /// Links that have not said what they counted.
    missing: u64,
    hops: u64,
}

impl Actor for Jeweller {
    type Message = Progress;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let crew = Links { jeweller: ctx.me() };
        muster(ctx, &crew, self.program.actors, SPREAD);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, news: &Archived<Progress>) -> Next<Self> {
        match news {
            ArchivedProgress::Made { core, links } => {
                let all = self.roster.complete(core.to_native(), ctx.cores(), links);
                if let Some(all) = all {
                    self.links = all;
                    self.set_out(ctx);
                }
            }
            ArchivedProgress::Arrived => {
                for link in &self.links {
                    ctx.tell(*link, &LinkMessage::Count);
                }
            }
            ArchivedProgress::Counted { hops } => {
                self.hops += hops.to_native();
                self.missing -= 1;
                if self.missing == 0 {
                    self.iteration.done(ctx, self.hops);
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}

impl Jeweller {
    fn set_out(&self, ctx: &mut Context<'_, Self>) {
        let nexts = self.links.iter().cycle().skip(1);
        for (link, next) in self.links.iter().zip(nexts) {
            ctx.tell(*link, &LinkMessage::Connect { next: *next });
        }
        if let Some(first) = self.links.first() {
            ctx.tell(*first, &LinkMessage::Token { left: self.program.hops - 1 });
        }
    }
}

#[derive(Clone)]
struct Links {
    jeweller: ActorRef<Progress>,
}

impl Crew for Links {
    type Member = Link;

    fn member(&self, _: u64) -> Link {
        Link { jeweller: self.jeweller, next: None, hops: 0 }
    }

    fn made(&self, team: &mut Context<'_, Team<Self>>, links: Members<Self>) {
        let core = team.core();
        team.tell(self.jeweller, &Progress::Made { core, links });
    }
}

/// Hands the token on.
struct Link {
    jeweller: ActorRef<Progress>,
    next: Option<ActorRef<LinkMessage>>,
    hops: u64,
}

impl Actor for Link {
    type Message = LinkMessage;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<LinkMessage>,
    ) -> Next<Self> {
        match message {
            ArchivedLinkMessage::Token { left } => {
                self.hops += 1;
                match (left.to_native(), self.next) {
                    (0, _) | (_, None) => ctx.tell(self.jeweller, &Progress::Arrived),
                    (left, Some(next)) => ctx.tell(next, &LinkMessage::Token { left: left - 1 }),
                }
            }
            ArchivedLinkMessage::Connect { next } => self.next = Some(*next),
            ArchivedLinkMessage::Count => {
                ctx.tell(self.jeweller, &Progress::Counted { hops: self.hops });
            }
        }
        Next::Same
    }
}
