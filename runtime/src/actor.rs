//! What an actor is: its message type, its handler, its behaviours, the signals it gets and the ports it opens.
//!
//! An [`Actor`] is plain state with a synchronous handler. A *turn* is one call of a handler; turns of one actor
//! never overlap, and what a turn does through its [`Context`] takes effect when the turn returns, or not at all
//! when it panics. States are functions: [`Next::switch`] makes another method the handler of what comes next.

use std::any::TypeId;
use std::marker::PhantomData;

use rkyv::Archived;

use crate::address::Address;
use crate::context::Context;
use crate::core::cell::{ActorInfo, BehaviorInfo, Cell};
use crate::core::dispatch;
use crate::frame::foreign::MessageInfo;
use crate::message::LocalMessage;

/// Isolated state, changed by one message at a time.
///
/// ```
/// use mainspring::prelude::*;
///
/// #[message]
/// pub struct Deposit { pub amount: u64 }
///
/// #[derive(Default)]
/// pub struct Account { balance: u64 }
///
/// impl Actor for Account {
///     type Message = Deposit;
///
///     fn receive(&mut self, _: &mut Context<Self>, message: &Archived<Deposit>) -> Next<Self> {
///         self.balance += message.amount.to_native();
///         Next::Same
///     }
/// }
/// ```
pub trait Actor: Sized + 'static {
    /// What this actor understands on its own address. Further protocols are [`Port`]s.
    type Message: LocalMessage;

    /// Whether it gets [`Signal::ChildStopped`] for each of its children that is gone. Cheaper than a watch on each.
    const TRACKS_CHILDREN: bool = false;

    /// Whether its state is what a journal of its node holds, so that it cannot go on elsewhere without that.
    const KEEPS_JOURNAL: bool = false;

    /// Handles one message, read where it lies. This is the first behaviour of the actor.
    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        message: &Archived<Self::Message>,
    ) -> Next<Self>;

    /// The first turn, before any message; again after each restart.
    fn started(&mut self, _ctx: &mut Context<'_, Self>) -> Next<Self> {
        Next::Same
    }

    /// Handles news from the runtime: the end of a watched actor, a failed child, a refused name.
    fn signal(&mut self, _ctx: &mut Context<'_, Self>, _signal: &Signal) -> Next<Self> {
        Next::Same
    }

    /// The last turn, after all children are gone. Not called before a restart, nor after a panic.
    fn stopped(&mut self, _ctx: &mut Context<'_, Self>) {}
}

/// A further protocol of an actor, with an address of its own: see [`Context::port`].
pub trait Port<M: LocalMessage>: Actor {
    /// Handles one message that came by this port.
    fn receive(&mut self, ctx: &mut Context<'_, Self>, message: &Archived<M>) -> Next<Self>;
}

/// What an actor does after a turn.
#[must_use = "a turn ends by saying what comes next"]
pub enum Next<A: Actor> {
    /// Goes on as before.
    Same,
    /// Another behaviour handles what comes next: stashed messages first, in order.
    Become(Behavior<A>),
    /// Keeps the message for the next behaviour. At the stash limit it becomes a dead letter.
    Stash,
    /// Keeps the message until the ticket is redeemed that the actor [waits for](Context::suspend_until) from this turn
    /// on. The turn with the ticket's value decides: [`Next::Again`] has the message handled once more, after any other
    /// end it is dropped, and so it is when the actor fails or stops. One message is kept, beside the stash and
    /// whatever its limit. Without such a ticket, and in a turn without a message, this is [`Next::Same`].
    Keep,
    /// At the end of the turn that a ticket has brought: handles the message that was [kept](Next::Keep) once more,
    /// before everything else. Elsewhere it is [`Next::Same`].
    Again,
    /// Stops: children first, then the actor itself.
    Stop,
    /// The turn failed: nothing it sent is sent, and the supervisor's policy decides.
    Fault,
}

impl<A: Actor> Next<A> {
    /// Another method handles what comes next.
    pub fn switch<H>(handler: H) -> Self
    where
        H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
    {
        Next::Become(Behavior::of(handler))
    }
}

/// A named state of an actor: one handler function. Copying it copies a pointer.
pub struct Behavior<A: Actor> {
    pub(crate) info: &'static BehaviorInfo,
    actor: PhantomData<fn(A)>,
}

impl<A: Actor> Clone for Behavior<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Actor> Copy for Behavior<A> {}

impl<A: Actor> std::fmt::Debug for Behavior<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Behavior").field(&self.name()).finish()
    }
}

impl<A: Actor> Behavior<A> {
    /// The behaviour whose handler is `handler`: a method, or a closure that captures nothing.
    pub fn of<H>(_handler: H) -> Self
    where
        H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
    {
        Behavior { info: BehaviorOf::<A, H>::INFO, actor: PhantomData }
    }

    /// The same, with a function that runs on entering the behaviour, before any message.
    pub fn entering<H, E>(_handler: H, _enter: E) -> Self
    where
        H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
        E: Fn(&mut A, &mut Context<'_, A>) + Copy + 'static,
    {
        Behavior { info: EnteredBehaviorOf::<A, H, E>::INFO, actor: PhantomData }
    }

    /// The handler's name, as traces and metrics show it.
    pub fn name(&self) -> &'static str {
        (self.info.name)()
    }
}

