//! Fills a journal: many entities, whose events are told in the order of their numbers, a window of them at a time.

use mainspring::prelude::*;
use mainspring_journal::Journal;

use super::journal_entity::{Answer, ArchivedAnswer, Command, WARM_UP_ENTITY, start};
use super::journal_store::JournalStore;
use super::stage::{Course, Stage, runtime};
use super::{Round, ScenarioError};

/// What is appended.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Event `number` belongs to entity `number % entities`.
    pub entities: u64,
    /// The events of the numbers from 0 up, so many.
    pub events: u64,
    /// Entities of the warm-up, with one event each.
    pub warm_up: u64,
}

impl Feed {
    /// Appends all to an empty journal and closes it. The round's section begins behind the warm-up, when all entities
    /// are there, and ends when the last event is durable.
    pub fn run(self, round: &Round<'_>, store: &JournalStore) -> Result<(), ScenarioError> {
        self.run_in(round, store.journal())
    }

    /// As [`Feed::run`], to a journal of other settings.
    pub fn run_in(self, round: &Round<'_>, journal: Journal) -> Result<(), ScenarioError> {
        let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(journal))?;
        let make = move || Feeder::new(course.clone(), self);
        stage.node().spawn(make).map_err(runtime("make who appends"))?;
        stage.finish().map(drop)
    }
}

/// So many entities are started, or told an event, in a turn.
const ENTITIES_A_TURN: u64 = 64;

/// Events under way: beyond that, commands would only wait in the entities' stashes.
const WINDOW: u64 = 10_000;

struct Feeder {
    course: Course,
    feed: Feed,
    entities: Vec<ActorRef<Command>>,
    /// Entities of the warm-up that were started.
    warming_up: u64,
    /// Entities, also those of the warm-up, that have answered for the first time.
    ready: u64,
    /// Events that the entities were told.
    told: u64,
    /// Measured events that are durable.
    durable: u64,
}

impl Feeder {
    fn new(course: Course, feed: Feed) -> Feeder {
        let entities = Vec::with_capacity(feed.entities as usize);
        Feeder { course, feed, entities, warming_up: 0, ready: 0, told: 0, durable: 0 }
    }

    fn go_on(&mut self, ctx: &mut Context<'_, Self>) {
        if self.warming_up < self.feed.warm_up {
            self.warm_up(ctx);
        } else if (self.entities.len() as u64) < self.feed.entities {
            self.start_entities(ctx);
        } else if self.ready == self.feed.entities + self.feed.warm_up {
            self.open_window(ctx);
        }
    }

    fn warm_up(&mut self, ctx: &mut Context<'_, Self>) {
        let until = self.feed.warm_up.min(self.warming_up + ENTITIES_A_TURN);
        for number in self.warming_up..until {
            let entity = start(ctx, WARM_UP_ENTITY + number);
            ctx.tell(entity, &Command::Append { number, reply_to: ctx.me() });
        }
        self.warming_up = until;
        ctx.tell(ctx.me(), &Answer::GoOn);
    }

    fn start_entities(&mut self, ctx: &mut Context<'_, Self>) {
        let from = self.entities.len() as u64;
        for id in from..self.feed.entities.min(from + ENTITIES_A_TURN) {
            let entity = start(ctx, id);
            // It answers when it has recovered.
            ctx.tell(entity, &Command::Report { reply_to: ctx.me() });
            self.entities.push(entity);
        }
        ctx.tell(ctx.me(), &Answer::GoOn);
    }

    fn open_window(&mut self, ctx: &mut Context<'_, Self>) {
        if self.told == 0 {
            self.course.begin();
        }
        let window = WINDOW.min(self.feed.entities).min(self.feed.events);
        for _ in self.told..window.min(self.told + ENTITIES_A_TURN) {
            self.tell_next(ctx);
        }
        if self.told < window {
            ctx.tell(ctx.me(), &Answer::GoOn);
        }
    }

    fn tell_next(&mut self, ctx: &mut Context<'_, Self>) {
        let number = self.told;
        let place = (number % self.feed.entities) as usize;
        if let Some(entity) = self.entities.get(place) {
            ctx.tell(*entity, &Command::Append { number, reply_to: ctx.me() });
        }
        self.told += 1;
    }

    /// One entity more has answered for the first time.
    fn is_ready(&mut self, ctx: &mut Context<'_, Self>) {
        self.ready += 1;
        if self.ready == self.feed.entities + self.feed.warm_up {
            ctx.tell(ctx.me(), &Answer::GoOn);
        }
    }
}

impl Actor for Feeder {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Answer::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match answer {
            ArchivedAnswer::Appended { .. } if self.told > 0 => {
                if self.told < self.feed.events {
                    self.tell_next(ctx);
                }
                self.durable += 1;
                if self.durable == self.feed.events {
                    self.course.end(None);
                }
            }
            ArchivedAnswer::Appended { .. } | ArchivedAnswer::Report { .. } => self.is_ready(ctx),
            ArchivedAnswer::GoOn => self.go_on(ctx),
        }
        Next::Same
    }
}
