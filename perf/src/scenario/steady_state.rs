//! A system that just runs: on two cores actors tell, ask with deadlines and answer each other, over and over.
//!
//! What is of interest is not the time but the counts: heap allocations and system calls a message, which have to
//! be 0.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;

use super::number::{Number, Sink, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// Laps of tells on one core, an ask on one core, and a message to another core and back.
pub struct SteadyState;

static DESCRIPTION: Description = Description {
    name: "steady-state",
    measures: "one message of a mix: 8 told and 2 of an ask on the same core, 2 to another core and back",
    cpus_needed: 2,
    limit: None,
    default_messages: 1_200_000,
    counted_messages: 240_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for SteadyState {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let laps = round.messages.div_ceil(MESSAGES_A_LAP);
        let totals = Arc::new(Totals::default());
        let (stage, course) = Stage::start(round, 2)?;
        let node = stage.node();
        let abroad = node.actor(|| Echo).on_core(1).start();
        let abroad = abroad.map_err(runtime("make the actor of the other core"))?;
        let home = node.actor(|| Answering).on_core(0).start();
        let home = home.map_err(runtime("make who answers"))?;
        let of_receivers = Arc::clone(&totals);
        let make = move || Centre {
            course: course.clone(),
            totals: Arc::clone(&of_receivers),
            told: Vec::new(),
            asked: home,
            abroad,
            end: WARM_UP_LAPS + laps,
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the centre"))?;
        let latencies = stage.finish()?;
        totals.check_numbers((WARM_UP_LAPS + laps) * TOLD_A_LAP)?;
        Ok(Outcome { messages: laps * MESSAGES_A_LAP, latencies, sum: None })
    }
}

const TOLD_A_LAP: u64 = 8;
const MESSAGES_A_LAP: u64 = TOLD_A_LAP + 4;
const WARM_UP_LAPS: u64 = 5_000;
const DEADLINE: Duration = Duration::from_secs(10);

/// 24 bytes: the lap, and who waits for the answer.
#[message]
struct Question {
    lap: u64,
    reply_to: ActorRef<Answer>,
}

/// The lap, out of the question.
#[message]
struct Answer {
    lap: u64,
}

/// Begins each lap with the number that the lap before has brought back, so that a message that is lost or wrong
/// anywhere spoils the sums of all laps behind it.
struct Centre {
    course: Course,
    totals: Arc<Totals>,
    told: Vec<ActorRef<Number>>,
    asked: ActorRef<Question>,
    abroad: ActorRef<Number>,
    end: u64,
}

impl Actor for Centre {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        for _ in 0..TOLD_A_LAP {
            let totals = Arc::clone(&self.totals);
            self.told.push(ctx.spawn(move || Sink::<1, 0>::new(&totals)).start());
        }
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let lap = message.number.to_native();
        if lap == WARM_UP_LAPS {
            self.course.begin();
        }
        if lap == self.end {
            self.course.end(None);
            return Next::Same;
        }
        let from = ctx.me();
        for (number, to) in (lap * TOLD_A_LAP..).zip(&self.told) {
            ctx.tell(*to, &Number { number, from });
        }
        ctx.ask(self.asked, |reply_to| Question { lap, reply_to }, DEADLINE, Self::answered);
        Next::Same
    }
}

impl Centre {
    fn answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        // Without an answer the laps end here, and the round is given up with an error.
        if let Ok(answer) = answer {
            let from = ctx.me();
            ctx.tell(self.abroad, &Number { number: answer.lap.to_native(), from });
        }
        Next::Same
    }
}

/// Answers each question with its lap.
struct Answering;

impl Actor for Answering {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, asked: &Archived<Question>) -> Next<Self> {
        ctx.tell(asked.reply_to, &Answer { lap: asked.lap.to_native() });
        Next::Same
    }
}

/// Sends back the number of the next lap.
struct Echo;

impl Actor for Echo {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let number = message.number.to_native() + 1;
        ctx.tell(message.from, &Number { number, from: ctx.me() });
        Next::Same
    }
}
