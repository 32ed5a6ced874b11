//! The programs of a comparison: names, parameters and what each comes to.
//!
//! The Savina programs have the parameters of the suite (Imam and Sarkar, "Savina: An Actor Benchmark Suite",
//! AGERE! 2014; the chat from Blessing et al., "Run, Actor, Run", AGERE! 2019).

use crate::event::STREAM_ENTITIES;

/// Work that several contestants do.
#[derive(Debug)]
pub struct Program {
    /// Its name, which is that of the scenario.
    pub name: &'static str,
    /// What one message of its figures is.
    pub unit: &'static str,
    /// Messages of one iteration; a round has whole iterations only.
    pub messages_an_iteration: u64,
    /// The most CPUs that it makes use of.
    pub cpus_most: usize,
    comes_to: ComesTo,
}

/// What the work comes to.
#[derive(Debug)]
enum ComesTo {
    /// The sum of the numbers from 0 up, one for so many messages.
    Numbers { messages_a_number: u64 },
    /// So much an iteration.
    Fixed(u64),
}

impl Program {
    /// The number of messages, rounded up to whole iterations, at least one.
    pub fn whole_messages(&self, messages: u64) -> u64 {
        self.iterations(messages).saturating_mul(self.messages_an_iteration)
    }

    /// How many iterations make so many messages, at least one.
    pub fn iterations(&self, messages: u64) -> u64 {
        messages.div_ceil(self.messages_an_iteration).max(1)
    }

    /// What a round of so many messages comes to; `messages` must be whole.
    pub fn expected_sum(&self, messages: u64) -> u64 {
        match self.comes_to {
            ComesTo::Numbers { messages_a_number } => sum_of_numbers(messages / messages_a_number),
            ComesTo::Fixed(sum) => (messages / self.messages_an_iteration).wrapping_mul(sum),
        }
    }
}

/// The sum of so many numbers from 0 up.
pub fn sum_of_numbers(numbers: u64) -> u64 {
    numbers.wrapping_mul(numbers.saturating_sub(1)) / 2
}

/// The program with this name.
pub fn find(name: &str) -> Option<&'static Program> {
    ALL.iter().find(|program| program.name == name)
}

/// Every program.
pub static ALL: [Program; 18] = [
    Program {
        name: "ping-pong-same-core",
        unit: "message",
        messages_an_iteration: 2,
        cpus_most: 1,
        comes_to: ComesTo::Numbers { messages_a_number: 2 },
    },
    Program {
        name: "tell-same-core",
        unit: "message",
        messages_an_iteration: TELL_BATCH,
        cpus_most: 1,
        comes_to: ComesTo::Numbers { messages_a_number: 1 },
    },
    Program {
        name: "ask-same-core",
        unit: "round trip",
        messages_an_iteration: 1,
        cpus_most: 1,
        comes_to: ComesTo::Numbers { messages_a_number: 1 },
    },
    Program {
        name: "ring",
        unit: "record",
        messages_an_iteration: 1,
        cpus_most: 2,
        comes_to: ComesTo::Numbers { messages_a_number: 1 },
    },
    Program {
        name: "remote-ping-pong",
        unit: "message",
        messages_an_iteration: 2,
        cpus_most: 2,
        comes_to: ComesTo::Numbers { messages_a_number: 2 },
    },
    Program {
        name: "remote-stream",
        unit: "message",
        messages_an_iteration: 1,
        cpus_most: 2,
        comes_to: ComesTo::Numbers { messages_a_number: 1 },
    },
    journal("journal-append", 1),
    journal("journal-stream", STREAM_ENTITIES),
    journal("journal-recover", RECOVER_EVENTS),
    savina("savina-ping-pong", "message", 2 * PING_PONG_PINGS, PING_PONG_PINGS),
    savina("savina-count", "message", COUNT_MESSAGES, COUNT_MESSAGES),
    savina(
        "savina-fork-join-throughput",
        "message",
        FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES,
        FORK_JOIN_ACTORS * FORK_JOIN_MESSAGES,
    ),
    savina("savina-fork-join-create", "actor", FORK_JOIN_CREATED, FORK_JOIN_CREATED),
    savina("savina-thread-ring", "message", THREAD_RING_HOPS, THREAD_RING_HOPS),
    savina("savina-chameneos", "meeting", CHAMENEOS_MEETINGS, 2 * CHAMENEOS_MEETINGS),
    savina("savina-big", "message", 2 * BIG_ACTORS * BIG_PINGS, BIG_ACTORS * BIG_PINGS),
    savina("savina-banking", "transaction", BANKING_TRANSACTIONS, BANKING_TRANSACTIONS),
    savina("savina-chat", "act", CHAT_CLIENTS * CHAT_TURNS, CHAT_CLIENTS * CHAT_TURNS),
];

