//! Messages of which one in ten is work for 50 microseconds, to actors of another core, and what the cheap ones
//! among them suffer.
//!
//! A core does one turn after the other, so a cheap message waits for the long turns that are before it in the
//! queue. The sender keeps 16 messages under way: a cheap one finds 1 or 2 long turns before it on average. Only the
//! cheap ones are timed singly, from the moment they are sent to the moment the answer is handled.

use std::hint::black_box;
use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_perf_contest::Random;

use super::number::Totals;
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::calibration::fixed_work;
use crate::latency::LapTimer;
use crate::section::Purpose;

/// One sender on the first core, 100 actors that do its work on the second.
pub struct MixedLoad;

static DESCRIPTION: Description = Description {
    name: "mixed-load",
    measures: "one message and its answer, 16 under way; 90 % of the turns are short, 10 % take 50 us",
    cpus_needed: 2,
    limit: None,
    default_messages: 100_000,
    counted_messages: 20_000,
    latency_sample: Some("cheap message until its answer"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for MixedLoad {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 2)?;
        let node = stage.node();
        let mut workers = Vec::with_capacity(WORKERS);
        for _ in 0..WORKERS {
            let made = node.actor(|| Worker { work: 0 }).on_core(1).start();
            workers.push(made.map_err(runtime("make a worker"))?);
        }
        let of_sender = Arc::clone(&totals);
        let make = move || Sender {
            workers: workers.clone(),
            totals: Arc::clone(&of_sender),
            course: course.clone(),
            random: Random::seeded(1),
            number: 0,
            answers: 0,
            sum: 0,
            until: WARM_UP,
            measured,
            cheap: LapTimer::new(),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const WORKERS: usize = 100;
const UNDER_WAY: u64 = 16;
const WARM_UP: u64 = 2_000;
const LONG_TURNS_PERCENT: u64 = 10;

/// Steps of work that take some 50 us at 3 GHz, five cycles each. The same work on every machine: what it takes on this
/// one, the calibration of the run tells.
const STEPS_OF_50_US: u32 = 30_000;

/// What a worker is to do; it comes back as the answer.
#[message]
struct Job {
    number: u64,
    /// Of the sender's clock.
    sent_at: u64,
    /// Steps of work: 0 in a cheap one.
    steps: u32,
    from: ActorRef<Done>,
}

/// A job has been done.
#[message]
struct Done {
    number: u64,
    sent_at: u64,
    steps: u32,
}

/// Sends the numbers from 0 up to workers drawn at random, so many at a time, and adds up those that come back.
struct Sender {
    workers: Vec<ActorRef<Job>>,
    totals: Arc<Totals>,
    course: Course,
    random: Random,
    /// Messages sent so far.
    number: u64,
    answers: u64,
    sum: u64,
    /// The warm-up or the section ends when so many have been answered.
    until: u64,
    /// Messages that follow the warm-up; 0 once they are under way.
    measured: u64,
    cheap: LapTimer,
}

impl Sender {
    fn send(&mut self, ctx: &mut Context<'_, Self>) {
        let worker = self.workers[self.random.below(WORKERS as u64) as usize];
        let steps = if self.random.chance(LONG_TURNS_PERCENT) { STEPS_OF_50_US } else { 0 };
        let stamped = self.course.purpose() == Purpose::Latency;
        let sent_at = if stamped { self.cheap.stamp() } else { 0 };
        let job = Job { number: self.number, sent_at, steps, from: ctx.me() };
        ctx.tell(worker, &job);
        self.number += 1;
    }

    /// Sends what begins a stretch: as many as may be under way.
    fn set_out(&mut self, ctx: &mut Context<'_, Self>) {
        for _ in 0..UNDER_WAY.min(self.until - self.number) {
            self.send(ctx);
        }
    }

    /// All of a stretch have been answered: the section begins or ends.
    #[cold]
    fn turning_point(&mut self, ctx: &mut Context<'_, Self>) {
        let stamped = self.course.purpose() == Purpose::Latency;
        let measured = std::mem::take(&mut self.measured);
        if measured == 0 {
            let latencies = stamped.then(|| std::mem::take(&mut self.cheap).finish());
            return self.course.end(latencies);
        }
        self.until += measured;
        self.cheap = LapTimer::new();
        self.course.begin();
        self.set_out(ctx);
    }
}

impl Actor for Sender {
    type Message = Done;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Done { number: SET_OUT, sent_at: 0, steps: 0 };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, done: &Archived<Done>) -> Next<Self> {
        let number = done.number.to_native();
        if number == SET_OUT {
            self.set_out(ctx);
            return Next::Same;
        }
        if done.steps.to_native() == 0 && self.course.purpose() == Purpose::Latency {
            self.cheap.sample_since(done.sent_at.to_native());
        }
        self.sum += number;
        self.answers += 1;
        if self.answers == self.until {
            self.turning_point(ctx);
        } else if self.number < self.until {
            self.send(ctx);
        }
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.answers);
    }
}

/// The number of no job, by which the sender's own timer is known.
const SET_OUT: u64 = u64::MAX;

/// Does the steps that it is told to.
struct Worker {
    work: u64,
}

impl Actor for Worker {
    type Message = Job;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, job: &Archived<Job>) -> Next<Self> {
        let (number, steps) = (job.number.to_native(), job.steps.to_native());
        if steps > 0 {
            self.work = black_box(fixed_work(self.work ^ number, steps));
        }
        ctx.tell(job.from, &Done { number, sent_at: job.sent_at.to_native(), steps });
        Next::Same
    }
}
