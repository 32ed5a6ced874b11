//! A journal with one entity of N events, which was closed well and is not in the page cache: how long the entity takes
//! to recover, when the journal is open.

use std::sync::Arc;

use mainspring::prelude::*;

use super::journal_entity::{Answer, ArchivedAnswer, Command, start};
use super::journal_reader::{Selection, read};
use super::journal_store::JournalStore;
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::section::{Purpose, Section};

/// One event-sourced actor with a long history.
pub struct JournalReplay;

static DESCRIPTION: Description = Description {
    name: "journal-replay",
    measures: "one of N events of 100 bytes that are read and applied when their entity recovers",
    cpus_needed: 1,
    limit: Some("raw-read-stream"),
    default_messages: 1_000_000,
    counted_messages: 100_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Eco),
};

impl Scenario for JournalReplay {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        round.cpu(0)?;
        let events = round.messages.max(1);
        let store = JournalStore::make()?;
        let section = Arc::new(Section::new(Purpose::Time));
        fill(&Round { section: &section, ..*round }, &store, events)?;
        store.forget_cached()?;
        let one = Selection { entities: 1, events, read: 1, window: 1, begins: true };
        let (sum, _) = read(round, &store, one)?;
        Ok(Outcome { messages: events, latencies: None, sum: Some(sum) })
    }
}

/// Events that the entity is told in one command: with their headers fewer bytes than a commit takes.
const RUN: u64 = 4_096;

/// Appends the events of the numbers from 0 up to an empty journal, all of one entity, and closes it.
fn fill(round: &Round<'_>, store: &JournalStore, events: u64) -> Result<(), ScenarioError> {
    let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(store.journal()))?;
    let make = move || Filler { course: course.clone(), events, told: 0, entity: None };
    stage.node().spawn(make).map_err(runtime("make who appends"))?;
    stage.finish().map(drop)
}

struct Filler {
    course: Course,
    events: u64,
    told: u64,
    entity: Option<ActorRef<Command>>,
}

impl Filler {
    fn tell_next(&mut self, ctx: &mut Context<'_, Self>) {
        let (first, count) = (self.told, RUN.min(self.events - self.told));
        let Some(entity) = self.entity else { return };
        ctx.tell(entity, &Command::AppendRun { first, count, reply_to: ctx.me() });
        self.told += count;
    }
}

impl Actor for Filler {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.course.begin();
        self.entity = Some(start(ctx, 0));
        self.tell_next(ctx);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        if let ArchivedAnswer::Appended { .. } = answer {
            match self.told < self.events {
                true => self.tell_next(ctx),
                false => self.course.end(None),
            }
        }
        Next::Same
    }
}