const fn savina(name: &'static str, unit: &'static str, messages: u64, sum: u64) -> Program {
    let comes_to = ComesTo::Fixed(sum);
    Program { name, unit, messages_an_iteration: messages, cpus_most: 2, comes_to }
}

const fn journal(name: &'static str, messages_an_iteration: u64) -> Program {
    let comes_to = ComesTo::Numbers { messages_a_number: 1 };
    Program { name, unit: "event", messages_an_iteration, cpus_most: 1, comes_to }
}

/// The number of events of `journal-recover` is a multiple of this.
pub const RECOVER_EVENTS: u64 = 100_000;
/// Actors that `tell-same-core` tells, each in turn.
pub const TELL_ACTORS: usize = 1_000;
/// How many messages `tell-same-core` sends before it lets the receivers run.
pub const TELL_BATCH: u64 = 256;
/// Actors of the other node that `remote-stream` tells, each in turn.
pub const REMOTE_STREAM_ACTORS: usize = 1_000;
/// Messages of `remote-ping-pong` that are sent before those that are measured.
pub const REMOTE_PING_PONG_WARM_UP: u64 = 4_000;
/// Messages of `remote-stream` that are sent before those that are measured.
pub const REMOTE_STREAM_WARM_UP: u64 = 50_000;
/// Pings of an iteration; each is answered.
pub const PING_PONG_PINGS: u64 = 40_000;
/// Messages to the actor that counts.
pub const COUNT_MESSAGES: u64 = 1_000_000;
/// Actors of `savina-fork-join-throughput`.
pub const FORK_JOIN_ACTORS: u64 = 60;
/// Messages to each of them.
pub const FORK_JOIN_MESSAGES: u64 = 10_000;
/// Actors that `savina-fork-join-create` makes.
pub const FORK_JOIN_CREATED: u64 = 40_000;
/// Actors of the ring.
pub const THREAD_RING_ACTORS: u64 = 100;
/// Hops of the token.
pub const THREAD_RING_HOPS: u64 = 100_000;
/// Creatures that meet.
pub const CHAMENEOS_CREATURES: u64 = 100;
/// Meetings until the mall closes.
pub const CHAMENEOS_MEETINGS: u64 = 200_000;
/// Actors that ping each other.
pub const BIG_ACTORS: u64 = 120;
/// Pings that each of them sends, the next when the one before was answered.
pub const BIG_PINGS: u64 = 20_000;
/// Accounts of the bank.
pub const BANKING_ACCOUNTS: u64 = 1_000;
/// Transfers between accounts.
pub const BANKING_TRANSACTIONS: u64 = 50_000;
/// What an account holds at first.
pub const BANKING_INITIAL_BALANCE: u64 = 1_000_000;
/// Clients of the chat.
pub const CHAT_CLIENTS: u64 = 1_024;
/// Directories that clients belong to.
pub const CHAT_DIRECTORIES: u64 = 8;
/// Turns in which every client acts once.
pub const CHAT_TURNS: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_has_whole_iterations() {
        let program = find("savina-count").expect("registered");
        assert_eq!(program.whole_messages(1), 1_000_000);
        assert_eq!(program.whole_messages(1_000_001), 2_000_000);
        assert_eq!(program.expected_sum(2_000_000), 2_000_000);
    }

    #[test]
    fn numbers_are_summed_from_0_up() {
        let ping_pong = find("ping-pong-same-core").expect("registered");
        assert_eq!(ping_pong.expected_sum(ping_pong.whole_messages(9)), 1 + 2 + 3 + 4);
        assert_eq!(find("ask-same-core").expect("registered").expected_sum(4), 1 + 2 + 3);
    }

    #[test]
    fn names_are_unique() {
        for program in &ALL {
            assert!(std::ptr::eq(find(program.name).expect("registered"), program));
        }
    }
}
