//! The least that a stream of records from one core to another can cost: their bytes, packed, and two positions.
//!
//! No headers, no records of different sizes, nothing that a record could own: 24 bytes follow each other in a
//! buffer that is reused, 64 records are published by one store, and the reader gives their space back by another.

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;

use super::pinned_pair;
use super::{Description, Outcome, Round, Scenario, ScenarioError, check, sum_of_numbers};

/// One pinned thread writes records of three words into a buffer, another reads them.
pub struct RawRecordStream;

static DESCRIPTION: Description = Description {
    name: "raw-record-stream",
    measures: "one record of 24 bytes, streamed between two pinned threads in batches of 64",
    cpus_needed: 2,
    limit: None,
    default_messages: 20_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RawRecordStream {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let batches = round.messages.div_ceil(RECORDS_A_BATCH);
        let cpus = [round.cpu(0)?, round.cpu(1)?];
        let (stream, warm) = (Stream::new(), AtomicBool::new(false));
        let sending = || {
            stream.send(0..WARM_UP_BATCHES);
            while !warm.load(Ordering::Acquire) {
                hint::spin_loop();
            }
            thread::sleep(round.section.purpose().pause());
            round.section.begin();
            stream.send(WARM_UP_BATCHES..WARM_UP_BATCHES + batches);
        };
        let taking = || {
            let mut sum = stream.take(0..WARM_UP_BATCHES);
            warm.store(true, Ordering::Release);
            sum = sum.wrapping_add(stream.take(WARM_UP_BATCHES..WARM_UP_BATCHES + batches));
            round.section.end();
            sum
        };
        let ((), sum) = pinned_pair::run(cpus, sending, taking)?;
        let records = (WARM_UP_BATCHES + batches) * RECORDS_A_BATCH;
        check("the sum of the records taken", sum_of_numbers(records), sum)?;
        Ok(Outcome { messages: batches * RECORDS_A_BATCH, latencies: None, sum: None })
    }
}

const RECORDS_A_BATCH: u64 = 64;
const WARM_UP_BATCHES: u64 = 3_000;
const WORDS_A_RECORD: usize = 3;
/// The buffer holds so many batches: 96 KiB.
const BATCHES: u64 = 64;

/// The words are atomics because both threads touch them; a relaxed access of one is a plain one to the processor.
type Record = [AtomicU64; WORDS_A_RECORD];

/// The buffer, and how far each side has come, in batches.
struct Stream {
    batches: Vec<[Record; RECORDS_A_BATCH as usize]>,
    published: CachePadded<AtomicU64>,
    released: CachePadded<AtomicU64>,
}

impl Stream {
    fn new() -> Self {
        let record = |_| std::array::from_fn(|_| AtomicU64::new(0));
        let batches = (0..BATCHES).map(|_| std::array::from_fn(record)).collect();
        let (published, released) = (AtomicU64::new(0).into(), AtomicU64::new(0).into());
        Stream { batches, published, released }
    }

    fn batch(&self, number: u64) -> &[Record] {
        &self.batches[(number % BATCHES) as usize]
    }

    fn send(&self, batches: std::ops::Range<u64>) {
        for batch in batches {
            while batch - self.released.load(Ordering::Acquire) == BATCHES {
                hint::spin_loop();
            }
            for (number, record) in (batch * RECORDS_A_BATCH..).zip(self.batch(batch)) {
                record.iter().for_each(|word| word.store(number, Ordering::Relaxed));
            }
            self.published.store(batch + 1, Ordering::Release);
        }
    }

    fn take(&self, batches: std::ops::Range<u64>) -> u64 {
        let mut sum = 0_u64;
        for batch in batches {
            while self.published.load(Ordering::Acquire) <= batch {
                hint::spin_loop();
            }
            for record in self.batch(batch) {
                let [first, second, third] =
                    record.each_ref().map(|word| word.load(Ordering::Relaxed));
                if first == second && second == third {
                    sum = sum.wrapping_add(first);
                }
            }
            self.released.store(batch + 1, Ordering::Release);
        }
        sum
    }
}
