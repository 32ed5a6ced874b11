//! Words on a connection that has nothing to say, so that it is found out when it is half open.
//!
//! A peer may vanish without a word, or a box between the two may forget a connection that both still believe in. Who
//! sends something on it is told by TCP, at the latest by its user timeout; who sends nothing never is. Heartbeats are
//! the control connection's alone and say nothing of the others.
//!
//! Invariant: while nothing is under way, no longer than `every_ns` passes without a word.

/// How many words fit into the time after which a silent peer is unreachable.
const WORDS_WITHIN_LIMIT: u64 = 4;

/// See the module's header.
#[derive(Clone, Copy, Debug)]
pub struct Keepalive {
    every_ns: u64,
    /// When something was sent last.
    spoke_ns: u64,
}

impl Keepalive {
    /// For a connection on which nothing was sent yet, to a peer that is unreachable after so long a silence.
    #[must_use]
    pub fn new(unreachable_after_ns: u64) -> Keepalive {
        Keepalive { every_ns: (unreachable_after_ns / WORDS_WITHIN_LIMIT).max(1), spoke_ns: 0 }
    }

    /// Something is sent.
    pub fn spoke(&mut self, now_ns: u64) {
        self.spoke_ns = now_ns;
    }

    /// Whether something should be.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.next_deadline_ns() <= now_ns
    }

    /// When something should be sent.
    #[must_use]
    pub fn next_deadline_ns(&self) -> u64 {
        self.spoke_ns.saturating_add(self.every_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_due_after_a_quarter_of_the_limit_in_silence() {
        let mut keepalive = Keepalive::new(400);
        keepalive.spoke(1_000);
        assert_eq!((keepalive.is_due(1_099), keepalive.is_due(1_100)), (false, true));
        keepalive.spoke(1_100);
        assert_eq!(keepalive.next_deadline_ns(), 1_200);
    }
}
