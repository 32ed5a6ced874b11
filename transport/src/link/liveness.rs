//! Whether a peer is alive: heartbeats, the round trip, and a suspicion that follows how regular the peer is.
//!
//! Suspicion is the accrual failure detector of Hayashibara, Défago, Yared and Katayama ("The φ accrual failure
//! detector", SRDS 2004): the intervals between heartbeats are taken as normally distributed, and φ says how unlikely
//! the present silence is. With one fixed threshold φ is nothing but a number of standard deviations above the mean,
//! so that is what is computed here, in integers: φ = 8, a chance of 10⁻⁸, lies 5.61 deviations above it. A suspicion
//! is for routing and for display; it passes with the next byte. Only a settled time without a single byte makes a
//! node unreachable.
//!
//! The round trip is estimated as in RFC 6298, section 2.
//!
//! A node that was stopped itself, by a signal or by its machine, finds long silences everywhere when it goes on. Time
//! during which [`tick`](Liveness::tick) was not called is therefore not held against the peer.
//!
//! Invariants: unreachable is final, the connection ends; the intervals of the last [`INTERVALS`] heartbeats are kept,
//! no more; of heartbeats that could not be answered at once only the last one is, so a peer that beats fast and reads
//! nothing takes no memory.

use thiserror::Error;

/// Intervals that the mean and the deviation are taken of.
pub const INTERVALS: usize = 64;

/// Times of a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LivenessSettings {
    /// How often a heartbeat is sent.
    pub heartbeat_every_ns: u64,
    /// How many thousandths of a standard deviation above the mean a silence is suspect.
    pub suspect_milli_deviations: u64,
    /// The least that is taken as the deviation: a very regular peer may still have a bad moment.
    pub deviation_floor_ns: u64,
    /// Without a single byte for so long a peer is unreachable.
    pub unreachable_after_ns: u64,
}

impl Default for LivenessSettings {
    /// A heartbeat every 500 ms; suspect at φ = 8 with a deviation of at least 100 ms; unreachable after 10 s.
    fn default() -> LivenessSettings {
        LivenessSettings {
            heartbeat_every_ns: 500_000_000,
            suspect_milli_deviations: 5_612,
            deviation_floor_ns: 100_000_000,
            unreachable_after_ns: 10_000_000_000,
        }
    }
}

/// What is thought of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reachability {
    /// It is heard of as often as ever.
    Reachable,
    /// It should have been heard of.
    Suspect,
    /// It is gone, as far as this node can tell.
    Unreachable,
}

/// What [`Liveness::tick`] wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beat {
    /// Send a heartbeat with this time in it.
    pub heartbeat_ns: Option<u64>,
    /// The peer is thought of differently from now on.
    pub change: Option<Reachability>,
}

/// An echo of a heartbeat that was not sent on this connection, or was answered before: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the peer answers a heartbeat of {found_ns} ns; unanswered ones were sent from {from_ns} ns to {until_ns} ns"
)]
pub struct EchoError {
    /// The time in the echo.
    pub found_ns: u64,
    /// The earliest time that could be answered.
    pub from_ns: u64,
    /// The time in the last heartbeat.
    pub until_ns: u64,
}

/// How long a heartbeat and its echo take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    /// Smoothed.
    pub smoothed_ns: u64,
    /// The smoothed difference from that.
    pub deviation_ns: u64,
}

/// One control connection's heartbeats.
#[derive(Clone, Debug)]
pub struct Liveness {
    settings: LivenessSettings,
    reachability: Reachability,
    /// The intervals between heartbeats that came, in a ring.
    intervals_ns: Vec<u64>,
    next_interval: usize,
    /// Follows from the intervals. It is asked for before every sleep, so it is not worked out anew each time.
    suspect_after_ns: u64,
    last_heartbeat_ns: Option<u64>,
    last_heard_ns: u64,
    last_tick_ns: u64,
    next_heartbeat_ns: u64,
    /// Heartbeats before this time were answered, or not sent at all.
    unanswered_from_ns: u64,
    last_sent_ns: Option<u64>,
    /// The time in the peer's last heartbeat, until it is answered.
    owed_echo_ns: Option<u64>,
    round_trip: Option<RoundTrip>,
}

