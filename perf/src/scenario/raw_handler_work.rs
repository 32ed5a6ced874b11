//! The work that a busy handler does, without a runtime around it.

use std::hint::black_box;
use std::thread;

use super::tell::STEPS_OF_75_NS;
use super::{Description, Outcome, Round, Scenario, ScenarioError};
use crate::calibration::fixed_work;
use crate::raw::affinity;

/// One pinned thread does a busy handler's work, once a message.
pub struct RawHandlerWork;

static DESCRIPTION: Description = Description {
    name: "raw-handler-work",
    measures: "what the handler of tell-random-75ns does, called in a loop",
    cpus_needed: 1,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 100_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawHandlerWork {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let work = || -> Result<(), ScenarioError> {
            affinity::pin_to(cpu)?;
            let mut sum = 0;
            round.section.begin();
            for number in 0..round.messages {
                // Each call waits for the one before, so that none is done beside it.
                sum = fixed_work(black_box(number) ^ (sum & 1), STEPS_OF_75_NS);
            }
            round.section.end();
            black_box(sum);
            Ok(())
        };
        thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)??;
        Ok(Outcome { messages: round.messages, latencies: None, sum: None })
    }
}
