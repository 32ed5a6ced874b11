//! Two actors that answer each other: on one core, on two cores that poll, and on two cores that sleep at every hop.

use std::sync::Arc;

use mainspring::prelude::*;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::section::Purpose;

/// Two actors hand a number to and fro.
pub struct PingPong {
    description: &'static Description,
    /// The core of the one that answers; the one that asks is on core 0.
    answering_core: u16,
    warm_up_round_trips: u64,
}

/// Both actors on one core.
pub static SAME_CORE: PingPong = PingPong {
    description: &Description {
        name: "ping-pong-same-core",
        measures: "one message of 24 bytes between two actors of one core that answer each other",
        cpus_needed: 1,
        limit: Some("raw-memory-loop"),
        default_messages: 5_000_000,
        counted_messages: 1_000_000,
        latency_sample: None,
        actor_state_bytes: None,
        idle: Some(IdleProfile::Busy),
    },
    answering_core: 0,
    warm_up_round_trips: 50_000,
};

/// The actors on two cores that poll.
pub static CROSS_CORE: PingPong = PingPong {
    description: &Description {
        name: "ping-pong-cross-core",
        measures: "one hop between actors of two cores that poll",
        cpus_needed: 2,
        limit: Some("raw-two-atomics"),
        default_messages: 500_000,
        counted_messages: 100_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: Some(IdleProfile::Busy),
    },
    answering_core: 1,
    warm_up_round_trips: 10_000,
};

/// The actors on two cores that go to sleep whenever there is nothing to do.
pub static CROSS_CORE_ECO: PingPong = PingPong {
    description: &Description {
        name: "ping-pong-cross-core-eco",
        measures: "one hop between actors of two cores that sleep until they are woken",
        cpus_needed: 2,
        limit: Some("raw-eventfd"),
        default_messages: 50_000,
        counted_messages: 10_000,
        latency_sample: Some("round trip of two messages"),
        actor_state_bytes: None,
        idle: Some(IdleProfile::Eco),
    },
    answering_core: 1,
    warm_up_round_trips: 1_000,
};

impl Scenario for PingPong {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let round_trips = round.messages.div_ceil(2);
        let warm_up = self.warm_up_round_trips;
        let (stage, course) = Stage::start(round, self.answering_core as usize + 1)?;
        let totals = Arc::new(Totals::default());
        let of_answering = Arc::clone(&totals);
        let answering = stage
            .node()
            .actor(move || Answering::new(&of_answering))
            .on_core(self.answering_core)
            .start()
            .map_err(runtime("make the actor that answers"))?;
        let node = stage.node();
        let asking = if course.purpose() == Purpose::Latency {
            let make = move || Asking::<true>::new(answering, warm_up, round_trips, &course);
            node.actor(make).on_core(0).start()
        } else {
            let make = move || Asking::<false>::new(answering, warm_up, round_trips, &course);
            node.actor(make).on_core(0).start()
        };
        asking.map_err(runtime("make the actor that asks"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(warm_up + round_trips)?;
        let sum = Some(totals.measured_sum(warm_up, round_trips));
        Ok(Outcome { messages: round_trips * 2, latencies, sum })
    }
}

/// Sends numbers from 0 up, each when the one before has come back.
#[repr(C)]
pub(super) struct Asking<const STAMPED: bool> {
    left: u64,
    answering: ActorRef<Number>,
    run: Box<Run>,
    untouched: [u64; 3],
    answers: u64,
}

const _: () = assert!(size_of::<Asking<false>>() == 64);

/// What is needed only at the turning points, and for the stamps.
struct Run {
    course: Course,
    /// Round trips that follow the warm-up; 0 once they are under way.
    measured: u64,
    laps: LapTimer,
}

impl<const STAMPED: bool> Asking<STAMPED> {
    pub(super) fn new(
        answering: ActorRef<Number>,
        warm_up: u64,
        measured: u64,
        course: &Course,
    ) -> Self {
        let run = Box::new(Run { course: course.clone(), measured, laps: LapTimer::new() });
        Asking { left: warm_up, answering, run, untouched: [0; 3], answers: 0 }
    }

    /// The warm-up ends and the section begins, or the section ends. Whether there is more to send.
    #[cold]
    fn turning_point(&mut self) -> bool {
        self.left = std::mem::take(&mut self.run.measured);
        if self.left == 0 {
            let laps = STAMPED.then(|| std::mem::take(&mut self.run.laps).finish());
            self.run.course.end(laps);
            return false;
        }
        self.run.course.begin();
        if STAMPED {
            self.run.laps = LapTimer::new();
        }
        true
    }
}

impl<const STAMPED: bool> Actor for Asking<STAMPED> {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        // The number before 0: the first turn goes on from it as from an answer.
        let before_the_first = Number { number: u64::MAX, from: self.answering };
        ctx.timer("set out").after(self.run.course.pause(), &before_the_first);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Number>) -> Next<Self> {
        if STAMPED && self.run.measured == 0 {
            self.run.laps.lap();
        }
        self.answers += 1;
        if self.left == 0 && !self.turning_point() {
            return Next::Same;
        }
        self.left -= 1;
        let number = answer.number.to_native().wrapping_add(1);
        ctx.tell(self.answering, &Number { number, from: ctx.me() });
        Next::Same
    }
}

/// Sends back what it gets.
#[repr(C)]
pub(super) struct Answering {
    sum: u64,
    totals: Arc<Totals>,
    untouched: [u64; 5],
    count: u64,
}

const _: () = assert!(size_of::<Answering>() == 64);

impl Answering {
    pub(super) fn new(totals: &Arc<Totals>) -> Self {
        Answering { sum: 0, totals: Arc::clone(totals), untouched: [0; 5], count: 0 }
    }
}

impl Actor for Answering {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let number = message.number.to_native();
        self.sum += number;
        self.count += 1;
        ctx.tell(message.from, &Number { number, from: ctx.me() });
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.count);
    }
}
