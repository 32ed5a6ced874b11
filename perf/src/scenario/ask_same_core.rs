//! One actor asks another of the same core, with a deadline; the next question follows the answer.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// Questions and answers on one core.
pub struct AskSameCore;

static DESCRIPTION: Description = Description {
    name: "ask-same-core",
    measures: "one question with a deadline and its answer between two actors of one core: a whole round trip",
    cpus_needed: 1,
    limit: None,
    default_messages: 2_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for AskSameCore {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 1)?;
        let node = stage.node();
        let answering = node.spawn(Answering::default).map_err(runtime("make who answers"))?;
        let of_asking = Arc::clone(&totals);
        let make = move || Asking {
            sum: 0,
            answering,
            totals: Arc::clone(&of_asking),
            course: course.clone(),
            end: WARM_UP + measured,
            number: 0,
        };
        node.spawn(make).map_err(runtime("make who asks"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        let sum = Some(totals.measured_sum(WARM_UP, measured));
        Ok(Outcome { messages: measured, latencies, sum })
    }
}

const WARM_UP: u64 = 50_000;
const DEADLINE: Duration = Duration::from_secs(1);

/// 24 bytes: a number, and who wants it back.
#[message]
struct Question {
    number: u64,
    reply_to: ActorRef<Answer>,
}

/// 24 bytes: the number, and who answered.
#[message]
struct Answer {
    number: u64,
    from: ActorRef<Question>,
}

/// Asks for the numbers from 0 up and adds up the answers.
#[repr(C)]
struct Asking {
    sum: u64,
    answering: ActorRef<Question>,
    totals: Arc<Totals>,
    course: Course,
    end: u64,
    number: u64,
}

impl Asking {
    fn ask(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let number = self.number;
        if number == WARM_UP {
            self.course.begin();
        }
        if number == self.end {
            self.course.end(None);
            return Next::Same;
        }
        let question = |reply_to| Question { number, reply_to };
        ctx.ask(self.answering, question, DEADLINE, Self::answered);
        Next::Same
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        // A question without an answer is missing in the sum, and the check says so.
        if let Ok(answer) = answer {
            self.sum += answer.number.to_native();
        }
        self.number += 1;
        self.ask(ctx)
    }
}

impl Actor for Asking {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        self.ask(ctx)
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.number);
    }
}

/// Gives back the number it is asked for: 64 bytes of state.
#[derive(Default)]
#[repr(C)]
struct Answering {
    sum: u64,
    untouched: [u64; 6],
    count: u64,
}

impl Actor for Answering {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, asked: &Archived<Question>) -> Next<Self> {
        let number = asked.number.to_native();
        self.sum += number;
        self.count += 1;
        ctx.tell(asked.reply_to, &Answer { number, from: ctx.me() });
        Next::Same
    }
}
