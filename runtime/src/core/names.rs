//! Names: actors found by a name, the same on every core of the node.
//!
//! Core 0 decides who has a name; every core keeps a copy of the table and learns of changes by its control lane,
//! so a lookup is a look at the core's own memory. Until the news has come a lookup may miss a new name or give an
//! actor that is gone, which then is a dead letter, never another actor.
//!
//! Invariants: a name has at most one holder in core 0's table; whoever lost the race for a name is told so.

use std::collections::BTreeMap;

use super::Core;
use super::control::Control;
use super::turn::NameChange;
use crate::actor::Signal;
use crate::address::{ActorRef, Address, PORT_NAMES};
use crate::message::LocalMessage;

/// Most names of one node, and most subscriptions of one core.
pub(crate) const NAMES_LIMIT: usize = 1 << 20;

/// The core that decides who has a name.
const ARBITER: u16 = 0;

/// Why a name gave no actor. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No actor has this name, as far as this core knows.
    #[error("no actor has the name {name:?}; subscribe to it to learn when one does")]
    Unknown {
        /// The name that was looked up.
        name: String,
    },
    /// The actor with this name takes messages of another type.
    #[error("the actor {name:?} does not take messages of type {wanted}")]
    WrongType {
        /// The name that was looked up.
        name: String,
        /// The type that was asked for.
        wanted: &'static str,
    },
}

/// Asks a node who has a name there: see [`Context::lookup_on`](crate::Context::lookup_on).
#[crate::message(name = "mainspring.find_name")]
#[derive(Debug)]
pub(crate) struct FindName {
    pub name: String,
    pub reply_to: ActorRef<NameFound>,
}

/// Stands for whatever type of message the holder of a name takes.
#[crate::message(name = "mainspring.anything")]
pub(crate) struct Anything;

/// Who has a name on a node, as far as the core that answered knows.
#[crate::message(name = "mainspring.name_found")]
#[derive(Debug)]
pub struct NameFound {
    name: String,
    holder: Option<ActorRef<Anything>>,
    fingerprint: u64,
}

impl NameFound {
    /// The actor that has the name.
    ///
    /// # Errors
    /// [`LookupError`] when there is none, or when it takes other messages.
    pub fn actor<M: LocalMessage>(&self) -> Result<ActorRef<M>, LookupError> {
        holder_of(&self.name, self.holder, self.fingerprint)
    }
}

impl ArchivedNameFound {
    /// As [`NameFound::actor`].
    ///
    /// # Errors
    /// As [`NameFound::actor`].
    pub fn actor<M: LocalMessage>(&self) -> Result<ActorRef<M>, LookupError> {
        let holder = self.holder.as_ref().copied();
        holder_of(self.name.as_str(), holder, self.fingerprint.to_native())
    }
}

fn holder_of<M: LocalMessage>(
    name: &str,
    holder: Option<ActorRef<Anything>>,
    fingerprint: u64,
) -> Result<ActorRef<M>, LookupError> {
    let Some(holder) = holder else { return Err(LookupError::Unknown { name: name.to_owned() }) };
    if fingerprint != M::FINGERPRINT {
        return Err(LookupError::WrongType { name: name.to_owned(), wanted: M::NAME });
    }
    let (to, me) = holder.words();
    Ok(ActorRef::from_words(to, me))
}

