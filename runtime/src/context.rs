//! What a turn may do: send, ask, spawn, watch, set timers, begin work.
//!
//! Everything done through a [`Context`] is part of the turn: it happens when the turn returns, and not at all
//! when the turn panics or ends in [`Next::Fault`]. Nothing here waits.

use std::any::TypeId;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rkyv::Archived;

use crate::actor::{Actor, Next, Port, Signal, SpawnFailure, StopReason};
use crate::address::{ActorRef, Address, LocalRef, PORT_REPLY};
use crate::core::asks::AskError;
use crate::core::cell::NO_SLOT;
use crate::core::cold::Phase;
use crate::core::control::Control;
use crate::core::dead_letters::DeadLetter;
use crate::core::dispatch::{self, Continuation};
use crate::core::names::{FindName, LookupError, NameFound, names_of};
use crate::core::schedule::{TimerChange, TimerKey, nanoseconds};
use crate::core::send::{TellError, stored_local};
use crate::core::shared::Shared;
use crate::core::supervision::{OnFailure, Supervised};
use crate::core::tasks::{Job, Task};
use crate::core::turn::{Effect, NameChange};
use crate::core::{Core, PLACE_MASK};
use crate::frame::foreign::MessageInfo;
use crate::message::{EnclosedView, LocalMessage, Message};

/// The running turn of an actor of type `A`.
pub struct Context<'a, A: Actor> {
    core: &'a mut Core,
    me: u64,
    actor: PhantomData<fn(A)>,
}

impl<'a, A: Actor> Context<'a, A> {
    #[inline(always)]
    pub(crate) fn new(core: &'a mut Core, me: u64) -> Self {
        Context { core, me, actor: PhantomData }
    }

    /// The actor whose turn this is, and its core.
    pub(crate) fn parts(&mut self) -> (u64, &mut Core) {
        (self.me, self.core)
    }

    /// From the end of this turn on, the actor is suspended until this slot's turn.
    pub(crate) fn suspend_for_slot(&mut self, slot: u32, generation: u32) {
        self.core.effect(Effect::Suspend { me: self.me, slot, generation });
    }

    /// What extensions have left on this core.
    #[inline]
    pub(crate) fn shared_table(&self) -> &Shared {
        &self.core.shared
    }

    /// The reference to this actor.
    #[inline]
    pub fn me(&self) -> ActorRef<A::Message> {
        ActorRef::from_words(self.core.place, self.me)
    }

    /// The reference to this actor for messages with local payloads.
    #[inline]
    pub fn me_local(&self) -> LocalRef<A::Message> {
        LocalRef::from_words(self.core.place, self.me)
    }

    /// The reference to another protocol of this actor. Past the limit of 4,096 pairs of actor and message types
    /// on one core the reference leads nowhere, and what is sent to it is a dead letter.
    pub fn port<M: LocalMessage>(&mut self) -> ActorRef<M>
    where
        A: Port<M>,
    {
        let (actor, message) = (TypeId::of::<A>(), TypeId::of::<M>());
        let info = MessageInfo::of::<M>();
        let number = self.core.ports.number(actor, message, dispatch::port::<A, M>, info);
        match number {
            Some(number) => ActorRef::from_words(self.core.place | (number as u64) << 48, self.me),
            None => ActorRef::from_words(self.core.place, u64::MAX),
        }
    }

    /// The reference for messages with local payloads, if `actor` lives on this node.
    pub fn local<M: LocalMessage>(&self, actor: ActorRef<M>) -> Option<LocalRef<M>> {
        let (to, me) = actor.words();
        (actor.node() == self.core.node()).then(|| LocalRef::from_words(to, me))
    }

    /// Sends a message. What cannot be sent becomes a counted dead letter; [`Context::try_tell`] says so instead.
    #[inline(always)]
    pub fn tell<M: Message>(&mut self, to: ActorRef<M>, message: &M) {
        if let Err(error) = self.core.send(to, message) {
            self.core.tell_failed(to.address(), error);
        }
    }

