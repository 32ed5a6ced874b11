//! A stream from an actor of one core to 1,000 actors of another, as fast as the ring between them takes it; under load
//! at a rate, to one actor that measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use mainspring::prelude::*;

use super::number::{Number, Sink, Totals};
use super::stage::{Course, Stage, runtime};
use super::tell::MESSAGES_A_TURN;
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::load::course::LoadCourse;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};

/// One sender on the first core, its receivers on the second.
pub struct TellCrossCore;

static DESCRIPTION: Description = Description {
    name: "tell-cross-core",
    measures: "one message of 24 bytes in a stream to 1,000 actors of another core, each in turn",
    cpus_needed: 2,
    limit: None,
    default_messages: 5_000_000,
    counted_messages: 200_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for TellCrossCore {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let (stage, course) = Stage::start(round, 2)?;
        let node = stage.node();
        let mut receivers = Vec::with_capacity(RECEIVERS);
        for _ in 0..RECEIVERS {
            let of_receiver = Arc::clone(&totals);
            let make = move || Sink::<1, 0>::new(&of_receiver);
            let made = node.actor(make).on_core(1).start();
            receivers.push(made.map_err(runtime("make a receiver"))?);
        }
        let of_finish = course.clone();
        let finish = node.actor(move || Finish::new(&of_finish)).on_core(1).start();
        let finish = finish.map_err(runtime("make who ends the section"))?;
        let make = move || Sender::new(receivers.clone(), finish, &course, measured);
        node.actor(make).on_core(0).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for TellCrossCore {
    fn response(&self) -> &'static str {
        "from when a message is due to its turn on the other core"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(2)?;
        let received = Arc::new(CachePadded::new(AtomicU64::new(0)));
        let receiver = node.actor(Receiver::maker(&load.course, &received)).on_core(1).start();
        let receiver = receiver.map_err(runtime("make the receiver"))?;
        let source = node.actor(Source::maker(load, receiver, &received)).on_core(0).start();
        source.map_err(runtime("make the generator"))?;
        load.finish(node)
    }
}

const RECEIVERS: usize = 1_000;
pub(super) const WARM_UP: u64 = 200_000;

/// Which part of the round is under way.
#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    WarmUp,
    Measured,
    AllSent,
}

/// Tells its receivers the numbers from 0 up. A full ring ends a turn early and nothing is lost: the next turn
/// goes on with the number that was refused.
pub(super) struct Sender {
    order: Vec<ActorRef<Number>>,
    finish: ActorRef<Number>,
    course: Course,
    next: usize,
    number: u64,
    stretch: Stretch,
    /// The stretch ends before this number.
    until: u64,
    measured: u64,
}

impl Sender {
    /// One that has to send so many numbers, after those of the warm-up.
    pub(super) fn new(
        order: Vec<ActorRef<Number>>,
        finish: ActorRef<Number>,
        course: &Course,
        measured: u64,
    ) -> Self {
        let (course, stretch) = (course.clone(), Stretch::WarmUp);
        Sender { order, finish, course, next: 0, number: 0, stretch, until: WARM_UP, measured }
    }

    /// Sends as much as one turn may. Whether there is more of this stretch.
    fn send(&mut self, ctx: &mut Context<'_, Self>) -> bool {
        let from = ctx.me();
        let end = self.until.min(self.number + MESSAGES_A_TURN);
        while self.number < end {
            let message = Number { number: self.number, from };
            if ctx.try_tell(self.order[self.next], &message).is_err() {
                return true;
            }
            self.number += 1;
            self.next += 1;
            if self.next == self.order.len() {
                self.next = 0;
            }
        }
        if self.number < self.until {
            return true;
        }
        // Behind all others of the stretch, in the same ring.
        let is_last = u64::from(self.stretch == Stretch::Measured);
        ctx.try_tell(self.finish, &Number { number: is_last, from }).is_err()
    }
}

impl Actor for Sender {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let me = ctx.me();
        if message.from == self.finish && self.stretch == Stretch::WarmUp {
            self.stretch = Stretch::Measured;
            self.until += self.measured;
            self.course.begin();
        }
        if self.stretch == Stretch::AllSent {
            return Next::Same;
        }
        if self.send(ctx) {
            ctx.tell(me, &Number { number: 0, from: me });
        } else if self.stretch == Stretch::Measured {
            self.stretch = Stretch::AllSent;
        }
        Next::Same
    }
}

/// Gets the last message of each stretch: answers that of the warm-up, ends the section at the other.
pub(super) struct Finish {
    course: Course,
}

impl Finish {
    pub(super) fn new(course: &Course) -> Self {
        Finish { course: course.clone() }
    }
}

impl Actor for Finish {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        match message.number.to_native() {
            0 => ctx.tell(message.from, &Number { number: 0, from: ctx.me() }),
            _ => self.course.end(None),
        }
        Next::Same
    }
}

/// A message of a load.
#[message]
pub(super) struct Stamped {
    stamp: Stamp,
    payload: Vec<u8>,
}

/// The generator tells itself to go on.
#[message]
pub(super) struct GoOn;

/// Sends what is due.
pub(super) struct Source {
    generator: Generator,
    receiver: ActorRef<Stamped>,
    message: Stamped,
    /// How many messages the receiver has got.
    received: Arc<CachePadded<AtomicU64>>,
    /// How many of these the generator knows of.
    known: u64,
    turns: u32,
}

impl Source {
    /// Makes one that sends a load's messages to `receiver`.
    pub(super) fn maker(
        load: &Load<'_>,
        receiver: ActorRef<Stamped>,
        received: &Arc<CachePadded<AtomicU64>>,
    ) -> impl Fn() -> Source + Send + 'static {
        let (course, payload_bytes) = (load.course.clone(), load.payload_bytes);
        let received = Arc::clone(received);
        move || Source {
            generator: Generator::new(&course),
            receiver,
            message: Stamped { stamp: Stamp::default(), payload: vec![0; payload_bytes] },
            received: Arc::clone(&received),
            known: 0,
            turns: 0,
        }
    }
}

impl Receiver {
    /// Makes one that counts what it gets in `received`.
    pub(super) fn maker(
        course: &LoadCourse,
        received: &Arc<CachePadded<AtomicU64>>,
    ) -> impl Fn() -> Receiver + Send + 'static {
        let (course, received) = (course.clone(), Arc::clone(received));
        move || Receiver {
            answers: Answers::new(&course),
            count: 0,
            received: Arc::clone(&received),
        }
    }
}

/// In how many turns the generator looks once at what was received: each look takes the line from the receiver's core.
const TURNS_A_LOOK: u32 = 32;

impl Actor for Source {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<GoOn>) -> Next<Self> {
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_A_LOOK) {
            let received = self.received.load(Ordering::Relaxed);
            self.generator.answered(received - self.known);
            self.known = received;
        }
        let Source { generator, receiver, message, .. } = self;
        let goes_on = generator.turn(|stamp| {
            message.stamp = stamp;
            ctx.try_tell(*receiver, message).is_ok()
        });
        if goes_on {
            ctx.tell(ctx.me(), &GoOn);
        }
        Next::Same
    }
}

/// Takes the time of what it gets.
pub(super) struct Receiver {
    answers: Answers,
    count: u64,
    received: Arc<CachePadded<AtomicU64>>,
}

impl Actor for Receiver {
    type Message = Stamped;

    fn receive(&mut self, _: &mut Context<'_, Self>, message: &Archived<Stamped>) -> Next<Self> {
        self.answers.answered(Stamp::from(&message.stamp));
        self.count += 1;
        self.received.store(self.count, Ordering::Relaxed);
        Next::Same
    }
}
