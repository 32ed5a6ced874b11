//! The lease of a node: until when it may use what it owns, and when to ask for more time.
//!
//! The store counts a lease from the moment at which a request for it *arrives*; the node counts from the moment at
//! which it *sent* that request, which is earlier, takes off what clocks may differ by, and a margin in which it stops.
//! So the node has stopped before the store lets anybody take over, whatever the network does.
//!
//! Invariants: only an answer moves the end, and only one to the latest request; a lease that was lost stays lost until
//! a new one is granted.

/// One million, what a rate in millionths is of.
const MILLION: u128 = 1_000_000;
const MS: u64 = 1_000_000;

/// How a lease is asked for and how much of it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseSettings {
    /// How long the store keeps a node that it does not hear of.
    pub ttl_ns: u64,
    /// By how many millionths the clock of the store may be faster than that of the node.
    pub drift_ppm: u32,
    /// How long before the end of the lease the node stops using what it owns.
    pub margin_ns: u64,
    /// Between two requests to keep it.
    pub renew_ns: u64,
    /// How long an answer is waited for before the next request.
    pub answer_within_ns: u64,
}

impl Default for LeaseSettings {
    /// 5 s, clocks that differ by up to 1 in 1000, 500 ms to stop in, kept every second, each answer within a second.
    fn default() -> LeaseSettings {
        LeaseSettings {
            ttl_ns: 5_000 * MS,
            drift_ppm: 1_000,
            margin_ns: 500 * MS,
            renew_ns: 1_000 * MS,
            answer_within_ns: 1_000 * MS,
        }
    }
}

/// Settings under which a lease would be lost without anything having gone wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "of a lease of {ttl_ms} ms only {usable_ms} ms can be used, and keeping it may take {needed_ms} ms; \
     raise the time to live, or lower the margin"
)]
pub struct LeaseTooShort {
    /// The lease, in milliseconds.
    pub ttl_ms: u64,
    /// Without what clocks differ by and the margin, in milliseconds.
    pub usable_ms: u64,
    /// Two requests and an answer that does not come, in milliseconds.
    pub needed_ms: u64,
}

impl LeaseSettings {
    /// These settings for another time to live: the margin is a tenth of it, requests go out five times in it.
    pub fn for_ttl(ttl_ns: u64) -> LeaseSettings {
        let fifth = ttl_ns / 5;
        LeaseSettings {
            ttl_ns,
            margin_ns: ttl_ns / 10,
            renew_ns: fifth,
            answer_within_ns: fifth,
            ..LeaseSettings::default()
        }
    }

    /// How long after sending a request the node may use what it owns, if it was granted a lease of this length.
    pub fn usable_ns(&self, ttl_ns: u64) -> u64 {
        let drift = (u128::from(ttl_ns) * u128::from(self.drift_ppm)).div_ceil(MILLION);
        ttl_ns.saturating_sub(drift as u64).saturating_sub(self.margin_ns)
    }

    /// Whether one request may be lost without losing the lease.
    ///
    /// # Errors
    /// [`LeaseTooShort`] when not.
    pub fn check(&self) -> Result<(), LeaseTooShort> {
        let usable_ns = self.usable_ns(self.ttl_ns);
        let needed_ns = self.renew_ns.saturating_mul(2).saturating_add(self.answer_within_ns);
        if needed_ns <= usable_ns && self.renew_ns > 0 && self.answer_within_ns > 0 {
            return Ok(());
        }
        Err(LeaseTooShort {
            ttl_ms: self.ttl_ns / MS,
            usable_ms: usable_ns / MS,
            needed_ms: needed_ns / MS,
        })
    }
}

/// The lease of one node, by the node's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    settings: LeaseSettings,
    held: Option<Held>,
}

/// A lease that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    until_ns: u64,
    /// When the request that is not answered yet was sent.
    asked_ns: Option<u64>,
    renew_at_ns: u64,
}

impl Lease {
    /// None is held.
    pub fn new(settings: LeaseSettings) -> Lease {
        Lease { settings, held: None }
    }

    /// How it is kept.
    pub fn settings(&self) -> &LeaseSettings {
        &self.settings
    }

    /// The store has granted a lease of `ttl_ns`, asked for at `sent_ns`. Until when it may be used.
    pub fn granted(&mut self, sent_ns: u64, ttl_ns: u64) -> u64 {
        let until_ns = sent_ns.saturating_add(self.settings.usable_ns(ttl_ns));
        let renew_at_ns = sent_ns.saturating_add(self.settings.renew_ns);
        self.held = Some(Held { until_ns, asked_ns: None, renew_at_ns });
        until_ns
    }

    /// Whether a request to keep it is to be sent now; if so it counts as sent.
    pub fn take_renewal(&mut self, now_ns: u64) -> bool {
        let settings = self.settings;
        let Some(held) = self.held.as_mut() else { return false };
        if held.next_request_ns(&settings) > now_ns || held.until_ns <= now_ns {
            return false;
        }
        held.asked_ns = Some(now_ns);
        true
    }

    /// The store has answered the request that was sent at `sent_ns`. Until when the lease may be used from now on;
    /// none if that was not the latest request, or too late.
    pub fn kept(&mut self, now_ns: u64, sent_ns: u64, ttl_ns: u64) -> Option<u64> {
        let usable_ns = self.settings.usable_ns(ttl_ns);
        let renew_ns = self.settings.renew_ns;
        let held = self.held.as_mut()?;
        if held.asked_ns != Some(sent_ns) || held.until_ns <= now_ns {
            return None;
        }
        held.asked_ns = None;
        held.renew_at_ns = sent_ns.saturating_add(renew_ns);
        held.until_ns = sent_ns.saturating_add(usable_ns);
        Some(held.until_ns)
    }

