//! One actor by itself: a turn at a time, and what each did.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::effects::Effects;
use super::world::{Awake, next_incarnation};
use crate::actor::{Actor, Next, Port, Signal};
use crate::address::{ActorRef, LocalRef};
use crate::context::Spawn;
use crate::core::cell::NO_SLOT;
use crate::core::dispatch;
use crate::core::inbound::Injector;
use crate::core::limits::Limits;
use crate::core::observe::{Observation, Outcome};
use crate::core::schedule::nanoseconds;
use crate::core::{Core, CoreSettings};
use crate::frame::foreign::MessageInfo;
use crate::message::{LocalMessage, Message};

/// An actor without anyone around it, for tests of a single behaviour.
///
/// Each call runs the turns that one event leads to and gives what they did. Nothing of it goes any further: messages
/// are not delivered, children do not start, actors that should stop do not, futures are not run. Only what the actor
/// keeps for itself works on: its state, its behaviour, its stash, its timers ([`Isolated::advance`]) and its asks
/// ([`Isolated::deliver`] the answer to the address in the request).
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring::testkit::{Isolated, Outcome};
///
/// #[message]
/// pub enum Command {
///     Deposit { amount: u64 },
///     Balance { reply_to: ActorRef<Balance> },
/// }
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Balance { pub amount: u64 }
///
/// #[derive(Default)]
/// pub struct Account { balance: u64 }
///
/// impl Actor for Account {
///     type Message = Command;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, command: &Archived<Command>) -> Next<Self> {
///         match command {
///             ArchivedCommand::Deposit { amount } => self.balance += amount.to_native(),
///             ArchivedCommand::Balance { reply_to } => {
///                 ctx.tell(*reply_to, &Balance { amount: self.balance });
///             }
///         }
///         Next::Same
///     }
/// }
///
/// let mut account = Isolated::new(Account::default);
/// let inbox = account.inbox::<Balance>();
/// assert!(account.turn(&Command::Deposit { amount: 5 }).is_empty());
/// let effects = account.turn(&Command::Balance { reply_to: inbox });
/// assert_eq!(effects.sent_to(inbox), [Balance { amount: 5 }]);
/// assert_eq!(effects.outcome(), &Outcome::Same);
/// assert_eq!(account.look(|account| account.balance), Some(5));
/// ```
pub struct Isolated<A: Actor> {
    core: Core,
    me: u64,
    clock: Rc<Cell<u64>>,
    seen: Rc<RefCell<Vec<Effects>>>,
    surroundings: Surroundings,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Isolated<A> {
    /// Makes the actor and runs its first turn; [`Isolated::starting`] also gives what that did.
    pub fn new(factory: impl FnMut() -> A + 'static) -> Self {
        Self::starting(factory).0
    }

    /// Makes the actor and gives what its first turn did.
    pub fn starting(factory: impl FnMut() -> A + 'static) -> (Self, Effects) {
        Surroundings::new().start(factory)
    }

    /// The reference to the actor.
    pub fn me(&self) -> ActorRef<A::Message> {
        ActorRef::from_words(self.core.place, self.me)
    }

    /// A reference that leads nowhere, to give to the actor in a message: what it sends there is found by
    /// [`Effects::sent_to`].
    pub fn inbox<M: ?Sized>(&mut self) -> ActorRef<M> {
        self.surroundings.inbox()
    }

    /// The turn with this message.
    pub fn turn(&mut self, message: &A::Message) -> Effects {
        self.deliver(self.me(), message)
    }

    /// The turn with a message by a port of the actor.
    pub fn port_turn<M: LocalMessage>(&mut self, message: &M) -> Effects
    where
        A: Port<M>,
    {
        let entry = dispatch::port::<A, M>;
        let (actor, port) = (TypeId::of::<A>(), TypeId::of::<M>());
        let number = self.core.ports.number(actor, port, entry, MessageInfo::of::<M>());
        let Some(number) = number else { return Effects::default() };
        let place = self.core.place | u64::from(number) << 48;
        self.deliver(ActorRef::from_words(place, self.me), message)
    }

    /// The turn with a message to any address of the actor: the answer to an ask, at the address that its request held;
    /// or a port.
    pub fn deliver<M: LocalMessage>(&mut self, to: ActorRef<M>, message: &M) -> Effects {
        let (place, me) = to.words();
        self.run(|core| {
            let sent = core.send_local(LocalRef::from_words(place, me), message);
            core.commit_turn();
            if sent.is_ok() {
                core.drain_local(1);
            }
        })
    }

    /// The turn with a signal.
    pub fn signal(&mut self, signal: Signal) -> Effects {
        let me = self.me;
        self.run(|core| core.deliver_signal(me, signal))
    }

    /// So much time passes: what each timer and each deadline of an ask that is due led to, in their order.
    pub fn advance(&mut self, time: Duration) -> Vec<Effects> {
        let end_ns = self.clock.get().saturating_add(nanoseconds(time));
        let mut all = Vec::new();
        while let Some(due_ns) = self.core.next_deadline_ns().filter(|due_ns| *due_ns <= end_ns) {
            self.clock.set(due_ns.max(self.clock.get()));
            let effects = self.run(|core| {
                core.read_clock();
                core.fire_timers(1);
            });
            if effects.outcome != Outcome::NoTurn {
                all.push(effects);
            }
        }
        self.clock.set(end_ns);
        self.core.read_clock();
        all
    }

    /// Looks at the state; `None` when the actor failed or is gone.
    pub fn look<T>(&mut self, look: impl FnOnce(&A) -> T) -> Option<T> {
        let mut found = None;
        let me = self.me;
        self.core.turn_with::<A>(me, |actor, _| {
            found = Some(look(actor));
            Next::Same
        });
        self.seen.borrow_mut().clear();
        found
    }

    /// The name of the present behaviour.
    pub fn behavior(&self) -> &'static str {
        self.core.slots.describe(self.me).1
    }