/// Where a node's names are asked for.
pub(crate) fn names_of(node: u32) -> ActorRef<FindName> {
    ActorRef::from_words(u64::from(node) | u64::from(PORT_NAMES) << 48, 0)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holder {
    actor: Address,
    fingerprint: u64,
}

/// News about a name between cores.
#[derive(Debug, Clone)]
pub(crate) enum NameNews {
    /// To the arbiter: this actor wants the name.
    Wanted { name: String, actor: Address, fingerprint: u64 },
    /// To the arbiter: this actor gives the name up.
    Released { name: String, actor: Address },
    /// To every core: the name has this holder.
    Held { name: String, actor: Address, fingerprint: u64 },
    /// To every core: the name has no holder.
    Free { name: String },
    /// To the core of an actor that did not get a name.
    Taken { name: String, me: u64, holder: Address },
}

/// One core's copy of the table of names.
#[derive(Default)]
pub(crate) struct Names {
    table: BTreeMap<String, Holder>,
    subscribers: BTreeMap<String, Vec<u64>>,
}

impl Core {
    /// The actor with this name.
    pub(crate) fn lookup<M: LocalMessage>(&self, name: &str) -> Result<ActorRef<M>, LookupError> {
        let Some(holder) = self.names.table.get(name) else {
            return Err(LookupError::Unknown { name: name.to_owned() });
        };
        if holder.fingerprint != M::FINGERPRINT {
            return Err(LookupError::WrongType { name: name.to_owned(), wanted: M::NAME });
        }
        let (to, me) = holder.actor.words();
        Ok(ActorRef::from_words(to, me))
    }

    /// Tells who asks, here or on another node, who has a name.
    pub(crate) fn answer_name(&mut self, question: &ArchivedFindName) {
        let holder = self.names.table.get(question.name.as_str());
        let found = NameFound {
            name: question.name.as_str().to_owned(),
            holder: holder.map(|holder| {
                let (to, me) = holder.actor.words();
                ActorRef::from_words(to, me)
            }),
            fingerprint: holder.map_or(0, |holder| holder.fingerprint),
        };
        let reply_to = question.reply_to;
        if let Err(error) = self.send(reply_to, &found) {
            self.tell_failed(reply_to.address(), error);
        }
        self.commit_turn();
    }

    pub(crate) fn change_name(&mut self, me: u64, change: NameChange) {
        let actor = self.address_of(me);
        match change {
            NameChange::Register { name, fingerprint } => {
                if let Some(cold) = self.slots.cold_mut(me) {
                    cold.names.push(name.clone());
                }
                self.tell_arbiter(NameNews::Wanted { name, actor, fingerprint });
            }
            NameChange::Unregister { name } => {
                if let Some(cold) = self.slots.cold_mut(me) {
                    cold.names.retain(|other| *other != name);
                }
                self.tell_arbiter(NameNews::Released { name, actor });
            }
            NameChange::Subscribe { name } => {
                if self.names.subscribers.len() >= NAMES_LIMIT {
                    self.counters.names_refused += 1;
                    return;
                }
                let known = self.names.table.get(&name).map(|holder| holder.actor);
                let subscribers = self.names.subscribers.entry(name.clone()).or_default();
                if !subscribers.contains(&me) {
                    subscribers.push(me);
                }
                if let Some(actor) = known {
                    let signal = Signal::Registered { name, actor };
                    self.control.push_back(Control::Signal { me, signal: Box::new(signal) });
                }
            }
        }
    }

    /// An actor is gone: its names are free.
    pub(crate) fn release_names(&mut self, me: u64, names: Vec<String>) {
        let actor = self.address_of(me);
        for name in names {
            self.tell_arbiter(NameNews::Released { name, actor });
        }
    }

    /// An actor is gone: its subscriptions end.
    pub(crate) fn forget_subscriptions(&mut self, me: u64) {
        if self.names.subscribers.is_empty() {
            return;
        }
        self.names.subscribers.retain(|_, subscribers| {
            subscribers.retain(|subscriber| *subscriber != me);
            !subscribers.is_empty()
        });
    }

    fn tell_arbiter(&mut self, news: NameNews) {
        if self.index() == ARBITER {
            self.name_news(news);
        } else {
            self.send_parcel(ARBITER, Box::new(Control::Name(Box::new(news))));
        }
    }

    fn tell_every_core(&mut self, news: NameNews) {
        for core in 0..self.cores() {
            if core != self.index() {
                self.send_parcel(core, Box::new(Control::Name(Box::new(news.clone()))));
            }
        }
        self.name_news(news);
    }

    pub(crate) fn name_news(&mut self, news: NameNews) {
        match news {
            NameNews::Wanted { name, actor, fingerprint } => self.decide(name, actor, fingerprint),
            NameNews::Released { name, actor } => {
                if self.names.table.get(&name).is_some_and(|holder| holder.actor == actor) {
                    self.tell_every_core(NameNews::Free { name });
                }
            }
            NameNews::Held { name, actor, fingerprint } => {
                self.names.table.insert(name.clone(), Holder { actor, fingerprint });
                self.tell_subscribers(&name, Signal::Registered { name: name.clone(), actor });
            }
            NameNews::Free { name } => {
                self.names.table.remove(&name);
                self.tell_subscribers(&name, Signal::Unregistered { name: name.clone() });
            }
            NameNews::Taken { name, me, holder } => {
                if let Some(cold) = self.slots.cold_mut(me) {
                    cold.names.retain(|other| *other != name);
                }
                self.deliver_signal(me, Signal::NameTaken { name, holder });
            }
        }
    }

    fn decide(&mut self, name: String, actor: Address, fingerprint: u64) {
        let holder = match self.names.table.get(&name) {
            Some(holder) if holder.actor != actor => holder.actor,
            None if self.names.table.len() >= NAMES_LIMIT => {
                self.counters.names_refused += 1;
                actor
            }
            _ => return self.tell_every_core(NameNews::Held { name, actor, fingerprint }),
        };
        let news = Control::Name(Box::new(NameNews::Taken { name, me: actor.words().1, holder }));
        self.send_control(actor, news);
    }

    fn tell_subscribers(&mut self, name: &str, signal: Signal) {
        let Some(subscribers) = self.names.subscribers.get(name) else { return };
        for me in subscribers.clone() {
            self.control.push_back(Control::Signal { me, signal: Box::new(signal.clone()) });
        }
    }
}
