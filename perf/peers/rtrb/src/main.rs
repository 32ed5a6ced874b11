//! rtrb as a contestant, slot by slot: `Producer::push` and `Consumer::pop`, as its documentation begins with.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use mainspring_perf_contest::entrant;
use peer_rtrb::{Record, Usage, record, run};
use rtrb::{Consumer, Producer};

const SLOTS: Usage = Usage { send, receive };

fn main() -> ExitCode {
    entrant::main(&[("ring", |task| run(task, &SLOTS))])
}

fn send(producer: &mut Producer<Record>, records: u64, wait: fn()) {
    for number in 0..records {
        while producer.push(record(number)).is_err() {
            wait();
        }
    }
}

fn receive(consumer: &mut Consumer<Record>, records: u64, wait: fn()) -> u64 {
    let mut sum = 0;
    for _ in 0..records {
        sum += loop {
            match consumer.pop() {
                Ok([number, ..]) => break number,
                Err(_) => wait(),
            }
        };
    }
    sum
}
