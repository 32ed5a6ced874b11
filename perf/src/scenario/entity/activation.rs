//! One actor tells ids that nobody has told before, one message each: what it takes to start an entity, and how much
//! memory it needs while it is idle.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_sharding::{Entities, EntityTarget, EntityType, Sharding};

use super::super::number::{Number, Sink, Totals};
use super::super::stage::{Course, Stage, runtime};
use super::super::tell::MESSAGES_A_TURN;
use super::super::{Description, Outcome, Round, Scenario, ScenarioError};
use super::declare;

/// One sender, and entities that start and stay.
pub struct Activation {
    description: &'static Description,
}

/// The time of an activation.
pub static ENTITY_ACTIVATION: Activation = Activation {
    description: &Description {
        name: "entity-activation",
        measures: "one entity started by its first message, which it handles, in memory that was never used before",
        ..COMMON
    },
};

/// The memory of an idle entity.
pub static ENTITY_IDLE_MEMORY: Activation = Activation {
    description: &Description {
        name: "entity-idle-memory",
        measures: "one idle entity with an id of eight bytes: memory beyond its 64 bytes of state",
        actor_state_bytes: Some(size_of::<Sink<1, 0>>() as u64),
        ..COMMON
    },
};

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for Activation {
    fn description(&self) -> &'static Description {
        self.description
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, totals) = (round.messages, Arc::new(Totals::default()));
        let sharding = Sharding::new();
        let of_entities = Arc::clone(&totals);
        let at_most = u32::try_from(WARM_UP + measured).unwrap_or(u32::MAX);
        let entities = declare(&sharding, EntityType::new("sink").at_most(at_most), move || {
            Sink::<1, 0>::new(&of_entities)
        })?;
        let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(sharding))?;
        let make = move || Sender {
            course: course.clone(),
            entities: entities.clone(),
            number: 0,
            end: WARM_UP + measured,
            has_waited: false,
        };
        stage.node().actor(make).start().map_err(runtime("make the sender"))?;
        let latencies = stage.finish()?;
        totals.check_numbers(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const WARM_UP: u64 = 1_000;

/// Tells each number to the entity of that number, then itself to go on.
struct Sender {
    course: Course,
    entities: Entities<Number>,
    number: u64,
    /// The section ends before this number.
    end: u64,
    /// Every message has reached its region, and is queued for its entity.
    has_waited: bool,
}

impl Actor for Sender {
    type Message = Number;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let set_out = Number { number: 0, from: ctx.me() };
        ctx.timer("set out").after(self.course.pause(), &set_out);
        Next::Same
    }

    // When the sender is told to go on, its messages have been at the region; when it is told so again, at their
    // entities.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Number>) -> Next<Self> {
        let from = ctx.me();
        let is_edge = self.number == WARM_UP || self.number == self.end;
        if is_edge && !std::mem::replace(&mut self.has_waited, true) {
            ctx.tell(from, &Number { number: 0, from });
            return Next::Same;
        }
        if self.number == WARM_UP {
            self.course.begin();
        }
        if self.number == self.end {
            self.course.end(None);
            return Next::Same;
        }
        self.has_waited = false;
        let until = if self.number < WARM_UP { WARM_UP } else { self.end };
        let messages = MESSAGES_A_TURN.min(until - self.number);
        for number in self.number..self.number + messages {
            // One that is refused is missing in the sum, and the check says so.
            if let Ok(entity) = self.entities.entity(number) {
                _ = entity.tell(ctx, &Number { number, from });
            }
        }
        self.number += messages;
        ctx.tell(from, &Number { number: 0, from });
        Next::Same
    }
}
