//! What happens when a command's records are durable.

use mainspring::prelude::*;

use super::retake;

/// One thing that happens then.
type Step<S, A> = Box<dyn FnOnce(&S, &mut Context<'_, A>)>;

/// What happens then, in order, and how the actor goes on.
pub(crate) struct Steps<S, A: Actor> {
    /// Most have one, and it needs no list.
    first: Option<Step<S, A>>,
    more: Vec<Step<S, A>>,
    pub end: End,
}

/// How the actor goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Same,
    Stash,
    Unstash,
    Stop,
}

impl<S, A: Actor> Steps<S, A> {
    /// Nothing but the end.
    pub fn new(end: End) -> Self {
        Steps { first: None, more: Vec::new(), end }
    }

    /// One more, behind the others.
    pub fn push(&mut self, step: Step<S, A>) {
        match &self.first {
            None => self.first = Some(step),
            Some(_) => self.more.push(step),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// All of them, with the state that the records have led to.
    pub fn run(self, state: &S, ctx: &mut Context<'_, A>) {
        for step in self.first.into_iter().chain(self.more) {
            step(state, ctx);
        }
    }
}

impl End {
    /// What the runtime is told.
    pub fn next<A: Actor>(self) -> Next<A> {
        match self {
            End::Same => Next::Same,
            End::Stash => Next::Stash,
            End::Unstash => retake(),
            End::Stop => Next::Stop,
        }
    }
}
