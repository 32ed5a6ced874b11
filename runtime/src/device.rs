//! Devices: what a core polls once per sweep beside its actors.
//!
//! The link to other nodes and the journal are devices: a state machine that decides, and a driver that does. The
//! simulator supplies other drivers for the same machines.
//!
//! An [`Extension`] puts devices onto the cores of a node. On each core it gets a [`Seat`]: there it leaves its
//! device, and what actors may find with [`Context::shared`](crate::Context::shared). An actor that waits for a
//! device leaves a [`Ticket`] with it; the device redeems the ticket when it is done, and that is a turn of the
//! actor.
//!
//! A device that waits for another one, or that passes on what actors of other cores wait for, leaves a ticket
//! [of its own](Ticket::for_shared): what is given for it goes to something that it has shared.
//!
//! Invariants: devices are polled between turns, never during one; a ticket is redeemed once, and only in the life of
//! the actor that gave it.

use std::error::Error;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::actor::{Actor, Next};
use crate::address::ActorRef;
use crate::context::{Context, SpawnError};
use crate::core::asks::TICKET_SLOT;
use crate::core::cell::NO_SLOT;
use crate::core::outbound::Wake;
use crate::core::turn::Effect;
pub use crate::core::turn_samples::{ObserveTurns, TURNS_A_SAMPLE, TurnSample};
use crate::core::{Core, PLACE_MASK};

/// Something polled once per sweep, after the actors' turns and before the flush.
pub trait Device {
    /// Does what is due, a bounded amount; how many things it did.
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize;

    /// Whether a poll would find something to do. Asked before the core sleeps.
    fn has_work(&mut self) -> bool {
        false
    }

    /// When it wants to be polled though nothing else happens, in nanoseconds of the core's clock.
    fn next_deadline_ns(&self) -> Option<u64> {
        None
    }

    /// Whether nothing that it was given is still under way. A node that shuts down waits for it.
    fn is_quiet(&self) -> bool {
        true
    }
}

/// What a device may do with its core while it is polled.
pub struct DeviceTurn<'a> {
    core: &'a mut Core,
}

impl<'a> DeviceTurn<'a> {
    pub(crate) fn new(core: &'a mut Core) -> Self {
        DeviceTurn { core }
    }

    pub(crate) fn core_ref(&self) -> &Core {
        self.core
    }

    pub(crate) fn core_mut(&mut self) -> &mut Core {
        self.core
    }

    /// Time of the core, in nanoseconds since a fixed point.
    pub fn now_ns(&self) -> u64 {
        self.core.now_ns
    }

    /// The core's number.
    pub fn core(&self) -> u16 {
        self.core.index()
    }

    /// Runs `turn` as a turn of an actor of this core, now: everything that holds of a turn holds of it. An actor that
    /// has not started does so before. Messages that were sent to it and not handled yet are handled after it.
    pub fn run<A: Actor>(
        &mut self,
        actor: ActorRef<A::Message>,
        turn: impl FnOnce(&mut A, &mut Context<'_, A>) -> Next<A>,
    ) -> TurnEnd {
        let (to, me) = actor.words();
        if to & PLACE_MASK != self.core.place & PLACE_MASK {
            return TurnEnd::Gone;
        }
        self.core.run_now(me, turn)
    }

    /// Calls `told` once the actor takes messages again, which may be at once: what to do about [`TurnEnd::Busy`]. It
    /// is dropped uncalled when the actor is gone or fails before. No actor has a turn meanwhile.
    pub fn when_free<M: ?Sized>(&mut self, actor: ActorRef<M>, told: impl FnOnce() + 'static) {
        if self.is_living(actor) {
            let (_, me) = actor.words();
            let life = self.core.life_of(me);
            self.core.in_its_turn(me, life, move |_| told());
        }
    }

    /// Whether an actor of this core lives. One that is stopping does, until it has stopped.
    pub fn is_living<M: ?Sized>(&self, actor: ActorRef<M>) -> bool {
        let (to, me) = actor.words();
        to & PLACE_MASK == self.core.place & PLACE_MASK && self.core.slots.find(me).is_some()
    }

    /// Whether an actor of this core waits for an answer, a ticket or its next life: [`run`](Self::run) would say
    /// [`TurnEnd::Busy`].
    pub fn is_busy<M: ?Sized>(&self, actor: ActorRef<M>) -> bool {
        let (_, me) = actor.words();
        self.is_living(actor) && self.core.is_busy(me)
    }

    /// Whether the node is shutting down: a device takes nothing new from outside, and is
    /// [quiet](Device::is_quiet) when what it has is done.
    pub fn is_shutting_down(&self) -> bool {
        self.core.shutting_down
    }

    /// Whether the actors of all cores have stopped, or had no more time for it: what a device has to say at the end of
    /// its node it says now, and is [quiet](Device::is_quiet) when it has said it.
    pub fn have_actors_stopped(&self) -> bool {
        self.core.actors_stopped
    }

    /// Gives what was waited for: a turn of the actor, now, or later when it is busy otherwise, or not at all when
    /// it is gone or has been restarted.
    pub fn redeem<T: 'static>(&mut self, ticket: Ticket<T>, value: T) {
        (ticket.redeem)(self.core, ticket.me, ticket.life, ticket.number, value);
    }
}

