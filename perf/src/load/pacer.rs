//! Which message is due now, how late each is, and when a load is over.
//!
//! Promises: a message is due at its scheduled time whatever happened to those before it, so a service that stalls is
//! asked just as often (no coordinated omission: Tene, "How NOT to Measure Latency"). Messages that are due when the
//! load ends are still sent for [`SEND_GRACE_NS`]; then answers are awaited for [`DRAIN_LIMIT_NS`]; then it is over.
//!
//! Refuses: to read a clock, and to send. It is told the time and what became of a message.
//!
//! Invariants: `answered + failed <= sent`; a message is measured if and only if its scheduled time lies in the
//! measured stretch. A message's lateness is the generator's own: the time for which the service would not take
//! messages is not part of it.

use hdrhistogram::Histogram;
use mainspring::prelude::*;

use super::schedule::Schedule;
use crate::latency;

/// How long messages that are due by the end of a load may still be sent.
pub const SEND_GRACE_NS: u64 = 100_000_000;

/// How long answers are awaited after the last message was sent.
pub const DRAIN_LIMIT_NS: u64 = 3_000_000_000;

/// The most messages that a load by window keeps under way.
pub const MOST_UNDER_WAY: u32 = 65_536;

/// What every message of a load carries and its answer gives back: 24 bytes.
#[message]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// From 0 up, in the order of sending.
    pub number: u64,
    /// When it was due.
    pub scheduled_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
}

impl From<&ArchivedStamp> for Stamp {
    fn from(archived: &ArchivedStamp) -> Stamp {
        Stamp {
            number: archived.number.to_native(),
            scheduled_ns: archived.scheduled_ns.to_native(),
            sent_ns: archived.sent_ns.to_native(),
        }
    }
}

/// What decides when a message is due.
#[derive(Clone, Debug)]
pub enum Demand {
    /// A schedule: open loop.
    AtRate(Schedule),
    /// So many messages under way at all times: closed loop. Tells how much the service can do.
    Window(u32),
}

/// The stretches of a load, in nanoseconds since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretches {
    /// Messages that are due in it are sent and answered, and not measured.
    pub warm_up_ns: u64,
    /// The stretch that follows.
    pub measured_ns: u64,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// This message is due; its `sent_ns` is now. Then call [`Pacer::sent`] or [`Pacer::refused`].
    Send(Stamp),
    /// Nothing is due. Ask again.
    Wait,
    /// The load is over.
    Finished,
}

/// What was sent of a load.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Messages that were due in the measured stretch.
    pub scheduled: u64,
    /// Of these, how many were sent.
    pub sent: u64,
    /// Of all messages, how many were sent.
    pub sent_in_all: u64,
    /// The sum of the numbers of all messages sent.
    pub sum_in_all: u64,
    /// Messages of all that failed at once: they will have no answer.
    pub failed_in_all: u64,
    /// How late the measured messages were sent for reasons that are the generator's own.
    pub lateness_ns: Histogram<u64>,
    /// Measured messages that were late by more than [`Sent::interval_ns`].
    pub late: u64,
    /// The time between two moments at which something is due; 0 without a schedule.
    pub interval_ns: u64,
    /// How often the service would not take a message.
    pub refused: u64,
    /// When the measured stretch began, by the process's clock.
    pub measured_from_ns: u64,
    /// How long the measured stretch was in the end.
    pub measured_ns: u64,
    /// When a request ended the load, in nanoseconds since its start.
    pub stopped_after_ns: Option<u64>,
}

/// Decides what is due; see the module's text.
#[derive(Debug)]
pub struct Pacer {
    demand: Demand,
    start_ns: u64,
    measured_from_ns: u64,
    end_ns: u64,
    number: u64,
    answered: u64,
    /// When the next message was first tried, while it is refused.
    first_try_ns: Option<u64>,
    /// When the service last took a message that it had refused before.
    free_since_ns: u64,
    draining_until_ns: Option<u64>,
    tally: Sent,
}

impl Pacer {
    /// A load that starts at a given time.
    pub fn new(demand: Demand, stretches: Stretches, start_ns: u64) -> Pacer {
        let measured_from_ns = start_ns.saturating_add(stretches.warm_up_ns);
        let interval_ns = match &demand {
            Demand::AtRate(schedule) => schedule.interval_ns(),
            Demand::Window(_) => 0,
        };
        Pacer {
            demand,
            start_ns,
            measured_from_ns,
            end_ns: measured_from_ns.saturating_add(stretches.measured_ns),
            number: 0,
            answered: 0,
            first_try_ns: None,
            free_since_ns: 0,
            draining_until_ns: None,
            tally: Sent {
                scheduled: 0,
                sent: 0,
                sent_in_all: 0,
                sum_in_all: 0,
                failed_in_all: 0,
                lateness_ns: latency::empty_histogram(),
                late: 0,
                interval_ns,
                refused: 0,
                measured_from_ns,
                measured_ns: stretches.measured_ns,
                stopped_after_ns: None,
            },
        }
    }

