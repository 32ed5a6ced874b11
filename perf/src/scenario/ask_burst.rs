//! One actor asks a hundred others at once, each with a deadline.
//!
//! In rounds all are on one core, and the next burst follows the last answer. Under load those who answer are on
//! another core, a burst is due when the rate says so, and it is answered by the last of its 100 answers.

use std::sync::Arc;
use std::time::Duration;

use mainspring::frame;
use mainspring::prelude::*;

use super::gathering::Gathering;
use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};
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

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for AskBurst {
    fn response(&self) -> &'static str {
        "from when a burst of 100 questions is due to the last answer"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(2)?;
        let make = |_| node.actor(|| Answering).on_core(1).start();
        let answering: Result<Vec<_>, _> = (0..QUESTIONS_A_BURST).map(make).collect();
        let answering = answering.map_err(runtime("make who answers"))?;
        let (course, payload_bytes) = (load.course.clone(), load.payload_bytes);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            bursts: Bursts::new(&answering, payload_bytes),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make who asks"))?;
        load.finish(node)
    }
}

const QUESTIONS_A_BURST: u64 = 100;
const WARM_UP_BURSTS: u64 = 500;
const WARM_UP: u64 = WARM_UP_BURSTS * QUESTIONS_A_BURST;
const DEADLINE: Duration = Duration::from_secs(1);

/// A number, and who wants it back.
#[message]
struct Question {
    number: u64,
    reply_to: ActorRef<Answer>,
    payload: Vec<u8>,
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
            let question = |reply_to| Question { number, reply_to, payload: Vec::new() };
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

/// The deadline of a question under load.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the bursts that are due.
struct Source {
    generator: Generator,
    answers: Answers,
    bursts: Bursts,
}

/// The bursts that wait for answers, and the way to those who answer.
struct Bursts {
    answering: Vec<ActorRef<Question>>,
    payload: Vec<u8>,
    /// How many questions of the burst that is being asked are out; none between two bursts.
    asked: Option<usize>,
    waiting: Gathering,
    /// Questions without an answer so far.
    open: usize,
    /// The most there may be: as many as fill half of the ring that carries them, and whose answers fill half of the
    /// lane by which they come back, which is smaller. What finds either full is lost.
    most_open: usize,
}

impl Bursts {
    fn new(answering: &[ActorRef<Question>], payload_bytes: usize) -> Bursts {
        let question_bytes = size_of::<ArchivedQuestion>() + payload_bytes;
        let limits = Limits::default();
        let questions = limits.ring_bytes / 2 / frame::stride(question_bytes);
        let answers = limits.control_ring_bytes / 2 / frame::stride(size_of::<ArchivedAnswer>());
        Bursts {
            answering: answering.to_vec(),
            payload: vec![0; payload_bytes],
            asked: None,
            waiting: Gathering::new(),
            open: 0,
            most_open: questions.min(answers).max(1),
        }
    }

    /// Asks a burst. False when too many questions are open: the next try goes on where this one stopped.
    fn ask(&mut self, ctx: &mut Context<'_, Source>, stamp: Stamp) -> bool {
        if self.asked.is_none() && !self.waiting.open(stamp, self.answering.len() as u32) {
            return false;
        }
        let (number, asked) = (stamp.number, self.asked.unwrap_or(0));
        let until = self.answering.len().min(asked + self.most_open.saturating_sub(self.open));
        for to in &self.answering[asked..until] {
            let payload = self.payload.clone();
            let question = |reply_to| Question { number, reply_to, payload };
            ctx.ask(*to, question, PATIENCE, Source::answered);
        }
        self.open += until - asked;
        self.asked = (until < self.answering.len()).then_some(until);
        self.asked.is_none()
    }
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
        let Source { generator, answers, bursts } = self;
        bursts.open -= 1;
        // An answer that does not come leaves its burst open: the load ends without it, and its result says so.
        if let Ok(answer) = answer
            && let Some(stamp) = bursts.waiting.answered(answer.number.to_native())
        {
            answers.answered(stamp);
            generator.answered(1);
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
        let Source { generator, bursts, .. } = self;
        if generator.turn(|stamp| bursts.ask(ctx, stamp)) {
            ctx.tell(ctx.me(), &GoOn);
        }
        Next::Same
    }
}