/// How a turn that a device asked for has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnEnd {
    /// It has returned, and what it did happens.
    Ran,
    /// It panicked or ended in [`Next::Fault`]: nothing that it did happens.
    Failed,
    /// There was no turn: the actor waits for an answer, a ticket or its next life.
    Busy,
    /// There was no turn: the actor is gone or stopping, lives elsewhere, or is of another type.
    Gone,
}

/// Something that a device shares with actors and that has its part in a turn: see [`Context::enlist`].
pub trait Enlisted {
    /// The turn returned: what was done in it stays.
    fn committed(&self);

    /// The turn failed: what was done in it is taken back.
    fn aborted(&self);
}

/// An actor's claim to a turn with a `T`. Whoever takes it redeems it, or lets it drop when the actor is not to be
/// told; an actor that [waits](Context::suspend_until) for a dropped ticket takes no messages until it is restarted.
#[must_use = "a ticket is redeemed, or its actor waits for ever"]
pub struct Ticket<T> {
    me: u64,
    life: u32,
    number: u32,
    redeem: fn(&mut Core, u64, u32, u32, T),
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("slot", &(self.me as u32))
            .field("number", &self.number)
            .finish()
    }
}

/// Something shared on a core that takes what tickets of its own are redeemed with: see [`Ticket::for_shared`].
pub trait TakesTickets<T>: 'static {
    /// The ticket with this key is redeemed. No actor has a turn meanwhile.
    fn redeemed(&self, key: u64, value: T);
}

impl<T: 'static> Ticket<T> {
    /// A ticket that no actor has given: its value goes to the `S` that is [shared](Seat::share) on the core that
    /// redeems it, and nowhere if there is none. The key tells it which ticket it was.
    pub fn for_shared<S: TakesTickets<T>>(key: u64) -> Self {
        Ticket { me: key, life: 0, number: 0, redeem: Core::redeem_for_shared::<S, T> }
    }
}

impl<A: Actor> Context<'_, A> {
    /// A ticket for a turn of this actor: `then` is called with what is given for it. `then` is a method, or a
    /// closure that captures nothing.
    pub fn ticket<T, F>(&mut self, _then: F) -> Ticket<T>
    where
        T: 'static,
        F: Fn(&mut A, &mut Context<'_, A>, T) -> Next<A> + Copy + 'static,
    {
        let (me, core) = self.parts();
        Ticket {
            me,
            life: core.life_of(me),
            number: core.next_ticket(),
            redeem: Core::redeem::<A, T, F>,
        }
    }

    /// From the end of this turn on, the actor takes no messages until the ticket is redeemed: they wait in its
    /// stash. A turn that ends with [`Next::Keep`] has its own message wait too, until it is known whether it was
    /// handled.
    pub fn suspend_until<T>(&mut self, ticket: &Ticket<T>) {
        self.suspend_for_slot(TICKET_SLOT, ticket.number);
    }

    /// Has `enlisted` told how this turn ends: once for each time that it was enlisted, and by exactly one of its
    /// methods. Neither may panic.
    pub fn enlist(&mut self, enlisted: Rc<dyn Enlisted>) {
        let (_, core) = self.parts();
        core.effect(Effect::Enlisted(enlisted));
    }

    /// What an extension has left on this core, by its type.
    pub fn shared<T: 'static>(&self) -> Option<Rc<T>> {
        self.shared_table().get_owned()
    }

    /// As [`Context::shared`], without a reference of one's own: for what is looked at with every message.
    #[inline]
    pub fn shared_ref<T: 'static>(&self) -> Option<&T> {
        self.shared_table().get()
    }
}

/// Something that belongs to a node and puts devices onto its cores.
pub trait Extension: Send + Sync + 'static {
    /// Its name, for errors and logs.
    fn name(&self) -> &'static str;

    /// Called once before any core runs, on the thread that starts the node; it may block. The node does not start
    /// when it fails.
    ///
    /// # Errors
    /// Whatever is in the way, with its remedy.
    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Called on each core's thread before its first sweep. It must not block.
    fn install(&self, seat: &mut Seat<'_>);
}

