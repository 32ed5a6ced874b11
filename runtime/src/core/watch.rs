//! Watching: `Terminated` once for each watch, also when the actor was gone before, and across cores.
//!
//! The watched actor's core keeps who watches; the watcher's core keeps whom it watches, so that a signal that was on
//! its way when the watch ended is dropped, and so that a watcher's end clears its entries elsewhere.

use super::Core;
use super::cold::Phase;
use super::control::Control;
use super::stash::Held;
use crate::actor::{Signal, StopReason};
use crate::address::Address;

/// Most actors that one actor watches, and most watchers of one actor. A watch beyond it is refused and counted.
pub(crate) const WATCH_LIMIT: usize = 65_536;

impl Core {
    /// `me` wants to know of the end of `actor`.
    pub(crate) fn watch(&mut self, me: u64, actor: Address) {
        let Some(cold) = self.slots.cold_mut(me) else { return };
        if cold.watching.contains(&actor) {
            return;
        }
        if cold.watching.len() >= WATCH_LIMIT {
            self.counters.watches_refused += 1;
            return;
        }
        cold.watching.push(actor);
        let watcher = self.address_of(me);
        self.send_control(actor, Control::Watch { me: actor.words().1, watcher });
    }

    /// `me` no longer wants to know of the end of `actor`.
    pub(crate) fn unwatch(&mut self, me: u64, actor: Address) {
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        let before = cold.watching.len();
        cold.watching.retain(|watched| *watched != actor);
        if cold.watching.len() < before {
            let watcher = self.address_of(me);
            self.send_control(actor, Control::Unwatch { me: actor.words().1, watcher });
        }
    }

    /// Someone wants to know of the end of the actor `me` of this core.
    pub(crate) fn watched(&mut self, me: u64, watcher: Address) {
        let actor = self.address_of(me);
        match self.slots.cold_mut(me) {
            Some(cold) if cold.watchers.len() >= WATCH_LIMIT => self.counters.watches_refused += 1,
            Some(cold) => {
                if !cold.watchers.contains(&watcher) {
                    cold.watchers.push(watcher);
                    if watcher.node() != actor.node() {
                        self.peers.note_watcher(me, watcher);
                    }
                }
            }
            None => {
                let reason = StopReason::NoActor;
                let control = Control::Terminated { me: watcher.words().1, actor, reason };
                self.send_control(watcher, control);
            }
        }
    }

    /// Someone no longer wants to know.
    pub(crate) fn unwatched(&mut self, me: u64, watcher: Address) {
        if let Some(cold) = self.slots.cold_if_any(me) {
            cold.watchers.retain(|other| *other != watcher);
        }
    }

    /// An actor that `me` watches is gone.
    pub(crate) fn terminated(&mut self, me: u64, actor: Address, reason: StopReason) {
        let Some(cold) = self.slots.cold_if_any(me) else { return };
        if matches!(cold.phase, Phase::Suspended | Phase::Restarting) {
            // Still watched until it is told, so that it can change its mind before.
            return cold.stash.hold_back(Held::Terminated(actor, reason));
        }
        let before = cold.watching.len();
        cold.watching
            .retain(|watched| watched.words().1 != actor.words().1 || !same_place(*watched, actor));
        if cold.watching.len() < before {
            if actor.node() != self.node() {
                self.peers.forget_watch(me, actor);
            }
            self.deliver_signal(me, Signal::Terminated { actor, reason });
        }
    }
}

/// Whether both are on the same core; a port names the same actor.
fn same_place(a: Address, b: Address) -> bool {
    a.node() == b.node() && a.core() == b.core()
}
