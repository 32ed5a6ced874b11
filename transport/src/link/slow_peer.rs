//! A peer that does not take what is sent to it: said after a time, disconnected after another.
//!
//! What waits for a peer is bounded anyway; this is about telling, and about ending a link that holds memory and gives
//! nothing. A moment at or below the mark is enough to be fast again.

/// When a peer is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowPeerSettings {
    /// What may wait for it for any time, in bytes.
    pub high_water_bytes: usize,
    /// How long more than that has to wait until the peer is called slow.
    pub slow_after_ns: u64,
    /// How long it stays connected from then on.
    pub disconnect_after_ns: u64,
}

impl Default for SlowPeerSettings {
    /// Above 1 MiB for 10 s: slow. After another 10 s: disconnected.
    fn default() -> SlowPeerSettings {
        SlowPeerSettings {
            high_water_bytes: 1 << 20,
            slow_after_ns: 10_000_000_000,
            disconnect_after_ns: 10_000_000_000,
        }
    }
}

/// What [`SlowPeer::observe`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowStep {
    /// It is slow from now on.
    Slow,
    /// It is not slow any more.
    Recovered,
    /// It was slow for too long: the connection ends.
    Disconnect,
}

/// Watches what waits for one peer.
#[derive(Clone, Debug)]
pub struct SlowPeer {
    settings: SlowPeerSettings,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fast,
    Above { since_ns: u64 },
    Slow { since_ns: u64 },
    Disconnected,
}

impl SlowPeer {
    /// For a connection that begins.
    #[must_use]
    pub fn new(settings: SlowPeerSettings) -> SlowPeer {
        SlowPeer { settings, state: State::Fast }
    }

    /// So many bytes wait for the peer now. To be called when that crosses the mark and at the deadline; more often
    /// does no harm.
    pub fn observe(&mut self, waiting_bytes: usize, now_ns: u64) -> Option<SlowStep> {
        let is_above = waiting_bytes > self.settings.high_water_bytes;
        let is_over = self.next_deadline_ns().is_some_and(|deadline_ns| deadline_ns <= now_ns);
        let (state, step) = match self.state {
            State::Disconnected => (State::Disconnected, None),
            State::Slow { .. } if !is_above => (State::Fast, Some(SlowStep::Recovered)),
            State::Above { .. } if !is_above => (State::Fast, None),
            State::Fast if is_above => (State::Above { since_ns: now_ns }, None),
            State::Above { .. } if is_over => {
                (State::Slow { since_ns: now_ns }, Some(SlowStep::Slow))
            }
            State::Slow { .. } if is_over => (State::Disconnected, Some(SlowStep::Disconnect)),
            unchanged => (unchanged, None),
        };
        self.state = state;
        step
    }

    /// When [`observe`](Self::observe) wants to be called.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        match self.state {
            State::Above { since_ns } => Some(since_ns.saturating_add(self.settings.slow_after_ns)),
            State::Slow { since_ns } => {
                Some(since_ns.saturating_add(self.settings.disconnect_after_ns))
            }
            State::Fast | State::Disconnected => None,
        }
    }

    /// Whether the peer is called slow.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        matches!(self.state, State::Slow { .. } | State::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;
    const ABOVE: usize = (1 << 20) + 1;
    const AT: usize = 1 << 20;

    #[test]
    fn above_the_mark_for_ten_seconds_is_slow_and_for_twenty_is_the_end() {
        let mut peer = SlowPeer::new(SlowPeerSettings::default());
        assert_eq!(peer.observe(ABOVE, 5), None);
        assert_eq!(peer.next_deadline_ns(), Some(10 * SECOND_NS + 5));
        assert_eq!(peer.observe(ABOVE, 10 * SECOND_NS + 4), None);
        assert_eq!(peer.observe(ABOVE, 10 * SECOND_NS + 5), Some(SlowStep::Slow));
        assert!(peer.is_slow());
        assert_eq!(peer.observe(ABOVE, 20 * SECOND_NS + 4), None);
        assert_eq!(peer.observe(ABOVE, 20 * SECOND_NS + 5), Some(SlowStep::Disconnect));
        assert_eq!(peer.observe(ABOVE, 90 * SECOND_NS), None, "said once");
        assert_eq!(peer.next_deadline_ns(), None);
    }

    #[test]
    fn a_moment_below_begins_the_time_anew() {
        let mut peer = SlowPeer::new(SlowPeerSettings::default());
        peer.observe(ABOVE, 0);
        assert_eq!(peer.observe(AT, 9 * SECOND_NS), None);
        peer.observe(ABOVE, 9 * SECOND_NS);
        assert_eq!(peer.observe(ABOVE, 18 * SECOND_NS), None);
        assert_eq!(peer.observe(ABOVE, 19 * SECOND_NS), Some(SlowStep::Slow));
        assert_eq!(peer.observe(AT, 20 * SECOND_NS), Some(SlowStep::Recovered));
        assert!(!peer.is_slow());
        assert_eq!(peer.next_deadline_ns(), None);
    }
}
