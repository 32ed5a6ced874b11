//! What becomes of the gaps of one CPU: counted, summed by cause, and when to look at the counters.
//!
//! Promises: no clock, no file; the driver tells what it saw and is told what to do next. A gap gets a cause only when
//! the counters were read calmly before it and again after it: what rose while they were being read might belong to
//! either side.
//!
//! Invariant: every gap is in the histogram once and has one cause.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::cause::{Cause, cause_of};
use super::counters::Counters;

/// The part of the time that may go into reading counters: one in so many.
pub const LOOKING_SHARE: u64 = 4;

/// The most causes that are told apart; interrupts beyond that are one.
pub const CAUSE_LIMIT: usize = 64;

/// The longest gap that is told from longer ones: an hour, as the longest run.
pub const HIGHEST_NS: u64 = 3_600_000_000_000;

/// What the driver does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Reads the clock.
    Spin,
    /// Reads the counters.
    Look,
}

/// What one cause took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// In how many gaps.
    pub gaps: u64,
    /// All of them together.
    pub lost_ns: u64,
    /// The longest.
    pub longest_ns: u64,
}

/// The gaps of one CPU.
#[derive(Debug, Clone)]
pub struct Meter {
    gaps_ns: Histogram<u64>,
    by_cause: BTreeMap<Cause, Lost>,
    spun_ns: u64,
    looking_ns: u64,
    shortest_look_ns: u64,
    before: Option<Counters>,
    unexplained_ns: Option<u64>,
    looks_in_a_row: u32,
}

impl Meter {
    /// Nothing measured yet. The counters must be looked at first: until then gaps have no cause.
    pub fn new() -> Meter {
        Meter {
            gaps_ns: Histogram::new_with_bounds(1, HIGHEST_NS, DIGITS)
                .expect("the bounds are constants within the limits of a histogram"),
            by_cause: BTreeMap::new(),
            spun_ns: 0,
            looking_ns: 0,
            shortest_look_ns: u64::MAX,
            before: None,
            unexplained_ns: None,
            looks_in_a_row: 0,
        }
    }

    /// The thread read the clock over and over for this long, the gap at the end included.
    pub fn spun(&mut self, ns: u64) {
        self.spun_ns += ns;
    }

    /// Two readings of the clock lay this far apart.
    pub fn gap(&mut self, gap_ns: u64) -> Next {
        self.gaps_ns.saturating_record(gap_ns.clamp(1, HIGHEST_NS));
        let elapsed_ns = self.spun_ns + self.looking_ns;
        if self.looking_ns.saturating_mul(LOOKING_SHARE) > elapsed_ns {
            self.before = None;
        }
        self.looks_in_a_row = 0;
        if self.before.is_some() {
            self.unexplained_ns = Some(gap_ns);
            return Next::Look;
        }
        self.count(Cause::NotLookedAt, gap_ns);
        let may_look = self.looking_ns.saturating_mul(LOOKING_SHARE) <= elapsed_ns;
        if may_look { Next::Look } else { Next::Spin }
    }

    /// The counters were read, which took this long.
    pub fn looked(&mut self, counters: Counters, took_ns: u64) -> Next {
        self.looking_ns += took_ns;
        self.looks_in_a_row += 1;
        self.shortest_look_ns = self.shortest_look_ns.min(took_ns);
        if let (Some(gap_ns), Some(before)) = (self.unexplained_ns.take(), &self.before) {
            let cause = cause_of(gap_ns, &counters.since(before));
            self.count(cause, gap_ns);
        }
        let is_calm = took_ns <= self.shortest_look_ns.saturating_mul(CALM_LOOK);
        if is_calm {
            self.before = Some(counters);
            return Next::Spin;
        }
        self.before = None;
        if self.looks_in_a_row < LOOKS_IN_A_ROW { Next::Look } else { Next::Spin }
    }

    /// All gaps, in nanoseconds.
    pub fn gaps_ns(&self) -> &Histogram<u64> {
        &self.gaps_ns
    }

    /// What each cause took.
    pub fn by_cause(&self) -> &BTreeMap<Cause, Lost> {
        &self.by_cause
    }

    /// What all gaps took together.
    pub fn lost_ns(&self) -> u64 {
        self.by_cause.values().map(|lost| lost.lost_ns).sum()
    }

    /// How long was measured, gaps included.
    pub fn spun_ns(&self) -> u64 {
        self.spun_ns
    }

    /// How long counters were read, during which nothing was measured.
    pub fn looking_ns(&self) -> u64 {
        self.looking_ns
    }

