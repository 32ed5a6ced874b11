//! The entity under test: its state is the list of what has happened to it.

use std::cell::Cell;

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Effect, EventSourced, Persistent, event, events, state};

thread_local! {
    /// Answers leave before their events are durable.
    pub static ANSWERS_EARLY: Cell<bool> = const { Cell::new(false) };
    /// Commands have no ids.
    pub static FORGETS_IDS: Cell<bool> = const { Cell::new(false) };
}

#[message]
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// A group of events that stand together.
    Add {
        group: u64,
        count: u32,
        reply_to: ActorRef<Answer>,
    },
    /// Put off while the entity is closed.
    AddWhenOpen {
        group: u64,
        reply_to: ActorRef<Answer>,
    },
    /// Opens or closes.
    Turn {
        group: u64,
        reply_to: ActorRef<Answer>,
    },
    Tell {
        reply_to: ActorRef<Answer>,
    },
    Stop,
}

#[message]
#[derive(Debug)]
pub enum Answer {
    /// The group's events are durable.
    Done {
        group: u64,
    },
    /// They were surely not written.
    Refused {
        group: u64,
    },
    State {
        entries: Vec<u64>,
        events: u64,
        digest: u64,
    },
}

#[event(name = "list.added", version = 1)]
pub struct Added {
    pub entry: u64,
}

#[event(name = "list.turned", version = 1)]
pub struct Turned {
    pub entry: u64,
}

#[events]
pub enum ListEvent {
    Added(Added),
    Turned(Turned),
}

#[state(name = "list", version = 1)]
#[derive(Default)]
pub struct List {
    pub entries: Vec<u64>,
    pub events: u64,
    pub digest: u64,
    pub open: bool,
}

/// What stands in the list for one event of a group: the group, its size and the event's place.
pub fn entry(group: u64, count: u32, place: u32) -> u64 {
    group << 16 | u64::from(count) << 8 | u64::from(place)
}

/// What a list is told apart by.
pub fn digest(before: u64, entry: u64) -> u64 {
    (before ^ entry).wrapping_mul(0x100_0000_01B3).rotate_left(17)
}

fn add(group: u64, count: u32) -> impl Iterator<Item = ListEvent> {
    (0..count).map(move |place| Added { entry: entry(group, count, place) }.into())
}

impl List {
    /// Events, and the answer behind them; or, with a flaw, beside them.
    fn and_answer(effect: Effect<Self>, to: ActorRef<Answer>, group: u64) -> Effect<Self> {
        effect.then_reply(to, move |_: &Self| Answer::Done { group })
    }
}

impl EventSourced for List {
    type Command = Command;
    type Event = ListEvent;

    fn on_command(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Add { group, count, reply_to } => {
                let (group, count) = (group.to_native(), count.to_native());
                if ANSWERS_EARLY.get() {
                    return Effect::reply(*reply_to, Answer::Done { group });
                }
                let effect = match count {
                    1 => Effect::persist(Added { entry: entry(group, 1, 0) }),
                    _ => Effect::persist_all(add(group, count)),
                };
                List::and_answer(effect, *reply_to, group)
            }
            ArchivedCommand::AddWhenOpen { .. } if !self.open => Effect::stash(),
            ArchivedCommand::AddWhenOpen { group, reply_to } => {
                let group = group.to_native();
                let effect = Effect::persist(Added { entry: entry(group, 1, 0) });
                List::and_answer(effect, *reply_to, group)
            }
            ArchivedCommand::Turn { group, reply_to } => {
                let group = group.to_native();
                let effect = Effect::persist(Turned { entry: entry(group, 1, 0) });
                List::and_answer(effect, *reply_to, group).then_unstash()
            }
            ArchivedCommand::Tell { reply_to } => {
                let List { entries, events, digest, .. } = self;
                let (entries, events, digest) = (entries.clone(), *events, *digest);
                Effect::reply(*reply_to, Answer::State { entries, events, digest })
            }
            ArchivedCommand::Stop => Effect::stop(),
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, ListEvent>) {
        let entry = match event {
            ArchivedListEvent::Added(added) => added.entry.to_native(),
            ArchivedListEvent::Turned(turned) => {
                self.open = !self.open;
                turned.entry.to_native()
            }
        };
        self.entries.push(entry);
        self.events += 1;
        self.digest = digest(self.digest, entry);
    }

    fn command_id(&self, command: &Archived<Command>) -> Option<u128> {
        match command {
            _ if FORGETS_IDS.get() => None,
            ArchivedCommand::Add { group, .. } => Some(u128::from(group.to_native())),
            _ => None,
        }
    }

    fn on_duplicate(&self, command: &Archived<Command>) -> Effect<Self> {
        match command {
            ArchivedCommand::Add { group, reply_to, .. } => {
                Effect::reply(*reply_to, Answer::Done { group: group.to_native() })
            }
            _ => Effect::none(),
        }
    }

    fn on_rejected(&self, command: &Archived<Command>, _: &PersistRejected) -> Effect<Self> {
        match command {
            ArchivedCommand::Add { group, reply_to, .. }
            | ArchivedCommand::AddWhenOpen { group, reply_to }
            | ArchivedCommand::Turn { group, reply_to } => {
                Effect::reply(*reply_to, Answer::Refused { group: group.to_native() })
            }
            _ => Effect::none(),
        }
    }
}

/// The actor of an entity.
pub fn actor(id: u64) -> Persistent<List> {
    Persistent::new(id, List::default)
}
