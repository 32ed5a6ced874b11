//! An actor of one core asks an actor of another, with a deadline: one question at a time, or as many as a rate says.

use std::sync::Arc;
use std::time::Duration;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};
use crate::section::Purpose;

/// Questions and answers between two cores.
pub struct AskCrossCore;

static DESCRIPTION: Description = Description {
    name: "ask-cross-core",
    measures: "one question with a deadline and its answer between actors of two cores: a whole round trip",
    cpus_needed: 2,
    limit: None,
    default_messages: 250_000,
    counted_messages: 50_000,
    latency_sample: Some("round trip of a question and its answer"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for AskCrossCore {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 2)?;
        let node = stage.node();
        let answering = node.actor(Answering::default).on_core(1).start();
        let answering = answering.map_err(runtime("make who answers"))?;
        let of_asking = Arc::clone(&totals);
        let make = move || Asking {
            answering,
            totals: Arc::clone(&of_asking),
            laps: (course.purpose() == Purpose::Latency).then(LapTimer::new),
            course: course.clone(),
            end: WARM_UP + measured,
            number: 0,
            sum: 0,
        };
        node.actor(make).on_core(0).start().map_err(runtime("make who asks"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for AskCrossCore {
    fn response(&self) -> &'static str {
        "from when a question is due to its answer"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(2)?;
        let answering = node.actor(Answering::default).on_core(1).start();
        let answering = answering.map_err(runtime("make who answers"))?;
        let (course, payload) = (load.course.clone(), vec![0; load.payload_bytes]);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            answering,
            payload: payload.clone(),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the generator"))?;
        load.finish(node)
    }
}

const WARM_UP: u64 = 10_000;
const DEADLINE: Duration = Duration::from_secs(3);

/// A question: what it carries, and who wants it back.
#[message]
struct Question {
    stamp: Stamp,
    reply_to: ActorRef<Answer>,
    payload: Vec<u8>,
}

/// What the question carried.
#[message]
struct Answer {
    stamp: Stamp,
}

/// Asks one question after the other; their numbers go from 0 up, and the answers' are added up.
struct Asking {
    answering: ActorRef<Question>,
    totals: Arc<Totals>,
    course: Course,
    laps: Option<LapTimer>,
    end: u64,
    number: u64,
    sum: u64,
}

impl Asking {
    fn ask(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let number = self.number;
        if number == WARM_UP {
            self.laps.iter_mut().for_each(|laps| *laps = LapTimer::new());
            self.course.begin();
        }
        if number == self.end {
            self.course.end(self.laps.take().map(LapTimer::finish));
            return Next::Same;
        }
        let stamp = Stamp { number, ..Stamp::default() };
        let question = |reply_to| Question { stamp, reply_to, payload: Vec::new() };
        ctx.ask(self.answering, question, DEADLINE, Self::answered);
        Next::Same
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        if let Some(laps) = &mut self.laps
            && self.number >= WARM_UP
        {
            laps.lap();
        }
        // A question without an answer is missing in the sum, and the check says so.
        if let Ok(answer) = answer {
            self.sum += answer.stamp.number.to_native();
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

/// Gives back the stamp of what it is asked.
#[derive(Default)]
struct Answering {
    count: u64,
}

impl Actor for Answering {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, asked: &Archived<Question>) -> Next<Self> {
        self.count += 1;
        ctx.tell(asked.reply_to, &Answer { stamp: Stamp::from(&asked.stamp) });
        Next::Same
    }
}

/// Asks as many questions as are due.
struct Source {
    generator: Generator,
    answers: Answers,
    answering: ActorRef<Question>,
    payload: Vec<u8>,
}

/// The generator tells itself to go on.
#[message]
struct GoOn;

impl Source {
    fn answered(
        &mut self,
        _: &mut Context<'_, Self>,
        answer: Result<&Archived<Answer>, AskError>,
    ) -> Next<Self> {
        match answer {
            Ok(answer) => {
                self.answers.answered(Stamp::from(&answer.stamp));
                self.generator.answered(1);
            }
            Err(_) => self.generator.failed(),
        }
        Next::Same
    }
}

impl Actor for Source {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<GoOn>) -> Next<Self> {
        let Source { generator, answering, payload, .. } = self;
        let goes_on = generator.turn(|stamp| {
            let question = |reply_to| Question { stamp, reply_to, payload: payload.clone() };
            ctx.ask(*answering, question, DEADLINE, Self::answered);
            true
        });
        if goes_on {
            ctx.tell(ctx.me(), &GoOn);
        }
        Next::Same
    }
}
