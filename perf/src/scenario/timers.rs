//! A core on which a million timers are pending, and actors that put one of them off with every message.
//!
//! This is what most timers of a service are for: the timeout of a session, an order or a connection is put off
//! again and again and seldom fires. So a message sets a timer anew under the key of one that is pending: the old one
//! is cancelled, the new one takes its message along. None fires within a round; at its end all are looked up, and
//! every one must still be pending. Under load the actors are on another core than who tells them to, and answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_perf_contest::Random;

use super::number::{Number, Totals};
use super::stage::{Course, Stage, runtime};
use super::tell::MESSAGES_A_TURN;
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};

/// 1,000 actors of one core with 1,000 pending timers each.
pub struct PendingTimers;

static DESCRIPTION: Description = Description {
    name: "timers",
    measures: "one message that puts off one of 1,000,000 pending timers of a core, 1,000 to an actor",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 100_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for PendingTimers {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let pending = Arc::new(AtomicU64::new(0));
        let (stage, course) = Stage::start(round, 1)?;
        let (of_keepers, of_their_timers) = (Arc::clone(&totals), Arc::clone(&pending));
        let make = move || Sender {
            keepers: Vec::new(),
            totals: Arc::clone(&of_keepers),
            pending: Arc::clone(&of_their_timers),
            course: course.clone(),
            next: 0,
            number: 0,
            end: WARM_UP + measured,
        };
        stage.node().spawn(make).map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        check("the number of timers still pending", TIMERS, pending.load(Ordering::Relaxed))?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for PendingTimers {
    fn response(&self) -> &'static str {
        "from when a timer is due to be put off to the answer that it was"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let node = load.start_node(2)?;
        let make = |seed| node.actor(move || Obliging(Timeouts::new(seed))).on_core(1).start();
        let keepers: Result<Vec<_>, _> = (0..KEEPERS).map(make).collect();
        let keepers = keepers.map_err(runtime("make who keeps timers"))?;
        let (course, payload_bytes) = (load.course.clone(), load.payload_bytes);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            keepers: keepers.clone(),
            payload: vec![0; payload_bytes],
        };
        node.actor(make).on_core(0).start().map_err(runtime("make the generator"))?;
        load.finish(node)
    }
}

const KEEPERS: u64 = 1_000;
const TIMERS_A_KEEPER: u64 = 1_000;
const TIMERS: u64 = KEEPERS * TIMERS_A_KEEPER;
const WARM_UP: u64 = 50_000;

/// No timer is due within an hour, and a round lasts some minutes at most.
const SHORTEST: Duration = Duration::from_secs(3_600);
/// Deadlines lie within so many nanoseconds behind the shortest: an hour, all over the wheel.
const SPREAD_NS: u64 = 3_600_000_000_000;

/// The number that makes a keeper count its pending timers, when the section has ended.
const COUNT_PENDING: u64 = u64::MAX;

/// Makes the keepers and tells them the numbers from 0 up, then itself to go on.
struct Sender {
    keepers: Vec<ActorRef<Number>>,
    totals: Arc<Totals>,
    pending: Arc<AtomicU64>,
    course: Course,
    next: usize,
    number: u64,
    end: u64,
}

impl Sender {
    /// The next keeper, each in turn.
    fn keeper(&mut self) -> ActorRef<Number> {
        let keeper = self.keepers[self.next];
        self.next = (self.next + 1) % self.keepers.len();
        keeper
    }

    /// Ends the section. What was sent before the node stops is still handled.
    fn finish(&mut self, ctx: &mut Context<'_, Self>) {
        self.course.end(None);
        for keeper in &self.keepers {
            ctx.tell(*keeper, &Number { number: COUNT_PENDING, from: ctx.me() });
        }
    }
}

impl Actor for Sender {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        for seed in 0..KEEPERS {
            let (totals, pending) = (Arc::clone(&self.totals), Arc::clone(&self.pending));
            let make = move || Keeper {
                timeouts: Timeouts::new(seed),
                totals: Arc::clone(&totals),
                pending: Arc::clone(&pending),
                sum: 0,
                count: 0,
            };
            self.keepers.push(ctx.spawn(make).start());
        }
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    // The queue keeps its order: when the sender is told to go on, all that it sent before has been handled.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        if self.number == WARM_UP {
            self.course.begin();
        }
        if self.number == self.end {
            self.finish(ctx);
            return Next::Same;
        }
        let until = if self.number < WARM_UP { WARM_UP } else { self.end };
        let messages = MESSAGES_A_TURN.min(until - self.number);
        let from = ctx.me();
        for number in self.number..self.number + messages {
            let keeper = self.keeper();
            ctx.tell(keeper, &Number { number, from });
        }
        self.number += messages;
        ctx.tell(from, &Number { number: 0, from });
        Next::Same
    }
}