    /// Whether the lease is lost by now: said once.
    pub fn take_loss(&mut self, now_ns: u64) -> bool {
        let lost = self.held.is_some_and(|held| held.until_ns <= now_ns);
        if lost {
            self.held = None;
        }
        lost
    }

    /// The store says that it is gone, or it was given back. Whether it was held.
    pub fn end(&mut self) -> bool {
        self.held.take().is_some()
    }

    /// Until when it may be used; none when none is held.
    pub fn until_ns(&self) -> Option<u64> {
        self.held.map(|held| held.until_ns)
    }

    /// When something is due: a request, or the loss.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let held = self.held?;
        Some(held.next_request_ns(&self.settings).min(held.until_ns))
    }
}

impl Held {
    /// An answer that does not come is not waited for longer than the settings say.
    fn next_request_ns(&self, settings: &LeaseSettings) -> u64 {
        match self.asked_ns {
            Some(asked_ns) => asked_ns.saturating_add(settings.answer_within_ns),
            None => self.renew_at_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: LeaseSettings = LeaseSettings {
        ttl_ns: 10_000,
        drift_ppm: 100_000,
        margin_ns: 500,
        renew_ns: 2_000,
        answer_within_ns: 1_000,
    };

    #[test]
    fn a_lease_counts_from_when_it_was_asked_for_less_drift_and_margin() {
        let mut lease = Lease::new(SETTINGS);
        assert_eq!(lease.granted(100, 10_000), 100 + 10_000 - 1_000 - 500);
        assert!(!lease.take_renewal(2_099));
        assert!(lease.take_renewal(2_100));
        assert_eq!(lease.kept(2_900, 2_100, 10_000), Some(2_100 + 8_500));
    }

    #[test]
    fn drift_is_rounded_against_the_node() {
        let settings = LeaseSettings { drift_ppm: 1, margin_ns: 0, ..SETTINGS };
        assert_eq!(settings.usable_ns(10_000), 9_999);
    }

    #[test]
    fn a_store_that_grants_less_than_was_asked_for_is_taken_at_its_word() {
        let mut lease = Lease::new(SETTINGS);
        assert_eq!(lease.granted(0, 2_000), 2_000 - 200 - 500);
    }

    #[test]
    fn an_answer_to_an_earlier_request_keeps_nothing() {
        let mut lease = Lease::new(SETTINGS);
        lease.granted(0, 10_000);
        assert!(lease.take_renewal(2_000));
        assert!(!lease.take_renewal(2_999), "the answer is still waited for");
        assert!(lease.take_renewal(3_000));
        assert_eq!(lease.kept(3_500, 2_000, 10_000), None);
        assert_eq!(lease.kept(3_500, 3_000, 10_000), Some(11_500));
        assert_eq!(lease.kept(3_500, 3_000, 10_000), None, "an answer counts once");
    }

    #[test]
    fn what_is_not_kept_is_lost_once_and_no_late_answer_brings_it_back() {
        let mut lease = Lease::new(SETTINGS);
        let until_ns = lease.granted(0, 10_000);
        assert!(lease.take_renewal(2_000));
        assert!(!lease.take_loss(until_ns - 1));
        assert_eq!(lease.kept(until_ns, 2_000, 10_000), None, "at the end it is too late");
        assert!(lease.take_loss(until_ns));
        assert!(!lease.take_loss(until_ns + 1));
        assert_eq!(lease.kept(until_ns + 1, 2_000, 10_000), None);
        assert!(!lease.take_renewal(until_ns + 1));
        assert_eq!(lease.next_deadline_ns(), None);
        assert_eq!(lease.granted(20_000, 10_000), 28_500);
    }

    #[test]
    fn a_node_that_stood_still_past_the_end_does_not_ask_but_stops() {
        let mut lease = Lease::new(SETTINGS);
        let until_ns = lease.granted(0, 10_000);
        assert!(!lease.take_renewal(until_ns));
        assert!(lease.take_loss(until_ns));
    }

    #[test]
    fn the_next_deadline_is_the_request_and_then_the_answer_and_at_last_the_end() {
        let mut lease = Lease::new(SETTINGS);
        lease.granted(0, 10_000);
        assert_eq!(lease.next_deadline_ns(), Some(2_000));
        lease.take_renewal(2_000);
        assert_eq!(lease.next_deadline_ns(), Some(3_000));
        lease.take_renewal(8_000);
        assert_eq!(lease.next_deadline_ns(), Some(8_500));
    }

    #[test]
    fn settings_that_cannot_bear_one_lost_request_are_refused_with_figures() {
        assert_eq!(LeaseSettings::default().check(), Ok(()));
        assert_eq!(LeaseSettings::for_ttl(2_000 * MS).check(), Ok(()));
        let settings = LeaseSettings { margin_ns: 4_000 * MS, ..LeaseSettings::default() };
        let refused = settings.check().unwrap_err();
        assert_eq!((refused.ttl_ms, refused.usable_ms, refused.needed_ms), (5_000, 995, 3_000));
        assert!(LeaseSettings { renew_ns: 0, ..LeaseSettings::default() }.check().is_err());
    }
}
