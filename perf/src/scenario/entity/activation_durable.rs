//! Entities of a closed journal that are not in memory, each with one event, which are told one after the other: what
//! it takes until one has read its event and answered.
//!
//! The journal is closed well, and not in the page cache, when the round begins; most of its segments are sealed.

use std::sync::Arc;

use mainspring::prelude::*;
use mainspring_journal::{Journal, Persistent};
use mainspring_sharding::{Entities, EntityTarget, EntityType, Sharding};

use super::super::journal_entity::{Answer, ArchivedAnswer, Command, Entity};
use super::super::journal_feeder::Feed;
use super::super::journal_store::JournalStore;
use super::super::number::Totals;
use super::super::raw_read_block::READ_SAMPLE;
use super::super::stage::{Course, Stage, runtime};
use super::super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use super::sharding_refused;
use crate::latency::LapTimer;
use crate::section::{Purpose, Section};

/// Entities with one event, one activation at a time.
pub struct EntityActivationDurable;

static DESCRIPTION: Description = Description {
    name: "entity-activation-durable",
    measures: "one entity that is not in memory reads its only event from the device and answers, one at a time",
    cpus_needed: 1,
    limit: Some("raw-read-block"),
    default_messages: 5_000,
    counted_messages: 1_000,
    latency_sample: Some(READ_SAMPLE),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for EntityActivationDurable {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        round.cpu(0)?;
        let told = round.messages.max(1);
        let entities = told.max(ENTITIES);
        let store = filled(round, entities)?;
        let totals = Arc::new(Totals::default());
        let (of_teller, sharding) = (Arc::clone(&totals), Sharding::new());
        let entity_type =
            EntityType::new("entity").at_most(entities.min(u64::from(u32::MAX)) as u32);
        let make =
            |id: mainspring_sharding::EntityId<'_>| Persistent::new(id.bytes(), Entity::default);
        let declared = sharding.entities(entity_type, make);
        let of_journal = declared.map_err(sharding_refused("declare a type of entities"))?;
        let (stage, course) =
            Stage::start_with(round, 1, |builder| builder.with(journal(&store)).with(sharding))?;
        let make = move || {
            Teller::new(course.clone(), Arc::clone(&of_teller), &of_journal, (told, entities))
        };
        stage.node().spawn(make).map_err(runtime("make who tells"))?;
        let latencies = stage.finish()?;
        totals.check_count(told)?;
        let sum = (0..told).map(|place| nth(place, entities)).sum();
        check("the sum of the numbers of the events", sum, totals.measured_sum(0, 0))?;
        Ok(Outcome { messages: told, latencies, sum: None })
    }
}

/// Of the journal, at least.
const ENTITIES: u64 = 100_000;
/// Of a segment: so small that the entities fill several.
const SEGMENT_BYTES: u64 = 4 << 20;
/// From one entity to the next that is told: far, and a prime, so that each comes once a turn.
const STRIDE: u64 = 15_485_863;

fn journal(store: &JournalStore) -> Journal {
    store.journal().segment_bytes(SEGMENT_BYTES)
}

/// A journal with one event of each entity, closed and not in the page cache.
fn filled(round: &Round<'_>, entities: u64) -> Result<JournalStore, ScenarioError> {
    let store = JournalStore::make()?;
    let feed = Feed { entities, events: entities, warm_up: 0 };
    let section = Arc::new(Section::new(Purpose::Time));
    feed.run_in(&Round { section: &section, ..*round }, journal(&store))?;
    store.forget_cached()?;
    Ok(store)
}

/// The entity that is told at a place of the order.
fn nth(place: u64, entities: u64) -> u64 {
    place.wrapping_mul(STRIDE) % entities
}

/// Tells one entity after the other.
struct Teller {
    course: Course,
    totals: Arc<Totals>,
    entities: Entities<Command>,
    laps: Option<LapTimer>,
    told: u64,
    /// How many are told, of how many.
    of: (u64, u64),
}

impl Teller {
    fn new(
        course: Course,
        totals: Arc<Totals>,
        entities: &Entities<Command>,
        of: (u64, u64),
    ) -> Teller {
        let laps = (course.purpose() == Purpose::Latency).then(LapTimer::new);
        Teller { course, totals, entities: entities.clone(), laps, told: 0, of }
    }

    fn tell_next(&mut self, ctx: &mut Context<'_, Self>) {
        let (count, entities) = self.of;
        if self.told == count {
            return self.course.end(self.laps.take().map(LapTimer::finish));
        }
        let id = nth(self.told, entities);
        self.told += 1;
        // One that is refused has no answer, and the round does not end.
        if let Ok(entity) = self.entities.entity(id) {
            _ = entity.tell(ctx, &Command::Report { reply_to: ctx.me() });
        }
    }
}

impl Actor for Teller {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Answer::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match answer {
            ArchivedAnswer::Report { sum, events } => {
                self.laps.iter_mut().for_each(LapTimer::lap);
                self.totals.add(sum.to_native(), events.to_native());
            }
            ArchivedAnswer::GoOn => {
                self.course.begin();
                self.laps.iter_mut().for_each(LapTimer::restart);
            }
            ArchivedAnswer::Appended { .. } => {}
        }
        self.tell_next(ctx);
        Next::Same
    }
}
