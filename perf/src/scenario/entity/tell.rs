//! One actor tells entities of its own core by their references, as `tell-same-core` tells actors.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_sharding::{EntityRef, EntityTarget, EntityType, Sharding};

use super::super::number::{Number, Sink, Totals};
use super::super::stage::{Course, Stage, runtime};
use super::super::tell::MESSAGES_A_TURN;
use super::super::{Description, Outcome, Round, Scenario, ScenarioError};
use super::{declare, sharding_refused};

/// One sender, and entities that all run.
pub struct EntityTell;

static DESCRIPTION: Description = Description {
    name: "entity-tell",
    measures: "one message of 24 bytes to 1,000 running entities of the same core, each in turn, by their references",
    cpus_needed: 1,
    limit: Some("raw-boxed-map"),
    default_messages: 5_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for EntityTell {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let sharding = Sharding::new();
        let of_entities = Arc::clone(&totals);
        let entities =
            declare(&sharding, EntityType::new("sink"), move || Sink::<1, 0>::new(&of_entities))?;
        let order = (0..ENTITIES).map(|id| entities.entity(id)).collect::<Result<Vec<_>, _>>();
        let order = order.map_err(sharding_refused("name an entity"))?;
        let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(sharding))?;
        let make = move || Sender {
            course: course.clone(),
            order: order.clone(),
            next: 0,
            number: 0,
            end: WARM_UP + measured,
        };
        stage.node().actor(make).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

/// How many entities are told.
pub const ENTITIES: u64 = 1_000;
const WARM_UP: u64 = 50_000;

/// Tells the entities the numbers from 0 up, then itself to go on.
struct Sender {
    course: Course,
    order: Vec<EntityRef<Number>>,
    next: usize,
    number: u64,
    /// The section ends before this number.
    end: u64,
}

impl Actor for Sender {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    // The queue keeps its order: when the sender is told to go on, all that it sent to running entities has been
    // handled.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        if self.number == WARM_UP {
            self.course.begin();
        }
        if self.number == self.end {
            self.course.end(None);
            return Next::Same;
        }
        let until = if self.number < WARM_UP { WARM_UP } else { self.end };
        let messages = MESSAGES_A_TURN.min(until - self.number);
        let from = ctx.me();
        for number in self.number..self.number + messages {
            // One that is refused is missing in the sum, and the check says so.
            _ = self.order[self.next].tell(ctx, &Number { number, from });
            self.next += 1;
            if self.next == self.order.len() {
                self.next = 0;
            }
        }
        self.number += messages;
        ctx.tell(from, &Number { number: 0, from });
        Next::Same
    }
}
