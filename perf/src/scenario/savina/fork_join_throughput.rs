//! `savina-fork-join-throughput`: one actor sends to many in turn, and each message makes them compute.
//!
//! The workers are dealt to the cores; the sender lives on core 0. It sends four rounds a turn and then tells itself
//! to go on. Where the ring to another core is full it goes on later from where it was.

use mainspring::prelude::*;
use mainspring_perf_contest::program::{FORK_JOIN_ACTORS, FORK_JOIN_MESSAGES};
use mainspring_perf_contest::work;

use super::crew::{Crew, Members, Roster, Spread, Team, muster};
use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static FORK_JOIN_THROUGHPUT: Savina<ForkJoinThroughput> = Savina {
    description: &Description {
        name: "savina-fork-join-throughput",
        measures: "one message to one of 60 actors in turn, 10,000 each, for which it computes a sine",
        default_messages: 10 * FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES,
        counted_messages: FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES,
        ..COMMON
    },
    program: ForkJoinThroughput { workers: FORK_JOIN_ACTORS, messages_each: FORK_JOIN_MESSAGES },
};

/// The program.
#[derive(Clone)]
pub struct ForkJoinThroughput {
    /// Actors that compute.
    pub workers: u64,
    /// Messages to each of them.
    pub messages_each: u64,
}

impl Program for ForkJoinThroughput {
    type Main = Sender;

    fn messages(&self) -> u64 {
        self.workers * self.messages_each
    }

    fn sum(&self) -> u64 {
        self.workers * self.messages_each
    }

    fn main_actor(&self, iteration: Iteration) -> Sender {
        Sender {
            iteration,
            program: self.clone(),
            roster: Roster::new(self.workers, SPREAD),
            workers: Vec::new(),
            rounds_left: self.messages_each,
            next: 0,
            missing: self.workers,
            handled: 0,
        }
    }
}

const SPREAD: Spread = Spread::Dealt;
const ROUNDS_A_TURN: u64 = 4;

/// To the sender.
#[message]
pub enum Progress {
    /// The workers of one core.
    Made { core: u16, workers: Vec<ActorRef<Compute>> },
    /// It is to go on.
    GoOn,
    /// A worker has all it waits for.
    Handled { messages: u64 },
}

/// To a worker.
#[message]
pub struct Compute;

/// Sends to each worker in turn.
pub struct Sender {
    iteration: Iteration,
    program: ForkJoinThroughput,
    roster: Roster<Compute>,
    workers: Vec<ActorRef<Compute>>,
    rounds_left: u64,
    /// Whose turn it is in a round that a full ring has interrupted.
    next: usize,
    /// Workers that have not got all yet.
    missing: u64,
    handled: u64,
}

impl Actor for Sender {
    type Message = Progress;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let crew = Workers { sender: ctx.me(), messages: self.program.messages_each };
        muster(ctx, &crew, self.program.workers, SPREAD);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, news: &Archived<Progress>) -> Next<Self> {
        match news {
            ArchivedProgress::Made { core, workers } => {
                let all = self.roster.complete(core.to_native(), ctx.cores(), workers);
                if let Some(all) = all {
                    self.workers = all;
                    self.send(ctx);
                }
            }
            ArchivedProgress::GoOn => self.send(ctx),
            ArchivedProgress::Handled { messages } => {
                self.handled += messages.to_native();
                self.missing -= 1;
                if self.missing == 0 {
                    self.iteration.done(ctx, self.handled);
                    return Next::Stop;
                }
            }
        }
        Next::Same
    }
}

impl Sender {
    /// Some rounds, as far as the rings have room.
    fn send(&mut self, ctx: &mut Context<'_, Self>) {
        let rounds = self.rounds_left.min(ROUNDS_A_TURN);
        for _ in 0..rounds {
            if !self.send_round(ctx) {
                break;
            }
            self.rounds_left -= 1;
        }
        if self.rounds_left > 0 {
            let me = ctx.me();
            ctx.tell(me, &Progress::GoOn);
        }
    }

    /// One message to each worker from the next one on; whether all got theirs.
    fn send_round(&mut self, ctx: &mut Context<'_, Self>) -> bool {
        for (number, worker) in self.workers.iter().enumerate().skip(self.next) {
            if ctx.try_tell(*worker, &Compute).is_err() {
                self.next = number;
                return false;
            }
        }
        self.next = 0;
        true
    }
}

#[derive(Clone)]
struct Workers {
    sender: ActorRef<Progress>,
    messages: u64,
}

impl Crew for Workers {
    type Member = Worker;

    fn member(&self, _: u64) -> Worker {
        Worker { sender: self.sender, left: self.messages, handled: 0 }
    }

    fn made(&self, team: &mut Context<'_, Team<Self>>, workers: Members<Self>) {
        let core = team.core();
        team.tell(self.sender, &Progress::Made { core, workers });
    }
}

/// Computes for each message.
struct Worker {
    sender: ActorRef<Progress>,
    left: u64,
    handled: u64,
}

impl Actor for Worker {
    type Message = Compute;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Compute>) -> Next<Self> {
        work::compute(work::ANGLE);
        self.handled += 1;
        self.left -= 1;
        if self.left == 0 {
            ctx.tell(self.sender, &Progress::Handled { messages: self.handled });
        }
        Next::Same
    }
}
