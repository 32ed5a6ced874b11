//! What a command leads to.

use mainspring::message::Message;
use mainspring::{ActorRef, Context};

use super::event_sourced::EventSourced;
use super::persistent::Persistent;
use crate::entity::{End, Steps};

/// What a command leads to: events, and what happens when they are durable. Without events it happens at once.
///
/// ```
/// # use mainspring::prelude::*;
/// # use mainspring_journal::schema::ArchivedEvent;
/// # use mainspring_journal::{Effect, EventSourced, event, events, state};
/// # #[message]
/// # pub enum Command { Add { amount: u64, reply_to: ActorRef<Total> } }
/// # #[message]
/// # pub struct Total { pub total: u64 }
/// # #[event(name = "sum.added", version = 1)]
/// # pub struct Added { pub amount: u64 }
/// # #[events]
/// # pub enum SumEvent { Added(Added) }
/// # #[state(name = "sum", version = 1)]
/// # #[derive(Default)]
/// # pub struct Sum { pub total: u64 }
/// # impl EventSourced for Sum {
/// #     type Command = Command;
/// #     type Event = SumEvent;
/// fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
///     let ArchivedCommand::Add { amount, reply_to } = command;
///     if *amount == 0 {
///         return Effect::reply(*reply_to, Total { total: self.total });
///     }
///     Effect::persist(Added { amount: amount.to_native() })
///         .then_reply(*reply_to, |sum: &Self| Total { total: sum.total })
/// }
/// #     fn on_event(&mut self, event: ArchivedEvent<'_, SumEvent>) {
/// #         let ArchivedSumEvent::Added(added) = event;
/// #         self.total += added.amount.to_native();
/// #     }
/// # }
/// ```
#[must_use = "an effect is what the command handler returns"]
pub struct Effect<E: EventSourced> {
    pub(super) events: Events<E>,
    pub(super) steps: Steps<E, Persistent<E>>,
}

/// The events of a command.
pub(super) enum Events<E: EventSourced> {
    None,
    One(E::Event),
    Many(Vec<E::Event>),
}

impl<E: EventSourced> Effect<E> {
    fn new(events: Events<E>, end: End) -> Self {
        Effect { events, steps: Steps::new(end) }
    }

    /// One event.
    pub fn persist(event: impl Into<E::Event>) -> Self {
        Effect::new(Events::One(event.into()), End::Same)
    }

    /// Several events: after a crash all of them are there, or none.
    pub fn persist_all(events: impl IntoIterator<Item = E::Event>) -> Self {
        Effect::new(Events::Many(events.into_iter().collect()), End::Same)
    }

    /// Nothing.
    pub fn none() -> Self {
        Effect::new(Events::None, End::Same)
    }

    /// An answer, and no event.
    pub fn reply<R: Message>(to: ActorRef<R>, reply: R) -> Self {
        Effect::none().then_run(move |_, ctx| ctx.tell(to, &reply))
    }

    /// The command is kept for later: until [`Effect::then_unstash`].
    pub fn stash() -> Self {
        Effect::new(Events::None, End::Stash)
    }

    /// Commands that were kept for later come now, in their order.
    pub fn unstash_all() -> Self {
        Effect::new(Events::None, End::Unstash)
    }

    /// The actor stops.
    pub fn stop() -> Self {
        Effect::new(Events::None, End::Stop)
    }

    /// Then `run` is called with the state that the events have led to. It may send, spawn, set timers; it cannot
    /// change the state. It is not called when the events were refused, nor after a crash.
    pub fn then_run(
        mut self,
        run: impl FnOnce(&E, &mut Context<'_, Persistent<E>>) + 'static,
    ) -> Self {
        self.steps.push(run);
        self
    }

    /// Then an answer is sent, made from the state that the events have led to.
    pub fn then_reply<R: Message>(
        self,
        to: ActorRef<R>,
        reply: impl FnOnce(&E) -> R + 'static,
    ) -> Self {
        self.then_run(move |state, ctx| {
            let reply = reply(state);
            ctx.tell(to, &reply);
        })
    }

    /// Then commands that were kept for later come, in their order.
    pub fn then_unstash(mut self) -> Self {
        self.steps.end = End::Unstash;
        self
    }

    /// Then the actor stops.
    pub fn then_stop(mut self) -> Self {
        self.steps.end = End::Stop;
        self
    }

    /// How many events there are.
    pub fn event_count(&self) -> usize {
        self.events().len()
    }

    /// The events.
    pub fn events(&self) -> &[E::Event] {
        self.events.as_slice()
    }
}

impl<E: EventSourced> Events<E> {
    pub(super) fn as_slice(&self) -> &[E::Event] {
        match self {
            Events::None => &[],
            Events::One(event) => std::slice::from_ref(event),
            Events::Many(events) => events,
        }
    }
}

impl<E: EventSourced> std::fmt::Debug for Effect<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effect")
            .field("events", &self.event_count())
            .field("steps", &self.steps.len())
            .field("end", &self.steps.end)
            .finish()
    }
}
