//! How many messages a contestant's round must have so that it takes about as long as was asked for.
//!
//! Pure: [`Sizing`] names a number of messages, is told how long that many took, and names the next, until it is
//! satisfied. It starts small and grows at most tenfold at a time, so that a slow contestant is not given the work of
//! a fast one, and it ends after a known number of trials.
//!
//! Invariants: every number it names is a whole number of iterations, at least one of them, and never above
//! [`MOST_MESSAGES`] unless a single iteration is.

use crate::run::MOST_MESSAGES;

/// The size of a round, being found.
#[derive(Clone, Debug)]
pub struct Sizing {
    messages_an_iteration: u64,
    target_ns: u64,
    messages: u64,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sized {
    /// Try so many messages.
    Try(u64),
    /// Rounds have so many messages.
    Found(u64),
}

impl Sizing {
    /// For a contestant whose rounds have whole iterations of so many messages and should take so long.
    pub fn new(messages_an_iteration: u64, target_ns: u64) -> Self {
        let mut sizing =
            Sizing { messages_an_iteration: messages_an_iteration.max(1), target_ns, messages: 0 };
        sizing.messages = sizing.whole(FIRST_MESSAGES);
        sizing
    }

    /// How many messages to try first.
    pub fn first(&self) -> u64 {
        self.messages
    }

    /// The trial that was named last took so long.
    pub fn took(&mut self, elapsed_ns: u64) -> Sized {
        let growth = self.target_ns as f64 / elapsed_ns.max(1) as f64;
        let scaled = (self.messages as f64 * growth.min(MOST_GROWTH)) as u64;
        let next = self.whole(scaled);
        // Near enough, or nothing larger or smaller is left to try.
        if growth <= NEAR_ENOUGH || next <= self.messages {
            return Sized::Found(next);
        }
        self.messages = next;
        Sized::Try(next)
    }

    fn whole(&self, messages: u64) -> u64 {
        let most = MOST_MESSAGES / self.messages_an_iteration;
        let iterations = messages.div_ceil(self.messages_an_iteration).min(most).max(1);
        iterations * self.messages_an_iteration
    }
}

const FIRST_MESSAGES: u64 = 1_000;
const MOST_GROWTH: f64 = 10.0;
/// A trial that took at least half of the target tells the rest by proportion.
const NEAR_ENOUGH: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes a contestant that takes so long for a round, and counts the trials.
    fn sized(iteration: u64, target_ns: u64, round_ns: impl Fn(u64) -> u64) -> (u64, usize) {
        let mut sizing = Sizing::new(iteration, target_ns);
        let mut messages = sizing.first();
        for trial in 1..=20 {
            assert_eq!(messages % iteration, 0, "whole iterations only");
            match sizing.took(round_ns(messages)) {
                Sized::Try(next) => messages = next,
                Sized::Found(found) => return (found, trial),
            }
        }
        panic!("no end after 20 trials");
    }

    #[test]
    fn a_round_comes_to_take_what_was_asked_for_whatever_a_message_costs() {
        for ns_per_message in [1, 7, 130, 25_000] {
            let (messages, trials) = sized(2, 200_000_000, |messages| messages * ns_per_message);
            let took_ns = messages * ns_per_message;
            assert!(took_ns.abs_diff(200_000_000) < 2_000_000, "{ns_per_message}: {took_ns}");
            assert!(trials <= 7, "{trials}");
        }
    }

    #[test]
    fn a_round_has_at_least_one_iteration_even_if_that_takes_longer() {
        let (messages, trials) = sized(4_800_000, 200_000_000, |messages| messages * 1_000);
        assert_eq!((messages, trials), (4_800_000, 1));
    }

    #[test]
    fn a_slow_contestant_is_never_given_a_round_of_many_times_its_time() {
        let mut sizing = Sizing::new(1, 200_000_000);
        assert_eq!(sizing.took(1), Sized::Try(10_000), "ten times at most");
        assert_eq!(sizing.took(300_000_000), Sized::Found(6_666));
    }

    #[test]
    fn work_that_takes_no_time_ends_at_the_most_messages() {
        assert_eq!(sized(3, 200_000_000, |_| 0).0, MOST_MESSAGES / 3 * 3);
        assert_eq!(sized(2 * MOST_MESSAGES, 1, |_| 0).0, 2 * MOST_MESSAGES);
    }
}
