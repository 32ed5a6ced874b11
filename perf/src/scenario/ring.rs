//! A stream of records through the ring that carries messages from one core to another, without actors around it.
//!
//! It is the program `ring` of the contest. Each record is a frame of its own; what is batched is their publication,
//! as the ring's own documentation does it.

use std::hint;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use mainspring::frame::Header;
use mainspring::ring::{self, CapacityError, Consumer, Producer};

use super::pinned_pair;
use super::{Description, Outcome, Round, Scenario, ScenarioError, check, sum_of_numbers};
use crate::section::Section;

/// One pinned thread writes records into a ring, another reads them.
pub struct RingStream;

static DESCRIPTION: Description = Description {
    name: "ring",
    measures: "one record of 24 bytes, streamed from a pinned thread to another through a ring",
    cpus_needed: 2,
    limit: Some("raw-record-stream"),
    default_messages: 20_000_000,
    counted_messages: 1_000_000,
    latency_sample: None,
    actor_state_bytes: None,
    idle: None,
};

impl Scenario for RingStream {
    fn description(&self) -> &'static Description {
        &DESCRIPTION
    }

    fn round(&self, round: &Round<'_>) -> Result<Outcome, ScenarioError> {
        let (records, cpus) = (round.messages, [round.cpu(0)?, round.cpu(1)?]);
        let (producer, mut consumer) = ring::ring(CAPACITY_BYTES).map_err(no_ring)?;
        let warm = AtomicBool::new(false);
        let sending = || send_all(producer, round.section, &warm, records);
        let taking = || {
            consumer.touch();
            take(&mut consumer, WARM_UP_RECORDS);
            warm.store(true, Ordering::Release);
            let sum = take(&mut consumer, records);
            round.section.end();
            sum
        };
        let ((), sum) = pinned_pair::run(cpus, sending, taking)?;
        check("the sum of the records taken", sum_of_numbers(records), sum)?;
        Ok(Outcome { messages: records, latencies: None, sum: Some(sum) })
    }
}

/// Larger than the nearest cache, so that the sender seldom waits for room, and smaller than the next.
const CAPACITY_BYTES: usize = 256 << 10;
const WARM_UP_RECORDS: u64 = 200_000;
/// Records that become visible together.
const RECORDS_A_PUBLICATION: u64 = 64;
/// Records after which their space goes back: a sender that finds the ring full need not wait until it is empty.
const RECORDS_A_RELEASE: u64 = 256;
const RECORD_BYTES: usize = 24;
const HEADER: Header = Header::new(RECORD_BYTES as u32, 0, 0, 0, 1, 1);

fn no_ring(source: CapacityError) -> ScenarioError {
    ScenarioError::Io { doing: "make a ring", source: io::Error::other(source) }
}

/// Sends the warm-up, waits until it has been taken, then sends the measured records.
///
/// A record that cannot be sent ends it early. The producer is dropped then, which the other side notices, and the
/// sum is not what it should be.
fn send_all(mut producer: Producer, section: &Section, warm: &AtomicBool, records: u64) {
    send(&mut producer, WARM_UP_RECORDS);
    while !warm.load(Ordering::Acquire) {
        hint::spin_loop();
    }
    thread::sleep(section.purpose().pause());
    section.begin();
    send(&mut producer, records);
}

/// Sends the numbers from 0 up, as many as there are records.
fn send(producer: &mut Producer, records: u64) {
    for number in 0..records {
        if !push(producer, number) {
            break;
        }
        if number % RECORDS_A_PUBLICATION == RECORDS_A_PUBLICATION - 1 {
            producer.publish();
        }
    }
    producer.publish();
}

/// Appends one record, written where it will be read. Whether it was; not when nobody will read it.
#[inline(always)]
fn push(producer: &mut Producer, number: u64) -> bool {
    loop {
        if let Ok(mut claim) = producer.claim(RECORD_BYTES) {
            let (words, _) = claim.payload().as_chunks_mut::<8>();
            for word in words.iter_mut().take(RECORD_BYTES / 8) {
                *word = number.to_le_bytes();
            }
            return claim.commit(HEADER).is_ok();
        }
        // Full: the other side has to see what there is.
        producer.publish();
        if producer.is_abandoned() {
            return false;
        }
        hint::spin_loop();
    }
}

/// Takes so many records and adds up their numbers; fewer when the producer is gone.
fn take(consumer: &mut Consumer, records: u64) -> u64 {
    let (mut taken, mut sum) = (0, 0_u64);
    while taken < records {
        if let Some(frame) = consumer.next_frame() {
            let number = frame.payload().first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            sum = sum.wrapping_add(number);
            taken += 1;
            if taken % RECORDS_A_RELEASE == 0 {
                consumer.release();
            }
        } else {
            consumer.release();
            if consumer.is_abandoned() && consumer.is_empty() {
                break;
            }
            hint::spin_loop();
        }
    }
    consumer.release();
    sum
}
