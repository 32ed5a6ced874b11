//! A thread that is no core asks an actor and waits for the answer: the way in for the rest of a program.

use std::thread;
use std::time::Duration;

use mainspring::prelude::*;

use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check, sum_of_numbers};
use crate::latency::LapTimer;
use crate::raw::affinity;
use crate::section::Purpose;

/// A client of its own thread and a node of one core.
pub struct ClientAsk;

static DESCRIPTION: Description = Description {
    name: "client-ask",
    measures: "one question of a thread that is no core, and its answer: a whole round trip",
    cpus_needed: 2,
    limit: None,
    default_messages: 200_000,
    counted_messages: 50_000,
    latency_sample: Some("round trip"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for ClientAsk {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (questions, cpu) = (round.messages, round.cpu(1)?);
        let (stage, course) = Stage::start(round, 1)?;
        let answering = stage.node().spawn(|| Answering).map_err(runtime("make who answers"))?;
        let client = stage.node().client();
        let asking = Asking { client, answering };
        // Takes the course along: when it fails, the stage learns at once that the end will not come.
        let work = move || asking.ask_all(cpu, course, questions);
        let asked = thread::scope(|scope| scope.spawn(work).join());
        let ended = stage.finish();
        let sum = asked.map_err(|_| ScenarioError::ThreadLost)??;
        check("the sum of the answers", sum_of_numbers(questions), sum)?;
        Ok(Outcome { messages: questions, latencies: ended?, sum: None })
    }
}

const WARM_UP: u64 = 10_000;
const DEADLINE: Duration = Duration::from_secs(10);

/// 24 bytes: a number, and who wants it back.
#[message]
struct Question {
    number: u64,
    reply_to: ActorRef<Answer>,
}

/// The number, out of the question.
#[message]
struct Answer {
    number: u64,
}

/// A thread that asks for the numbers from 0 up, each when the answer to the one before is there.
struct Asking {
    client: Client,
    answering: ActorRef<Question>,
}

impl Asking {
    /// Asks all questions from a CPU of its own; the sum of the answers.
    fn ask_all(self, cpu: usize, course: Course, questions: u64) -> Result<u64, ScenarioError> {
        affinity::pin_to(cpu)?;
        for number in 0..WARM_UP {
            self.ask(number)?;
        }
        let stamped = course.purpose() == Purpose::Latency;
        let mut round_trips = LapTimer::new();
        thread::sleep(course.pause());
        course.begin();
        round_trips.restart();
        let mut sum = 0_u64;
        for number in 0..questions {
            sum = sum.wrapping_add(self.ask(number)?);
            if stamped {
                round_trips.lap();
            }
        }
        course.end(stamped.then(|| round_trips.finish()));
        Ok(sum)
    }

    fn ask(&self, number: u64) -> Result<u64, ScenarioError> {
        let question = |reply_to| Question { number, reply_to };
        let answer = self.client.ask::<_, Answer>(self.answering, question, DEADLINE).wait();
        let answer = answer.map_err(|source| ScenarioError::Runtime {
            doing: "ask from a thread",
            source: source.into(),
        })?;
        Ok(answer.number)
    }
}

/// Gives back the number it is asked for.
struct Answering;

impl Actor for Answering {
    type Message = Question;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, asked: &Archived<Question>) -> Next<Self> {
        ctx.tell(asked.reply_to, &Answer { number: asked.number.to_native() });
        Next::Same
    }
}
