//! The trait of states that are kept whole.

use mainspring::message::LocalMessage;
use mainspring::{Archived, Context};

use super::change::Change;
use super::stored::Stored;
use crate::schema::State;
use crate::sourced::{PersistRejected, PersistenceSignal};

/// A state of which the journal keeps the last value.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring_journal::{Change, DurableState, state};
///
/// #[message]
/// pub enum Command {
///     Rename { name: String, reply_to: ActorRef<Name> },
///     Forget,
/// }
///
/// #[message]
/// pub struct Name {
///     pub name: String,
/// }
///
/// #[state(name = "profile", version = 1)]
/// #[derive(Default)]
/// pub struct Profile {
///     pub name: String,
/// }
///
/// impl DurableState for Profile {
///     type Command = Command;
///
///     fn on_command(&self, command: &Archived<Command>) -> Change<Self> {
///         match command {
///             ArchivedCommand::Rename { name, reply_to } => {
///                 Change::store(Profile { name: name.to_string() })
///                     .then_reply(*reply_to, |profile: &Self| Name { name: profile.name.clone() })
///             }
///             ArchivedCommand::Forget => Change::delete(),
///         }
///     }
/// }
/// ```
pub trait DurableState: State + 'static {
    /// What it understands.
    type Command: LocalMessage;

    /// Decides what a command leads to. It changes nothing: it sees the state as it is after all earlier commands.
    fn on_command(&self, command: &Archived<Self::Command>) -> Change<Self>;

    /// The revision that the state must have for this command to be valid: 0 before the first change.
    fn expected_revision(&self, _command: &Archived<Self::Command>) -> Option<u64> {
        None
    }

    /// The state has another revision than the command expects. What this would store is not stored.
    fn on_conflict(&self, _command: &Archived<Self::Command>, _revision: u64) -> Change<Self> {
        Change::none()
    }

    /// What a command stores was surely not written, and the state is unchanged. What this would store is not stored
    /// either.
    fn on_rejected(
        &self,
        _command: &Archived<Self::Command>,
        _reason: &PersistRejected,
    ) -> Change<Self> {
        Change::none()
    }

    /// News about the journal. The sequence number of [`PersistenceSignal::RecoveryCompleted`] is the revision.
    fn on_signal(&self, _ctx: &mut Context<'_, Stored<Self>>, _signal: &PersistenceSignal) {}

    /// What becomes of an entity whose last value is damaged.
    fn on_damage() -> OnDamage {
        OnDamage::Fail
    }
}

/// What becomes of an entity whose last value is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDamage {
    /// It is not recovered: an older value would undo, unseen, what was answered for.
    #[default]
    Fail,
    /// The value before stands in, with a warning in the log; the revision stays that of the damaged one. Where there
    /// is none, the state is the one before the first change.
    UsePrevious,
}
