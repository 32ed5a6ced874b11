//! What a program would do without a runtime: a map from ids to boxed actors, called directly on one thread.

use std::collections::HashMap;
use std::hint::black_box;
use std::thread;

use super::super::{Description, Outcome, Round, Scenario, ScenarioError, check, sum_of_numbers};
use super::tell::ENTITIES;
use crate::raw::affinity;

/// One pinned thread looks the actor of each message up and calls it.
pub struct RawBoxedMap;

static DESCRIPTION: Description = Description {
    name: "raw-boxed-map",
    measures: "one call of a boxed actor that is looked up by its id in a HashMap of 1,000: no queue, no runtime",
    cpus_needed: 1,
    limit: None,
    default_messages: 5_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

/// What an actor is without a runtime.
type Boxed = Box<dyn FnMut(u64) -> u64>;

impl Scenario for RawBoxedMap {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let work = || -> Result<u64, ScenarioError> {
            affinity::pin_to(cpu)?;
            let mut actors: HashMap<u64, Boxed> = (0..ENTITIES).map(|id| (id, actor())).collect();
            let mut id = 0;
            round.section.begin();
            for number in 0..round.messages {
                if let Some(actor) = actors.get_mut(&black_box(id)) {
                    actor(number);
                }
                id = if id + 1 == ENTITIES { 0 } else { id + 1 };
            }
            round.section.end();
            Ok(actors.values_mut().fold(0_u64, |sum, actor| sum.wrapping_add(actor(0))))
        };
        let sum = thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)??;
        check("the sum of the numbers received", sum_of_numbers(round.messages), sum)?;
        Ok(Outcome { messages: round.messages, latencies: None, sum: None })
    }
}

/// An actor with 64 bytes of state, of which a message touches the first word and the last.
fn actor() -> Boxed {
    let mut state = black_box([0_u64; 8]);
    Box::new(move |number| {
        state[0] = state[0].wrapping_add(number);
        state[7] += 1;
        state[0]
    })
}
