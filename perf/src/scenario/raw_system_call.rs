//! What it costs to ask the kernel anything: the price of every system call that a message does not make.

use std::hint::black_box;
use std::os::unix::process::parent_id;
use std::thread;

use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::raw::affinity;

/// One pinned thread asks for its parent's process number, once a message.
pub struct RawSystemCall;

static DESCRIPTION: Description = Description {
    name: "raw-system-call",
    measures: "one system call that does next to nothing",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 1_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawSystemCall {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let work = || -> Result<(), ScenarioError> {
            affinity::pin_to(cpu)?;
            round.section.begin();
            for _ in 0..round.messages {
                black_box(parent_id());
            }
            round.section.end();
            Ok(())
        };
        thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)??;
        Ok(Outcome { messages: round.messages, latencies: None, sum: None })
    }
}
