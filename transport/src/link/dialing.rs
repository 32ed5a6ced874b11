//! When to dial: at once, then after pauses that double, with jitter, until a connection has lived for a while.
//!
//! The pause before attempt `n` is drawn from the upper half of `first * 2^n`, so that nodes which lost the same peer
//! at the same moment do not come back at the same moment (Brooker, "Exponential Backoff And Jitter", AWS Architecture
//! Blog, 2015: "equal jitter"). A connection that falls at once after its handshake counts as an attempt: only one that
//! lived for [`settled_after_ns`](DialSettings::settled_after_ns) makes the pauses short again.
//!
//! A connection that the peer dialled may come to stand while an attempt of this node is under way. Of the two the one
//! from the smaller node id stays (see [`connections`](super::connections)), so the node with the larger id abandons
//! its attempt. The other one must not: the peer may have dropped its own connection for it already.
//!
//! Invariants: there is at most one attempt at a time, also while connections come and go beside it; none begins while
//! a connection stands or the dialler is stopped.

use super::connections::DialledBy;

/// Pauses are at their limit after so many doublings at the latest.
const DOUBLINGS: u32 = 32;

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
    /// When the attempt under way ends.
    attempt_until_ns: Option<u64>,
    /// Since when a connection stands, whoever dialled it.
    standing_since_ns: Option<u64>,
    /// No attempt begins before this time.
    pause_until_ns: u64,
    is_stopped: bool,
    /// Attempts in a row that came to nothing that lasted.
    attempts: u32,
}

impl Dialer {
    /// One that dials at once. Its pauses follow from `seed`.
    #[must_use]
    pub fn new(settings: DialSettings, seed: u64, now_ns: u64) -> Dialer {
        Dialer {
            settings,
            random: fastrand::Rng::with_seed(seed),
            attempt_until_ns: None,
            standing_since_ns: None,
            pause_until_ns: now_ns,
            is_stopped: false,
            attempts: 0,
        }
    }

    /// What is to be done now.
    pub fn tick(&mut self, now_ns: u64) -> Option<DialStep> {
        if self.next_deadline_ns()? > now_ns {
            return None;
        }
        if self.is_dialling() {
            self.failed(now_ns);
            return Some(DialStep::Abandon);
        }
        self.attempt_until_ns = Some(now_ns.saturating_add(self.settings.attempt_limit_ns));
        Some(DialStep::Dial)
    }

    /// When [`tick`](Self::tick) wants to be called.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let may_begin = self.standing_since_ns.is_none() && !self.is_stopped;
        self.attempt_until_ns.or(may_begin.then_some(self.pause_until_ns))
    }

    /// A connection stands. Whether an attempt is still under way: the node with the larger id abandons it now, and
    /// says so by [`failed`](Self::failed).
    pub fn connected(&mut self, dialled_by: DialledBy, now_ns: u64) -> bool {
        if dialled_by == DialledBy::Us {
            self.attempt_until_ns = None;
        }
        self.standing_since_ns.get_or_insert(now_ns);
        self.is_dialling()
    }

    /// The attempt has failed, or was abandoned.
    pub fn failed(&mut self, now_ns: u64) {
        if self.attempt_until_ns.take().is_some() && self.standing_since_ns.is_none() {
            self.pause(now_ns);
        }
    }

    /// The attempt was refused for a reason that will hardly pass: the pauses are the longest from now on.
    pub fn refused(&mut self, now_ns: u64) {
        self.attempts = DOUBLINGS;
        self.failed(now_ns);
    }

    /// The connection that stood has ended, and none has taken its place.
    pub fn lost(&mut self, now_ns: u64) {
        let Some(since_ns) = self.standing_since_ns.take() else { return };
        if now_ns.saturating_sub(since_ns) >= self.settings.settled_after_ns {
            self.attempts = 0;
        }
        if !self.is_dialling() {
            self.pause(now_ns);
        }
    }

    /// No attempts any more: the peer is quarantined, or is this node itself. Whether one is under way that has to be
    /// abandoned.
    pub fn stop(&mut self) -> bool {
        self.is_stopped = true;
        self.attempt_until_ns.take().is_some()
    }

    /// Dials again at once, with short pauses, unless a connection stands or an attempt is under way.
    pub fn start(&mut self, now_ns: u64) {
        self.is_stopped = false;
        self.attempts = 0;
        self.pause_until_ns = now_ns;
    }

    /// Whether an attempt is under way.
    #[must_use]
    pub fn is_dialling(&self) -> bool {
        self.attempt_until_ns.is_some()
    }

    fn pause(&mut self, now_ns: u64) {
        let doubled =
            self.settings.first_pause_ns.saturating_mul(1 << self.attempts.min(DOUBLINGS));
        let whole_ns = doubled.min(self.settings.pause_limit_ns);
        self.attempts = self.attempts.saturating_add(1);
        let pause_ns = self.random.u64(whole_ns / 2..=whole_ns);
        self.pause_until_ns = now_ns.saturating_add(pause_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::super::connections::DialledBy::{Peer, Us};
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
    fn a_refusal_that_will_hardly_pass_makes_the_pauses_long_and_does_not_end_them() {
        let mut dialer = Dialer::new(DialSettings::default(), 1, 0);
        assert_eq!(dialer.tick(0), Some(DialStep::Dial));
        dialer.refused(0);
        let pause_ns = dialer.next_deadline_ns().expect("pausing");
        assert!((2_500 * MILLISECOND_NS..=5 * SECOND_NS).contains(&pause_ns), "{pause_ns}");
        assert_eq!(dialer.tick(pause_ns), Some(DialStep::Dial));
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
            assert!(!dialer.connected(Us, dialled_ns));
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
    fn an_attempt_goes_on_beside_connections_that_the_peer_dialled() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        assert_eq!(dialer.tick(0), Some(DialStep::Dial));
        assert!(dialer.connected(Peer, 1), "an attempt of ours is under way");
        dialer.lost(2);
        assert_eq!(dialer.tick(SECOND_NS), None, "it still is: no second one");
        assert!(!dialer.connected(Us, SECOND_NS));
        assert_eq!(dialer.next_deadline_ns(), None);
        dialer.lost(SECOND_NS + 1);
        assert!(dialer.next_deadline_ns().unwrap() > SECOND_NS + 1);
    }

    #[test]
    fn an_attempt_that_is_abandoned_beside_a_connection_begins_no_pause() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        dialer.tick(0);
        dialer.connected(Peer, 1);
        dialer.failed(1);
        assert_eq!((dialer.is_dialling(), dialer.next_deadline_ns()), (false, None));
    }

    #[test]
    fn a_stopped_one_does_nothing_until_it_is_started() {
        let mut dialer = Dialer::new(DialSettings::default(), 3, 0);
        assert_eq!(dialer.tick(0), Some(DialStep::Dial));
        assert!(dialer.stop());
        dialer.connected(Peer, 1);
        dialer.lost(2);
        dialer.failed(3);
        assert_eq!((dialer.tick(SECOND_NS), dialer.next_deadline_ns()), (None, None));
        dialer.start(5);
        assert_eq!(dialer.tick(5), Some(DialStep::Dial));
        dialer.start(6);
        assert_eq!(dialer.tick(6), None, "an attempt is under way");
    }
}
