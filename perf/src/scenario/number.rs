//! The message that most scenarios send, and the actor that adds up what it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainspring::prelude::*;

use super::ScenarioError;
use super::check;
use crate::calibration::fixed_work;

/// 24 bytes: a number, and who sent it.
#[message]
pub struct Number {
    /// What the receivers add up.
    pub number: u64,
    /// Who sent it.
    pub from: ActorRef<Number>,
}

/// What all receivers of a round got together; each adds its own when it stops.
#[derive(Debug, Default)]
pub struct Totals {
    sum: AtomicU64,
    count: AtomicU64,
}

impl Totals {
    /// One receiver has stopped.
    pub fn add(&self, sum: u64, count: u64) {
        self.sum.fetch_add(sum, Ordering::Relaxed);
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    /// What the receivers got of the measured numbers, counted from 0 up as if there had been no warm-up.
    pub fn measured_sum(&self, warm_up: u64, measured: u64) -> u64 {
        let of_warm_up = warm_up * warm_up.saturating_sub(1) / 2;
        self.sum.load(Ordering::Relaxed).wrapping_sub(of_warm_up + measured * warm_up)
    }

    /// Succeeds when the receivers got so many messages.
    pub fn check_count(&self, expected: u64) -> Result<(), ScenarioError> {
        check("the number of messages received", expected, self.count.load(Ordering::Relaxed))
    }

    /// Succeeds when the receivers got the numbers from 0 up, so many of them.
    pub fn check_numbers(&self, numbers: u64) -> Result<(), ScenarioError> {
        self.check_count(numbers)?;
        let expected = numbers * numbers.saturating_sub(1) / 2;
        check("the sum of the numbers received", expected, self.sum.load(Ordering::Relaxed))
    }
}

/// Adds up what it gets: 64 bytes of state, of which a message touches the first word and the last.
///
/// `WEIGHT` makes handlers that differ, so that the compiler cannot make one function of several types' handlers.
/// `STEPS` is how many dependent steps of work a handler does besides.
#[repr(C)]
pub struct Sink<const WEIGHT: u64, const STEPS: u32> {
    sum: u64,
    totals: Arc<Totals>,
    work: u64,
    untouched: [u64; 4],
    weighted_count: u64,
}

const _: () = assert!(size_of::<Sink<1, 0>>() == 64);

impl<const WEIGHT: u64, const STEPS: u32> Sink<WEIGHT, STEPS> {
    /// A sink that has got nothing.
    pub fn new(totals: &Arc<Totals>) -> Self {
        let totals = Arc::clone(totals);
        Sink { sum: 0, totals, work: 0, untouched: [0; 4], weighted_count: 0 }
    }
}

impl<const WEIGHT: u64, const STEPS: u32> Actor for Sink<WEIGHT, STEPS> {
    type Message = Number;

    fn receive(&mut self, _: &mut Context<'_, Self>, message: &Archived<Number>) -> Next<Self> {
        let number = message.number.to_native();
        self.sum = self.sum.wrapping_add(number);
        self.weighted_count += WEIGHT;
        if STEPS > 0 {
            self.work ^= fixed_work(number, STEPS);
        }
        Next::Same
    }

    fn stopped(&mut self, _: &mut Context<'_, Self>) {
        // The words between are part of the state that a user would have; nothing may change them.
        let untouched: u64 = self.untouched.iter().sum();
        self.totals.add(self.sum.wrapping_add(untouched), self.weighted_count / WEIGHT);
    }
}