impl Liveness {
    /// For a connection that begins. The first heartbeat is sent at once.
    #[must_use]
    pub fn new(settings: LivenessSettings, now_ns: u64) -> Liveness {
        let mut liveness = Liveness {
            settings,
            suspect_after_ns: 0,
            reachability: Reachability::Reachable,
            intervals_ns: Vec::with_capacity(INTERVALS),
            next_interval: 0,
            last_heartbeat_ns: None,
            last_heard_ns: now_ns,
            last_tick_ns: now_ns,
            next_heartbeat_ns: now_ns,
            unanswered_from_ns: now_ns,
            last_sent_ns: None,
            owed_echo_ns: None,
            round_trip: None,
        };
        liveness.measure_intervals();
        liveness
    }

    /// Bytes have come from the peer, on any of its connections. The change, if it was suspect.
    pub fn heard(&mut self, now_ns: u64) -> Option<Reachability> {
        self.last_heard_ns = self.last_heard_ns.max(now_ns);
        self.become_of(match self.reachability {
            Reachability::Suspect => Reachability::Reachable,
            unchanged => unchanged,
        })
    }

    /// A heartbeat has come.
    pub fn heartbeat(&mut self, now_ns: u64) -> Option<Reachability> {
        if let Some(last_ns) = self.last_heartbeat_ns {
            let interval_ns = now_ns.saturating_sub(last_ns);
            if self.intervals_ns.len() < INTERVALS {
                self.intervals_ns.push(interval_ns);
            } else {
                self.intervals_ns[self.next_interval] = interval_ns;
            }
            self.next_interval = (self.next_interval + 1) % INTERVALS;
            self.measure_intervals();
        }
        self.last_heartbeat_ns = Some(now_ns);
        self.heard(now_ns)
    }

    /// The peer's heartbeat had this time in it: the next echo says it. One that was owed before is forgotten.
    pub fn owe_echo(&mut self, sent_at_ns: u64) {
        self.owed_echo_ns = Some(sent_at_ns);
    }

    /// The time to send back, if the peer's last heartbeat was not answered. To be asked when bytes can go.
    pub fn take_echo(&mut self) -> Option<u64> {
        self.owed_echo_ns.take()
    }

    /// The echo of a heartbeat has come.
    ///
    /// # Errors
    ///
    /// No heartbeat of that time waits for an answer.
    pub fn echo(&mut self, found_ns: u64, now_ns: u64) -> Result<(), EchoError> {
        let (from_ns, until_ns) = (self.unanswered_from_ns, self.last_sent_ns.unwrap_or(0));
        if self.last_sent_ns.is_none() || found_ns < from_ns || found_ns > until_ns {
            return Err(EchoError { found_ns, from_ns, until_ns });
        }
        self.unanswered_from_ns = found_ns.saturating_add(1);
        let measured_ns = now_ns.saturating_sub(found_ns);
        self.round_trip = Some(match self.round_trip {
            None => RoundTrip { smoothed_ns: measured_ns, deviation_ns: measured_ns / 2 },
            Some(RoundTrip { smoothed_ns, deviation_ns }) => RoundTrip {
                smoothed_ns: weighted(smoothed_ns, measured_ns, 8),
                deviation_ns: weighted(deviation_ns, smoothed_ns.abs_diff(measured_ns), 4),
            },
        });
        Ok(())
    }

