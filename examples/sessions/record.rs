//! What of a session is durable: its last value, kept whole in the journal.
//!
//! A record is the child of its session's [entity](super::entity), on the same core, and goes with it. It answers when
//! what it was told is durable.

use mainspring::message::owned;
use mainspring::prelude::*;
use mainspring_journal::sourced::PersistRejected;
use mainspring_journal::{Change, DurableState};

use super::session::Session;

/// What a record understands.
#[message(name = "sessions.record_command")]
pub enum RecordCommand {
    /// This is the session now.
    Keep { session: Session, reply_to: ActorRef<RecordAnswer> },
    /// There is no session any more.
    Drop { reply_to: ActorRef<RecordAnswer> },
    /// There is none any more, and nobody waits until that is durable.
    Forget,
    /// What is the session?
    Read { reply_to: ActorRef<RecordAnswer> },
}

/// What a record answers.
#[message(name = "sessions.record_answer")]
pub enum RecordAnswer {
    /// It is durable.
    Durable,
    /// It was surely not stored.
    Refused { reason: String },
    /// The session as it is durable.
    Is { session: Session },
}

impl DurableState for Session {
    type Command = RecordCommand;

    fn on_command(&self, command: &Archived<RecordCommand>) -> Change<Self> {
        match command {
            ArchivedRecordCommand::Keep { session, reply_to } => match owned::<Session>(session) {
                Ok(session) => {
                    Change::store(session).then_reply(*reply_to, |_| RecordAnswer::Durable)
                }
                Err(error) => {
                    Change::reply(*reply_to, RecordAnswer::Refused { reason: error.to_string() })
                }
            },
            ArchivedRecordCommand::Drop { reply_to } => {
                Change::delete().then_reply(*reply_to, |_| RecordAnswer::Durable)
            }
            ArchivedRecordCommand::Forget => Change::delete(),
            ArchivedRecordCommand::Read { reply_to } => {
                Change::reply(*reply_to, RecordAnswer::Is { session: self.clone() })
            }
        }
    }

    fn on_rejected(
        &self,
        command: &Archived<RecordCommand>,
        reason: &PersistRejected,
    ) -> Change<Self> {
        match command {
            ArchivedRecordCommand::Keep { reply_to, .. }
            | ArchivedRecordCommand::Drop { reply_to } => {
                Change::reply(*reply_to, RecordAnswer::Refused { reason: reason.to_string() })
            }
            ArchivedRecordCommand::Forget | ArchivedRecordCommand::Read { .. } => Change::none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use mainspring_journal::schema::{State, lock};

    use super::*;

    #[test]
    fn every_layout_that_a_journal_may_hold_is_read() -> Result<(), lock::LockError> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sessions/events.lock");
        lock::check(path, &[Session::READABLE])
    }
}
