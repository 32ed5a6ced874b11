//! How far the clerk is, so that it need not begin at the first order after a crash.

use mainspring::prelude::*;
use mainspring_journal::schema::ArchivedEvent;
use mainspring_journal::{Effect, EventSourced, event, events, state};

/// The id of the one mark.
pub const ID: &str = "mark";

/// What a mark understands.
#[message]
pub enum MarkCommand {
    /// All orders up to this one have ended.
    Advance { through: u64, done: u64 },
    /// Where are you?
    Where { reply_to: ActorRef<Advanced> },
}

/// All orders up to one have ended.
#[event(name = "mark.advanced", version = 1)]
#[derive(Clone, Copy, Debug)]
pub struct Advanced {
    /// That one.
    pub through: u64,
    /// How many of them are done.
    pub done: u64,
}

/// What may happen to a mark.
#[events]
pub enum MarkEvent {
    /// See [`Advanced`].
    Advanced(Advanced),
}

/// A mark.
#[state(name = "mark", version = 1)]
#[derive(Default)]
pub struct Mark {
    through: u64,
    done: u64,
}

impl EventSourced for Mark {
    type Command = MarkCommand;
    type Event = MarkEvent;

    fn on_command(&self, command: &Archived<MarkCommand>) -> Effect<Self> {
        match command {
            ArchivedMarkCommand::Advance { through, done } if *through > self.through => {
                let (through, done) = (through.to_native(), done.to_native());
                Effect::persist(Advanced { through, done })
            }
            ArchivedMarkCommand::Advance { .. } => Effect::none(),
            ArchivedMarkCommand::Where { reply_to } => {
                Effect::reply(*reply_to, Advanced { through: self.through, done: self.done })
            }
        }
    }

    fn on_event(&mut self, event: ArchivedEvent<'_, MarkEvent>) {
        let ArchivedMarkEvent::Advanced(advanced) = event;
        self.through = advanced.through.to_native();
        self.done = advanced.done.to_native();
    }
}
