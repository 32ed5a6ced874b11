//! A journal of N events of N / 10 entities, which was closed well and is not in the page cache: how long opening it
//! takes, reading every event of it, and reading the events of one entity.

use std::sync::Arc;

use mainspring::prelude::IdleProfile;
use mainspring_perf_contest::event::RECOVER_EVENTS_AN_ENTITY;

use super::journal_feeder::Feed;
use super::journal_reader::{Selection, open, read};
use super::journal_store::JournalStore;
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::latency::LapTimer;
use crate::section::{Purpose, Section};

/// Opens the journal and recovers all entities; in rounds for latency a thousand of them, one at a time.
pub struct JournalRecover;

/// Opens the journal.
pub struct JournalOpen;

static RECOVER: Description = Description {
    name: "journal-recover",
    measures: "one of N events that are read when a journal with N / 10 entities is opened and all of them recover",
    limit: Some("raw-read-stream"),
    latency_sample: Some("recovery of one entity of 10 events"),
    ..COMMON
};

static OPEN: Description = Description {
    name: "journal-open",
    measures: "one of N events that stand in a journal with N / 10 entities while a node opens it",
    latency_sample: Some("start of a node with the journal"),
    ..COMMON
};

impl Scenario for JournalRecover {
    fn description(&self) -> &'static Description {
        &RECOVER
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (store, feed) = filled(round)?;
        let all = Selection::all(feed.entities, RECOVER_EVENTS_AN_ENTITY);
        if round.section.purpose() == Purpose::Latency {
            let some = Selection { read: feed.entities.min(ENTITIES_TIMED), window: 1, ..all };
            round.section.begin();
            let (_, latencies) = read(round, &store, some)?;
            return Ok(Outcome { messages: feed.events, latencies, sum: None });
        }
        round.section.begin();
        let (sum, _) = read(round, &store, all)?;
        Ok(Outcome { messages: feed.events, latencies: None, sum: Some(sum) })
    }
}

impl Scenario for JournalOpen {
    fn description(&self) -> &'static Description {
        &OPEN
    }

    fn yields(&self) -> bool {
        true
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (store, feed) = filled(round)?;
        let mut timer = LapTimer::new();
        round.section.begin();
        timer.restart();
        let (stage, course) = open(round, &store)?;
        timer.lap();
        let latencies = (course.purpose() == Purpose::Latency).then(|| timer.finish());
        course.end(latencies);
        let latencies = stage.finish()?;
        Ok(Outcome { messages: feed.events, latencies, sum: None })
    }
}

const COMMON: Description = Description {
    name: "",
    measures: "",
    cpus_needed: 1,
    limit: None,
    default_messages: 500_000,
    counted_messages: 100_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Eco),
};

/// Entities that recover one at a time in a round for latency.
const ENTITIES_TIMED: u64 = 1_000;

/// A journal with the events of a round, closed and not in the page cache.
fn filled(round: &Round<'_>) -> Result<(JournalStore, Feed), ScenarioError> {
    round.cpu(0)?;
    let entities = round.messages.div_ceil(RECOVER_EVENTS_AN_ENTITY).max(1);
    let feed = Feed { entities, events: entities * RECOVER_EVENTS_AN_ENTITY, warm_up: 0 };
    let store = JournalStore::make()?;
    let section = Arc::new(Section::new(Purpose::Time));
    feed.run(&Round { section: &section, ..*round }, &store)?;
    store.forget_cached()?;
    Ok((store, feed))
}
