//! What answers took: from the moment a message was due, and from the moment it was sent.
//!
//! Promises: every answer of the measured stretch is recorded once, as it was; nothing is corrected, because a time
//! that counts from the schedule holds the wait already. Latencies beyond [`crate::latency::HIGHEST_NS`] are
//! recorded as that.
//!
//! Invariants: `response` and `service` have as many entries as measured messages were answered; the intervals that
//! were taken and the present one have as many together.

use std::mem;

use hdrhistogram::Histogram;

use super::pacer::{Stamp, Stretches};
use crate::latency;

/// How long an interval of the log is.
pub const INTERVAL_NS: u64 = 1_000_000_000;

/// The responses of one interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    /// When it began, in nanoseconds since the measured stretch began.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// Its responses, in nanoseconds.
    pub response_ns: Histogram<u64>,
}

/// What was answered of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Messages of the measured stretch that were answered.
    pub answered: u64,
    /// All messages that were answered.
    pub answered_in_all: u64,
    /// The sum of the numbers of all messages that were answered.
    pub sum_in_all: u64,
    /// From the time a message was due.
    pub response_ns: Histogram<u64>,
    /// From the time a message was sent.
    pub service_ns: Histogram<u64>,
    /// When the last answer came, in nanoseconds since the measured stretch began.
    pub last_ns: u64,
    /// The interval that was not taken.
    pub interval: Interval,
}

/// Records answers; see the module's text.
#[derive(Debug)]
pub struct Recorder {
    measured_from_ns: u64,
    interval_end_ns: u64,
    tally: Answered,
}

impl Recorder {
    /// A recorder for a load that started at a given time.
    pub fn new(stretches: Stretches, start_ns: u64) -> Recorder {
        let empty = latency::empty_histogram;
        Recorder {
            measured_from_ns: start_ns.saturating_add(stretches.warm_up_ns),
            interval_end_ns: INTERVAL_NS,
            tally: Answered {
                answered: 0,
                answered_in_all: 0,
                sum_in_all: 0,
                response_ns: empty(),
                service_ns: empty(),
                last_ns: 0,
                interval: Interval { start_ns: 0, end_ns: 0, response_ns: empty() },
            },
        }
    }

    /// An answer has come. At least 1 ns is recorded.
    #[inline]
    pub fn answered(&mut self, stamp: Stamp, now_ns: u64) {
        let tally = &mut self.tally;
        tally.answered_in_all += 1;
        tally.sum_in_all = tally.sum_in_all.wrapping_add(stamp.number);
        if stamp.scheduled_ns < self.measured_from_ns {
            return;
        }
        tally.answered += 1;
        tally.last_ns = now_ns.saturating_sub(self.measured_from_ns);
        let response_ns = now_ns.saturating_sub(stamp.scheduled_ns).max(1);
        tally.response_ns.saturating_record(response_ns);
        tally.interval.response_ns.saturating_record(response_ns);
        tally.service_ns.saturating_record(now_ns.saturating_sub(stamp.sent_ns).max(1));
    }

    /// Whether the present interval is over at the time of the last answer.
    #[inline]
    pub fn interval_is_over(&self) -> bool {
        self.tally.last_ns >= self.interval_end_ns
    }

    /// Takes the present interval and goes on with an empty histogram.
    pub fn take_interval(&mut self, empty: Histogram<u64>) -> Interval {
        let end_ns = self.tally.last_ns;
        self.interval_end_ns = (end_ns / INTERVAL_NS + 1) * INTERVAL_NS;
        let next = Interval { start_ns: end_ns, end_ns, response_ns: empty };
        Interval { end_ns, ..mem::replace(&mut self.tally.interval, next) }
    }

    /// What was answered.
    pub fn finish(mut self) -> Answered {
        self.tally.interval.end_ns = self.tally.last_ns;
        self.tally
    }
}

#[cfg(test)]
#[path = "recorder_tests.rs"]
mod tests;
