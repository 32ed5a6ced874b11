//! What an event-sourced actor is told about its journal.

use super::tags::TagRefused;
use crate::device::{ReadFailed, Refused};
use crate::format::record::RecordError;
use crate::log::NameTooLong;
use crate::schema::{SchemaError, WriteError};

/// News about an actor's events, outside of commands.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PersistenceSignal {
    /// The state is what it was; commands are taken from now on.
    RecoveryCompleted {
        /// The number of the last event, 0 when there is none.
        sequence: u64,
    },
    /// The state could not be recovered. The actor fails after this, and its supervisor decides.
    RecoveryFailed(RecoveryFailed),
    /// It is not known whether the events of a command are durable. The actor fails after this, and its supervisor
    /// decides; its next life learns from the journal what is true.
    PersistFailed,
    /// A snapshot is durable.
    SnapshotCompleted {
        /// It stands for all events up to this one.
        sequence: u64,
    },
    /// A snapshot was not taken. The actor goes on; the next one is tried in its turn.
    SnapshotFailed(SnapshotFailed),
    /// Events are no longer kept.
    EventsDeleted {
        /// Up to and with this one.
        to_sequence: u64,
    },
}

/// Why a state could not be recovered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryFailed {
    /// The core has no journal.
    #[error(
        "core {core} has no journal: start the node with one (`Node::builder().with(journal)`)"
    )]
    NoJournal {
        /// The core.
        core: u16,
    },
    /// The log of the entity is another core's, and the journals of the cores do not know each other: a testkit has
    /// installed them one by one.
    #[error(
        "the log of the entity is that of core {home}, and core {core} has no way there: start it on {home}"
    )]
    OnAnotherCore {
        /// The core of its log.
        home: u16,
        /// Where it was started.
        core: u16,
    },
    /// Its name has no place in the journal.
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// Another entity has records under the hash of its name.
    #[error("the journal has records of {other} under the same hash: give this entity another id")]
    SameHash {
        /// The type and the id of the other one.
        other: String,
    },
    /// Its records could not be read.
    #[error(transparent)]
    Read(#[from] ReadFailed),
    /// A record is damaged.
    #[error("event {sequence} is damaged: {source}")]
    Damaged {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// An event is missing.
    #[error("event {expected} is missing: the next one in the journal is {found}")]
    Gap {
        /// The number that should come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// Its snapshots cannot be used, and the events that they stand for were given up.
    #[error(
        "the last event is {last}, and what can be used of the journal reaches to {reached}: a snapshot is damaged or \
         of a layout that is not known any more, and its events were given up; restore a copy of the journal, or \
         start a program that reads the snapshot"
    )]
    Incomplete {
        /// The number of the last event that can be used.
        reached: u64,
        /// The number of the last event.
        last: u64,
    },
    /// An event is of a type that this program does not have in this form.
    #[error("event {sequence}: {source}")]
    Schema {
        /// Its number.
        sequence: u64,
        /// What is wrong with it.
        source: SchemaError,
    },
    /// An event has no layout in the journal's dictionary.
    #[error("event {sequence} refers to a layout that its segment does not have")]
    NoLayout {
        /// Its number.
        sequence: u64,
    },
}

/// Why the events of a command were surely not written. The state is unchanged and the actor goes on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PersistRejected {
    /// The journal did not take them.
    #[error(transparent)]
    Journal(#[from] Refused),
    /// An event does not fit.
    #[error(transparent)]
    Event(#[from] WriteError),
    /// An event has a tag that cannot be written.
    #[error(transparent)]
    Tag(#[from] TagRefused),
}

impl PersistRejected {
    /// Whether somebody else writes for the entity by now: then it stops.
    pub fn is_fenced(&self) -> bool {
        matches!(self, PersistRejected::Journal(Refused::Fenced { .. }))
    }
}

/// Why a snapshot was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotFailed {
    /// The journal did not take it.
    #[error(transparent)]
    Journal(#[from] Refused),
    /// It does not fit.
    #[error(transparent)]
    State(#[from] WriteError),
}
