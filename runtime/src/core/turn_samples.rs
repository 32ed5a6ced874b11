//! Turn samples: how long one turn in 64 takes, for whoever wants to know what actors cost.
//!
//! Promises: turns that are not sampled cost nothing more, because a drain looks for a sample before a stretch of turns
//! that has one at its end, and not in each turn; which turns are sampled follows from the core's seed and the turns
//! alone, at steps that are random and [`TURNS_A_SAMPLE`] on average, so that no rhythm of the actors hides one; a
//! sample stands for the turns since the one before it, so times multiplied by [`TurnSample::turns`] add up to the time
//! of all turns.
//!
//! Sampled are turns with messages, answers and timers, and those with what tasks and devices bring. Starts, signals
//! and the continuations of failed asks are not; they count among the turns that a sample stands for.

use std::rc::Rc;

use super::Core;
use super::random::Random;
use crate::address::Address;

/// Turns of a core for each that is timed, on average.
pub const TURNS_A_SAMPLE: u64 = 64;

/// A turn that was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnSample {
    /// Whose turn it was. The actor may have ended with it.
    pub actor: Address,
    /// The name of the actor's type.
    pub actor_type: &'static str,
    /// How long the handler ran, in nanoseconds.
    pub turn_ns: u64,
    /// For how many turns of the core it stands.
    pub turns: u64,
}

impl TurnSample {
    /// The time of all turns that it stands for, if they took as long.
    pub fn weighted_ns(&self) -> u64 {
        self.turn_ns.saturating_mul(self.turns)
    }
}

/// Is told of the turns that are timed; see [`Seat::observe_turns`](crate::device::Seat::observe_turns).
pub trait ObserveTurns: 'static {
    /// A turn of this core was timed. It has returned, and what it did has not happened yet.
    fn turn_took(&self, sample: &TurnSample);
}

/// When the next turn is timed, and who is told.
pub(crate) struct TurnSamples {
    observers: Vec<Rc<dyn ObserveTurns>>,
    random: Random,
    /// The number of the turn from which on one is to be timed; none as long as nobody is told.
    next_turn: u64,
    /// The number of the last turn that was timed.
    last_turn: u64,
    /// The next turn is timed.
    pub is_due: bool,
}

impl TurnSamples {
    pub fn new(seed: u64) -> Self {
        TurnSamples {
            observers: Vec::new(),
            random: Random::seeded(seed),
            next_turn: u64::MAX,
            last_turn: 0,
            is_due: false,
        }
    }

    /// Turns until one is to be timed, when this is the number of the next one.
    #[inline(always)]
    pub fn turns_left(&self, turn: u64) -> u64 {
        self.next_turn.saturating_sub(turn)
    }

    fn sampled(&mut self, turn: u64) {
        self.is_due = false;
        self.last_turn = turn;
        self.next_turn = turn + 1 + self.random.below(2 * TURNS_A_SAMPLE - 1);
    }
}

impl Core {
    /// From now on one turn in so many is timed, and `observer` told of it.
    pub(crate) fn observe_turns(&mut self, observer: Rc<dyn ObserveTurns>) {
        if self.samples.observers.is_empty() {
            self.samples.sampled(self.turn);
        }
        self.samples.observers.push(observer);
    }

    /// Until when a drain that has run so many turns of its budget goes on without looking for a sample.
    #[inline]
    pub(crate) fn stretch_end(&mut self, turns: u64, budget: u64) -> u64 {
        self.look_for_sample();
        budget.min(turns.saturating_add(self.samples.turns_left(self.turn).max(1)))
    }

    /// If a turn is to be timed, the next one takes the way on which that is done.
    #[inline]
    pub(crate) fn look_for_sample(&mut self) {
        if self.samples.turns_left(self.turn) == 0 {
            self.samples.is_due = true;
            self.observed = true;
        }
    }

    /// The running turn has returned, and took so long: it is the sample, if one is due.
    pub(crate) fn sample_turn(&mut self, me: u64, turn_ns: u64) {
        if !self.samples.is_due {
            return;
        }
        let turns = self.turn - self.samples.last_turn;
        self.samples.sampled(self.turn);
        self.observed = self.is_looked_at();
        let (actor_type, _) = self.slots.describe(me);
        let sample = TurnSample { actor: self.address_of(me), actor_type, turn_ns, turns };
        for observer in &self.samples.observers {
            observer.turn_took(&sample);
        }
    }
}
