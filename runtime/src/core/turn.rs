//! A turn is a transaction.
//!
//! What a turn sends lies behind the published tail of its queue or ring, and everything else that it asks for is
//! noted here; both happen together when the turn returns. When it panics or faults, the tails go back and the
//! notes are dropped: no message is sent, no actor is made, no timer is set, no question is asked.

use std::any::Any;
use std::rc::Rc;

use super::Core;
use super::asks::AskError;
use super::control::{Control, Parcel, Work};
use super::dispatch::Continuation;
use super::schedule::TimerChange;
use super::tasks::{Job, Task};
use crate::address::Address;
use crate::device::Enlisted;

/// Something that a turn asked for and that happens when the turn returns.
pub(crate) enum Effect {
    /// An actor was made in this turn.
    Spawned {
        me: u64,
    },
    Timer {
        me: u64,
        change: Box<TimerChange>,
    },
    Suspend {
        me: u64,
        slot: u32,
        generation: u32,
    },
    /// For the core on which `to` lives.
    Control {
        to: Address,
        control: Box<Control>,
    },
    /// For a core as a whole.
    Parcel {
        core: u16,
        parcel: Box<dyn Any + Send>,
    },
    /// For this core, as soon as it is between turns.
    Work(Parcel),
    Watch {
        me: u64,
        actor: Address,
    },
    Unwatch {
        me: u64,
        actor: Address,
    },
    /// Something outside the core that is told how the turn ends.
    Enlisted(Rc<dyn Enlisted>),
    Task(Box<Task>),
    Job(Box<Job>),
    Name {
        me: u64,
        change: Box<NameChange>,
    },
    /// A question could not be sent; its asker is told in a turn of its own.
    AskRefused {
        me: u64,
        continuation: Continuation,
        error: AskError,
    },
}

// One is noted for each spawn, so a note is small.
const _: () = assert!(size_of::<Effect>() <= 40);

/// A change of the node's names.
#[derive(Debug)]
pub(crate) enum NameChange {
    Register { name: String, fingerprint: u64 },
    Unregister { name: String },
    Subscribe { name: String },
}

impl std::fmt::Debug for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Effect::Spawned { me } => write!(f, "spawned {}", *me as u32),
            Effect::Timer { change, .. } => change.fmt(f),
            Effect::Suspend { .. } => f.write_str("suspended"),
            Effect::Control { to, control } => write!(f, "control {to} {control:?}"),
            Effect::Parcel { core, .. } => write!(f, "parcel for core {core}"),
            Effect::Work(_) => f.write_str("work"),
            Effect::Watch { actor, .. } => write!(f, "watch {actor}"),
            Effect::Unwatch { actor, .. } => write!(f, "unwatch {actor}"),
            Effect::Enlisted(_) => f.write_str("enlisted"),
            Effect::Task(_) => f.write_str("task"),
            Effect::Job(_) => f.write_str("job"),
            Effect::Name { change, .. } => change.fmt(f),
            Effect::AskRefused { error, .. } => write!(f, "ask refused {error:?}"),
        }
    }
}

impl Core {
    /// Notes an effect of the running turn.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
        self.dirty = true;
    }

    /// The turn returned: what it did happens.
    #[inline(always)]
    pub(crate) fn commit_turn(&mut self) {
        if self.dirty {
            self.commit_effects();
        }
        self.queue.publish();
        self.opened_asks.clear();
        self.turn += 1;
    }

    #[cold]
    #[inline(never)]
    fn commit_effects(&mut self) {
        if self.observed {
            self.observe_commit();
        }
        self.dirty = false;
        self.large.keep();
        if self.effects.is_empty() {
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            self.apply(effect);
        }
        // Applying an effect notes none, so the allocation can be kept.
        self.effects = effects;
    }

    fn apply(&mut self, effect: Effect) {
        match effect {
            Effect::Spawned { me } => self.control.push_back(Control::Start { me }),
            Effect::Timer { me, change } => self.apply_timer_change(me, *change),
            Effect::Suspend { me, slot, generation } => self.suspend_for(me, slot, generation),
            Effect::Control { to, control } => self.send_control(to, *control),
            Effect::Parcel { core, parcel } => self.send_parcel(core, parcel),
            Effect::Work(work) => self.control.push_back(Control::Work(Work(work))),
            Effect::Watch { me, actor } => self.watch(me, actor),
            Effect::Unwatch { me, actor } => self.unwatch(me, actor),
            Effect::Enlisted(enlisted) => enlisted.committed(),
            Effect::Task(task) => self.begin_task(*task),
            Effect::Job(job) => self.begin_job(*job),
            Effect::Name { me, change } => self.change_name(me, *change),
            Effect::AskRefused { me, continuation, error } => {
                let life = self.life_of(me);
                self.control.push_back(Control::AskRefused { me, life, continuation, error });
            }
        }
    }

    /// The turn failed: nothing it did happens.
    #[cold]
    #[inline(never)]
    pub(crate) fn abort_turn(&mut self) {
        self.observe_abort();
        self.dirty = false;
        self.queue.rollback();
        self.large.drop_unkept();
        for outbound in self.outbounds.iter_mut().flatten() {
            outbound.rollback(self.turn);
        }
        self.peers.rollback(self.turn);
        self.turn += 1;
        for (slot, generation) in std::mem::take(&mut self.opened_asks) {
            self.close_ask(slot, generation);
        }
        for effect in std::mem::take(&mut self.effects).into_iter().rev() {
            match effect {
                Effect::Spawned { me } => self.discard_actor(me),
                Effect::Enlisted(enlisted) => enlisted.aborted(),
                _ => {}
            }
        }
    }
}
