//! `savina-count`: one actor counts what another sends, and is asked for the count.
//!
//! Both live on core 0, also where there are two: the counter has next to nothing to do, so a message costs less to
//! hand to the neighbour than to carry to another core. The producer sends 256 messages a turn and then tells itself
//! to go on, so that the counter keeps up and the messages stay in the nearest cache.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring_perf_contest::program::COUNT_MESSAGES;

use super::{COMMON, Description, Iteration, Program, Savina};

/// The scenario.
pub static COUNT: Savina<Count> = Savina {
    description: &Description {
        name: "savina-count",
        measures: "one of 1,000,000 messages to an actor that counts them and is asked for the count",
        default_messages: 10 * COUNT_MESSAGES,
        counted_messages: COUNT_MESSAGES,
        ..COMMON
    },
    program: Count { messages: COUNT_MESSAGES },
};

/// The program.
#[derive(Clone)]
pub struct Count {
    /// Messages of an iteration.
    pub messages: u64,
}

impl Program for Count {
    type Main = Producer;

    fn messages(&self) -> u64 {
        self.messages
    }

    fn sum(&self) -> u64 {
        self.messages
    }

    fn main_actor(&self, iteration: Iteration) -> Producer {
        Producer { iteration, counter: None, left: self.messages }
    }
}

const MESSAGES_A_TURN: u64 = 256;
const DEADLINE: Duration = Duration::from_secs(10);

/// To the counter.
#[message]
enum Command {
    Increment,
    Retrieve { reply_to: ActorRef<Counted> },
}

/// What it has counted.
#[message]
struct Counted {
    count: u64,
}

/// To the producer: goes on.
#[message]
pub struct GoOn;

/// Sends the increments.
pub struct Producer {
    iteration: Iteration,
    counter: Option<ActorRef<Command>>,
    left: u64,
}

impl Actor for Producer {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let Ok(counter) = ctx.spawn_value(Counter { count: 0 }) else { return Next::Fault };
        self.counter = Some(counter);
        let me = ctx.me();
        ctx.tell(me, &GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<GoOn>) -> Next<Self> {
        let Some(counter) = self.counter else { return Next::Fault };
        let now = self.left.min(MESSAGES_A_TURN);
        for _ in 0..now {
            ctx.tell(counter, &Command::Increment);
        }
        self.left -= now;
        if self.left > 0 {
            let me = ctx.me();
            ctx.tell(me, &GoOn);
        } else {
            ctx.ask(counter, |reply_to| Command::Retrieve { reply_to }, DEADLINE, Self::counted);
        }
        Next::Same
    }
}

impl Producer {
    fn counted(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Counted>, AskError>,
    ) -> Next<Self> {
        // Without an answer nothing was counted, and the round's check says so.
        self.iteration.done(ctx, answer.map_or(0, |counted| counted.count.to_native()));
        Next::Stop
    }
}

/// Counts.
struct Counter {
    count: u64,
}

impl Actor for Counter {
    type Message = Command;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, command: &Archived<Command>) -> Next<Self> {
        match command {
            ArchivedCommand::Increment => self.count += 1,
            ArchivedCommand::Retrieve { reply_to } => {
                ctx.tell(*reply_to, &Counted { count: self.count });
            }
        }
        Next::Same
    }
}
