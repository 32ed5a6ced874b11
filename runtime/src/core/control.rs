//! The control lanes: what must not starve behind users' messages.
//!
//! A core's own control messages wait in a queue beside the local queue; those for another core of the node travel as
//! parcels in the control lane of its ring. A full lane does not lose them: they wait, in order, and are tried
//! again in each flush.

use std::any::Any;

use super::Core;
use super::asks::AskError;
use super::dead_letters::Reason;
use super::dispatch::Continuation;
use super::names::NameNews;
use crate::actor::{Signal, StopReason};
use crate::address::{ActorRef, Address};
use crate::core::dead_letters::DeadLetter;
use crate::peer::NodeControl;

/// Something that a core does for the runtime itself.
#[derive(Debug)]
pub(crate) enum Control {
    /// The first turn of a new actor.
    Start {
        me: u64,
    },
    /// A signal for an actor of this core.
    Signal {
        me: u64,
        signal: Box<Signal>,
    },
    /// An actor is to stop.
    Stop {
        me: u64,
        reason: StopReason,
    },
    /// An actor whose children are gone leaves.
    Finish {
        me: u64,
    },
    /// The pause before a restart is over.
    Restart {
        me: u64,
        life: u32,
    },
    Watch {
        me: u64,
        watcher: Address,
    },
    Unwatch {
        me: u64,
        watcher: Address,
    },
    Terminated {
        me: u64,
        actor: Address,
        reason: StopReason,
    },
    /// A child of an actor that tracks them is gone.
    ChildStopped {
        me: u64,
        actor: Address,
        reason: StopReason,
    },
    /// A question could not be sent.
    AskRefused {
        me: u64,
        life: u32,
        continuation: Continuation,
        error: AskError,
    },
    /// On core 0: news for another node.
    ForNode(Box<NodeControl>),
    /// News of the node's names.
    Name(Box<NameNews>),
    /// An actor wants this core's dead letters.
    SubscribeDeadLetters(ActorRef<DeadLetter>),
    /// It no longer does.
    UnsubscribeDeadLetters(Address),
    /// Something that must not be done inside a turn or at its end.
    Work(Work),
}

impl Control {
    pub fn is_stop(&self) -> bool {
        matches!(self, Control::Stop { .. })
    }
}

/// Work of a core for itself.
pub(crate) struct Work(pub Parcel);

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Work")
    }
}

// One is queued for each spawn.
const _: () = assert!(size_of::<Control>() <= 40);

/// Work that a core does for another thread of the process.
pub(crate) type Parcel = Box<dyn FnOnce(&mut Core) + Send>;

impl Core {
    /// Sends a control message to the core of `to`.
    pub(crate) fn send_control(&mut self, to: Address, control: Control) {
        if to.node() != self.node() {
            return self.send_control_to_node(to, control);
        }
        if to.core() == self.index() {
            self.control.push_back(control);
        } else {
            self.send_parcel(to.core(), Box::new(control));
        }
    }

    /// Sends something to another core of the node. It waits if the lane is full.
    pub(crate) fn send_parcel(&mut self, core: u16, parcel: Box<dyn Any + Send>) {
        if core == self.index() {
            return self.open_parcel(parcel);
        }
        let cores = self.cores();
        match self.outbounds.get_mut(core as usize).and_then(Option::as_mut) {
            Some(outbound) if core < cores => {
                outbound.send_parcel(parcel);
                self.mark_unpublished(core as usize);
            }
            _ => self.counters.dead_letters.add(Reason::NoCore, 1),
        }
    }

    /// Handles what came in a parcel.
    pub(crate) fn open_parcel(&mut self, parcel: Box<dyn Any + Send>) {
        match parcel.downcast::<Control>() {
            Ok(control) => self.control.push_back(*control),
            Err(parcel) => match parcel.downcast::<Parcel>() {
                Ok(work) => self.do_work(*work),
                Err(_) => self.counters.dead_letters.add(Reason::UnknownKind, 1),
            },
        }
    }

    /// Handles up to `budget` control messages of this core.
    pub(crate) fn handle_control(&mut self, budget: usize) -> usize {
        let mut handled = 0;
        // What is queued meanwhile waits for the next sweep, so that a restart that waits for children does not spin.
        let waiting = self.control.len().min(budget);
        while handled < waiting {
            let Some(control) = self.control.pop_front() else { break };
            handled += 1;
            match control {
                Control::Start { me } => self.start_actor(me),
                Control::Signal { me, signal } => self.deliver_signal(me, *signal),
                Control::Stop { me, reason } => self.stop_actor(me, reason),
                Control::Finish { me } => self.finish_actor(me),
                Control::Restart { me, life } => self.restart_now(me, life),
                Control::Watch { me, watcher } => self.watched(me, watcher),
                Control::Unwatch { me, watcher } => self.unwatched(me, watcher),
                Control::Terminated { me, actor, reason } => self.terminated(me, actor, reason),
                Control::ChildStopped { me, actor, reason } => {
                    self.deliver_signal(me, Signal::ChildStopped { actor, reason });
                }
                Control::AskRefused { me, life, continuation, error } => {
                    self.ask_refused(me, life, continuation, error);
                }
                Control::ForNode(news) => self.queue_node_control(*news),
                Control::Name(news) => self.name_news(*news),
                Control::SubscribeDeadLetters(to) => self.subscribe_dead_letters(to),
                Control::UnsubscribeDeadLetters(actor) => self.forget_subscriber(actor),
                Control::Work(Work(work)) => work(self),
            }
        }
        self.counters.control_messages += handled as u64;
        handled
    }
}
