//! One entity appends events to the journal, each when the one before is durable.

use std::time::Duration;

use mainspring::prelude::*;
use mainspring_perf_contest::event_store::WARM_UP_COMMITS;

use super::journal_entity::{
    Answer, ArchivedAnswer, Command, Entity, Stamped, WARM_UP_ENTITY, start,
};
use super::journal_reader::read_back;
use super::journal_store::JournalStore;
use super::raw_commit_loop::COMMIT_SAMPLE;
use super::stage::{Course, Stage, runtime};
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::load::{Answers, Generator, Load, OpenLoop, Stamp};
use crate::section::Purpose;

/// An event-sourced actor and the one that commands it, on one core.
pub struct JournalAppend;

static DESCRIPTION: Description = Description {
    name: "journal-append",
    measures: "one durable event of 100 bytes of one entity, one at a time: from its command to the reply behind it",
    cpus_needed: 1,
    limit: Some("raw-commit-loop"),
    default_messages: 2_000,
    counted_messages: 1_000,
    latency_sample: Some(COMMIT_SAMPLE),
    actor_state_bytes: None,
    idle: Some(IdleProfile::Eco),
};

impl Scenario for JournalAppend {
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
        let (stage, course) = Stage::start_with(round, 1, |builder| builder.with(store.journal()))?;
        let make = move || Appender::new(course.clone(), events);
        stage.node().spawn(make).map_err(runtime("make who appends"))?;
        let latencies = stage.finish()?;
        let sum = read_back(round, &store, 1, events)?;
        Ok(Outcome { messages: events, latencies, sum: Some(sum) })
    }

    fn open_loop(&self) -> Option<&dyn OpenLoop> {
        Some(self)
    }
}

impl OpenLoop for JournalAppend {
    fn response(&self) -> &'static str {
        "from when a command of one of 64 entities is due to the reply behind its durable event"
    }

    fn cpus_needed(&self) -> usize {
        2
    }

    fn drive(&self, load: &Load<'_>) -> Result<(), ScenarioError> {
        let store = JournalStore::make()?;
        let journal = store.journal();
        let node = load.start_node_with(2, |builder| builder.with(journal.clone()))?;
        let of_core_0 = (0..).filter(|id| journal.core_of(*id) == 0).take(LOAD_ENTITIES);
        let entities = of_core_0.map(|id| journal.entity(&node, id, Entity::default).start());
        let entities: Result<Vec<_>, _> = entities.collect();
        let entities = entities.map_err(runtime("make the entities"))?;
        let (course, payload) = (load.course.clone(), vec![0; load.payload_bytes]);
        let make = move || Source {
            generator: Generator::new(&course),
            answers: Answers::new(&course),
            entities: entities.clone(),
            payload: payload.clone(),
        };
        node.actor(make).on_core(1).start().map_err(runtime("make the generator"))?;
        load.finish(node)
    }
}

/// Entities of a load, each told every so-many-th event: those that are due together share a commit.
const LOAD_ENTITIES: usize = 64;
const DEADLINE: Duration = Duration::from_secs(3);

/// Sends commands when they are due.
struct Source {
    generator: Generator,
    answers: Answers,
    entities: Vec<ActorRef<Command>>,
    payload: Vec<u8>,
}

impl Source {
    fn appended(
        &mut self,
        _: &mut Context<'_, Self>,
        answer: Result<&Archived<Stamped>, AskError>,
    ) -> Next<Self> {
        match answer {
            Ok(answer) => {
                self.answers.answered(Stamp::from(&answer.stamp));
                self.generator.answered(1);
            }
            Err(_) => self.generator.failed(),
        }
        Next::Same
    }
}

impl Actor for Source {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.tell(ctx.me(), &Answer::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, _: &Archived<Answer>) -> Next<Self> {
        let Source { generator, entities, payload, .. } = self;
        let goes_on = generator.turn(|stamp| {
            let entity = entities[stamp.number as usize % LOAD_ENTITIES];
            let command =
                |reply_to| Command::AppendStamped { stamp, reply_to, payload: payload.clone() };
            ctx.ask(entity, command, DEADLINE, Self::appended);
            true
        });
        if goes_on {
            ctx.tell(ctx.me(), &Answer::GoOn);
        }
        Next::Same
    }
}

/// Commands one event after the other: those of the warm-up each of an entity of its own, then those of entity 0.
struct Appender {
    course: Course,
    laps: Option<LapTimer>,
    entity: Option<ActorRef<Command>>,
    warmed_up: u64,
    number: u64,
    events: u64,
}

impl Appender {
    fn new(course: Course, events: u64) -> Appender {
        let laps = (course.purpose() == Purpose::Latency).then(LapTimer::new);
        Appender { course, laps, entity: None, warmed_up: 0, number: 0, events }
    }

    fn warm_up(&mut self, ctx: &mut Context<'_, Self>) {
        let reply_to = ctx.me();
        if self.warmed_up < WARM_UP_COMMITS {
            let entity = start(ctx, WARM_UP_ENTITY + self.warmed_up);
            ctx.tell(entity, &Command::Append { number: self.warmed_up, reply_to });
            self.warmed_up += 1;
        } else {
            // It answers when it has recovered.
            let entity = start(ctx, 0);
            ctx.tell(entity, &Command::Report { reply_to });
            self.entity = Some(entity);
        }
    }

    fn append(&mut self, ctx: &mut Context<'_, Self>, entity: ActorRef<Command>) {
        if self.number == self.events {
            self.course.end(self.laps.take().map(LapTimer::finish));
            return;
        }
        ctx.tell(entity, &Command::Append { number: self.number, reply_to: ctx.me() });
        self.number += 1;
    }
}

impl Actor for Appender {
    type Message = Answer;

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        ctx.timer("set out").after(self.course.pause(), &Answer::GoOn);
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<'_, Self>, answer: &Archived<Answer>) -> Next<Self> {
        match (self.entity, answer) {
            (None, _) => self.warm_up(ctx),
            (Some(entity), ArchivedAnswer::Appended { .. }) => {
                self.laps.iter_mut().for_each(LapTimer::lap);
                self.append(ctx, entity);
            }
            (Some(entity), _) => {
                self.course.begin();
                self.laps.iter_mut().for_each(LapTimer::restart);
                self.append(ctx, entity);
            }
        }
        Next::Same
    }
}
