//! `savina-fork-join-create`: many actors are made, each for one message.
//!
//! On each core a maker makes its part of them, since making an actor is local work of the core on which it is to live.
//! A maker makes 256 a turn and then tells itself to go on, so that few of them live at the same time.

use mainspring::prelude::*;
use mainspring_perf_contest::program::FORK_JOIN_CREATED;
use mainspring_perf_contest::work;

use super::crew::{Crew, Spread, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static FORK_JOIN_CREATE: Savina<ForkJoinCreate> = Savina {
    description: &Description {
        name: "savina-fork-join-create",
        measures: "one of 40,000 actors that is made, told once, computes a sine for it, says so and stops",
        default_messages: 50 * FORK_JOIN_CREATED,
        counted_messages: FORK_JOIN_CREATED,
        ..COMMON
    },
    program: ForkJoinCreate { actors: FORK_JOIN_CREATED },
};

/// The program.
#[derive(Clone)]
pub struct ForkJoinCreate {
    /// Actors of an iteration.
    pub actors: u64,
}

impl Program for ForkJoinCreate {
    type Main = Forker;

    fn messages(&self) -> u64 {
        self.actors
    }

    fn sum(&self) -> u64 {
        self.actors
    }

    fn main_actor(&self, iteration: Iteration) -> Forker {
        Forker { iteration, actors: self.actors, makers: 0, done: 0 }
    }
}

const ACTORS_A_TURN: u64 = 256;

/// To the main actor: a maker's actors are done.
#[message]
pub struct Joined {
    actors: u64,
}

/// Has a maker on each core.
pub struct Forker {
    iteration: Iteration,
    actors: u64,
    /// Those that are not done yet.
    makers: u16,
    done: u64,
}

impl Actor for Forker {
    type Message = Joined;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.makers = ctx.cores();
        let crew = Makers { forker: ctx.me(), actors: self.actors, makers: self.makers };
        muster(ctx, &crew, u64::from(self.makers), Spread::Dealt);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, joined: &Archived<Joined>) -> Next<Self> {
        self.done += joined.actors.to_native();
        self.makers -= 1;
        if self.makers > 0 {
            return Next::Same;
        }
        self.iteration.done(ctx, self.done);
        Next::Stop
    }
}

#[derive(Clone)]
struct Makers {
    forker: ActorRef<Joined>,
    actors: u64,
    makers: u16,
}

impl Crew for Makers {
    type Member = Maker;

    fn member(&self, number: u64) -> Maker {
        let mine = Spread::Dealt.numbers(self.actors, number as u16, self.makers).count() as u64;
        Maker { forker: self.forker, left: mine, missing: mine, done: 0 }
    }
}

/// To a maker.
#[message]
enum Progress {
    GoOn,
    Done,
}

/// Makes the actors of one core.
struct Maker {
    forker: ActorRef<Joined>,
    /// Actors to be made.
    left: u64,
    /// Actors that are not done.
    missing: u64,
    done: u64,
}

impl Actor for Maker {
    type Message = Progress;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let me = ctx.me();
        ctx.tell(me, &Progress::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, news: &Archived<Progress>) -> Next<Self> {
        match news {
            ArchivedProgress::GoOn => self.make(ctx),
            ArchivedProgress::Done => {
                self.done += 1;
                self.missing -= 1;
                if self.missing == 0 {
                    ctx.tell(self.forker, &Joined { actors: self.done });
                }
                Next::Same
            }
        }
    }
}

impl Maker {
    fn make(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let me = ctx.me();
        let now = self.left.min(ACTORS_A_TURN);
        for _ in 0..now {
            let Ok(worker) = ctx.spawn_value(Worker { maker: me }) else { return Next::Fault };
            ctx.tell(worker, &Compute);
        }
        self.left -= now;
        if self.left > 0 {
            ctx.tell(me, &Progress::GoOn);
        }
        Next::Same
    }
}

/// To a worker.
#[message]
struct Compute;

/// Computes once.
struct Worker {
    maker: ActorRef<Progress>,
}

impl Actor for Worker {
    type Message = Compute;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Compute>) -> Next<Self> {
        work::compute(work::ANGLE);
        ctx.tell(self.maker, &Progress::Done);
        Next::Stop
    }
}
