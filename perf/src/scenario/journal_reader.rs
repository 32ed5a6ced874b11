//! Reads the events of a journal's entities: each recovers, says what its events come to, and stops.

use std::sync::Arc;

use hdrhistogram::Histogram;
use mainspring::prelude::*;

use super::journal_entity::{Answer, ArchivedAnswer, Command, start};
use super::journal_store::JournalStore;
use super::number::Totals;
use super::stage::{Course, Stage, runtime};
use super::{Round, ScenarioError, check};
use crate::latency::LapTimer;
use crate::section::{Purpose, Section};

/// Whose events are read.
#[derive(Clone, Copy, Debug)]
pub struct Selection {
    /// Entities of the journal: event `number` belongs to entity `number % entities`.
    pub entities: u64,
    /// Events of the numbers from 0 up.
    pub events: u64,
    /// So many entities are read, spread evenly over all.
    pub read: u64,
    /// Entities that recover at the same time, or wait for it.
    pub window: u64,
    /// The section begins when the journal is open; otherwise it has begun before.
    pub begins: bool,
}

impl Selection {
    /// Every entity.
    pub fn all(entities: u64, events_an_entity: u64) -> Selection {
        let events = entities * events_an_entity;
        Selection { entities, events, read: entities, window: WINDOW, begins: false }
    }

    fn entity(&self, place: u64) -> u64 {
        place * (self.entities / self.read.max(1))
    }

    /// How many events an entity has, and the sum of their numbers.
    fn expected_of(&self, entity: u64) -> (u64, u64) {
        let count = self.events.saturating_sub(entity).div_ceil(self.entities);
        (count, count * entity + self.entities * (count * count.saturating_sub(1) / 2))
    }

    /// How many events those that are read have, and the sum of their numbers; it wraps.
    fn expected(&self) -> (u64, u64) {
        let of_each = (0..self.read).map(|place| self.expected_of(self.entity(place)));
        of_each.fold((0, 0), |all, one| (all.0 + one.0, all.1.wrapping_add(one.1)))
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
    let all = Selection { entities, events, read: entities, window: WINDOW, begins: false };
    section.begin();
    read(&Round { section: &section, ..*round }, store, all).map(|(sum, _)| sum)
}

/// Opens a journal and reads the selected entities, within the round's section, which ends with the last of them. The
/// sum of the numbers, and what the recovery of each took where the round is for latency.
pub fn read(
    round: &Round<'_>,
    store: &JournalStore,
    selection: Selection,
) -> Result<(u64, Option<Histogram<u64>>), ScenarioError> {
    let totals = Arc::new(Totals::default());
    let (stage, course) = open(round, store)?;
    let of_reader = Arc::clone(&totals);
    let make = move || Reader::new(course.clone(), Arc::clone(&of_reader), selection);
    stage.node().spawn(make).map_err(runtime("make the reader"))?;
    let latencies = stage.finish()?;
    let (events, sum) = selection.expected();
    totals.check_count(events)?;
    let found = totals.measured_sum(0, 0);
    check("the sum of the numbers read", sum, found)?;
    Ok((found, latencies))
}

/// A node of one core with the journal.
pub fn open(round: &Round<'_>, store: &JournalStore) -> Result<(Stage, Course), ScenarioError> {
    Stage::start_with(round, 1, |builder| builder.with(store.journal()))
}

/// As when a whole service starts again: all at once, up to this.
const WINDOW: u64 = 1 << 18;

/// So many entities are started in a turn.
const ENTITIES_A_TURN: u64 = 256;

/// Recovers the selected entities, a window of them at a time, and ends the section.
struct Reader {
    course: Course,
    totals: Arc<Totals>,
    selection: Selection,
    laps: Option<LapTimer>,
    started: u64,
    reported: u64,
}

impl Reader {
    fn new(course: Course, totals: Arc<Totals>, selection: Selection) -> Reader {
        let laps = (course.purpose() == Purpose::Latency).then(LapTimer::new);
        Reader { course, totals, selection, laps, started: 0, reported: 0 }
    }

    fn open_window(&mut self, ctx: &mut Context<'_, Self>) {
        if self.started == 0 {
            if self.selection.begins {
                self.course.begin();
            }
            self.laps.iter_mut().for_each(LapTimer::restart);
        }
        let window = self.selection.window.min(self.selection.read);
        for _ in self.started..window.min(self.started + ENTITIES_A_TURN) {
            self.start_next(ctx);
        }
        if self.started < window {
            ctx.tell(ctx.me(), &Answer::GoOn);
        }
    }

    fn start_next(&mut self, ctx: &mut Context<'_, Self>) {
        if self.started < self.selection.read {
            let entity = start(ctx, self.selection.entity(self.started));
            ctx.tell(entity, &Command::ReportAndStop { reply_to: ctx.me() });
            self.started += 1;
        }
    }
}

impl Actor for Reader {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        match self.selection.begins {
            true => ctx.timer("set out").after(self.course.pause(), &Answer::GoOn),
            false => self.open_window(ctx),
        }
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match answer {
            ArchivedAnswer::Report { sum, events } => {
                self.laps.iter_mut().for_each(LapTimer::lap);
                self.totals.add(sum.to_native(), events.to_native());
                self.reported += 1;
                if self.started >= self.selection.window {
                    self.start_next(ctx);
                }
            }
            ArchivedAnswer::GoOn => self.open_window(ctx),
            ArchivedAnswer::Appended { .. } => {}
        }
        if self.reported == self.selection.read {
            self.course.end(self.laps.take().map(LapTimer::finish));
        }
        Next::Same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_entities_come_to_is_the_sum_of_all_numbers() {
        let all = Selection { entities: 3, events: 8, read: 3, window: 1, begins: false };
        assert_eq!(all.expected(), (8, 28));
        assert_eq!(all.expected_of(2), (2, 2 + 5));
        let some = Selection { read: 1, ..all };
        assert_eq!(some.expected(), (3, 3 + 6));
    }
}