    /// Sends a message, or says why not.
    ///
    /// # Errors
    /// [`TellError`]; nothing was sent and the turn goes on.
    #[inline(always)]
    pub fn try_tell<M: Message>(&mut self, to: ActorRef<M>, message: &M) -> Result<(), TellError> {
        let sent = self.core.send(to, message);
        if sent.is_err() {
            self.core.counters.refused_sends += 1;
        }
        sent
    }

    /// Sends on what another message has carried. What cannot be sent becomes a counted dead letter.
    pub fn tell_enclosed<M: Message>(&mut self, to: ActorRef<M>, message: EnclosedView<'_, M>) {
        if let Err(error) = self.core.send_enclosed(to, message) {
            self.core.tell_failed(to.address(), error);
        }
    }

    /// Sends on what another message has carried, or says why not.
    ///
    /// # Errors
    /// [`TellError`]; nothing was sent and the turn goes on.
    pub fn try_tell_enclosed<M: Message>(
        &mut self,
        to: ActorRef<M>,
        message: EnclosedView<'_, M>,
    ) -> Result<(), TellError> {
        let sent = self.core.send_enclosed(to, message);
        if sent.is_err() {
            self.core.counters.refused_sends += 1;
        }
        sent
    }

    /// Sends a message that may hold local payloads to an actor of this node. What cannot be sent becomes a counted
    /// dead letter.
    pub fn tell_local<M: LocalMessage>(&mut self, to: LocalRef<M>, message: &M) {
        if let Err(error) = self.core.send_local(to, message) {
            self.core.tell_failed(to.address(), error);
        }
    }

