//! Virtual time that a handler takes.
//!
//! A simulated core runs ahead of the simulation's clock by what its handlers have spent, and does nothing more until
//! the clock has come after it: to the other cores it is busy, as a core is whose handler computes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::actor::Actor;
use crate::context::Context;
use crate::core::schedule::nanoseconds;

/// The time of one simulated core.
pub(super) struct CoreTime {
    clock: Rc<Cell<u64>>,
    busy_until_ns: Cell<u64>,
}

impl CoreTime {
    /// A core that has spent nothing, beside the clock of its simulation.
    pub fn of(clock: Rc<Cell<u64>>) -> Self {
        CoreTime { clock, busy_until_ns: Cell::new(0) }
    }

    /// What the core takes for the time.
    pub fn now_ns(&self) -> u64 {
        self.clock.get().max(self.busy_until_ns.get())
    }

    /// Until when it is busy; in the past when it is not.
    pub fn busy_until_ns(&self) -> u64 {
        self.busy_until_ns.get()
    }

    fn spend(&self, time_ns: u64) {
        self.busy_until_ns.set(self.now_ns().saturating_add(time_ns));
    }
}

/// In a [`Simulation`](super::Simulation), the running turn takes so much virtual time: its core does nothing else
/// meanwhile, and other cores go on. What the turn sends goes out when its sweep ends, as ever. Whether there was a
/// simulation: elsewhere nothing happens.
pub fn spend<A: Actor>(ctx: &Context<'_, A>, time: Duration) -> bool {
    let time_of_core = ctx.shared_ref::<CoreTime>();
    if let Some(core) = time_of_core {
        core.spend(nanoseconds(time));
    }
    time_of_core.is_some()
}
