//! Looking on: what the simulator sees of a core, and turns timed one by one.
//!
//! An observer changes nothing: observed frames take the same ways of dispatch as others. Without one, and while
//! turns are not timed, all of this costs one branch a turn.

use std::any::TypeId;

use super::Core;
use super::dead_letters::Reason;
use super::dispatch::Sent;
use super::turn::Effect;
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
    /// A turn returned, and this is what it did.
    Did(Did<'a>),
    /// The outcome of the turn whose [`Did`] came last, if it is not "same behaviour, go on".
    Ended {
        me: u64,
        actor: &'a str,
        outcome: Outcome,
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

/// What a turn did, before it happens.
#[derive(Debug)]
pub(crate) struct Did<'a> {
    pub me: u64,
    /// Frames to this core.
    pub sent: Vec<Sent>,
    /// Receivers of frames to others.
    pub sent_elsewhere: Vec<Address>,
    pub spawned: Vec<Made>,
    pub asked: usize,
    pub effects: &'a [Effect],
}

/// An actor that a turn made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    pub address: Address,
    pub type_id: TypeId,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Outcome {
    /// There was no turn: the actor waits for an answer, stops, or is gone.
    #[default]
    NoTurn,
    /// It goes on as before.
    Same,
    /// Another behaviour, by its name.
    Become(&'static str),
    /// The message was kept for the next behaviour.
    Stash,
    /// The message was kept until a ticket is redeemed.
    Keep,
    /// The message that was kept is handled once more.
    Again,
    /// The actor stops.
    Stop,
    /// The turn failed, so it did nothing.
    Failed(Failure),
}

/// Who looks on.
pub(crate) struct Observer {
    pub see: Box<dyn FnMut(u64, Observation<'_>)>,
    /// Whose turn runs.
    turn: Option<u64>,
    sent_elsewhere: Vec<Address>,
    /// Actors whose next turn panics, and after how many more turns.
    pub panics: Vec<(u64, u32)>,
}

impl Core {
    /// From now on `see` is told of everything, with the core's time.
    pub(crate) fn set_observer(&mut self, see: Box<dyn FnMut(u64, Observation<'_>)>) {
        self.observer =
            Some(Observer { see, turn: None, sent_elsewhere: Vec::new(), panics: Vec::new() });
        self.observed = true;
    }

    /// A turn begins. What it does is looked at when it is committed, which is only done for turns that did
    /// something.
    pub(crate) fn observe_begin(&mut self, me: u64) {
        if let Some(observer) = &mut self.observer {
            observer.turn = Some(me);
            self.dirty = true;
        }
    }

    /// Something was sent to another core, a client or another node.
    #[cold]
    pub(crate) fn observe_sent_elsewhere(&mut self, to: Address) {
        if let Some(observer) = &mut self.observer {
            observer.sent_elsewhere.push(to);
        }
    }

    /// The turn failed: what it did is nothing.
    pub(crate) fn observe_abort(&mut self) {
        if let Some(observer) = &mut self.observer {
            observer.turn = None;
            observer.sent_elsewhere.clear();
        }
    }

    /// The turn returned, and nothing of what it did has happened yet.
    pub(crate) fn observe_commit(&mut self) {
        let Some(mut observer) = self.observer.take() else { return };
        let sent_elsewhere = std::mem::take(&mut observer.sent_elsewhere);
        if let Some(me) = observer.turn.take() {
            let made = |effect: &Effect| match effect {
                Effect::Spawned { me } => {
                    Some(Made { address: self.address_of(*me), type_id: self.slots.type_of(*me)? })
                }
                _ => None,
            };
            let did = Did {
                me,
                sent: self.sent_frames(),
                sent_elsewhere,
                spawned: self.effects.iter().filter_map(made).collect(),
                asked: self.opened_asks.len(),
                effects: &self.effects,
            };
            (observer.see)(self.now_ns, Observation::Did(did));
        }
        self.observer = Some(observer);
    }

    pub(crate) fn observe_outcome(&mut self, me: u64, outcome: Outcome) {
        if self.observer.is_some() {
            let (actor, _) = self.slots.describe(me);
            self.see(Observation::Ended { me, actor, outcome });
        }
    }

    pub(crate) fn observe_turn(&mut self, me: u64, header: Header) {
        if self.observer.is_none() {
            return;
        }
        self.observe_begin(me);
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
        if panics || self.timed_turns_left > 0 || self.samples.is_due {
            return true;
        }
        self.observe_turn(me, header);
        false
    }

    pub(crate) fn observe_signal(&mut self, me: u64, signal: &Signal) {
        if self.observer.is_none() {
            return;
        }
        self.observe_begin(me);
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
        if self.timed_turns_left == 0 && !self.samples.is_due {
            return None;
        }
        self.timed_turns_left = self.timed_turns_left.saturating_sub(1);
        self.observed = self.is_looked_at();
        self.read_clock();
        Some(self.now_ns)
    }

    /// Whether anybody looks on, or turns are timed.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.observer.is_some() || self.timed_turns_left > 0 || self.samples.is_due
    }

    /// After it.
    pub(crate) fn end_timed_turn(&mut self, me: u64, began_ns: Option<u64>) {
        let Some(began_ns) = began_ns else { return };
        self.read_clock();
        let duration_ns = self.now_ns - began_ns;
        if duration_ns > self.limits.slow_turn_ns {
            self.turn_was_slow(me, duration_ns);
        }
        self.sample_turn(me, duration_ns);
    }
}