    /// Asks a question whose answer comes back as a turn: `request` gets the address for the answer, and `then` is
    /// called with the answer, or with why there is none when `deadline` has passed. Other messages are handled
    /// meanwhile, unless [`Asked::exclusive`] is called. `then` is a method, or a closure that captures nothing.
    #[inline]
    pub fn ask<M, R, F>(
        &mut self,
        to: ActorRef<M>,
        request: impl FnOnce(ActorRef<R>) -> M,
        deadline: Duration,
        _then: F,
    ) -> Asked<'_>
    where
        M: Message,
        R: LocalMessage,
        F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<R>, AskError>) -> Next<A>
            + Copy
            + 'static,
    {
        let me = self.me;
        let continuation = Continuation::of::<A, R, F>();
        let deadline_ns = self.core.now_ns.saturating_add(nanoseconds(deadline));
        let Some((slot, generation)) = self.core.open_ask(me, continuation, deadline_ns) else {
            self.core.counters.asks_refused += 1;
            self.core.refuse_ask(me, continuation, AskError::TooMany);
            return Asked { core: self.core, me, ask: None };
        };
        let reply_to = ActorRef::from_words(
            self.core.place | (PORT_REPLY as u64) << 48,
            slot as u64 | (generation as u64) << 32,
        );
        if let Err(error) = self.core.send(to, &request(reply_to)) {
            self.core.close_ask(slot, generation);
            self.core.tell_failed(to.address(), error);
            self.core.refuse_ask(me, continuation, AskError::Full);
            return Asked { core: self.core, me, ask: None };
        }
        Asked { core: self.core, me, ask: Some((slot, generation)) }
    }

    /// Prepares a child made by `factory`; [`Spawn::start`] makes it. The factory is called at once, and again for
    /// each restart if [`Spawn::on_failure`] asks for any.
    pub fn spawn<B, F>(&mut self, factory: F) -> Spawn<'_, B, F>
    where
        B: Actor,
        F: FnMut() -> B + 'static,
    {
        Spawn {
            core: self.core,
            parent: self.me as u32,
            factory,
            on_failure: OnFailure::Stop,
            name: None,
            actor: PhantomData,
        }
    }

    /// Makes a child from a value. It stops when it fails.
    ///
    /// # Errors
    /// [`SpawnError`] gives the value back when the core has as many actors as its limit allows.
    #[inline]
    pub fn spawn_value<B: Actor>(&mut self, actor: B) -> Result<ActorRef<B::Message>, SpawnError> {
        self.core.spawn(actor, self.me as u32)
    }

    /// Makes an actor on another core. `factory` runs there; `then` is called here with its reference. The actor
    /// has no policy: it stops when it fails, and when this actor stops or restarts. If it cannot be made, this
    /// actor gets [`Signal::SpawnFailed`].
    pub fn spawn_on<B, F, H>(&mut self, core: u16, factory: F, then: H)
    where
        B: Actor,
        F: FnOnce() -> B + Send + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, ActorRef<B::Message>) -> Next<A> + Send + 'static,
    {
        self.core.spawn_elsewhere::<A, B, F, H>(self.me, core, factory, then);
    }

    /// Stops an actor: children first, then itself. Messages that it has not handled become dead letters.
    pub fn stop<M: ?Sized>(&mut self, actor: ActorRef<M>) {
        self.stop_address(actor.address());
    }

    /// Stops an actor when it has handled everything that this actor has sent to it before: an order among its
    /// messages, where [`Context::stop`] overtakes them. What it holds or stashes meanwhile is handled as well, as far
    /// as its behaviour takes it.
    ///
    /// # Errors
    /// [`TellError`]; nothing was sent and the turn goes on.
    pub fn stop_in_turn<M: ?Sized>(&mut self, actor: ActorRef<M>) -> Result<(), TellError> {
        self.core.send_stop(actor.address())
    }

    /// As [`Context::stop`], for an address without a type.
    pub fn stop_address(&mut self, actor: Address) {
        if actor.port() == PORT_REPLY {
            // It names a question that waits for its answer, not an actor.
            return;
        }
        let control = Control::Stop { me: actor.words().1, reason: StopReason::Stopped };
        self.core.effect(Effect::Control { to: actor, control: Box::new(control) });
    }

    /// Asks for [`Signal::Terminated`] when the actor is gone: once, also if it
    /// is gone already.
    pub fn watch<M: ?Sized>(&mut self, actor: ActorRef<M>) {
        self.core.effect(Effect::Watch { me: self.me, actor: actor_of(actor.address()) });
    }

    /// As [`Context::watch`], for an address without a type.
    pub fn watch_address(&mut self, actor: Address) {
        self.core.effect(Effect::Watch { me: self.me, actor: actor_of(actor) });
    }

    /// No longer asks for it. A signal that is on its way is dropped.
    pub fn unwatch<M: ?Sized>(&mut self, actor: ActorRef<M>) {
        self.core.effect(Effect::Unwatch { me: self.me, actor: actor_of(actor.address()) });
    }

    /// A timer of this actor by its key: a word, or a number. Setting it again replaces it.
    pub fn timer(&mut self, key: impl Into<TimerKey>) -> Timer<'_, A> {
        Timer { core: self.core, me: self.me, key: key.into(), actor: PhantomData }
    }

    /// The timer that a change of behaviour cancels.
    pub fn state_timer(&mut self) -> Timer<'_, A> {
        self.timer(TimerKey::State)
    }

    /// From now on the actor gets `message` whenever no other message came for `after`.
    pub fn receive_timeout(&mut self, after: Duration, message: &A::Message)
    where
        A::Message: Message,
    {
        let after_ns = nanoseconds(after).max(1);
        match stored_local(self.core.place, self.me, message, self.core.limits.message_bytes) {
            Ok(frame) => {
                let change = TimerChange::ReceiveTimeout { after: Some((after_ns, frame)) };
                self.core.change_timer(self.me, change);
            }
            Err(error) => self.core.tell_failed(self.me().address(), error),
        }
    }

    /// Ends what [`Context::receive_timeout`] began.
    pub fn cancel_receive_timeout(&mut self) {
        self.core.change_timer(self.me, TimerChange::ReceiveTimeout { after: None });
    }

    /// Runs a future on this core; `then` is called with its result, unless the actor is gone or was restarted. If it
    /// cannot be run or panics, the actor gets [`Signal::TaskFailed`].
    pub fn pipe<T, F, H>(&mut self, future: F, then: H)
    where
        T: 'static,
        F: Future<Output = T> + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, T) -> Next<A> + 'static,
    {
        let task = Task::new::<A, T, F, H>(self.core, self.me, future, then);
        self.core.effect(Effect::Task(Box::new(task)));
    }

    /// Runs a blocking call on a thread of its own pool; `then` is called with its result, as for [`Context::pipe`].
    pub fn blocking<T, W, H>(&mut self, work: W, then: H)
    where
        T: Send + 'static,
        W: FnOnce() -> T + Send + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, T) -> Next<A> + Send + 'static,
    {
        let job = Job::new::<A, T, W, H>(self.core, self.me, work, then);
        self.core.effect(Effect::Job(Box::new(job)));
    }

    /// Asks for a name on this node. If it is taken, the actor gets
    /// [`Signal::NameTaken`]; it loses the name when it stops.
    pub fn register(&mut self, name: impl Into<String>) {
        let fingerprint = <A::Message as crate::message::Schema>::FINGERPRINT;
        let change = NameChange::Register { name: name.into(), fingerprint };
        self.core.effect(Effect::Name { me: self.me, change: Box::new(change) });
    }

    /// Gives a name up.
    pub fn unregister(&mut self, name: impl Into<String>) {
        let change = NameChange::Unregister { name: name.into() };
        self.core.effect(Effect::Name { me: self.me, change: Box::new(change) });
    }

    /// Asks to be told of the holder of a name, now and whenever it changes.
    pub fn subscribe_name(&mut self, name: impl Into<String>) {
        let change = NameChange::Subscribe { name: name.into() };
        self.core.effect(Effect::Name { me: self.me, change: Box::new(change) });
    }

    /// Asks another node, by its incarnation, who has a name there: `then` is called with the answer, as for
    /// [`Context::ask`]. The node decides, so the answer is as old as its way here; a name that is taken later is found
    /// by asking again.
    pub fn lookup_on<F>(
        &mut self,
        node: u32,
        name: impl Into<String>,
        deadline: Duration,
        then: F,
    ) -> Asked<'_>
    where
        F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<NameFound>, AskError>) -> Next<A>
            + Copy
            + 'static,
    {
        let name = name.into();
        self.ask(names_of(node), |reply_to| FindName { name, reply_to }, deadline, then)
    }

    /// The actor with this name on this node, as far as this core knows.
    ///
    /// # Errors
    /// [`LookupError`] when there is none, or when it takes other messages.
    pub fn lookup<M: LocalMessage>(&self, name: &str) -> Result<ActorRef<M>, LookupError> {
        self.core.lookup(name)
    }

    /// From now on this actor gets a [`DeadLetter`] for each message that a core of this node could not deliver.
    pub fn subscribe_dead_letters(&mut self)
    where
        A: Port<DeadLetter>,
    {
        let subscriber = self.port::<DeadLetter>();
        for core in 0..self.core.cores() {
            let to = Address::from_words(
                (self.core.place & u64::from(u32::MAX)) | (core as u64) << 32,
                0,
            );
            let control = Control::SubscribeDeadLetters(subscriber);
            self.core.effect(Effect::Control { to, control: Box::new(control) });
        }
    }

    /// Time of the core, in nanoseconds since a fixed point. It is taken once per sweep and every 64 turns.
    #[inline]
    pub fn now_ns(&self) -> u64 {
        self.core.now_ns
    }

    /// A random number of the core's own sequence; in a simulation it follows from the seed.
    pub fn random(&mut self) -> u64 {
        self.core.random()
    }

    /// The number of the core that this turn runs on.
    #[inline]
    pub fn core(&self) -> u16 {
        self.core.index()
    }

    /// Cores of this node.
    pub fn cores(&self) -> u16 {
        self.core.cores()
    }

    /// Living children of this actor on this core, newest first.
    pub fn children(&self) -> Vec<Address> {
        self.core.slots.children(self.me as u32).map(|me| self.core.address_of(me)).collect()
    }

    /// The parent of this actor, if another actor spawned it.
    pub fn parent(&self) -> Option<Address> {
        self.core.slots.parent(self.me).map(|me| self.core.address_of(me))
    }
}

