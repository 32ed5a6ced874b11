//! actix as a contestant: actors with synchronous handlers, told by `Addr::do_send`, asked by `Addr::send`.
//!
//! Invariant: nothing is shared between actors but tables of their addresses. A clone of an address allocates twice
//! in actix 0.13, so addresses travel in tables or behind an `Arc` and are not cloned for a message.
#![forbid(unsafe_code)]

mod ask;
mod banking;
mod big;
mod chameneos;
mod chat;
mod count;
mod fork_join;
mod ping_pong;
mod stage;
mod tell;
mod thread_ring;

use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};

const IMPLEMENTATIONS: [Implementation; 12] = [
    ("ping-pong-same-core", ping_pong::same_core),
    ("tell-same-core", tell::same_core),
    ("ask-same-core", ask::same_core),
    ("savina-ping-pong", ping_pong::savina),
    ("savina-count", count::savina),
    ("savina-fork-join-throughput", fork_join::throughput),
    ("savina-fork-join-create", fork_join::create),
    ("savina-thread-ring", thread_ring::savina),
    ("savina-chameneos", chameneos::savina),
    ("savina-big", big::savina),
    ("savina-banking", banking::savina),
    ("savina-chat", chat::savina),
];

fn main() -> ExitCode {
    entrant::main(&IMPLEMENTATIONS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mainspring_perf_contest::entrant::Task;
    use mainspring_perf_contest::program;

    #[test]
    fn every_program_comes_to_its_sum_on_as_many_cpus_as_it_makes_use_of() {
        for (name, run) in IMPLEMENTATIONS {
            let program = program::find(name).expect("a program of the page");
            for cpus in 1..=program.cpus_most {
                let messages = program.whole_messages(1_000);
                let report = run(&Task { program, messages, cores: (0..cpus).collect() });
                assert_eq!(report.messages, messages, "{name} on {cpus}");
                assert_eq!(report.sum, program.expected_sum(messages), "{name} on {cpus}");
            }
        }
    }
}
