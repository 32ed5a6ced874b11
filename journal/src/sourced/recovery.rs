//! From records to a state: what each one does, and what happens when one cannot be used.

use std::sync::Arc;

use super::event_sourced::EventSourced;
use super::persistent::{Persistent, remember};
use super::signal::RecoveryFailed;
use crate::device::afar::Begun;
use crate::device::{Found, FoundRecord, ReadFailed};
use crate::entity::{Attached, ReadingGuard};
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::schema::{ArchivedEvent, Events, Reader};

/// A recovery under way.
pub(super) struct Recovering {
    reading: ReadingGuard,
    /// The entity's last number in the core's own log when the recovery began.
    sequence: u64,
    /// The reader of the last event: most have the same layout as the one before.
    last: Option<(Arc<SchemaEntry>, Reader)>,
}

/// How a recovery goes on.
pub(super) enum Recovery {
    /// The next records are to be read.
    GoesOn,
    /// The snapshot cannot be used: from the one before.
    Again {
        /// The snapshot's number.
        below: u64,
    },
    /// All is read.
    Completed,
    /// It cannot be done.
    Failed(RecoveryFailed),
}

impl Recovering {
    pub fn new(reading: ReadingGuard, sequence: u64) -> Self {
        Recovering { reading, sequence, last: None }
    }

    pub fn read_on(
        &self,
        ticket: mainspring::device::Ticket<Result<Found, ReadFailed>>,
    ) -> Result<(), mainspring::device::Ticket<Result<Found, ReadFailed>>> {
        self.reading.read_on(ticket)
    }

    /// What another core's log said when the recovery began.
    pub fn begun(&self) -> Option<Begun> {
        self.reading.begun()
    }

    /// The number that the state has to reach.
    fn last_sequence(&self) -> u64 {
        self.begun().map_or(self.sequence, |begun| begun.sequence)
    }
}

impl<E: EventSourced> Persistent<E> {
    /// The next records of the entity.
    pub(super) fn take_in(&mut self, found: Result<Found, ReadFailed>) -> Recovery {
        let found = match found {
            Ok(found) => found,
            Err(failed) => return Recovery::Failed(failed.into()),
        };
        for record in found.records() {
            match self.take_in_record(&record) {
                Ok(()) => {}
                Err(recovery) => return recovery,
            }
        }
        if found.is_last { self.completed() } else { Recovery::GoesOn }
    }

    /// All is read. Where nothing is left that stands for events which were given up, no event is seen to be missing.
    fn completed(&self) -> Recovery {
        let last = self.recovering.as_ref().map_or(0, Recovering::last_sequence);
        let reached = self.sequence;
        if reached < last {
            return Recovery::Failed(RecoveryFailed::Incomplete { reached, last });
        }
        Recovery::Completed
    }

    fn take_in_record(&mut self, found: &FoundRecord<'_>) -> Result<(), Recovery> {
        match found.kind {
            RecordKind::Entity => match &self.attached {
                Some(attached) => attached.check_name(&self.id, found).map_err(Recovery::Failed),
                None => Ok(()),
            },
            RecordKind::State => self.take_in_snapshot(found),
            RecordKind::Event => self.take_in_event(found).map_err(Recovery::Failed),
            RecordKind::Command => {
                let id =
                    found.record.as_ref().ok().and_then(|record| record.payload.try_into().ok());
                if let (Some(id), Some(attached)) = (id, &self.attached) {
                    let limit = attached.kind.settings.commands_remembered;
                    remember(&mut self.commands, u128::from_le_bytes(id), limit);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A snapshot that is damaged, or of a layout that is not known any more, is passed over.
    fn take_in_snapshot(&mut self, found: &FoundRecord<'_>) -> Result<(), Recovery> {
        let sequence = found.sequence;
        let state = found.record.as_ref().ok().zip(found.layout).and_then(|(record, layout)| {
            let reader = E::reader(&layout.name, layout.version, layout.fingerprint).ok()?;
            E::read(reader, record.payload).ok()
        });
        match state {
            Some(state) => {
                self.state = state;
                self.sequence = sequence;
                let written_at_ms = self.attached.as_ref().map(Attached::state_written_at_ms);
                self.snapshots.recovered(sequence, written_at_ms.unwrap_or(u64::MAX));
                Ok(())
            }
            None => {
                tracing::warn!(
                    entity = E::LAYOUT.name,
                    id = %self.id,
                    sequence,
                    "a snapshot cannot be used; the one before it and more events stand in"
                );
                self.state = (self.make)();
                self.sequence = 0;
                self.snapshots.clear();
                self.commands.clear();
                Err(Recovery::Again { below: sequence })
            }
        }
    }

    fn take_in_event(&mut self, found: &FoundRecord<'_>) -> Result<(), RecoveryFailed> {
        let sequence = found.sequence;
        let record = match &found.record {
            Ok(record) => record,
            Err(source) => {
                return Err(RecoveryFailed::Damaged { sequence, source: *source });
            }
        };
        if sequence <= self.sequence {
            // A copy that was carried forward; it was seen already.
            return Ok(());
        }
        if sequence != self.sequence + 1 {
            return Err(RecoveryFailed::Gap { expected: self.sequence + 1, found: sequence });
        }
        let layout = found.layout.ok_or(RecoveryFailed::NoLayout { sequence })?;
        let schema = |source| RecoveryFailed::Schema { sequence, source };
        let reader = self.reader_for(layout).map_err(schema)?;
        let state = &mut self.state;
        let mut change = |event: ArchivedEvent<'_, E::Event>| state.on_event(event);
        E::Event::read(reader, record.payload, &mut change).map_err(schema)?;
        self.sequence = sequence;
        Ok(())
    }

    fn reader_for(
        &mut self,
        layout: &Arc<SchemaEntry>,
    ) -> Result<Reader, crate::schema::SchemaError> {
        let Some(recovering) = &mut self.recovering else {
            return E::Event::reader(&layout.name, layout.version, layout.fingerprint);
        };
        match &recovering.last {
            Some((last, reader)) if Arc::ptr_eq(last, layout) => Ok(*reader),
            _ => {
                let reader = E::Event::reader(&layout.name, layout.version, layout.fingerprint)?;
                recovering.last = Some((Arc::clone(layout), reader));
                Ok(reader)
            }
        }
    }
}
