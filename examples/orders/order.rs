//! An order: a saga as an event-sourced actor.
//!
//! Three steps are done one after the other, each by a service: pieces are reserved, money is charged, a parcel is
//! scheduled. When a step is refused, or nobody knows whether it was done, the steps before it are undone in reverse.
//! A step is tried [`ATTEMPTS`] times; undoing is tried until it has succeeded.
//!
//! A request leaves when the event that leads to it is durable. A crash may come in between, or take the answer away:
//! so an order that has recovered sends its request again, with the same key, and the service knows the key.

use std::time::Duration;

use mainspring::message::owned;
use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::{PersistRejected, PersistenceSignal};
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

use super::desk::{self, DeskMessage};
use super::details::Details;
use super::meter;
use super::service::Request;
use super::step::{Key, Step};

/// How often a service is asked for a step.
pub const ATTEMPTS: u32 = 3;
/// How long an order waits for an answer.
pub const ANSWER_WITHIN: Duration = Duration::from_millis(100);
/// The longest pause between two attempts to undo a step.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long an order waits when the journal took nothing, or its desk is not known yet.
const PAUSE: Duration = Duration::from_millis(50);

/// What an order understands.
#[message]
pub enum OrderCommand {
    /// It is wanted.
    Place { number: u64, details: Details },
    /// A service says what became of a request.
    Answered { key: u64, outcome: Outcome },
    /// No answer came in time.
    Missed { key: u64, undo: bool, attempt: u32 },
    /// The request is sent once more.
    Resume,
    /// How far are you?
    Describe { reply_to: ActorRef<Description> },
}

/// What became of a request.
#[message]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Taken,
    /// It was not done and will not be.
    Refused,
    /// It is undone.
    GivenBack,
}

/// How far an order is.
#[message]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it is about; none if it was never placed.
    pub details: Option<Details>,
    /// Where it stands.
    pub phase: Phase,
}

/// Where an order stands.
#[message(name = "order.phase")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It was not placed yet.
    #[default]
    New,
    /// This step is being done.
    Doing(Step),
    /// This step is being undone.
    Undoing(Step),
    /// All steps are done.
    Done,
    /// Everything is undone.
    Compensated,
}

/// Why a step was given up.
#[message(name = "order.reason")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The service has refused it, so there is nothing to undo.
    Refused,
    /// No attempt was answered. Perhaps it was done, so it is undone as well.
    Unanswered,
}

/// An order was placed.
#[event(name = "order.placed", version = 1)]
pub struct Placed {
    /// Its number.
    pub number: u64,
    /// What it is about.
    pub details: Details,
}

/// A step is done.
#[event(name = "order.step_done", version = 1)]
pub struct StepDone {
    /// Which one.
    pub step: Step,
}

/// A step was given up.
#[event(name = "order.step_given_up", version = 1)]
pub struct StepGivenUp {
    /// Which one.
    pub step: Step,
    /// Why.
    pub reason: Reason,
}

/// A step is undone.
#[event(name = "order.step_undone", version = 1)]
pub struct StepUndone {
    /// Which one.
    pub step: Step,
}

/// No answer came; the service is asked again.
#[event(name = "order.answer_missed", version = 1)]
pub struct AnswerMissed;

/// What may happen to an order.
#[events]
pub enum OrderEvent {
    /// See [`Placed`].
    Placed(Placed),
    /// See [`StepDone`].
    StepDone(StepDone),
    /// See [`StepGivenUp`].
    StepGivenUp(StepGivenUp),
    /// See [`StepUndone`].
    StepUndone(StepUndone),
    /// See [`AnswerMissed`].
    AnswerMissed(AnswerMissed),
}

/// An order.
#[state(name = "order", version = 1)]
#[derive(Clone, Debug, Default)]
pub struct Order {
    number: u64,
    details: Option<Details>,
    phase: Phase,
    /// Of the request that is under way, from 1.
    attempt: u32,
}

impl Order {
    /// The step that is under way, and whether it is being undone.
    fn under_way(&self) -> Option<(Step, bool)> {
        match self.phase {
            Phase::Doing(step) => Some((step, false)),
            Phase::Undoing(step) => Some((step, true)),
            Phase::New | Phase::Done | Phase::Compensated => None,
        }
    }

    /// The step that is under way, if this is its key.
    fn step_of(&self, key: u64) -> Option<(Step, bool)> {
        self.under_way().filter(|(step, _)| Key::new(self.number, *step).0 == key)
    }

    fn on_answer(&self, key: u64, outcome: Outcome) -> Effect<Self> {
        match (self.step_of(key), outcome) {
            (Some((step, false)), Outcome::Taken) => goes_on(StepDone { step }),
            (Some((step, false)), Outcome::Refused) => {
                goes_on(StepGivenUp { step, reason: Reason::Refused })
            }
            (Some((step, true)), Outcome::GivenBack) => goes_on(StepUndone { step }),
            // An answer to an earlier request, which came again or late.
            _ => Effect::none(),
        }
    }

    fn on_missed(&self, key: u64, undo: bool, attempt: u32) -> Effect<Self> {
        match self.step_of(key) {
            Some((step, undoing)) if undoing == undo && attempt == self.attempt => {
                if !undo && attempt >= ATTEMPTS {
                    return goes_on(StepGivenUp { step, reason: Reason::Unanswered });
                }
                goes_on(AnswerMissed)
            }
            _ => Effect::none(),
        }
    }