/// The actor that an address names, whatever the port.
fn actor_of(address: Address) -> Address {
    let (to, me) = address.words();
    Address::from_words(to & PLACE_MASK, me)
}

/// An ask that was just made.
pub struct Asked<'a> {
    core: &'a mut Core,
    me: u64,
    ask: Option<(u32, u32)>,
}

impl Asked<'_> {
    /// Until the answer has come, the actor handles nothing else: messages wait in its stash.
    pub fn exclusive(self) {
        if let Some((slot, generation)) = self.ask {
            self.core.effect(Effect::Suspend { me: self.me, slot, generation });
        }
    }
}

/// A timer of an actor, by its key.
#[must_use = "a timer is set by `after` or `every`"]
pub struct Timer<'a, A: Actor> {
    core: &'a mut Core,
    me: u64,
    key: TimerKey,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Timer<'_, A>
where
    A::Message: Message,
{
    /// Sends the actor `message` once, `pause` from now.
    pub fn after(self, pause: Duration, message: &A::Message) {
        self.set(pause, None, message);
    }

    /// Sends the actor `message` again and again, at a fixed rate. Deadlines that pass while the core is busy are
    /// skipped.
    pub fn every(self, period: Duration, message: &A::Message) {
        self.set(period, Some(nanoseconds(period).max(1)), message);
    }

    fn set(self, pause: Duration, period_ns: Option<u64>, message: &A::Message) {
        let after_ns = nanoseconds(pause);
        match stored_local(self.core.place, self.me, message, self.core.limits.message_bytes) {
            Ok(frame) => {
                let change = TimerChange::Set { key: self.key, after_ns, period_ns, frame };
                self.core.change_timer(self.me, change);
            }
            Err(error) => {
                let address = self.core.address_of(self.me);
                self.core.tell_failed(address, error);
            }
        }
    }
}

