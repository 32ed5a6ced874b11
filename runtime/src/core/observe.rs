//! Looking on: what the simulator sees of a core, and turns timed one by one.
//!
//! An observer changes nothing: observed frames take the same ways of dispatch as others. Without one, and while
//! turns are not timed, all of this costs one branch a turn.

use super::Core;
use super::dead_letters::Reason;
use crate::actor::{Failure, Signal};
use crate::address::Address;
use crate::frame::Header;

/// Something that happened in a core.
#[derive(Debug)]
pub(crate) enum Observation<'a> {
    /// A turn with a message begins.
    Turn {
        me: u64,
        actor: &'a str,
        behavior: &'a str,
        header: Header,
    },
    /// A turn with a signal begins.
    Signal {
        me: u64,
        actor: &'a str,
        signal: &'a Signal,
    },
    /// Something else about an actor.
    Note {
        me: u64,
        actor: &'a str,
        note: &'a str,
    },
    Failed {
        me: u64,
        actor: &'a str,
        failure: &'a Failure,
    },
    DeadLetter {
        reason: Reason,
        to: Address,
    },
}

/// Who looks on.
pub(crate) struct Observer {
    pub see: Box<dyn FnMut(u64, Observation<'_>)>,
    /// Actors whose next turn panics, and after how many more turns.
    pub panics: Vec<(u64, u32)>,
}

impl Core {
    /// From now on `see` is told of everything, with the core's time.
    pub(crate) fn set_observer(&mut self, see: Box<dyn FnMut(u64, Observation<'_>)>) {
        self.observer = Some(Observer { see, panics: Vec::new() });
        self.observed = true;
    }

    pub(crate) fn observe_turn(&mut self, me: u64, header: Header) {
        if self.observer.is_none() {
            return;
        }
        let (actor, behavior) = self.slots.describe(me);
        self.see(Observation::Turn { me, actor, behavior, header });
    }

    /// Looks at a turn that is about to run on the short way; whether it has to take the long way instead, which
    /// looks for itself: turns are timed, or this one is to panic.
    #[cold]
    pub(crate) fn look_at(&mut self, me: u64, header: Header) -> bool {
        let panics = self
            .observer
            .as_ref()
            .is_some_and(|observer| observer.panics.iter().any(|(actor, _)| *actor == me));
        if panics || self.timed_turns_left > 0 {
            return true;
        }
        self.observe_turn(me, header);
        false
    }

    pub(crate) fn observe_signal(&mut self, me: u64, signal: &Signal) {
        if self.observer.is_none() {
            return;
        }
        let (actor, _) = self.slots.describe(me);
        self.see(Observation::Signal { me, actor, signal });
    }

    pub(crate) fn observe_note(&mut self, me: u64, note: &str) {
        if self.observer.is_some() {
            let (actor, _) = self.slots.describe(me);
            self.see(Observation::Note { me, actor, note });
        }
    }

    pub(crate) fn observe_failure(&mut self, me: u64, failure: &Failure) {
        let (actor, _) = self.slots.describe(me);
        self.see(Observation::Failed { me, actor, failure });
    }

    pub(crate) fn observe_dead_letter(&mut self, reason: Reason, to: Address) {
        self.see(Observation::DeadLetter { reason, to });
    }

    fn see(&mut self, observation: Observation<'_>) {
        let now_ns = self.now_ns;
        if let Some(observer) = &mut self.observer {
            (observer.see)(now_ns, observation);
        }
    }

    /// Whether the simulator wants this turn to panic.
    pub(crate) fn injected_panic(&mut self, me: u64) -> bool {
        let Some(observer) = &mut self.observer else { return false };
        let Some(at) = observer.panics.iter().position(|(actor, _)| *actor == me) else {
            return false;
        };
        match &mut observer.panics[at].1 {
            0 => {
                observer.panics.remove(at);
                true
            }
            left => {
                *left -= 1;
                false
            }
        }
    }

    /// Before a turn that is timed by itself: the time, if turns are timed.
    pub(crate) fn begin_timed_turn(&mut self) -> Option<u64> {
        if self.timed_turns_left == 0 {
            return None;
        }
        self.timed_turns_left -= 1;
        if self.timed_turns_left == 0 {
            self.observed = self.observer.is_some();
        }
        self.read_clock();
        Some(self.now_ns)
    }

    /// After it.
    pub(crate) fn end_timed_turn(&mut self, me: u64, began_ns: Option<u64>) {
        let Some(began_ns) = began_ns else { return };
        self.read_clock();
        let duration_ns = self.now_ns - began_ns;
        if duration_ns > self.limits.slow_turn_ns {
            self.turn_was_slow(me, duration_ns);
        }
    }
}
