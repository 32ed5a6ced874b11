//! What both ways to use rtrb share: the record, the two pinned threads and the measured section.
//!
//! Promise: the clock starts when the warm-up has been received and ends when the last measured record has.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::Task;
use rtrb::{Consumer, Producer, RingBuffer};

/// 24 bytes; the first word is the record's number.
pub type Record = [u64; 3];

/// The record with this number.
#[inline]
pub fn record(number: u64) -> Record {
    [number, !number, number ^ 0x5555]
}

const CAPACITY: usize = 32_768;
const WARM_UP_MESSAGES: u64 = 50_000;

/// How a queue is used: both sides stream `records`, one sends them and the other adds up their numbers.
pub struct Usage {
    /// Sends the numbers from 0 up.
    pub send: fn(&mut Producer<Record>, records: u64, wait: fn()),
    /// Comes to the sum of the numbers that it got.
    pub receive: fn(&mut Consumer<Record>, records: u64, wait: fn()) -> u64,
}

/// A round: the receiver has a thread of its own on the last CPU, the sender is on the first.
pub fn run(task: &Task, usage: &Usage) -> RoundReport {
    let (mut producer, mut consumer) = RingBuffer::new(CAPACITY);
    let messages = task.messages;
    let (first, last) = (task.cores[0], task.cores[task.cores.len() - 1]);
    // On a single CPU the other thread must get its turn.
    let wait: fn() = if first == last { thread::yield_now } else { spin_loop };
    let is_warm = Barrier::new(2);
    let (start, end, sum) = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            pin(last);
            (usage.receive)(&mut consumer, WARM_UP_MESSAGES, wait);
            is_warm.wait();
            let sum = (usage.receive)(&mut consumer, messages, wait);
            (Instant::now(), sum)
        });
        pin(first);
        (usage.send)(&mut producer, WARM_UP_MESSAGES, wait);
        is_warm.wait();
        let start = Instant::now();
        (usage.send)(&mut producer, messages, wait);
        let (end, sum) = receiver.join().expect("the receiver ends when it has all");
        (start, end, sum)
    });
    task.report(end.saturating_duration_since(start), sum)
}

/// Where pinning is refused the thread runs anywhere on the CPUs that the harness has left to the process.
fn pin(cpu: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
}
