//! What happens when a command's records are durable.

use std::mem::MaybeUninit;

use mainspring::prelude::*;
use stack_dst::Value;

use super::retake;

/// What happens then, in order, and how the actor goes on.
pub(crate) struct Steps<S, A: Actor> {
    /// Most have one, and it needs no list.
    first: Option<Step<S, A>>,
    more: Vec<Step<S, A>>,
    pub end: End,
}

/// One thing that happens then. Whoever makes it sees to it that it happens once.
enum Step<S, A: Actor> {
    /// What is small lies where the command's events lie too, so that nothing is allocated for it.
    Here(Value<Run<S, A>, Room>),
    Boxed(Box<Run<S, A>>),
}

type Run<S, A> = dyn FnMut(&S, &mut Context<'_, A>);

/// Room for a reply with a reference to its receiver, some words and how it is called.
type Room = [MaybeUninit<usize>; 6];

const NO_STEP: Room = [MaybeUninit::uninit(); 6];

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
    pub fn push(&mut self, run: impl FnOnce(&S, &mut Context<'_, A>) + 'static) {
        let step = Step::new(run);
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
            step.run(state, ctx);
        }
    }
}

impl<S, A: Actor> Step<S, A> {
    fn new(run: impl FnOnce(&S, &mut Context<'_, A>) + 'static) -> Self {
        let mut run = Some(run);
        let once = move |state: &S, ctx: &mut Context<'_, A>| {
            if let Some(run) = run.take() {
                run(state, ctx);
            }
        };
        // A value of a stricter alignment has no place among words.
        if align_of_val(&once) > align_of::<usize>() {
            return Step::Boxed(Box::new(once));
        }
        match Value::in_buffer_stable(NO_STEP, once, |once| once as _) {
            Ok(here) => Step::Here(here),
            Err(once) => Step::Boxed(Box::new(once)),
        }
    }

    fn run(self, state: &S, ctx: &mut Context<'_, A>) {
        match self {
            Step::Here(mut run) => run(state, ctx),
            Step::Boxed(mut run) => run(state, ctx),
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
