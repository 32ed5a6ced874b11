//! The least that two cores need to answer each other: one cache line each way, both sides polling.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use super::pinned_pair::{self, ask_all};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};

/// Two pinned threads hand a number to and fro through two atomics.
pub struct RawTwoAtomics;

static DESCRIPTION: Description = Description {
    name: "raw-two-atomics",
    measures: "one hop between two pinned threads that poll one cache line each way",
    cpus_needed: 2,
    limit: None,
    default_messages: 1_000_000,
    counted_messages: 100_000,
    latency_sample: Some("round trip of two messages"),
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawTwoAtomics {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let round_trips = round.messages.div_ceil(2);
        let there = CachePadded::new(AtomicU64::new(0));
        let back = CachePadded::new(AtomicU64::new(0));
        let last = WARM_UP_ROUND_TRIPS + round_trips;
        let asking = || {
            (1..=WARM_UP_ROUND_TRIPS).for_each(|number| hop(&there, &back, number));
            let numbers = WARM_UP_ROUND_TRIPS + 1..=last;
            ask_all(round.section, numbers, |number| hop(&there, &back, number))
        };
        let answering = || answer_all(&there, &back, last);
        let cpus = [round.cpu(0)?, round.cpu(1)?];
        let (latencies, sum) = pinned_pair::run(cpus, asking, answering)?;
        check("the sum of what was answered", last * (last + 1) / 2, sum)?;
        Ok(Outcome { messages: round_trips * 2, latencies, sum: None })
    }
}

const WARM_UP_ROUND_TRIPS: u64 = 10_000;

/// Sends a number and polls until it comes back. No pause instruction: it would add its own length to every hop.
#[inline(always)]
fn hop(there: &AtomicU64, back: &AtomicU64, number: u64) {
    there.store(number, Ordering::Release);
    while back.load(Ordering::Acquire) != number {}
}

fn answer_all(there: &AtomicU64, back: &AtomicU64, last: u64) -> u64 {
    let mut sum = 0;
    for number in 1..=last {
        while there.load(Ordering::Acquire) != number {}
        sum += number;
        back.store(number, Ordering::Release);
    }
    sum
}
