//! When to dial: at once, then after pauses that double, with jitter, until a connection has lived for a while.
//!
//! The pause before attempt `n` is drawn from the upper half of `first * 2^n`, so that nodes which lost the same peer
//! at the same moment do not come back at the same moment (Brooker, "Exponential Backoff And Jitter", AWS Architecture
//! Blog, 2015: "equal jitter"). A connection that falls at once after its handshake counts as an attempt: only one that
//! lived for [`settled_after_ns`](DialSettings::settled_after_ns) makes the pauses short again.
//!
//! Invariants: there is at most one attempt at a time; none while a connection is up or the dialler is stopped.

/// The times of a dialler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialSettings {
    /// The first pause.
    pub first_pause_ns: u64,
    /// The longest pause.
    pub pause_limit_ns: u64,
    /// How long a connection has to live until pauses are short again.
    pub settled_after_ns: u64,
    /// How long an attempt may take, handshake included.
    pub attempt_limit_ns: u64,
}

impl Default for DialSettings {
    /// Pauses of 50 ms to 5 s, short again after 10 s; an attempt ends after 10 s.
    fn default() -> DialSettings {
        DialSettings {
            first_pause_ns: 50_000_000,
            pause_limit_ns: 5_000_000_000,
            settled_after_ns: 10_000_000_000,
            attempt_limit_ns: 10_000_000_000,
        }
    }
}

/// What [`Dialer::tick`] wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialStep {
    /// Begin an attempt.
    Dial,
    /// Abandon the attempt under way, it takes too long; another follows after a pause.
    Abandon,
}

/// Dials one connection, over and over.
#[derive(Clone, Debug)]
pub struct Dialer {
    settings: DialSettings,
    random: fastrand::Rng,
    state: State,
    /// Attempts in a row that came to nothing that lasted.
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Pausing { until_ns: u64 },
    Dialling { until_ns: u64 },
    Up { since_ns: u64 },
    Stopped,
}

impl Dialer {
    /// One that dials at once. Its pauses follow from `seed`.
    #[must_use]
    pub fn new(settings: DialSettings, seed: u64, now_ns: u64) -> Dialer {
        Dialer {
            settings,
            random: fastrand::Rng::with_seed(seed),
            state: State::Pausing { until_ns: now_ns },
            attempts: 0,
        }
    }

    /// What is to be done now.
    pub fn tick(&mut self, now_ns: u64) -> Option<DialStep> {
        match self.state {
            State::Pausing { until_ns } if until_ns <= now_ns => {
                let until_ns = now_ns.saturating_add(self.settings.attempt_limit_ns);
                self.state = State::Dialling { until_ns };
                Some(DialStep::Dial)
            }
            State::Dialling { until_ns } if until_ns <= now_ns => {
                self.pause(now_ns);
                Some(DialStep::Abandon)
            }
            _ => None,
        }
    }