    /// Sends the request that is due, or tells the desk that there is none any more.
    fn proceed(&self, ctx: &mut Context<'_, Persistent<Self>>) {
        let Some(((step, undo), details)) = self.under_way().zip(self.details.as_ref()) else {
            return self.end(ctx);
        };
        let (key, attempt) = (Key::new(self.number, step).0, self.attempt);
        if let Ok(service) = ctx.lookup::<Request>(step.service()) {
            let request = Request {
                key,
                undo,
                ledger: step.ledger(details),
                amount: step.amount(details),
                attempt,
                reply_to: ctx.me(),
            };
            ctx.tell(service, &request);
        }
        let missed = OrderCommand::Missed { key, undo, attempt };
        ctx.timer("answer").after(patience(attempt), &missed);
    }

    fn end(&self, ctx: &mut Context<'_, Persistent<Self>>) {
        ctx.timer("answer").cancel();
        let done = match self.phase {
            Phase::Done => true,
            Phase::Compensated => false,
            _ => return,
        };
        match ctx.lookup::<DeskMessage>(&desk::name(ctx.core())) {
            Ok(desk) => ctx.tell(desk, &DeskMessage::Ended { number: self.number, done }),
            Err(_) => ctx.timer("again").after(PAUSE, &OrderCommand::Resume),
        }
    }
}

/// How long an attempt waits for its answer.
fn patience(attempt: u32) -> Duration {
    (ANSWER_WITHIN * attempt.max(1)).min(LONGEST_PAUSE)
}

/// Something has happened; when that is durable, what is due next is sent.
fn goes_on(event: impl Into<OrderEvent>) -> Effect<Order> {
    Effect::persist(event).then_run(meter::persisted()).then_run(Order::proceed)
}

/// The step before, to be undone; nothing before the first.
fn undoing(step: Option<Step>) -> Phase {
    step.map_or(Phase::Compensated, Phase::Undoing)
}

impl EventSourced for Order {
    type Command = OrderCommand;
    type Event = OrderEvent;

    fn on_command(&self, command: &Archived<OrderCommand>) -> Effect<Self> {
        match command {
            ArchivedOrderCommand::Place { number, details } if self.phase == Phase::New => {
                match owned::<Details>(details) {
                    Ok(details) => goes_on(Placed { number: number.to_native(), details }),
                    Err(_) => Effect::none(),
                }
            }
            // It was placed in an earlier life of the process, and perhaps it has ended in it.
            ArchivedOrderCommand::Place { .. } if self.under_way().is_none() => {
                Effect::none().then_run(Order::end)
            }
            ArchivedOrderCommand::Place { .. } => Effect::none(),
            ArchivedOrderCommand::Answered { key, outcome } => {
                let outcome = owned::<Outcome>(outcome);
                outcome.map_or_else(
                    |_| Effect::none(),
                    |outcome| self.on_answer(key.to_native(), outcome),
                )
            }
            ArchivedOrderCommand::Missed { key, undo, attempt } => {
                self.on_missed(key.to_native(), *undo, attempt.to_native())
            }
            ArchivedOrderCommand::Resume => Effect::none().then_run(Order::proceed),
            ArchivedOrderCommand::Describe { reply_to } => {
                let description = Description { details: self.details, phase: self.phase };
                let effect = Effect::reply(*reply_to, description);
                // Nothing more will come for an order that has ended.
                let has_ended = matches!(self.phase, Phase::Done | Phase::Compensated);
                if has_ended { effect.then_stop() } else { effect }
            }
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, OrderEvent>) {
        let step = |step: &Archived<Step>| owned::<Step>(step).unwrap_or(Step::Reserve);
        self.phase = match event {
            ArchivedOrderEvent::Placed(placed) => {
                self.number = placed.number.to_native();
                self.details = owned::<Details>(&placed.details).ok();
                Phase::Doing(Step::Reserve)
            }
            ArchivedOrderEvent::StepDone(done) => {
                step(&done.step).next().map_or(Phase::Done, Phase::Doing)
            }
            ArchivedOrderEvent::StepGivenUp(given_up) => match &given_up.reason {
                ArchivedReason::Refused => undoing(step(&given_up.step).previous()),
                ArchivedReason::Unanswered => undoing(Some(step(&given_up.step))),
            },
            ArchivedOrderEvent::StepUndone(undone) => undoing(step(&undone.step).previous()),
            ArchivedOrderEvent::AnswerMissed(_) => {
                self.attempt += 1;
                return;
            }
        };
        self.attempt = 1;
    }

    /// The journal took nothing, and nothing has changed: the command is tried again.
    fn on_rejected(&self, command: &Archived<OrderCommand>, _: &PersistRejected) -> Effect<Self> {
        let Ok(command) = owned::<OrderCommand>(command) else { return Effect::none() };
        Effect::none().then_run(move |_, ctx| ctx.timer("again").after(PAUSE, &command))
    }

    fn on_signal(&self, ctx: &mut Context<'_, Persistent<Self>>, signal: &PersistenceSignal) {
        if let PersistenceSignal::RecoveryCompleted { .. } = signal
            && self.under_way().is_some()
        {
            self.proceed(ctx);
        }
    }
}
