//! A stream from an actor of one core to 1,000 actors of another, as fast as the ring between them takes it.

use std::sync::Arc;

use mainspring::prelude::*;

use super::number::{Number, Sink, Totals};
use super::stage::{Course, Stage, runtime};
use super::tell::MESSAGES_A_TURN;
use super::{Description, Outcome, Round, Scenario, ScenarioError};

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
        let finish = node.actor(move || Finish { course: of_finish.clone() }).on_core(1).start();
        let finish = finish.map_err(runtime("make who ends the section"))?;
        let make = move || Sender {
            order: receivers.clone(),
            finish,
            course: course.clone(),
            next: 0,
            number: 0,
            stretch: Stretch::WarmUp,
            until: WARM_UP,
            measured,
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const RECEIVERS: usize = 1_000;
const WARM_UP: u64 = 200_000;

/// Which part of the round is under way.
#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    WarmUp,
    Measured,
    AllSent,
}

/// Tells its receivers the numbers from 0 up. A full ring ends a turn early and nothing is lost: the next turn
/// goes on with the number that was refused.
struct Sender {
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
struct Finish {
    course: Course,
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
