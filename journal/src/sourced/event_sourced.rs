//! The trait of states that are the fold of their events.

use mainspring::message::LocalMessage;
use mainspring::{Archived, Context};

use super::effect::Effect;
use super::persistent::Persistent;
use super::settings::PersistenceSettings;
use super::signal::{PersistRejected, PersistenceSignal};
use crate::schema::{ArchivedEvent, Events, State};

/// A state that changes by events, and by nothing else. It is a [`State`], so that snapshots of it can be taken.
pub trait EventSourced: State + 'static {
    /// What it understands.
    type Command: LocalMessage;
    /// What may happen to it.
    type Event: Events;

    /// Decides what a command leads to. It changes nothing: it sees the state as it is after all earlier commands.
    fn on_command(&self, command: &Archived<Self::Command>) -> Effect<Self>;

    /// Something has happened: the only place where the state changes. Called once when the event is durable, and
    /// again in each recovery, so it depends on nothing but state and event.
    fn on_event(&mut self, event: ArchivedEvent<'_, Self::Event>);

    /// Names by which this event is found among those of all entities:
    /// [`Selection::with_tag`](crate::query::Selection::with_tag). At most [`TAGS_LIMIT`](super::TAGS_LIMIT) of
    /// 1 to [`TAG_LIMIT_BYTES`](super::TAG_LIMIT_BYTES) bytes; otherwise the event is rejected.
    fn tags(_event: &Self::Event) -> &'static [&'static str] {
        &[]
    }

    /// The id by which a command that comes twice is known. The ids of the last commands with events are kept with
    /// them, as many as [`PersistenceSettings::commands_remembered`] says.
    fn command_id(&self, _command: &Archived<Self::Command>) -> Option<u128> {
        None
    }

    /// A command whose id is known has come again: its events are durable already. Usually the answer is given again.
    /// Events of this effect are not written.
    fn on_duplicate(&self, _command: &Archived<Self::Command>) -> Effect<Self> {
        Effect::none()
    }

    /// The number that the last event must have for this command to be valid.
    fn expected_sequence(&self, _command: &Archived<Self::Command>) -> Option<u64> {
        None
    }

    /// The last event has another number than the command expects. Events of this effect are not written.
    fn on_conflict(&self, _command: &Archived<Self::Command>, _sequence: u64) -> Effect<Self> {
        Effect::none()
    }

    /// The events of a command were surely not written, and the state is unchanged. Events of this effect are not
    /// written either.
    fn on_rejected(
        &self,
        _command: &Archived<Self::Command>,
        _reason: &PersistRejected,
    ) -> Effect<Self> {
        Effect::none()
    }

    /// News about the journal.
    fn on_signal(&self, _ctx: &mut Context<'_, Persistent<Self>>, _signal: &PersistenceSignal) {}

    /// Whether a snapshot is to be taken now, beside those that the settings say. Asked when events are durable.
    fn snapshot_when(&self, _sequence: u64) -> bool {
        false
    }

    /// Other settings than the journal's.
    fn settings(journal: PersistenceSettings) -> PersistenceSettings {
        journal
    }
}
