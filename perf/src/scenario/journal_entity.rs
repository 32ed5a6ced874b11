//! The entity of the journal scenarios: each command that appends becomes one event of 100 bytes.

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};
use mainspring_perf_contest::event::{EVENT_BYTES, number_of, payload};

use crate::load::Stamp;

/// Entities from here up belong to the warm-up; nobody reads their events.
pub const WARM_UP_ENTITY: u64 = 1 << 32;

/// To an entity.
#[message]
pub enum Command {
    /// Append the event of this number, and answer when it is durable.
    Append {
        /// The number.
        number: u64,
        /// Who gets [`Answer::Appended`].
        reply_to: ActorRef<Answer>,
    },
    /// Append the events of these numbers at once, and answer when they are durable.
    AppendRun {
        /// The first number.
        first: u64,
        /// How many.
        count: u64,
        /// Who gets [`Answer::Appended`] with the last number.
        reply_to: ActorRef<Answer>,
    },
    /// Append the event of the stamp's number, and answer when it is durable.
    AppendStamped {
        /// When it was due and sent.
        stamp: Stamp,
        /// Who gets the stamp back.
        reply_to: ActorRef<Stamped>,
        /// What travels along; it does not become part of the event.
        payload: Vec<u8>,
    },
    /// Say what the events come to.
    Report {
        /// Who gets [`Answer::Report`].
        reply_to: ActorRef<Answer>,
    },
    /// Say what the events come to, and stop.
    ReportAndStop {
        /// Who gets [`Answer::Report`].
        reply_to: ActorRef<Answer>,
    },
}

/// From an entity, to the actor that drives the round.
#[message]
pub enum Answer {
    /// The event of this number is durable.
    Appended {
        /// The number.
        number: u64,
    },
    /// What the events of an entity come to.
    Report {
        /// The sum of their numbers.
        sum: u64,
        /// How many there are.
        events: u64,
    },
    /// From the driver to itself: set out, or go on.
    GoOn,
}

/// The stamp of a command whose event is durable.
#[message]
pub struct Stamped {
    /// As it came.
    pub stamp: Stamp,
}

/// One event.
#[event(name = "perf.appended", version = 1)]
pub struct Appended {
    /// As `PROGRAMS.md` says: the number first.
    pub payload: [u8; EVENT_BYTES],
}

/// The events of an entity.
#[events]
pub enum EntityEvent {
    /// The only one.
    Appended(Appended),
}

/// What the events of an entity come to.
#[state(name = "perf.entity", version = 1)]
#[derive(Default)]
pub struct Entity {
    sum: u64,
    events: u64,
}

impl Entity {
    fn answer(&self) -> Answer {
        Answer::Report { sum: self.sum, events: self.events }
    }
}

impl EventSourced for Entity {
    type Command = Command;
    type Event = EntityEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Append { number, reply_to } => {
                let number = number.to_native();
                Effect::persist(Appended { payload: payload(number) })
                    .then_reply(*reply_to, move |_| Answer::Appended { number })
            }
            ArchivedCommand::AppendRun { first, count, reply_to } => {
                let (first, count) = (first.to_native(), count.to_native());
                let appended = |number| Appended { payload: payload(number) }.into();
                let last = first + count.saturating_sub(1);
                Effect::persist_all((first..first + count).map(appended))
                    .then_reply(*reply_to, move |_| Answer::Appended { number: last })
            }
            ArchivedCommand::AppendStamped { stamp, reply_to, .. } => {
                let stamp = Stamp::from(stamp);
                Effect::persist(Appended { payload: payload(stamp.number) })
                    .then_reply(*reply_to, move |_| Stamped { stamp })
            }
            ArchivedCommand::Report { reply_to } => Effect::reply(*reply_to, self.answer()),
            ArchivedCommand::ReportAndStop { reply_to } => {
                let (reply_to, answer) = (*reply_to, self.answer());
                Effect::stop().then_run(move |_, ctx| ctx.tell(reply_to, &answer))
            }
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, EntityEvent>) {
        let ArchivedEntityEvent::Appended(appended) = event;
        // An event that is none adds nothing, and the round's check says so.
        self.sum = self.sum.wrapping_add(number_of(&appended.payload).unwrap_or(0));
        self.events += 1;
    }
}

/// Starts the actor of an entity on this core, which must be the entity's.
pub fn start<A: Actor>(ctx: &mut Context<'_, A>, id: u64) -> ActorRef<Command> {
    ctx.spawn(move || Persistent::new(id, Entity::default)).start()
}