impl<A: Actor> Timer<'_, A> {
    /// The timer does not fire, also if it is due already.
    pub fn cancel(self) {
        self.core.change_timer(self.me, TimerChange::Cancel { key: self.key });
    }

    /// Whether the timer is set, as of before this turn.
    pub fn is_set(&self) -> bool {
        self.core.slots.cold(self.me).is_some_and(|cold| cold.timers.contains_key(&self.key))
    }
}

/// A core has as many actors as its limit allows. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the core has {limit} actors, as many as limits.actors allows")]
pub struct SpawnError {
    /// The limit that was reached.
    pub limit: usize,
}

/// A child that is being prepared.
#[must_use = "the child is made by `start`"]
pub struct Spawn<'a, B: Actor, F> {
    core: &'a mut Core,
    parent: u32,
    factory: F,
    on_failure: OnFailure,
    name: Option<String>,
    actor: PhantomData<fn(B)>,
}

impl<'a, B: Actor, F: FnMut() -> B + 'static> Spawn<'a, B, F> {
    pub(crate) fn top_level(core: &'a mut Core, factory: F) -> Self {
        Spawn {
            core,
            parent: NO_SLOT,
            factory,
            on_failure: OnFailure::Stop,
            name: None,
            actor: PhantomData,
        }
    }

    /// What is done when the child fails. Without it, the child stops.
    pub fn on_failure(mut self, policy: impl Into<OnFailure>) -> Self {
        self.on_failure = policy.into();
        self
    }

    /// Asks for a name for the child: see [`Context::register`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Makes the child. When the core has as many actors as its limit allows, the reference leads nowhere, and
    /// what is sent to it is a dead letter; [`Spawn::try_start`] says so instead.
    pub fn start(self) -> ActorRef<B::Message> {
        let place = self.core.place;
        self.try_start().unwrap_or_else(|_| ActorRef::from_words(place, u64::MAX))
    }

    /// Makes the child, or says why not.
    ///
    /// # Errors
    /// [`SpawnError`] at the limit of actors.
    pub fn try_start(mut self) -> Result<ActorRef<B::Message>, SpawnError> {
        let actor = (self.factory)();
        let made = self.core.spawn(actor, self.parent)?;
        let (_, me) = made.words();
        if self.on_failure != OnFailure::Stop {
            let mut factory = self.factory;
            let rebuild = Box::new(move |core: &mut Core, me: u64| core.rebuild(me, factory()));
            if let Some(cold) = self.core.slots.cold_mut(me) {
                cold.supervised = Some(Box::new(Supervised::new(self.on_failure, rebuild)));
            }
        }
        if let Some(name) = self.name {
            let fingerprint = <B::Message as crate::message::Schema>::FINGERPRINT;
            let change = NameChange::Register { name, fingerprint };
            self.core.effect(Effect::Name { me, change: Box::new(change) });
        }
        Ok(made)
    }
}

