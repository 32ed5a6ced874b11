//! One actor tells a hundred others the same thing and waits until all have said that they have got it.
//!
//! In rounds half of the subscribers are on the publisher's own core and half on another, and the next message follows
//! the last receipt. Under load all of them are on the other core, a message is due when the rate says so, and it is
//! answered by the last of its 100 receipts.

use std::sync::Arc;

use mainspring::prelude::*;

use super::gathering::Gathering;
use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};
use crate::section::Purpose;

/// A publisher and its 100 subscribers on two cores.
pub struct FanOut;

static DESCRIPTION: Description = Description {
    name: "fan-out",
    measures: "one delivery and its receipt; each message goes to 100 subscribers, half of them on another core",
    cpus_needed: 2,
    limit: None,
    default_messages: 5_000_000,
    counted_messages: 500_000,
    latency_sample: Some("message to 100 subscribers until the last receipt"),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for FanOut {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let publications = round.messages.div_ceil(SUBSCRIBERS);
        let totals = Arc::new(Totals::default());
        let (stage, course) = Stage::start(round, CORES)?;
        let node = stage.node();
        let mut subscribers = Vec::with_capacity(SUBSCRIBERS as usize);
        for place in 0..SUBSCRIBERS {
            let of_subscriber = Arc::clone(&totals);
            let make = move || Subscriber::new(place, &of_subscriber);
            let made = node.actor(make).on_core((place % CORES as u64) as u16).start();
            subscribers.push(made.map_err(runtime("make a subscriber"))?);
        }
        let end = WARM_UP_PUBLICATIONS + publications;
        let make = move || Publisher {
            subscribers: subscribers.clone(),
            course: course.clone(),
            number: 0,
            end,
            receipts_missing: 0,
            publications: LapTimer::new(),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the publisher"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(end * SUBSCRIBERS)?;
        Ok(Outcome { messages: publications * SUBSCRIBERS, latencies, sum: None })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for FanOut {
    fn response(&self) -> &'static str {
        "from when a message to 100 subscribers is due to the last receipt"
    }

    fn cpus_needed(&self) -> usize {
        CORES
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(CORES)?;
        let make = |_| node.actor(|| Reader).on_core(1).start();
        let readers: Result<Vec<_>, _> = (0..SUBSCRIBERS).map(make).collect();
        let readers = readers.map_err(runtime("make a subscriber"))?;
        let (course, payload_bytes) = (load.course.clone(), load.payload_bytes);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            issues: Issues::new(&readers, payload_bytes),
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the publisher"))?;
        load.finish(node)
    }
}

const SUBSCRIBERS: u64 = 100;
const CORES: usize = 2;
const WARM_UP_PUBLICATIONS: u64 = 1_000;

/// Publishes the numbers from 0 up, each when all receipts of the one before are there.
struct Publisher {
    subscribers: Vec<ActorRef<Number>>,
    course: Course,
    /// What is published next.
    number: u64,
    end: u64,
    receipts_missing: u64,
    publications: LapTimer,
}

impl Publisher {
    fn publish(&mut self, ctx: &mut Context<'_, Self>) {
        let message = Number { number: self.number, from: ctx.me() };
        for subscriber in &self.subscribers {
            ctx.tell(*subscriber, &message);
        }
        self.receipts_missing = SUBSCRIBERS;
        self.number += 1;
    }

    /// A publication is over.
    fn turning_point(&mut self) {
        if self.number == WARM_UP_PUBLICATIONS {
            self.course.begin();
        }
        if self.course.purpose() != Purpose::Latency {
            return;
        }
        if self.number == WARM_UP_PUBLICATIONS {
            self.publications = LapTimer::new();
        } else if self.number > WARM_UP_PUBLICATIONS {
            self.publications.lap();
        }
    }

    fn finish(&mut self) {
        let stamped = self.course.purpose() == Purpose::Latency;
        let latencies = stamped.then(|| std::mem::take(&mut self.publications).finish());
        self.course.end(latencies);
    }
}

impl Actor for Publisher {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        // Taken for the last receipt of a publication before the first.
        self.receipts_missing = 1;
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        self.receipts_missing -= 1;
        if self.receipts_missing > 0 {
            return Next::Same;
        }
        self.turning_point();
        if self.number == self.end {
            self.finish();
        } else {
            self.publish(ctx);
        }
        Next::Same
    }
}

/// Adds up what it gets and sends a receipt.
struct Subscriber {
    /// Its place among the subscribers. With it the deliveries of all are the numbers from 0 up, each once.
    place: u64,
    totals: Arc<Totals>,
    sum: u64,
    count: u64,
}

impl Subscriber {
    fn new(place: u64, totals: &Arc<Totals>) -> Self {
        Subscriber { place, totals: Arc::clone(totals), sum: 0, count: 0 }
    }
}

impl Actor for Subscriber {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let number = message.number.to_native();
        self.sum += number * SUBSCRIBERS + self.place;
        self.count += 1;
        ctx.tell(message.from, &Number { number, from: ctx.me() });
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.count);
    }
}

/// What subscribers get under load.
#[message]
struct Issue {
    number: u64,
    from: ActorRef<Receipt>,
    payload: Vec<u8>,
}

/// An issue has been read.
#[message]
struct Receipt {
    number: u64,
}

/// The number of no issue, by which the publisher knows what it tells itself.
const GO_ON: u64 = u64::MAX;

/// Sends a receipt for what it gets.
struct Reader;

impl Actor for Reader {
    type Message = Issue;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, issue: &Archived<Issue>) -> Next<Self> {
        ctx.tell(issue.from, &Receipt { number: issue.number.to_native() });
        Next::Same
    }
}

/// Publishes the issues that are due.
struct Source {
    generator: Generator,
    answers: Answers,
    issues: Issues,
}

/// The issues that wait for receipts, and the way to the readers.
struct Issues {
    readers: Vec<ActorRef<Issue>>,
    payload: Vec<u8>,
    /// How many readers have been told the issue that is being sent; none between two issues.
    told: Option<usize>,
    waiting: Gathering,
}

impl Issues {
    fn new(readers: &[ActorRef<Issue>], payload_bytes: usize) -> Issues {
        let (payload, waiting) = (vec![0; payload_bytes], Gathering::new());
        Issues { readers: readers.to_vec(), payload, told: None, waiting }
    }

    /// Tells the readers. False when the ring is full: the next try goes on with the reader that was not told.
    fn send(&mut self, ctx: &mut Context<'_, Source>, stamp: Stamp) -> bool {
        if self.told.is_none() && !self.waiting.open(stamp, self.readers.len() as u32) {
            return false;
        }
        let rest = &self.readers[self.told.unwrap_or(0)..];
        let payload = std::mem::take(&mut self.payload);
        let issue = Issue { number: stamp.number, from: ctx.me(), payload };
        let told = rest.iter().take_while(|reader| ctx.try_tell(**reader, &issue).is_ok()).count();
        self.payload = issue.payload;
        let left = rest.len() - told;
        self.told = (left > 0).then_some(self.readers.len() - left);
        left == 0
    }
}

impl Actor for Source {
    type Message = Receipt;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &Receipt { number: GO_ON });
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, receipt: &Archived<Receipt>) -> Next<Self> {
        let number = receipt.number.to_native();
        let Source { generator, answers, issues } = self;
        if number == GO_ON {
            if generator.turn(|stamp| issues.send(ctx, stamp)) {
                ctx.tell(ctx.me(), &Receipt { number: GO_ON });
            }
        } else if let Some(stamp) = issues.waiting.answered(number) {
            answers.answered(stamp);
            generator.answered(1);
        }
        Next::Same
    }
}
