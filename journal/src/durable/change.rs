//! What a command leads to.

use mainspring::message::Message;
use mainspring::{ActorRef, Context};

use super::durable_state::DurableState;
use super::stored::Stored;
use crate::entity::{End, Steps};

/// What a command leads to: a new state, and what happens when it is durable. Without one it happens at once.
#[must_use = "a change is what the command handler returns"]
pub struct Change<D: DurableState> {
    pub(super) value: Option<Value<D>>,
    pub(super) steps: Steps<D, Stored<D>>,
}

/// What the state becomes.
pub(super) enum Value<D> {
    Stored(D),
    Deleted,
}

impl<D: DurableState> Change<D> {
    fn new(value: Option<Value<D>>, end: End) -> Self {
        Change { value, steps: Steps::new(end) }
    }

    /// A new state in place of the old one.
    pub fn store(state: D) -> Self {
        Change::new(Some(Value::Stored(state)), End::Same)
    }

    /// The state becomes what it was before its first change. The revision goes on.
    pub fn delete() -> Self {
        Change::new(Some(Value::Deleted), End::Same)
    }

    /// Nothing.
    pub fn none() -> Self {
        Change::new(None, End::Same)
    }

    /// An answer, and no change.
    pub fn reply<R: Message>(to: ActorRef<R>, reply: R) -> Self {
        Change::none().then_run(move |_, ctx| ctx.tell(to, &reply))
    }

    /// The command is kept for later: until [`Change::then_unstash`].
    pub fn stash() -> Self {
        Change::new(None, End::Stash)
    }

    /// Commands that were kept for later come now, in their order.
    pub fn unstash_all() -> Self {
        Change::new(None, End::Unstash)
    }

    /// The actor stops. What is stored stays.
    pub fn stop() -> Self {
        Change::new(None, End::Stop)
    }

    /// Then `run` is called with the new state. It may send, spawn, set timers; it cannot change the state. It is not
    /// called when the state was refused, nor after a crash.
    pub fn then_run(mut self, run: impl FnOnce(&D, &mut Context<'_, Stored<D>>) + 'static) -> Self {
        self.steps.push(run);
        self
    }

    /// Then an answer is sent, made from the new state.
    pub fn then_reply<R: Message>(
        self,
        to: ActorRef<R>,
        reply: impl FnOnce(&D) -> R + 'static,
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

    /// The new state, if there is one.
    pub fn state(&self) -> Option<&D> {
        match &self.value {
            Some(Value::Stored(state)) => Some(state),
            Some(Value::Deleted) | None => None,
        }
    }

    /// Whether the state is deleted.
    pub fn is_deletion(&self) -> bool {
        matches!(self.value, Some(Value::Deleted))
    }

    /// Of a change that may store nothing.
    pub(super) fn without_value(self) -> Self {
        Change { value: None, ..self }
    }
}

impl<D: DurableState> std::fmt::Debug for Change<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change")
            .field("stores", &self.state().is_some())
            .field("deletes", &self.is_deletion())
            .field("steps", &self.steps.len())
            .field("end", &self.steps.end)
            .finish()
    }
}
