//! Messages of which one in ten is work for 50 microseconds, to actors of another core, and what the cheap ones
//! among them suffer.
//!
//! A core does one turn after the other, so a cheap message waits for the long turns that are before it in the
//! queue. Only the cheap ones are timed singly, from the moment they are sent, or due, to the moment the answer is
//! handled. Rounds keep 16 messages under way: a cheap one finds 1 or 2 long turns before it on average. Under load
//! the rate is that of the cheap ones; behind one in nine of them a long turn is sent besides, which is answered too
//! but not measured. At 20,000 a second long turns keep the core busy for a ninth of the time.

use std::hint::black_box;
use std::mem;
use std::sync::Arc;

use hdrhistogram::Histogram;
use mainspring::driver::clock::Clock;
use mainspring::prelude::*;
use mainspring_perf_contest::Random;

use super::number::Totals;
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::calibration::fixed_work;
use crate::latency;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};
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
        let workers = make_workers(node)?;
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
            clock: Clock::new(),
            cheap_ns: latency::empty_histogram(),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for MixedLoad {
    fn response(&self) -> &'static str {
        "from when a cheap message is due to its answer"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(2)?;
        let workers = make_workers(&node)?;
        let (course, payload_bytes) = (load.course.clone(), load.payload_bytes);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            jobs: Jobs::new(&workers, payload_bytes),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the generator"))?;
        load.finish(node)
    }
}

const WORKERS: usize = 100;
const UNDER_WAY: u64 = 16;
const WARM_UP: u64 = 2_000;
const LONG_TURNS_PERCENT: u64 = 10;

/// Behind one in so many cheap messages of a load a long turn is sent: it makes 10 % of all.
const CHEAP_TO_LONG: u64 = 9;

/// Steps of work that take some 50 us at 3 GHz, five cycles each. The same work on every machine: what it takes on this
/// one, the calibration of the run tells.
const STEPS_OF_50_US: u32 = 30_000;

/// The workers, all on the second core.
fn make_workers(node: &Node) -> Result<Vec<ActorRef<Job>>, ScenarioError> {
    let make = |_| node.actor(|| Worker { work: 0 }).on_core(1).start();
    let made: Result<Vec<_>, _> = (0..WORKERS).map(make).collect();
    made.map_err(runtime("make a worker"))
}

/// What a worker is to do.
#[message]
struct Job {
    stamp: Stamp,
    /// Steps of work: 0 in a cheap one.
    steps: u32,
    from: ActorRef<Done>,
    payload: Vec<u8>,
}

/// A job has been done: what the job said of itself.
#[message]
struct Done {
    stamp: Stamp,
    steps: u32,
}

/// The number of no job, by which what a sender tells itself is known.
const GO_ON: u64 = u64::MAX;

impl Done {
    fn go_on() -> Done {
        Done { stamp: Stamp { number: GO_ON, ..Stamp::default() }, steps: 0 }
    }
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
    clock: Clock,
    cheap_ns: Histogram<u64>,
}

impl Sender {
    fn send(&mut self, ctx: &mut Context<'_, Self>) {
        let worker = self.workers[self.random.below(WORKERS as u64) as usize];
        let steps = if self.random.chance(LONG_TURNS_PERCENT) { STEPS_OF_50_US } else { 0 };
        let stamped = self.course.purpose() == Purpose::Latency;
        let sent_ns = if stamped { self.clock.now_ns() } else { 0 };
        let stamp = Stamp { number: self.number, scheduled_ns: sent_ns, sent_ns };
        ctx.tell(worker, &Job { stamp, steps, from: ctx.me(), payload: Vec::new() });
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
        let cheap_ns = mem::replace(&mut self.cheap_ns, latency::empty_histogram());
        let measured = mem::take(&mut self.measured);
        if measured == 0 {
            let stamped = self.course.purpose() == Purpose::Latency;
            return self.course.end(stamped.then_some(cheap_ns));
        }
        self.until += measured;
        self.course.begin();
        self.set_out(ctx);
    }
}

impl Actor for Sender {
    type Message = Done;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Done::go_on());
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, done: &Archived<Done>) -> Next<Self> {
        let stamp = Stamp::from(&done.stamp);
        if stamp.number == GO_ON {
            self.set_out(ctx);
            return Next::Same;
        }
        if done.steps.to_native() == 0 && self.course.purpose() == Purpose::Latency {
            let took_ns = self.clock.now_ns().saturating_sub(stamp.sent_ns);
            self.cheap_ns.saturating_record(took_ns.max(1));
        }
        self.sum += stamp.number;
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

/// Does the steps that it is told to.
struct Worker {
    work: u64,
}

impl Actor for Worker {
    type Message = Job;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, job: &Archived<Job>) -> Next<Self> {
        let (stamp, steps) = (Stamp::from(&job.stamp), job.steps.to_native());
        if steps > 0 {
            self.work = black_box(fixed_work(self.work ^ stamp.number, steps));
        }
        ctx.tell(job.from, &Done { stamp, steps });
        Next::Same
    }
}

/// Sends the cheap messages that are due, and long turns behind some of them.
struct Source {
    generator: Generator,
    answers: Answers,
    jobs: Jobs,
}

/// The jobs of a load, and the way to the workers.
struct Jobs {
    workers: Vec<ActorRef<Job>>,
    payload: Vec<u8>,
    /// The cheap message behind which a long turn is still to be sent, because there was no room.
    owed: Option<Stamp>,
}

impl Jobs {
    fn new(workers: &[ActorRef<Job>], payload_bytes: usize) -> Jobs {
        Jobs { workers: workers.to_vec(), payload: vec![0; payload_bytes], owed: None }
    }

    /// Sends a cheap message and what belongs behind it. Whether there was room for the message.
    fn send(&mut self, ctx: &mut Context<'_, Source>, stamp: Stamp) -> bool {
        if !self.pay(ctx) || !self.try_send(ctx, stamp, 0) {
            return false;
        }
        let is_followed = Random::seeded(!stamp.number).below(CHEAP_TO_LONG) == 0;
        self.owed = is_followed.then_some(stamp);
        self.pay(ctx);
        true
    }

    /// Sends the long turn that is owed, if there is one. Whether none is owed any more.
    fn pay(&mut self, ctx: &mut Context<'_, Source>) -> bool {
        self.owed = self.owed.filter(|stamp| !self.try_send(ctx, *stamp, STEPS_OF_50_US));
        self.owed.is_none()
    }

    /// Sends a job to the worker that its number decides.
    fn try_send(&mut self, ctx: &mut Context<'_, Source>, stamp: Stamp, steps: u32) -> bool {
        let mut random = Random::seeded(stamp.number ^ u64::from(steps) << 32);
        let worker = self.workers[random.below(self.workers.len() as u64) as usize];
        let job = Job { stamp, steps, from: ctx.me(), payload: mem::take(&mut self.payload) };
        let has_room = ctx.try_tell(worker, &job).is_ok();
        self.payload = job.payload;
        has_room
    }
}

impl Actor for Source {
    type Message = Done;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &Done::go_on());
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, done: &Archived<Done>) -> Next<Self> {
        let stamp = Stamp::from(&done.stamp);
        if stamp.number == GO_ON {
            let Source { generator, jobs, .. } = self;
            if generator.turn(|stamp| jobs.send(ctx, stamp)) {
                ctx.tell(ctx.me(), &Done::go_on());
            }
        } else if done.steps.to_native() == 0 {
            self.answers.answered(stamp);
            self.generator.answered(1);
        }
        Next::Same
    }
}