impl Core {
    /// Makes an actor as part of the running turn.
    #[inline]
    pub(crate) fn spawn<B: Actor>(
        &mut self,
        actor: B,
        parent: u32,
    ) -> Result<ActorRef<B::Message>, SpawnError> {
        match self.slots.insert(actor, parent) {
            Ok(me) => {
                self.counters.spawned += 1;
                self.effect(Effect::Spawned { me });
                Ok(ActorRef::from_words(self.place, me))
            }
            Err(full) => {
                self.counters.spawns_refused += 1;
                Err(SpawnError { limit: full.limit })
            }
        }
    }

    fn spawn_elsewhere<A, B, F, H>(&mut self, me: u64, core: u16, factory: F, then: H)
    where
        A: Actor,
        B: Actor,
        F: FnOnce() -> B + Send + 'static,
        H: FnOnce(&mut A, &mut Context<'_, A>, ActorRef<B::Message>) -> Next<A> + Send + 'static,
    {
        let home = self.index();
        let life = self.life_of(me);
        if core >= self.cores() {
            return self.effect(Effect::Work(Box::new(move |core: &mut Core| {
                core.not_adopted::<B>(me, life, SpawnFailure::NoCore);
            })));
        }
        let there: crate::core::control::Parcel = Box::new(move |other: &mut Core| {
            let made = other.spawn_for_another(factory);
            let back: crate::core::control::Parcel = Box::new(move |core: &mut Core| match made {
                Ok(actor) => core.adopted::<A, B, H>(me, life, actor, then),
                Err(reason) => core.not_adopted::<B>(me, life, reason),
            });
            other.send_parcel(home, Box::new(back));
        });
        self.effect(match core == home {
            true => Effect::Work(there),
            false => Effect::Parcel { core, parcel: Box::new(there) },
        });
    }

    /// Makes an actor that another core asked for. Its factory is the user's code: it may panic.
    fn spawn_for_another<B: Actor>(
        &mut self,
        factory: impl FnOnce() -> B,
    ) -> Result<ActorRef<B::Message>, SpawnFailure> {
        let Ok(actor) = catch_unwind(AssertUnwindSafe(factory)) else {
            return Err(SpawnFailure::Panicked);
        };
        let made = self.spawn(actor, NO_SLOT);
        self.commit_turn();
        made.map_err(|SpawnError { limit }| SpawnFailure::Full { limit })
    }

    /// An actor that was wanted on another core has been made.
    fn adopted<A, B, H>(&mut self, me: u64, life: u32, actor: ActorRef<B::Message>, then: H)
    where
        A: Actor,
        B: Actor,
        H: FnOnce(&mut A, &mut Context<'_, A>, ActorRef<B::Message>) -> Next<A> + Send + 'static,
    {
        let stopping = self.slots.cold(me).is_some_and(|cold| cold.phase == Phase::Stopping);
        if stopping || self.life_of(me) != life {
            // The one who wanted it is gone.
            let control = Control::Stop { me: actor.words().1, reason: StopReason::Stopped };
            return self.send_control(actor.address(), control);
        }
        if let Some(cold) = self.slots.cold_mut(me) {
            cold.wards.push(actor.address());
        }
        self.in_its_turn(me, life, move |core| {
            core.turn_with::<A>(me, |state, ctx| then(state, ctx, actor));
        });
    }

    /// An actor that was wanted on another core has not been made.
    fn not_adopted<B: Actor>(&mut self, me: u64, life: u32, reason: SpawnFailure) {
        if self.life_of(me) == life {
            let actor = std::any::type_name::<B>();
            self.deliver_signal(me, Signal::SpawnFailed { actor, reason });
        }
    }

    /// The asker learns in a turn of its own, after this one, that nothing was sent.
    #[cold]
    fn refuse_ask(&mut self, me: u64, continuation: Continuation, error: AskError) {
        self.effect(Effect::AskRefused { me, continuation, error });
    }
}