/// The timers of one actor, of which one is put off after the other.
struct Timeouts {
    random: Random,
    next: u64,
}

impl Timeouts {
    fn new(seed: u64) -> Timeouts {
        Timeouts { random: Random::seeded(seed), next: 0 }
    }

    /// Sets all of them.
    fn set_all<A: Actor<Message: Message>>(&mut self, ctx: &mut Context<'_, A>, due: &A::Message) {
        (0..TIMERS_A_KEEPER).for_each(|_| self.put_off(ctx, due));
    }

    /// Sets the next one, or sets it anew.
    fn put_off<A: Actor<Message: Message>>(&mut self, ctx: &mut Context<'_, A>, due: &A::Message) {
        let after = SHORTEST + Duration::from_nanos(self.random.below(SPREAD_NS));
        ctx.timer(self.next).after(after, due);
        self.next = (self.next + 1) % TIMERS_A_KEEPER;
    }
}

/// Has so many timers pending and puts one off with every message.
struct Keeper {
    timeouts: Timeouts,
    totals: Arc<Totals>,
    pending: Arc<AtomicU64>,
    sum: u64,
    count: u64,
}

impl Actor for Keeper {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let due = Number { number: 0, from: ctx.me() };
        self.timeouts.set_all(ctx, &due);
        Next::Same
    }

    // Should a timer fire, its message would spoil the count.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let number = message.number.to_native();
        if number == COUNT_PENDING {
            let pending = (0..TIMERS_A_KEEPER).filter(|key| ctx.timer(*key).is_set()).count();
            self.pending.fetch_add(pending as u64, Ordering::Relaxed);
            return Next::Same;
        }
        let due = Number { number, from: ctx.me() };
        self.timeouts.put_off(ctx, &due);
        self.sum += number;
        self.count += 1;
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        self.totals.add(self.sum, self.count);
    }
}

/// A timer is to be put off.
#[message]
struct PutOff {
    stamp: Stamp,
    /// Nobody in the message of a timer that fires, which none does.
    from: Option<ActorRef<IsPutOff>>,
    payload: Vec<u8>,
}

/// It has been.
#[message]
struct IsPutOff {
    stamp: Stamp,
}

/// The number of no message, by which the generator knows what it tells itself.
const GO_ON: u64 = u64::MAX;

impl PutOff {
    fn of_timer() -> PutOff {
        PutOff { stamp: Stamp::default(), from: None, payload: Vec::new() }
    }
}

/// A keeper that answers.
struct Obliging(Timeouts);

impl Actor for Obliging {
    type Message = PutOff;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.0.set_all(ctx, &PutOff::of_timer());
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<PutOff>) -> Next<Self> {
        if let Some(from) = message.from.as_ref() {
            self.0.put_off(ctx, &PutOff::of_timer());
            ctx.tell(*from, &IsPutOff { stamp: Stamp::from(&message.stamp) });
        }
        Next::Same
    }
}

/// Asks for timers to be put off when that is due.
struct Source {
    generator: Generator,
    answers: Answers,
    keepers: Vec<ActorRef<PutOff>>,
    payload: Vec<u8>,
}

impl Actor for Source {
    type Message = IsPutOff;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &go_on());
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<IsPutOff>) -> Next<Self> {
        let stamp = Stamp::from(&answer.stamp);
        if stamp.number != GO_ON {
            self.answers.answered(stamp);
            self.generator.answered(1);
            return Next::Same;
        }
        let Source { generator, keepers, payload, .. } = self;
        let goes_on = generator.turn(|stamp| {
            let keeper = keepers[(stamp.number % KEEPERS) as usize];
            let put_off = PutOff { stamp, from: Some(ctx.me()), payload: std::mem::take(payload) };
            let has_room = ctx.try_tell(keeper, &put_off).is_ok();
            *payload = put_off.payload;
            has_room
        });
        if goes_on {
            ctx.tell(ctx.me(), &go_on());
        }
        Next::Same
    }
}

fn go_on() -> IsPutOff {
    IsPutOff { stamp: Stamp { number: GO_ON, ..Stamp::default() } }
}
