//! Ids that come once each, as fast as the core takes them, against the limit of active entities; beside them, entities
//! that are asked again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::prelude::*;
use mainspring_sharding::{Entities, EntityRef, EntityTarget, EntityType, RegionFigures, Sharding};

use super::super::stage::{Course, Stage, runtime};
use super::super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use super::{declare, sharding_refused};
use crate::latency::LapTimer;
use crate::section::Purpose;

/// A stream of ids, and hot entities beside it.
pub struct EntityPassivation;

static DESCRIPTION: Description = Description {
    name: "entity-passivation",
    measures: "one id that comes once, with room for 100,000 active entities: one starts, and one stops for it",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 500_000,
    latency_sample: Some(
        "a question to one of 1,000 hot entities and its answer, beside the stream",
    ),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Busy),
};

impl Scenario for EntityPassivation {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (measured, seen) = (round.messages, Arc::new(Seen::default()));
        let sharding = Sharding::new();
        let entity_type = EntityType::new("session").at_most(AT_MOST);
        let entities = declare(&sharding, entity_type, || Session { count: 0 })?;
        let hot = (0..HOT).map(|id| entities.entity(id)).collect::<Result<Vec<_>, _>>();
        let hot = hot.map_err(sharding_refused("name an entity"))?;
        let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(sharding))?;
        let of_stream = Arc::clone(&seen);
        let make = move || Stream {
            course: course.clone(),
            seen: Arc::clone(&of_stream),
            entities: entities.clone(),
            hot: hot.clone(),
            number: 0,
            end: WARM_UP + measured,
            questions: 0,
            latencies: None,
        };
        stage.node().actor(make).start().map_err(runtime("make the stream"))?;
        let latencies = stage.finish()?;
        seen.check(WARM_UP + measured)?;
        Ok(Outcome { messages: measured, latencies, sum: None })
    }
}

const AT_MOST: u32 = 100_000;
/// Entities that are asked.
const HOT: u64 = 1_000;
/// Fills the limit, so that from then on each that starts has another stop.
const WARM_UP: u64 = 2 * AT_MOST as u64;
/// Ids of the stream that are told between two questions.
const IDS_A_QUESTION: u64 = 32;
const DEADLINE: Duration = Duration::from_secs(10);

/// What was counted when the stream had ended.
#[derive(Debug, Default)]
struct Seen {
    refused: AtomicU64,
    full: AtomicU64,
    failed: AtomicU64,
    active: AtomicU64,
    unanswered: AtomicU64,
    started: AtomicU64,
    passivated: AtomicU64,
}

impl Seen {
    fn check(&self, ids: u64) -> Result<(), ScenarioError> {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        check("the number of messages that could not be sent", 0, of(&self.refused))?;
        check("the number of entities that failed", 0, of(&self.failed))?;
        check("the number of messages that found no room", 0, of(&self.full))?;
        let beyond = of(&self.active).saturating_sub(u64::from(AT_MOST));
        check("the number of active entities beyond the limit", 0, beyond)?;
        check("the number of questions without an answer", 0, of(&self.unanswered))?;
        let started = of(&self.started);
        check("the number of ids that started no entity", 0, ids.saturating_sub(started))?;
        let least = started.saturating_sub(u64::from(AT_MOST));
        let missing = least.saturating_sub(of(&self.passivated));
        check("the number of entities that did not leave", 0, missing)
    }
}

/// What a session takes.
#[message]
#[derive(Clone, Copy)]
pub enum Request {
    /// Counts.
    Count,
    /// Counts, and says how far.
    Ask {
        /// Who wants to know.
        reply_to: ActorRef<Counted>,
    },
}

/// How far a session has counted.
#[message]
#[derive(Clone, Copy)]
pub struct Counted {
    count: u64,
}

/// Counts its messages.
struct Session {
    count: u64,
}

impl Actor for Session {
    type Message = Request;

    fn receive(&mut self, ctx: &mut Context<'_, Self>, request: &Archived<Request>) -> Next<Self> {
        self.count += 1;
        if let ArchivedRequest::Ask { reply_to } = request {
            ctx.tell(*reply_to, &Counted { count: self.count });
        }
        Next::Same
    }
}

/// The stream goes on.
#[message]
struct GoOn;

/// Tells ids that come once, then asks a hot entity, again and again.
struct Stream {
    course: Course,
    seen: Arc<Seen>,
    entities: Entities<Request>,
    hot: Vec<EntityRef<Request>>,
    number: u64,
    /// The section ends before this number.
    end: u64,
    questions: usize,
    /// Only within the section of a round that is run for it.
    latencies: Option<LapTimer>,
}

impl Stream {
    fn goes_on(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        if self.number == WARM_UP {
            self.begin();
        }
        if self.number == self.end {
            return self.look(ctx);
        }
        let until = if self.number < WARM_UP { WARM_UP } else { self.end };
        let until = until.min(self.number + IDS_A_QUESTION);
        while self.number < until {
            let entity = self.entities.entity(HOT + self.number);
            if !entity.is_ok_and(|entity| entity.tell(ctx, &Request::Count).is_ok()) {
                self.seen.refused.fetch_add(1, Ordering::Relaxed);
            }
            self.number += 1;
        }
        self.ask(ctx)
    }

    fn ask(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let hot = self.hot[self.questions % self.hot.len()].clone();
        self.questions += 1;
        if let Some(timer) = &mut self.latencies {
            timer.restart();
        }
        let request = |reply_to| Request::Ask { reply_to };
        if hot.ask(ctx, request, DEADLINE, Self::answered).is_err() {
            self.seen.refused.fetch_add(1, Ordering::Relaxed);
            ctx.tell(ctx.me(), &GoOn);
        }
        Next::Same
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, Self>,
        answer: Result<&Archived<Counted>, AskError>,
    ) -> Next<Self> {
        if let Some(timer) = &mut self.latencies {
            timer.lap();
        }
        // A hot entity may have been stopped by the stream, and have begun anew; but it has counted this question.
        if !answer.is_ok_and(|counted| counted.count.to_native() > 0) {
            self.seen.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        self.goes_on(ctx)
    }

    fn begin(&mut self) {
        if self.course.purpose() == Purpose::Latency {
            self.latencies = Some(LapTimer::new());
        }
        self.course.begin();
    }

    /// Asks the region what it has counted, and ends the section with the answer.
    fn look(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        let Some(region) = self.entities.region(0) else { return Next::Same };
        let entities = self.entities.clone();
        ctx.ask(region, move |reply_to| entities.ask_figures(reply_to), DEADLINE, Self::looked);
        Next::Same
    }

    fn looked(
        &mut self,
        _: &mut Context<'_, Self>,
        figures: Result<&Archived<RegionFigures>, AskError>,
    ) -> Next<Self> {
        if let Ok(figures) = figures {
            let left = figures.passivated_limit.to_native();
            self.seen.started.store(figures.started.to_native(), Ordering::Relaxed);
            self.seen.passivated.store(left, Ordering::Relaxed);
            self.seen.active.store(figures.active.to_native().into(), Ordering::Relaxed);
            self.seen.full.store(figures.refused_full.to_native(), Ordering::Relaxed);
            self.seen.failed.store(figures.failed.to_native(), Ordering::Relaxed);
        }
        self.course.end(self.latencies.take().map(LapTimer::finish));
        Next::Same
    }
}

impl Actor for Stream {
    type Message = GoOn;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<GoOn>) -> Next<Self> {
        self.goes_on(ctx)
    }
}