    /// What is to be done at this time.
    #[inline]
    pub fn step(&mut self, now_ns: u64) -> Step {
        if let Some(until_ns) = self.draining_until_ns {
            let is_over = self.under_way() == 0 || now_ns >= until_ns;
            return if is_over { Step::Finished } else { Step::Wait };
        }
        let is_late = now_ns >= self.end_ns.saturating_add(SEND_GRACE_NS);
        let due_ns = self.next_due_ns(now_ns).filter(|due_ns| *due_ns < self.end_ns && !is_late);
        let Some(scheduled_ns) = due_ns else {
            // The load is not over before its time, also when nothing more is due.
            return if now_ns < self.end_ns { Step::Wait } else { self.drain(now_ns) };
        };
        if now_ns < scheduled_ns {
            return Step::Wait;
        }
        Step::Send(Stamp { number: self.number, scheduled_ns, sent_ns: now_ns })
    }

    /// The message that was due was sent at its stamp's time.
    #[inline]
    pub fn sent(&mut self, stamp: Stamp) {
        self.number += 1;
        self.tally.sent_in_all += 1;
        self.tally.sum_in_all = self.tally.sum_in_all.wrapping_add(stamp.number);
        let first_try_ns = self.first_try_ns.take();
        if stamp.scheduled_ns >= self.measured_from_ns {
            self.tally.scheduled += 1;
            self.tally.sent += 1;
            if self.tally.interval_ns > 0 {
                let due_ns = stamp.scheduled_ns.max(self.free_since_ns);
                let late_ns = first_try_ns.unwrap_or(stamp.sent_ns).saturating_sub(due_ns);
                self.tally.late += u64::from(late_ns > self.tally.interval_ns);
                self.tally.lateness_ns.saturating_record(late_ns);
            }
        }
        if first_try_ns.is_some() {
            self.free_since_ns = stamp.sent_ns;
        }
        if let Demand::AtRate(schedule) = &mut self.demand {
            schedule.advance();
        }
    }

    /// The message that was due was refused at its stamp's time; it stays the next one.
    pub fn refused(&mut self, stamp: Stamp) {
        self.tally.refused += 1;
        self.first_try_ns.get_or_insert(stamp.sent_ns);
    }

    /// So many more messages were answered.
    #[inline]
    pub fn answered(&mut self, messages: u64) {
        self.answered += messages;
    }

    /// A message that was sent has failed; it will not be answered.
    pub fn failed(&mut self) {
        self.tally.failed_in_all += 1;
    }

    /// Ends the load at this time, as if it had not been meant to be longer.
    pub fn stop(&mut self, now_ns: u64) {
        if self.draining_until_ns.is_some() || now_ns >= self.end_ns {
            return;
        }
        self.end_ns = now_ns;
        self.tally.measured_ns = now_ns.saturating_sub(self.measured_from_ns);
        self.tally.stopped_after_ns = Some(now_ns.saturating_sub(self.start_ns));
    }

    /// What was sent.
    pub fn finish(self) -> Sent {
        self.tally
    }

    fn under_way(&self) -> u64 {
        self.tally.sent_in_all.saturating_sub(self.answered + self.tally.failed_in_all)
    }

    /// None when the window is full.
    #[inline]
    fn next_due_ns(&self, now_ns: u64) -> Option<u64> {
        match &self.demand {
            Demand::AtRate(schedule) => Some(self.start_ns.saturating_add(schedule.next_ns())),
            Demand::Window(most) => (self.under_way() < u64::from(*most)).then_some(now_ns),
        }
    }

    #[cold]
    fn drain(&mut self, now_ns: u64) -> Step {
        if let Demand::AtRate(schedule) = &self.demand {
            let unsent = schedule.due_before(self.end_ns.saturating_sub(self.start_ns));
            let unsent_of_warm_up = schedule
                .due_before(self.measured_from_ns.min(self.end_ns).saturating_sub(self.start_ns));
            self.tally.scheduled += unsent - unsent_of_warm_up;
        }
        self.draining_until_ns = Some(now_ns.saturating_add(DRAIN_LIMIT_NS));
        self.step(now_ns)
    }
}

#[cfg(test)]
#[path = "pacer_tests.rs"]
mod tests;
