//! Nothing: a section that begins and ends. What remains is the harness's own share of a round.

use super::{Description, Outcome, Round, Scenario, ScenarioError};

/// A section with nothing in it.
pub struct Empty;

static DESCRIPTION: Description = Description {
    name: "empty",
    measures: "nothing: a whole round is the harness's own share of any other round",
    cpus_needed: 1,
    limit: None,
    default_messages: 1,
    counted_messages: 1,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for Empty {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        round.cpu(0)?;
        round.section.begin();
        round.section.end();
        Ok(Outcome { messages: round.messages, latencies: None, sum: None })
    }
}
