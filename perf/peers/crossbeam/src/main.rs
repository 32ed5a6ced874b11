//! crossbeam's `ArrayQueue` as a contestant: a bounded queue for many senders and many receivers, here with one of
//! each.
//!
//! Promise: the clock starts when the warm-up has been received and ends when the last measured record has.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use crossbeam_queue::ArrayQueue;
use crossbeam_utils::Backoff;
use mainspring_perf_contest::RoundReport;
use mainspring_perf_contest::entrant::{self, Task};

/// 24 bytes; the first word is the record's number.
type Record = [u64; 3];

const CAPACITY: usize = 32_768;
const WARM_UP_MESSAGES: u64 = 50_000;

fn main() -> ExitCode {
    entrant::main(&[("ring", ring)])
}

/// The receiver has a thread of its own on the last CPU, the sender is on the first.
fn ring(task: &Task) -> RoundReport {
    let queue = ArrayQueue::new(CAPACITY);
    let (first, last) = (task.cores[0], task.cores[task.cores.len() - 1]);
    let is_warm = Barrier::new(2);
    let (start, end, sum) = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            pin(last);
            receive(&queue, WARM_UP_MESSAGES);
            is_warm.wait();
            let sum = receive(&queue, task.messages);
            (Instant::now(), sum)
        });
        pin(first);
        send(&queue, WARM_UP_MESSAGES);
        is_warm.wait();
        let start = Instant::now();
        send(&queue, task.messages);
        let (end, sum) = receiver.join().expect("the receiver ends when it has all");
        (start, end, sum)
    });
    task.report(end.saturating_duration_since(start), sum)
}

fn send(queue: &ArrayQueue<Record>, records: u64) {
    for number in 0..records {
        let mut record = [number, !number, number ^ 0x5555];
        let backoff = Backoff::new();
        while let Err(refused) = queue.push(record) {
            record = refused;
            backoff.snooze();
        }
    }
}

fn receive(queue: &ArrayQueue<Record>, records: u64) -> u64 {
    let mut sum = 0;
    for _ in 0..records {
        let backoff = Backoff::new();
        sum += loop {
            match queue.pop() {
                Some([number, ..]) => break number,
                None => backoff.snooze(),
            }
        };
    }
    sum
}

/// Where pinning is refused the thread runs anywhere on the CPUs that the harness has left to the process.
fn pin(cpu: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: cpu });
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_perf_contest::program;

    #[test]
    fn all_records_arrive_on_one_cpu_and_on_two() {
        let program = program::find("ring").expect("a program of the page");
        for cores in [vec![0], vec![0, 1]] {
            let task = Task { program, messages: 100_000, cores };
            assert_eq!(ring(&task).sum, program.expected_sum(task.messages));
        }
    }
}
