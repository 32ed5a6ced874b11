//! Reads every event of a journal: each entity recovers, says what its events come to, and stops.

use std::sync::Arc;

use mainspring::prelude::*;

use super::journal_entity::{Answer, ArchivedAnswer, Command, start};
use super::journal_store::JournalStore;
use super::number::Totals;
use super::stage::{Course, Stage, runtime};
use super::{Round, ScenarioError};
use crate::section::{Purpose, Section};

/// Entities that recover at the same time, or wait for it.
pub const WINDOW: u64 = 256;

/// Recovers the entities from 0 up, [`WINDOW`] at a time, and ends the section.
pub struct Reader {
    course: Course,
    totals: Arc<Totals>,
    entities: u64,
    started: u64,
    reported: u64,
}

impl Reader {
    /// A reader of so many entities, which adds what they say to `totals`.
    pub fn new(course: Course, totals: Arc<Totals>, entities: u64) -> Reader {
        Reader { course, totals, entities, started: 0, reported: 0 }
    }

    fn start_next(&mut self, ctx: &mut Context<'_, Self>) {
        if self.started < self.entities {
            let entity = start(ctx, self.started);
            ctx.tell(entity, &Command::ReportAndStop { reply_to: ctx.me() });
            self.started += 1;
        }
    }
}

impl Actor for Reader {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        for _ in 0..WINDOW {
            self.start_next(ctx);
        }
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        if let ArchivedAnswer::Report { sum, events } = answer {
            self.totals.add(sum.to_native(), events.to_native());
            self.reported += 1;
            self.start_next(ctx);
        }
        if self.reported == self.entities {
            self.course.end(None);
        }
        Next::Same
    }
}

/// Opens a journal that is closed, reads so many entities from 0 up, and checks that they have the events of the
/// numbers from 0 up, so many in all. The sum of the numbers. Nothing of it is measured.
pub fn read_back(
    round: &Round<'_>,
    store: &JournalStore,
    entities: u64,
    events: u64,
) -> Result<u64, ScenarioError> {
    store.forget_cached()?;
    let section = Arc::new(Section::new(Purpose::Time));
    let round = Round { section: &section, ..*round };
    section.begin();
    read_all(&round, store, entities, events)
}

/// As [`read_back`], in the round's section, which has begun.
pub fn read_all(
    round: &Round<'_>,
    store: &JournalStore,
    entities: u64,
    events: u64,
) -> Result<u64, ScenarioError> {
    let totals = Arc::new(Totals::default());
    let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(store.journal()))?;
    let of_reader = Arc::clone(&totals);
    let make = move || Reader::new(course.clone(), Arc::clone(&of_reader), entities);
    stage.node().spawn(make).map_err(runtime("make the reader"))?;
    stage.finish()?;
    totals.check_numbers(events)?;
    Ok(totals.measured_sum(0, events))
}
