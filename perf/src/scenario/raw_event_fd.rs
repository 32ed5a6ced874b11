//! The least that two threads need to wake each other through the kernel: an eventfd each way, both sides asleep.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::pinned_pair::{self, ask_all};
use super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use crate::raw::event_fd::EventFd;

/// Two pinned threads wake each other in turn through two blocking eventfds.
pub struct RawEventFd;

static DESCRIPTION: Description = Description {
    name: "raw-eventfd",
    measures: "one hop between two pinned threads that sleep in a read of an eventfd each way",
    cpus_needed: 2,
    limit: None,
    default_messages: 50_000,
    counted_messages: 10_000,
    latency_sample: Some("round trip of two messages"),
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawEventFd {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let round_trips = round.messages.div_ceil(2);
        let cpus = [round.cpu(0)?, round.cpu(1)?];
        let there = EventFd::new().map_err(create)?;
        let back = EventFd::new().map_err(create)?;
        let last = WARM_UP_ROUND_TRIPS + round_trips;
        // A side that fails says so and wakes the other, so that none waits for an answer that cannot come.
        let given_up = AtomicBool::new(false);
        let asking = || {
            let mut trouble = None;
            let mut round_trip = |_| {
                if trouble.is_some() || given_up.load(Ordering::Acquire) {
                    return;
                }
                trouble = there.signal().and_then(|()| back.wait()).err();
                if trouble.is_some() && !given_up.swap(true, Ordering::AcqRel) {
                    _ = there.signal();
                }
            };
            (1..=WARM_UP_ROUND_TRIPS).for_each(&mut round_trip);
            let latencies = ask_all(round.section, WARM_UP_ROUND_TRIPS + 1..=last, round_trip);
            trouble.map_or(Ok(latencies), Err)
        };
        let answering = || {
            let sum = answer_all(&there, &back, last, &given_up);
            if sum.is_err() && !given_up.swap(true, Ordering::AcqRel) {
                _ = back.signal();
            }
            sum
        };
        let (latencies, sum) = pinned_pair::run(cpus, asking, answering)?;
        check("the number of wake-ups", last, sum.map_err(signal)?)?;
        Ok(Outcome { messages: round_trips * 2, latencies: latencies.map_err(signal)?, sum: None })
    }
}

const WARM_UP_ROUND_TRIPS: u64 = 1_000;

fn create(source: io::Error) -> ScenarioError {
    ScenarioError::Io { doing: "create an eventfd", source }
}

fn signal(source: io::Error) -> ScenarioError {
    ScenarioError::Io { doing: "wake a thread through an eventfd", source }
}

fn answer_all(
    there: &EventFd,
    back: &EventFd,
    last: u64,
    given_up: &AtomicBool,
) -> io::Result<u64> {
    let mut sum = 0;
    for _ in 0..last {
        sum += there.wait()?;
        if given_up.load(Ordering::Acquire) {
            break;
        }
        back.signal()?;
    }
    Ok(sum)
}
