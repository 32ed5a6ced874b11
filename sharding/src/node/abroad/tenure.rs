//! Until when a node may use what it owns.
//!
//! One for all cores of a node. A look costs one load of a line that changes only when the lease is renewed; it is
//! compared with the time that the core has read anyway.
//!
//! Invariant: once closed it never holds again.

use std::sync::atomic::{AtomicU64, Ordering};

/// See the module's header.
#[derive(Debug)]
pub(crate) struct Tenure {
    until_ns: AtomicU64,
}

/// Closed for good: no time is before it.
const CLOSED: u64 = 0;

impl Tenure {
    /// That of a node alone, or without a store: nobody else decides about what it has.
    pub const fn unlimited() -> Tenure {
        Tenure { until_ns: AtomicU64::new(u64::MAX) }
    }

    /// One that holds nothing yet.
    pub const fn none() -> Tenure {
        Tenure { until_ns: AtomicU64::new(1) }
    }

    /// Whether what the node owns may be used now.
    #[inline]
    pub fn holds(&self, now_ns: u64) -> bool {
        now_ns < self.until_ns.load(Ordering::Relaxed)
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.until_ns.load(Ordering::Relaxed) == CLOSED
    }

    /// The lease has been kept until then.
    pub fn keep_until(&self, until_ns: u64) {
        let keep = |before| (before != CLOSED).then_some(until_ns.max(1));
        let _ = self.until_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep);
    }

    /// It is over, for good.
    pub fn close(&self) {
        self.until_ns.store(CLOSED, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owned_may_be_used_until_the_lease_ends_and_never_after_it_was_closed() {
        let tenure = Tenure::none();
        assert!(!tenure.holds(1) && !tenure.is_closed());
        tenure.keep_until(10);
        assert!(tenure.holds(9) && !tenure.holds(10));
        tenure.keep_until(20);
        assert!(tenure.holds(19));
        tenure.close();
        tenure.keep_until(30);
        assert!(!tenure.holds(0) && tenure.is_closed());
        assert!(Tenure::unlimited().holds(u64::MAX - 1));
    }
}
