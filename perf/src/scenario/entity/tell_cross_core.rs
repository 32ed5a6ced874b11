//! A stream from an actor of one core to 1,000 entities of another, as fast as the ring between them takes it.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_sharding::{Entities, EntityRef, EntityTarget, EntityType, Sharding};

use super::super::number::{Number, Sink, Totals};
use super::super::stage::{Course, Stage, runtime};
use super::super::tell::MESSAGES_A_TURN;
use super::super::{Description, Outcome, Round, Scenario, ScenarioError};
use super::tell::ENTITIES;
use super::{declare, sharding_refused};

/// One sender on the first core, the shards of its entities on the second.
pub struct EntityTellCrossCore;

static DESCRIPTION: Description = Description {
    name: "entity-tell-cross-core",
    measures: "one message of 24 bytes in a stream to 1,000 running entities of another core, each in turn",
    cpus_needed: 2,
    limit: None,
    default_messages: 2_000_000,
    counted_messages: 200_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for EntityTellCrossCore {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let sharding = Sharding::new();
        let of_entities = Arc::clone(&totals);
        let sinks =
            declare(&sharding, EntityType::new("sink"), move || Sink::<1, 0>::new(&of_entities))?;
        let finishes = declare(&sharding, EntityType::new("finish"), || Finish)?;
        let order = on_second_core(&sinks, ENTITIES as usize)?;
        let finish = on_second_core(&finishes, 1)?;
        let (stage, course) = Stage::start_with(round, 2, |builder| builder.with(sharding))?;
        let make = move || Sender {
            order: order.clone(),
            finish: finish.clone(),
            course: course.clone(),
            next: 0,
            number: 0,
            stretch: Stretch::WarmUp,
            until: WARM_UP,
            measured,
        };
        let sender = stage.node().actor(make).on_core(0).start();
        sender.map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const WARM_UP: u64 = 100_000;

/// The first entities whose shards are on the second of two cores when the node starts: shards go round the cores.
fn on_second_core(
    entities: &Entities<Number>,
    number: usize,
) -> Result<Vec<EntityRef<Number>>, ScenarioError> {
    let ids = (0_u64..).filter(|id| entities.shard_of(*id).is_ok_and(|shard| shard % 2 == 1));
    let entities = ids.take(number).map(|id| entities.entity(id)).collect::<Result<Vec<_>, _>>();
    entities.map_err(sharding_refused("name an entity"))
}

/// Which part of the round is under way.
#[derive(Clone, Copy, PartialEq)]
enum Stretch {
    WarmUp,
    Measured,
    AllSent,
}

/// Tells the entities the numbers from 0 up. A full ring ends a turn early and nothing is lost: the next turn goes on
/// with the number that was refused.
struct Sender {
    order: Vec<EntityRef<Number>>,
    finish: Vec<EntityRef<Number>>,
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
            if self.order[self.next].tell(ctx, &message).is_err() {
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
        // Behind all others of the stretch, in the same ring, and behind them again in the queue of the other core.
        self.finish.iter().any(|finish| finish.tell(ctx, &Number { number: 0, from }).is_err())
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
        let is_finish = message.from != me;
        match self.stretch {
            Stretch::WarmUp if is_finish => {
                self.stretch = Stretch::Measured;
                self.until += self.measured;
                self.course.begin();
            }
            Stretch::AllSent if is_finish => self.course.end(None),
            _ => {}
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

/// Answers what comes behind the last message of a stretch.
struct Finish;

impl Actor for Finish {
    type Message = Number;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        ctx.tell(message.from, &Number { number: 0, from: ctx.me() });
        Next::Same
    }
}