    fn count(&mut self, cause: Cause, gap_ns: u64) {
        let is_known = self.by_cause.contains_key(&cause);
        let cause = match cause {
            Cause::Interrupt(_) | Cause::SoftInterrupt(_)
                if !is_known && self.by_cause.len() >= CAUSE_LIMIT =>
            {
                Cause::Interrupt("of other kinds".to_owned())
            }
            cause => cause,
        };
        let lost = self.by_cause.entry(cause).or_default();
        lost.gaps += 1;
        lost.lost_ns = lost.lost_ns.saturating_add(gap_ns);
        lost.longest_ns = lost.longest_ns.max(gap_ns);
    }
}

impl Default for Meter {
    fn default() -> Meter {
        Meter::new()
    }
}

/// Decimal digits that are kept of each gap.
const DIGITS: u8 = 3;

/// A look that takes more than so many times as long as the shortest one was interrupted.
const CALM_LOOK: u64 = 2;

/// How often a look that was interrupted is repeated at once.
const LOOKS_IN_A_ROW: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK_NS: u64 = 50_000;

    fn switched(switches: u64) -> Counters {
        Counters { switches, ..Counters::default() }
    }

    /// A meter that has spun for a second and looked once.
    fn started() -> Meter {
        let mut meter = Meter::new();
        assert_eq!(meter.looked(switched(0), LOOK_NS), Next::Spin);
        meter.spun(1_000_000_000);
        meter
    }

    #[test]
    fn a_gap_between_two_calm_looks_has_a_cause() {
        let mut meter = started();
        assert_eq!(meter.gap(4_000_000), Next::Look);
        assert_eq!(meter.looked(switched(1), LOOK_NS), Next::Spin);
        let lost = Lost { gaps: 1, lost_ns: 4_000_000, longest_ns: 4_000_000 };
        assert_eq!(meter.by_cause(), &[(Cause::AnotherThread, lost)].into());
        assert_eq!(meter.gap(3_000), Next::Look);
        meter.looked(switched(1), LOOK_NS);
        assert_eq!(meter.by_cause()[&Cause::Unknown].lost_ns, 3_000);
        assert_eq!((meter.lost_ns(), meter.gaps_ns().len()), (4_003_000, 2));
    }

    #[test]
    fn a_look_that_was_interrupted_is_repeated_so_that_the_next_gap_is_not_blamed_for_it() {
        let mut meter = started();
        meter.gap(5_000);
        assert_eq!(meter.looked(switched(0), 9_000_000), Next::Look);
        assert_eq!(meter.looked(switched(1), LOOK_NS), Next::Spin);
        meter.gap(6_000);
        meter.looked(switched(1), LOOK_NS);
        assert!(!meter.by_cause().contains_key(&Cause::AnotherThread), "{:?}", meter.by_cause());
    }

    #[test]
    fn when_no_look_is_calm_the_next_gap_has_no_cause() {
        let mut meter = started();
        meter.gap(5_000);
        let nexts: Vec<_> = (0..3).map(|_| meter.looked(switched(1), 9_000_000)).collect();
        assert_eq!(nexts, [Next::Look, Next::Look, Next::Spin]);
        assert_eq!(meter.gap(7_000), Next::Look);
        assert_eq!(meter.by_cause()[&Cause::NotLookedAt].lost_ns, 7_000);
    }

    #[test]
    fn looking_never_takes_more_than_its_share() {
        let mut meter = Meter::new();
        meter.looked(switched(0), LOOK_NS);
        for _ in 0..10_000 {
            meter.spun(20_000);
            let mut next = meter.gap(2_000);
            while next == Next::Look {
                next = meter.looked(switched(0), LOOK_NS);
            }
        }
        let elapsed_ns = meter.spun_ns() + meter.looking_ns();
        assert!(meter.looking_ns() * LOOKING_SHARE <= elapsed_ns + 5 * LOOK_NS);
        assert!(meter.by_cause()[&Cause::NotLookedAt].gaps > 1_000);
        let counted: u64 = meter.by_cause().values().map(|lost| lost.gaps).sum();
        assert_eq!((counted, meter.gaps_ns().len()), (10_000, 10_000));
    }

    #[test]
    fn a_machine_with_very_many_interrupts_does_not_make_the_meter_grow() {
        let mut meter = started();
        for number in 0..1_000_u64 {
            meter.gap(2_000);
            let interrupts = (0..=number).map(|one| (format!("{one} device"), 1)).collect();
            meter.looked(Counters { interrupts, ..Counters::default() }, 1);
            meter.spun(1_000_000);
        }
        assert_eq!(meter.by_cause().len(), CAUSE_LIMIT + 1);
    }
}