    /// Does something with the core, gives what the turns of it did, and lets nothing of it go any further.
    fn run(&mut self, act: impl FnOnce(&mut Core)) -> Effects {
        act(&mut self.core);
        let mut turns = std::mem::take(&mut *self.seen.borrow_mut()).into_iter();
        let mut effects = turns.next().unwrap_or_default();
        turns.for_each(|turn| effects.merge(turn));
        self.core.discard_queued();
        self.core.control.clear();
        self.core.tasks_under_way -= self.core.new_tasks.len();
        self.core.new_tasks.clear();
        effects
    }
}

impl<A: Actor> Isolated<A>
where
    A::Message: Message,
{
    /// The turns with these messages, one after the other; what the last one did.
    pub fn turns(&mut self, messages: &[A::Message]) -> Effects {
        messages.iter().map(|message| self.turn(message)).last().unwrap_or_default()
    }
}

/// What an actor needs to know before there is any: references for its factory.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring::testkit::Surroundings;
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Tick { pub count: u64 }
///
/// struct Repeater { to: ActorRef<Tick> }
///
/// impl Actor for Repeater {
///     type Message = Tick;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, tick: &Archived<Tick>) -> Next<Self> {
///         ctx.tell(self.to, &Tick { count: tick.count.to_native() });
///         Next::Same
///     }
/// }
///
/// let mut surroundings = Surroundings::new();
/// let inbox = surroundings.inbox::<Tick>();
/// let (mut repeater, _started) = surroundings.start(move || Repeater { to: inbox });
/// assert_eq!(repeater.turn(&Tick { count: 3 }).sent_to(inbox), [Tick { count: 3 }]);
/// ```
#[derive(Debug)]
pub struct Surroundings {
    incarnation: u32,
    inboxes: u32,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self::new()
    }
}

impl Surroundings {
    /// A node of its own, with no actor yet.
    pub fn new() -> Self {
        Surroundings { incarnation: next_incarnation(), inboxes: 0 }
    }

    /// A reference that leads nowhere: what the actor sends there is found by [`Effects::sent_to`].
    pub fn inbox<M: ?Sized>(&mut self) -> ActorRef<M> {
        self.inboxes += 1;
        // Places are given from below; nobody ever lives up here.
        let slot = NO_SLOT - self.inboxes;
        ActorRef::from_words(u64::from(self.incarnation), u64::from(slot) | 1 << 32)
    }

    /// Makes the actor and gives what its first turn did.
    pub fn start<A: Actor>(self, factory: impl FnMut() -> A + 'static) -> (Isolated<A>, Effects) {
        let clock = Rc::new(Cell::new(0));
        let mut core = new_core(self.incarnation, Rc::clone(&clock));
        let (_, me) = Spawn::top_level(&mut core, factory).start().words();
        core.commit_turn();
        let seen = Rc::<RefCell<Vec<Effects>>>::default();
        look_on(&mut core, Rc::clone(&seen));
        let surroundings = self;
        let mut isolated = Isolated { core, me, clock, seen, surroundings, actor: PhantomData };
        let started = isolated.run(|core| core.start_actor(me));
        (isolated, started)
    }
}

fn new_core(incarnation: u32, clock: Rc<Cell<u64>>) -> Core {
    Core::new(CoreSettings {
        node: incarnation,
        node_name: "isolated".into(),
        index: 0,
        cores: 1,
        limits: Limits { actors: 1 << 16, local_queue_bytes: 16 << 20, ..Limits::default() },
        clock: Box::new(move || clock.get()),
        seed: 0,
        injector: Arc::new(Injector::new(Arc::new(Awake))),
        blocking: None,
        runs_tasks: true,
    })
}

/// Notes what each turn does.
fn look_on(core: &mut Core, seen: Rc<RefCell<Vec<Effects>>>) {
    core.set_observer(Box::new(move |_, observation| {
        let mut seen = seen.borrow_mut();
        match observation {
            Observation::Did(did) => {
                seen.push(Effects::of(did));
            }
            Observation::Ended { outcome, .. } => {
                if let Some(last) = seen.last_mut() {
                    last.outcome = outcome;
                }
            }
            Observation::Failed { failure, .. } => {
                seen.push(Effects::none(Outcome::Failed(failure.clone())));
            }
            _ => {}
        }
    }));
}
