//! 10,000 entities of one core append events to the journal, each its next when its last one is durable.

use mainspring::prelude::IdleProfile;
use mainspring_perf_contest::event::STREAM_ENTITIES;

use super::journal_feeder::Feed;
use super::journal_reader::read_back;
use super::journal_store::JournalStore;
use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// Event-sourced actors and the one that commands them, on one core.
pub struct JournalStream;

static DESCRIPTION: Description = Description {
    name: "journal-stream",
    measures: "one durable event of 100 bytes of one of 10,000 entities, each of which has one under way",
    cpus_needed: 1,
    limit: Some("raw-commit-stream"),
    default_messages: 100 * STREAM_ENTITIES,
    counted_messages: 10 * STREAM_ENTITIES,
    latency_sample: None,
    actor_state_bytes: None,
    idle: Some(IdleProfile::Eco),
};

impl Scenario for JournalStream {
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
        let feed = Feed { entities: STREAM_ENTITIES, events, warm_up: STREAM_ENTITIES };
        feed.run(round, &store)?;
        let sum = read_back(round, &store, STREAM_ENTITIES, events)?;
        Ok(Outcome { messages: events, latencies: None, sum: Some(sum) })
    }
}
