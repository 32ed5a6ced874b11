//! rtrb as a contestant, in chunks: as many slots at once as are free or filled, by `write_chunk_uninit` and
//! `read_chunk`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use mainspring_perf_contest::entrant;
use peer_rtrb::{Record, Usage, record, run};
use rtrb::{Consumer, Producer};

const CHUNKS: Usage = Usage { send, receive };

/// Chunks stay below this, so that the other side begins before the whole queue is written.
const CHUNK_RECORDS: usize = 256;

fn main() -> ExitCode {
    entrant::main(&[("ring", |task| run(task, &CHUNKS))])
}

fn send(producer: &mut Producer<Record>, records: u64, wait: fn()) {
    let mut number = 0;
    while number < records {
        let free = producer.slots().min(CHUNK_RECORDS).min((records - number) as usize);
        match producer.write_chunk_uninit(free) {
            Ok(chunk) if free > 0 => {
                number += chunk.fill_from_iter((number..).map(record)) as u64;
            }
            _ => wait(),
        }
    }
}

fn receive(consumer: &mut Consumer<Record>, records: u64, wait: fn()) -> u64 {
    let (mut sum, mut received) = (0, 0);
    while received < records {
        let filled = consumer.slots().min(CHUNK_RECORDS).min((records - received) as usize);
        match consumer.read_chunk(filled) {
            Ok(chunk) if filled > 0 => {
                sum += chunk.into_iter().map(|[number, ..]| number).sum::<u64>();
                received += filled as u64;
            }
            _ => wait(),
        }
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
            assert_eq!(run(&task, &CHUNKS).sum, program.expected_sum(task.messages));
        }
    }
}
