//! The least that a message on one core can cost: its bytes are written to memory once and read once.
//!
//! No queue, no receiver, no check of any kind: 48 bytes (a header of 16, a payload of 24, rounded up to 16) go
//! into a 16 KiB buffer, 256 messages at a time, and are read back.

use std::hint::black_box;
use std::thread;

use super::{Description, Outcome, Round, Scenario, ScenarioError, check};
use crate::raw::affinity;

/// One pinned thread writes messages into a buffer and reads them back.
pub struct RawMemoryLoop;

static DESCRIPTION: Description = Description {
    name: "raw-memory-loop",
    measures: "one message of 48 bytes, written to a buffer and read back by the same thread",
    cpus_needed: 1,
    limit: None,
    default_messages: 20_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawMemoryLoop {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let cpu = round.cpu(0)?;
        let batches = round.messages.div_ceil(MESSAGES_A_BATCH as u64);
        let messages = batches * MESSAGES_A_BATCH as u64;
        let work = || -> Result<u64, ScenarioError> {
            affinity::pin_to(cpu)?;
            let mut buffer = [[0u64; WORDS_A_MESSAGE]; MESSAGES_A_BATCH];
            black_box(run_batches(&mut buffer, WARM_UP_BATCHES));
            round.section.begin();
            let sum = run_batches(&mut buffer, batches);
            round.section.end();
            Ok(sum)
        };
        let sum = thread::scope(|scope| scope.spawn(work).join())
            .map_err(|_| ScenarioError::ThreadLost)??;
        check("the sum of what was read", messages * (messages - 1) / 2, sum)?;
        Ok(Outcome { messages, latencies: None, sum: None })
    }
}

const MESSAGES_A_BATCH: usize = 256;
const WORDS_A_MESSAGE: usize = 6;
const WARM_UP_BATCHES: u64 = 1_000;

fn run_batches(buffer: &mut [[u64; WORDS_A_MESSAGE]; MESSAGES_A_BATCH], batches: u64) -> u64 {
    let mut sum = 0;
    let mut number = 0;
    for _ in 0..batches {
        for message in buffer.iter_mut() {
            *message = [24, number, number, number, number, 0];
            number += 1;
        }
        // The buffer's address leaves here, so the bytes have to be in memory before they are read.
        let written = black_box(&mut *buffer);
        for [length, to, first, second, third, _] in written.iter() {
            if *length == 24 && first == second && second == third {
                sum += to;
            }
        }
    }
    sum
}