    /// Time has passed. To be called at least as often as heartbeats are sent, after what has come was taken.
    pub fn tick(&mut self, now_ns: u64) -> Beat {
        self.forgive_own_pause(now_ns);
        let silence_ns = now_ns.saturating_sub(self.last_heard_ns);
        let change = self.become_of(match self.reachability {
            Reachability::Unreachable => Reachability::Unreachable,
            _ if silence_ns >= self.settings.unreachable_after_ns => Reachability::Unreachable,
            _ if silence_ns > self.suspect_after_ns() => Reachability::Suspect,
            unchanged => unchanged,
        });
        let is_due = self.next_heartbeat_ns <= now_ns && !self.is_unreachable();
        if is_due {
            self.next_heartbeat_ns = now_ns.saturating_add(self.settings.heartbeat_every_ns);
            self.last_sent_ns = Some(now_ns);
        }
        Beat { heartbeat_ns: is_due.then_some(now_ns), change }
    }

    /// When [`tick`](Self::tick) wants to be called.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let silent_ns = |after_ns: u64| self.last_heard_ns.saturating_add(after_ns);
        let suspect_ns = match self.reachability {
            Reachability::Unreachable => return None,
            Reachability::Suspect => u64::MAX,
            Reachability::Reachable => silent_ns(self.suspect_after_ns()).saturating_add(1),
        };
        let unreachable_ns = silent_ns(self.settings.unreachable_after_ns);
        Some(self.next_heartbeat_ns.min(suspect_ns).min(unreachable_ns))
    }

    /// What is thought of the peer.
    #[must_use]
    pub fn reachability(&self) -> Reachability {
        self.reachability
    }

    /// How long a heartbeat and its echo take; nothing before the first echo.
    #[must_use]
    pub fn round_trip(&self) -> Option<RoundTrip> {
        self.round_trip
    }

    /// The silence after which the peer is suspect.
    #[must_use]
    pub fn suspect_after_ns(&self) -> u64 {
        self.suspect_after_ns
    }

    fn measure_intervals(&mut self) {
        let (mean_ns, deviation_ns) = self.mean_and_deviation_ns();
        let deviation_ns = deviation_ns.max(self.settings.deviation_floor_ns);
        let factor = u128::from(self.settings.suspect_milli_deviations);
        let above_ns = u128::from(deviation_ns) * factor / 1_000;
        let above_ns = u64::try_from(above_ns).unwrap_or(u64::MAX);
        self.suspect_after_ns = mean_ns.saturating_add(above_ns);
    }

    fn is_unreachable(&self) -> bool {
        self.reachability == Reachability::Unreachable
    }

    fn become_of(&mut self, reachability: Reachability) -> Option<Reachability> {
        let is_news = self.reachability != reachability;
        self.reachability = reachability;
        is_news.then_some(reachability)
    }

    /// Of a gap between two ticks only one interval counts as silence of the peer.
    fn forgive_own_pause(&mut self, now_ns: u64) {
        let every_ns = self.settings.heartbeat_every_ns;
        let gap_ns = now_ns.saturating_sub(self.last_tick_ns);
        self.last_tick_ns = self.last_tick_ns.max(now_ns);
        if gap_ns > every_ns.saturating_mul(2) {
            let forgiven_ns = gap_ns - every_ns;
            self.last_heard_ns = self.last_heard_ns.saturating_add(forgiven_ns).min(now_ns);
            self.last_heartbeat_ns = None;
        }
    }

    /// Of the intervals. Before there are any the peer is taken to send as often as this node does.
    fn mean_and_deviation_ns(&self) -> (u64, u64) {
        let count = self.intervals_ns.len() as u128;
        if count == 0 {
            return (self.settings.heartbeat_every_ns, 0);
        }
        let intervals = || self.intervals_ns.iter().map(|&interval_ns| u128::from(interval_ns));
        let mean_ns = intervals().sum::<u128>() / count;
        let squares = intervals().map(|interval_ns| interval_ns.abs_diff(mean_ns).pow(2));
        let variance = squares.fold(0, u128::saturating_add) / count;
        (mean_ns as u64, u64::try_from(variance.isqrt()).unwrap_or(u64::MAX))
    }
}

/// The old value with one part in `parts` replaced by the new one.
fn weighted(old_ns: u64, new_ns: u64, parts: u64) -> u64 {
    old_ns - old_ns / parts + new_ns / parts
}

#[cfg(test)]
#[path = "liveness_tests.rs"]
mod tests;
