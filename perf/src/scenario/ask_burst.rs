//! One actor asks a hundred others of its core at once, each with a deadline, and asks again when all have answered.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::section::Purpose;

/// Bursts of 100 questions on one core.
pub struct AskBurst;

static DESCRIPTION: Description = Description {
    name: "ask-burst",
    measures: "one question with a deadline and its answer, 100 outstanding at once to 100 actors of one core",
    cpus_needed: 1,
    limit: None,
    default_messages: 2_000_000,
    counted_messages: 1_000_000,
    latency_sample: Some("burst of 100 questions until the last answer"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for AskBurst {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let bursts = round.messages.div_ceil(QUESTIONS_A_BURST);
        let totals = Arc::new(Totals::default());
        let (stage, course) = Stage::start(round, 1)?;
        let of_asking = Arc::clone(&totals);
        let end = (WARM_UP_BURSTS + bursts) * QUESTIONS_A_BURST;
        let make = move || Asking {
            sum: 0,
            answers: 0,
            answering: Vec::new(),
            totals: Arc::clone(&of_asking),
            course: course.clone(),
            number: 0,
            end,
            bursts: LapTimer::new(),
        };
        stage.node().spawn(make).map_err(runtime("make who asks"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(end)?;
        Ok(Outcome { messages: bursts * QUESTIONS_A_BURST, latencies, sum: None })
    }
}

const QUESTIONS_A_BURST: u64 = 100;
const WARM_UP_BURSTS: u64 = 500;
const WARM_UP: u64 = WARM_UP_BURSTS * QUESTIONS_A_BURST;
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

/// Asks for the numbers from 0 up, one from each of those who answer, and adds up the answers.
struct Asking {
    sum: u64,
    answers: u64,
    answering: Vec<ActorRef<Question>>,
    totals: Arc<Totals>,
    course: Course,
    /// Questions asked so far.
    number: u64,
    end: u64,
    bursts: LapTimer,
}

impl Asking {
    /// All questions so far are over: the section begins or ends, or the next burst follows.
    fn go_on(&mut self, ctx: &mut Context<'_, Self>) {
        let stamped = self.course.purpose() == Purpose::Latency;
        if self.number == WARM_UP {
            self.course.begin();
            self.bursts = LapTimer::new();
        } else if stamped && self.number > WARM_UP {
            self.bursts.lap();
        }
        if self.number == self.end {
            let latencies = stamped.then(|| std::mem::take(&mut self.bursts).finish());
            return self.course.end(latencies);
        }
        for (number, to) in (self.number..).zip(&self.answering) {
            let question = |reply_to| Question { number, reply_to };
            ctx.ask(*to, question, DEADLINE, Self::answered);
        }
        self.number += QUESTIONS_A_BURST;
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
        self.answers += 1;
        if self.answers == self.number {
            self.go_on(ctx);
        }
        Next::Same
    }
}

impl Actor for Asking {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.answering = (0..QUESTIONS_A_BURST).map(|_| ctx.spawn(|| Answering).start()).collect();
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        self.go_on(ctx);
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.answers);
    }
}

/// Gives back the number it is asked for.
struct Answering;

impl Actor for Answering {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, asked: &Archived<Question>) -> Next<Self> {
        let number = asked.number.to_native();
        ctx.tell(asked.reply_to, &Answer { number, from: ctx.me() });
        Next::Same
    }
}