struct BehaviorOf<A, H>(PhantomData<(A, H)>);

impl<A: Actor, H> BehaviorOf<A, H>
where
    H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
{
    const INFO: &'static BehaviorInfo =
        &BehaviorInfo { entry: dispatch::turn::<A, H>, name: short_name::<H>, enter: None };
}

struct EnteredBehaviorOf<A, H, E>(PhantomData<(A, H, E)>);

impl<A: Actor, H, E> EnteredBehaviorOf<A, H, E>
where
    H: Fn(&mut A, &mut Context<'_, A>, &Archived<A::Message>) -> Next<A> + Copy + 'static,
    E: Fn(&mut A, &mut Context<'_, A>) + Copy + 'static,
{
    const INFO: &'static BehaviorInfo = &BehaviorInfo {
        entry: dispatch::turn::<A, H>,
        name: short_name::<H>,
        enter: Some(dispatch::enter::<A, E>),
    };
}

struct InfoOf<A>(PhantomData<A>);

impl<A: Actor> InfoOf<A> {
    const INITIAL: &'static BehaviorInfo =
        &BehaviorInfo { entry: dispatch::receive::<A>, name: || "receive", enter: None };

    const INFO: &'static ActorInfo = &ActorInfo {
        name: std::any::type_name::<A>,
        type_id: TypeId::of::<A>(),
        cell_bytes: size_of::<Cell<A>>(),
        initial: Self::INITIAL,
        drop_state: dispatch::drop_state::<A>,
        start: dispatch::start::<A>,
        signal: dispatch::signal::<A>,
        stopped: dispatch::stopped::<A>,
        tracks_children: A::TRACKS_CHILDREN,
        message: MessageInfo::of::<A::Message>(),
    };
}

pub(crate) fn info<A: Actor>() -> &'static ActorInfo {
    InfoOf::<A>::INFO
}

/// The last part of a function's path.
fn short_name<H>() -> &'static str {
    let name = std::any::type_name::<H>();
    name.rsplit("::").find(|part| !part.starts_with('{')).unwrap_or(name)
}

/// News from the runtime, handled in a turn of its own. A signal may overtake messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// A watched actor is gone. Comes once per watch, also when the actor was gone before the watch began.
    Terminated {
        /// Who is gone.
        actor: Address,
        /// Why.
        reason: StopReason,
    },
    /// A child failed, and this was done about it.
    ChildFailed {
        /// The child.
        actor: Address,
        /// What happened to it.
        failure: Failure,
        /// What its policy decided.
        decision: Decision,
    },
    /// A child on this core is gone, and the actor [tracks](Actor::TRACKS_CHILDREN) its children.
    ChildStopped {
        /// The child.
        actor: Address,
        /// Why it is gone.
        reason: StopReason,
    },
    /// A name is in use elsewhere on the node; this actor did not get it.
    NameTaken {
        /// The name that was asked for.
        name: String,
        /// Who has it.
        holder: Address,
    },
    /// A name that this actor subscribed to has a holder.
    Registered {
        /// The name.
        name: String,
        /// Who has it now.
        actor: Address,
    },
    /// A name that this actor subscribed to has no holder any more.
    Unregistered {
        /// The name.
        name: String,
    },
    /// Asynchronous or blocking work brought no result.
    TaskFailed {
        /// The type of the work.
        task: &'static str,
        /// Why.
        reason: TaskFailure,
    },
    /// An actor that was asked for on another core could not be made.
    SpawnFailed {
        /// The actor's type.
        actor: &'static str,
        /// Why.
        reason: SpawnFailure,
    },
}

/// Why an actor was not made on another core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnFailure {
    /// The core has as many actors as its limit allows.
    Full {
        /// The limit that was reached.
        limit: usize,
    },
    /// Its factory panicked.
    Panicked,
    /// The node has no core of this number.
    NoCore,
}

/// Why an actor is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StopReason {
    /// It stopped by itself, or was asked to.
    Stopped,
    /// It failed and its policy did not restart it.
    Failed,
    /// It was gone before the watch began, or never existed.
    NoActor,
    /// Its node shut down.
    Shutdown,
    /// No route leads to its node.
    Unreachable,
}

/// What happened in a turn that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The handler panicked; its message, if it was text.
    Panic(String),
    /// The handler returned [`Next::Fault`].
    Fault,
    /// A child's policy passed its failure on.
    Escalated(Address),
}

/// What a policy decided about a failed actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Made anew from its factory, after a pause of so many nanoseconds.
    Restart {
        /// The pause, in nanoseconds.
        after_ns: u64,
    },
    /// Stopped.
    Stop,
    /// The parent fails in its place.
    Escalate,
}

/// Why asynchronous or blocking work brought no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskFailure {
    /// As much work as the limit allows is under way; this was not begun.
    Full {
        /// The limit that was reached.
        limit: usize,
    },
    /// The work panicked.
    Panicked,
    /// The node has nothing that could run such work.
    Unsupported,
}
