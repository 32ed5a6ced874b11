//! One actor tells a hundred others the same thing, half of them on its own core and half on another, and goes on when
//! all have said that they have got it.

use std::sync::Arc;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
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
