//! The rarely used part of an actor: made when it first needs one, and not loaded by a dispatch.

use std::collections::BTreeMap;

use super::schedule::{KeyedTimer, ReceiveTimeout, TimerKey};
use super::stash::Stash;
use super::supervision::Supervised;
use crate::address::Address;

/// What an actor is doing, as far as its messages are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Takes messages.
    #[default]
    Running,
    /// Waits for the answer of an exclusive ask: messages are held.
    Suspended,
    /// Has failed and waits for its next life: messages are held.
    Restarting,
    /// Waits for its children to stop: messages are dead letters.
    Stopping,
}

/// See the module's header.
#[derive(Default)]
pub(crate) struct Cold {
    pub phase: Phase,
    /// The state was dropped and not yet made anew.
    pub vacant: bool,
    /// Reason that watchers will be told.
    pub stop_reason: Option<crate::actor::StopReason>,
    /// The ask slot and generation for whose answer the actor is suspended.
    pub awaited: Option<(u32, u32)>,
    pub stash: Stash,
    pub timers: BTreeMap<TimerKey, KeyedTimer>,
    /// Which of them a timer of the wheel is, by its number.
    pub timer_keys: BTreeMap<u32, TimerKey>,
    pub receive_timeout: Option<ReceiveTimeout>,
    pub last_message_ns: u64,
    pub watchers: Vec<Address>,
    pub watching: Vec<Address>,
    pub supervised: Option<Box<Supervised>>,
    pub names: Vec<String>,
    /// Actors on other cores that live no longer than this one.
    pub wards: Vec<Address>,
    /// Tells one life of the actor from the next, for work that was begun before a restart.
    pub life: u32,
}
