//! What one turn did, for tests of a single behaviour.

use std::any::TypeId;
use std::time::Duration;

use rkyv::Archived;

use crate::actor::Actor;
use crate::address::{ActorRef, Address};
use crate::core::dispatch::Sent;
use crate::core::observe::{Did, Made, Outcome};
use crate::core::schedule::{TimerChange, TimerKey};
use crate::core::turn::{Effect, NameChange};
use crate::message::{LocalMessage, Reply, owned};

/// A timer that a turn set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerSet {
    /// Its key.
    pub key: TimerKey,
    /// When it fires first, from the turn on.
    pub after: Duration,
    /// How often it fires from then on.
    pub every: Option<Duration>,
}

/// Everything that a turn did: see [`Isolated`](super::Isolated).
///
/// If a message led to several turns (a change of behaviour that unstashed others), this is what they did together,
/// and the outcome is that of the first.
#[derive(Default)]
pub struct Effects {
    pub(super) outcome: Outcome,
    sent: Vec<Sent>,
    spawned: Vec<Made>,
    timers: Vec<TimerSet>,
    cancelled: Vec<TimerKey>,
    receive_timeout: Option<Option<Duration>>,
    watched: Vec<Address>,
    unwatched: Vec<Address>,
    stopped: Vec<Address>,
    registered: Vec<String>,
    unregistered: Vec<String>,
    asked: usize,
    exclusive: bool,
    work: usize,
}

impl Effects {
    /// How the turn ended.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Whether the turn did nothing that anyone else could notice. Its own state may have changed.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
            && self.spawned.is_empty()
            && self.timers.is_empty()
            && self.cancelled.is_empty()
            && self.receive_timeout.is_none()
            && self.watched.is_empty()
            && self.unwatched.is_empty()
            && self.stopped.is_empty()
            && self.registered.is_empty()
            && self.unregistered.is_empty()
            && self.work == 0
    }

    /// The messages that were sent to this receiver, in order.
    pub fn sent_to<M: Reply>(&self, receiver: ActorRef<M>) -> Vec<M> {
        let mut messages = Vec::new();
        self.each_sent_to(receiver, |message| messages.extend(owned::<M>(message)));
        messages
    }

    /// Shows the messages that were sent to this receiver, in order, as the receiver would see them.
    pub fn each_sent_to<M: LocalMessage>(
        &self,
        receiver: ActorRef<M>,
        see: impl FnMut(&Archived<M>),
    ) {
        self.sent.iter().filter_map(|sent| sent.message_for(receiver)).for_each(see);
    }

    /// The receivers of all messages, in the order of sending.
    pub fn receivers(&self) -> Vec<Address> {
        self.sent.iter().map(Sent::to).collect()
    }

    /// The children of this type that were made, in order.
    pub fn spawned<B: Actor>(&self) -> Vec<ActorRef<B::Message>> {
        let of_this_type = self.spawned.iter().filter(|made| made.type_id == TypeId::of::<B>());
        of_this_type
            .map(|made| {
                let (to, me) = made.address.words();
                ActorRef::from_words(to, me)
            })
            .collect()
    }

    /// Children of all types that were made.
    pub fn spawned_count(&self) -> usize {
        self.spawned.len()
    }

    /// Timers that were set, in order.
    pub fn timers(&self) -> &[TimerSet] {
        &self.timers
    }

    /// Timers that were cancelled, in order.
    pub fn cancelled(&self) -> &[TimerKey] {
        &self.cancelled
    }

    /// `Some(Some(..))` if a receive timeout was set, `Some(None)` if it was ended.
    pub fn receive_timeout(&self) -> Option<Option<Duration>> {
        self.receive_timeout
    }

    /// Actors that it began to watch, in order.
    pub fn watched(&self) -> &[Address] {
        &self.watched
    }

    /// Actors that it ceased to watch, in order.
    pub fn unwatched(&self) -> &[Address] {
        &self.unwatched
    }

    /// Actors that it asked to stop, in order.
    pub fn stopped(&self) -> &[Address] {
        &self.stopped
    }

    /// Names that it asked for, in order.
    pub fn registered(&self) -> &[String] {
        &self.registered
    }

    /// Names that it gave up, in order.
    pub fn unregistered(&self) -> &[String] {
        &self.unregistered
    }

    /// Asks that it made. Their requests are among the messages sent, and hold the address for the answer.
    pub fn asked(&self) -> usize {
        self.asked
    }

    /// Whether one of the asks is exclusive: the actor handles nothing until it is answered.
    pub fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// Futures and blocking calls that it began. They are not run.
    pub fn work_begun(&self) -> usize {
        self.work
    }

    /// What a turn did that returned.
    pub(super) fn of(did: Did<'_>) -> Self {
        let mut effects = Effects {
            outcome: Outcome::Same,
            sent: did.sent,
            spawned: did.spawned,
            asked: did.asked,
            ..Effects::default()
        };
        did.effects.iter().for_each(|effect| effects.add(effect));
        effects
    }

    /// A turn that did nothing.
    pub(super) fn none(outcome: Outcome) -> Self {
        Effects { outcome, ..Effects::default() }
    }

    /// What a later turn did, which the same event led to.
    pub(super) fn merge(&mut self, later: Effects) {
        self.sent.extend(later.sent);
        self.spawned.extend(later.spawned);
        self.timers.extend(later.timers);
        self.cancelled.extend(later.cancelled);
        self.receive_timeout = later.receive_timeout.or(self.receive_timeout);
        self.watched.extend(later.watched);
        self.unwatched.extend(later.unwatched);
        self.stopped.extend(later.stopped);
        self.registered.extend(later.registered);
        self.unregistered.extend(later.unregistered);
        self.asked += later.asked;
        self.exclusive |= later.exclusive;
        self.work += later.work;
    }

    fn add(&mut self, effect: &Effect) {
        match effect {
            Effect::Spawned { .. } | Effect::Enlisted(_) => {}
            Effect::Timer { change, .. } => self.add_timer(change),
            Effect::Suspend { .. } => self.exclusive = true,
            Effect::Control { to, control } if control.is_stop() => self.stopped.push(*to),
            Effect::Watch { actor, .. } => self.watched.push(*actor),
            Effect::Unwatch { actor, .. } => self.unwatched.push(*actor),
            Effect::Task(_) | Effect::Job(_) | Effect::Parcel { .. } | Effect::Work(_) => {
                self.work += 1;
            }
            Effect::Name { change, .. } => match &**change {
                NameChange::Register { name, .. } => self.registered.push(name.clone()),
                NameChange::Unregister { name } => self.unregistered.push(name.clone()),
                NameChange::Subscribe { .. } => self.work += 1,
            },
            Effect::Control { .. } | Effect::AskRefused { .. } => self.work += 1,
        }
    }

    fn add_timer(&mut self, change: &TimerChange) {
        match change {
            TimerChange::Set { key, after_ns, period_ns, .. } => self.timers.push(TimerSet {
                key: *key,
                after: Duration::from_nanos(*after_ns),
                every: period_ns.map(Duration::from_nanos),
            }),
            TimerChange::Cancel { key } => self.cancelled.push(*key),
            TimerChange::ReceiveTimeout { after } => {
                let after = after.as_ref().map(|(after_ns, _)| Duration::from_nanos(*after_ns));
                self.receive_timeout = Some(after);
            }
        }
    }
}
