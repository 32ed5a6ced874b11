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

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_perf_contest::entrant::Task;
    use mainspring_perf_contest::program;

    #[test]
    fn all_records_arrive_on_one_cpu_and_on_two() {
        let program = program::find("ring").expect("a program of the page");
        for cores in [vec![0], vec![0, 1]] {
            let task = Task { program, messages: 100_000, cores };
            assert_eq!(run(&task, &SLOTS).sum, program.expected_sum(task.messages));
        }
    }
}
