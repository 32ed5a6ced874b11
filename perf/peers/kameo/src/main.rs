//! The programs of the comparison, written for kameo.
//!
//! Messages go by `tell` to typed actor references, into mailboxes without a bound: a bound makes each message dearer.
//! Who would flood a mailbox yields now and then instead, so that the messages stay in the cache.
#![forbid(unsafe_code)]

mod ask;
mod banking;
mod big;
mod chameneos;
mod chat;
mod count;
mod fork_join;
mod measure;
mod ping_pong;
mod tell;
mod thread_ring;

use std::process::ExitCode;

use mainspring_perf_contest::entrant::{self, Implementation};

const PROGRAMS: [Implementation; 12] = [
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
    entrant::main(&PROGRAMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_comes_to_its_sum_on_as_many_cpus_as_it_makes_use_of() {
        assert_eq!(entrant::check(&PROGRAMS), Ok(()));
    }
}