/// The node that is about to start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodePlan {
    /// Its name.
    pub name: String,
    /// This life of the node.
    pub incarnation: u32,
    /// How many cores it has.
    pub cores: u16,
}

impl NodePlan {
    /// For tests of extensions, and for simulations.
    pub fn new(name: impl Into<String>, incarnation: u32, cores: u16) -> NodePlan {
        NodePlan { name: name.into(), incarnation, cores }
    }
}

/// A core, as an extension finds it.
pub struct Seat<'a> {
    core: &'a mut Core,
    alarm: Alarm,
}

impl<'a> Seat<'a> {
    pub(crate) fn new(core: &'a mut Core, wake: Arc<dyn Wake>) -> Self {
        Seat { core, alarm: Alarm(wake) }
    }

    /// The core's number.
    pub fn core(&self) -> u16 {
        self.core.index()
    }

    /// Cores of the node.
    pub fn cores(&self) -> u16 {
        self.core.cores()
    }

    /// This life of the node.
    pub fn incarnation(&self) -> u32 {
        self.core.node()
    }

    /// Wakes this core from any thread.
    pub fn alarm(&self) -> Alarm {
        self.alarm.clone()
    }

    /// What the node or another extension has left here. A node leaves its `driver::CoreDisk` and its
    /// [`Network`](crate::net::Network), a simulation neither.
    pub fn shared<T: 'static>(&self) -> Option<Rc<T>> {
        self.core.shared.get_owned()
    }

    /// Makes an actor without a parent on this core. It stops when it fails.
    ///
    /// # Errors
    /// [`SpawnError`] at the core's limit of actors.
    pub fn spawn<A: Actor>(&mut self, actor: A) -> Result<ActorRef<A::Message>, SpawnError> {
        let spawned = self.core.spawn(actor, NO_SLOT);
        self.core.commit_turn();
        spawned
    }

    /// Has the core poll a device from now on.
    pub fn add_device(&mut self, device: Box<dyn Device>) {
        self.core.devices.push(device);
    }

    /// Has `observer` told of one turn of this core in [`TURNS_A_SAMPLE`], on average, and how long it took. Each that
    /// is told is one more; they stay as long as the core. Two looks at the clock a sample are what it costs.
    pub fn observe_turns(&mut self, observer: Rc<dyn ObserveTurns>) {
        self.core.observe_turns(observer);
    }

    /// Leaves something that actors of this core find by its type. One of a type: a later one takes its place.
    pub fn share<T: 'static>(&mut self, value: Rc<T>) {
        self.core.shared.put(value);
    }
}

/// Wakes one core from any thread, so that it polls its devices.
#[derive(Clone)]
pub struct Alarm(Arc<dyn Wake>);

impl Alarm {
    /// The core sweeps at least once after this.
    pub fn ring(&self) {
        self.0.wake_after_publish();
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Alarm")
    }
}

impl Core {
    pub(crate) fn poll_devices(&mut self) -> u64 {
        let mut devices = std::mem::take(&mut self.devices);
        let mut work = 0;
        for device in &mut devices {
            work += device.poll(&mut DeviceTurn::new(self)) as u64;
        }
        self.devices = devices;
        work
    }

    /// Whether a device would find something to do.
    pub(crate) fn devices_have_work(&mut self) -> bool {
        if self.devices.is_empty() {
            return false;
        }
        self.read_clock();
        let now_ns = self.now_ns;
        self.devices.iter_mut().any(|device| {
            device.has_work() || device.next_deadline_ns().is_some_and(|due_ns| due_ns <= now_ns)
        })
    }

    /// Whether nothing that devices were given is under way.
    pub(crate) fn devices_are_quiet(&self) -> bool {
        self.devices.iter().all(|device| device.is_quiet())
    }

    pub(crate) fn next_ticket(&mut self) -> u32 {
        self.tickets = self.tickets.wrapping_add(1);
        self.tickets
    }

    fn redeem_for_shared<S, T>(core: &mut Core, key: u64, _life: u32, _number: u32, value: T)
    where
        S: TakesTickets<T>,
    {
        if let Some(shared) = core.shared.get_owned::<S>() {
            shared.redeemed(key, value);
        }
    }

    fn redeem<A, T, F>(core: &mut Core, me: u64, life: u32, number: u32, value: T)
    where
        A: Actor,
        T: 'static,
        F: Fn(&mut A, &mut Context<'_, A>, T) -> Next<A> + Copy + 'static,
    {
        core.redeem_in_its_turn(me, life, number, move |core| {
            core.turn_with_handler::<A, T, F>(me, value);
        });
    }
}