    /// When [`tick`](Self::tick) wants to be called.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        match self.state {
            State::Pausing { until_ns } | State::Dialling { until_ns } => Some(until_ns),
            State::Up { .. } | State::Stopped => None,
        }
    }

    /// A connection stands, ours or one that the peer dialled. Whether an attempt of ours is under way that has to be
    /// abandoned, unless it is the one that stands.
    pub fn connected(&mut self, now_ns: u64) -> bool {
        if self.state == State::Stopped {
            return false;
        }
        let is_dialling = self.is_dialling();
        if !matches!(self.state, State::Up { .. }) {
            self.state = State::Up { since_ns: now_ns };
        }
        is_dialling
    }

    /// The attempt has failed.
    pub fn failed(&mut self, now_ns: u64) {
        if self.is_dialling() {
            self.pause(now_ns);
        }
    }

    /// The connection that stood has ended.
    pub fn lost(&mut self, now_ns: u64) {
        if let State::Up { since_ns } = self.state {
            if now_ns.saturating_sub(since_ns) >= self.settings.settled_after_ns {
                self.attempts = 0;
            }
            self.pause(now_ns);
        }
    }

    /// No attempts any more: the peer is quarantined, or has refused for a reason that does not pass.
    pub fn stop(&mut self) {
        self.state = State::Stopped;
    }

    /// Dials again at once, with short pauses, unless a connection stands or an attempt is under way.
    pub fn start(&mut self, now_ns: u64) {
        if matches!(self.state, State::Stopped | State::Pausing { .. }) {
            self.attempts = 0;
            self.state = State::Pausing { until_ns: now_ns };
        }
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub fn is_dialling(&self) -> bool {
        matches!(self.state, State::Dialling { .. })
    }

    fn pause(&mut self, now_ns: u64) {
        let doubled = self.settings.first_pause_ns.saturating_mul(1 << self.attempts.min(32));
        let whole_ns = doubled.min(self.settings.pause_limit_ns);
        self.attempts = self.attempts.saturating_add(1);
        let pause_ns = self.random.u64(whole_ns / 2..=whole_ns);
        self.state = State::Pausing { until_ns: now_ns.saturating_add(pause_ns) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND_NS: u64 = 1_000_000;
    const SECOND_NS: u64 = 1_000 * MILLISECOND_NS;

    /// Fails attempt after attempt; the pauses before the next ones.
    fn pauses(dialer: &mut Dialer, count: usize) -> Vec<u64> {
        let mut now_ns = dialer.next_deadline_ns().expect("pausing");
        let mut pauses = Vec::new();
        for _ in 0..count {
            assert_eq!(dialer.tick(now_ns), Some(DialStep::Dial));
            dialer.failed(now_ns);
            let next_ns = dialer.next_deadline_ns().expect("pausing");
            pauses.push(next_ns - now_ns);
            now_ns = next_ns;
        }
        pauses
    }

    #[test]
    fn pauses_double_up_to_the_limit_and_lie_in_the_upper_half() {
        for seed in 0..50 {
            let mut dialer = Dialer::new(DialSettings::default(), seed, 7);
            assert_eq!(dialer.next_deadline_ns(), Some(7), "the first attempt is at once");
            for (n, pause_ns) in pauses(&mut dialer, 40).into_iter().enumerate() {
                let whole_ns = ((50 * MILLISECOND_NS) << n.min(10)).min(5 * SECOND_NS);
                assert!((whole_ns / 2..=whole_ns).contains(&pause_ns), "pause {n}: {pause_ns}");
            }
        }
    }

    #[test]
    fn pauses_follow_from_the_seed() {
        let of = |seed| pauses(&mut Dialer::new(DialSettings::default(), seed, 0), 8);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn only_a_connection_that_lived_makes_pauses_short_again() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        pauses(&mut dialer, 7);
        let mut lost_after = |lived_ns: u64| {
            let dialled_ns = dialer.next_deadline_ns().unwrap();
            assert_eq!(dialer.tick(dialled_ns), Some(DialStep::Dial));
            assert!(dialer.connected(dialled_ns));
            assert_eq!(dialer.next_deadline_ns(), None);
            dialer.lost(dialled_ns + lived_ns);
            dialer.next_deadline_ns().unwrap() - dialled_ns - lived_ns
        };
        assert!(lost_after(10 * SECOND_NS - 1) >= 2_500 * MILLISECOND_NS);
        assert!(lost_after(10 * SECOND_NS) <= 50 * MILLISECOND_NS);
    }

    #[test]
    fn an_attempt_that_takes_too_long_is_abandoned() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        assert_eq!(dialer.tick(0), Some(DialStep::Dial));
        assert_eq!(dialer.tick(10 * SECOND_NS - 1), None, "one attempt at a time");
        assert_eq!(dialer.tick(10 * SECOND_NS), Some(DialStep::Abandon));
        assert!(!dialer.is_dialling());
        assert!(dialer.next_deadline_ns().unwrap() > 10 * SECOND_NS);
    }

    #[test]
    fn a_stopped_one_does_nothing_until_it_is_started() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        dialer.stop();
        dialer.connected(1);
        dialer.lost(2);
        dialer.failed(3);
        assert_eq!((dialer.tick(SECOND_NS), dialer.next_deadline_ns()), (None, None));
        dialer.start(5);
        assert_eq!(dialer.tick(5), Some(DialStep::Dial));
        dialer.start(6);
        assert_eq!(dialer.tick(6), None, "an attempt is under way");
    }
}
