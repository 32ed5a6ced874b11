//! An event-sourced actor on another core than its log: the same effects and promises, with the outcome of each group
//! told later.

use std::rc::Rc;

use mainspring::prelude::*;

use super::effect::Events as EffectEvents;
use super::event_sourced::EventSourced;
use super::persistent::{Persistent, with_records, with_snapshot};
use super::signal::{PersistRejected, PersistenceSignal, SnapshotFailed};
use crate::device::GroupRecord;
use crate::device::afar::{NotKept, Settled};
use crate::entity::Offered;

impl<E: EventSourced> Persistent<E> {
    /// Sends the events to their log.
    pub(super) fn persist_afar(
        &mut self,
        ctx: &mut Context<'_, Self>,
        effect: &EffectEvents<E>,
        command_id: Option<u128>,
    ) -> Result<Offered, PersistRejected> {
        let Some(attached) = &mut self.attached else { return Ok(Offered::Busy) };
        let (journal, kind) = (Rc::clone(&attached.journal), Rc::clone(&attached.kind));
        let mut buffer = journal.take_buffer();
        let (after, events) = (self.sequence, effect.as_slice());
        let offered =
            with_records::<E, _>(&kind, &mut buffer, after, events, command_id, |records| {
                attached.send_and_wait(ctx, after, records, Self::settled)
            });
        journal.give_buffer(buffer);
        offered.and_then(|offered| offered)
    }

    /// The log has said what became of the events of the last command.
    fn settled(&mut self, ctx: &mut Context<'_, Self>, settled: Settled) -> Next<Self> {
        match settled.outcome {
            Ok(()) => self.persisted(ctx, Ok(settled.records)),
            Err(NotKept::Unknown(failed)) => self.persisted(ctx, Err(failed)),
            Err(NotKept::Refused(refused)) => {
                self.after = None;
                match &mut self.attached {
                    Some(attached) => attached.refused(ctx, refused),
                    None => Next::Same,
                }
            }
        }
    }

    /// Sends a snapshot.
    pub(super) fn snapshot_afar(&mut self, ctx: &mut Context<'_, Self>) {
        let sequence = self.sequence;
        let Some(attached) = &self.attached else { return };
        let mut buffer = attached.journal.take_buffer();
        let layout = attached.kind.state_layout;
        let (state, commands) = (&self.state, &self.commands);
        let sent = with_snapshot(state, commands, sequence, layout, &mut buffer, |records| {
            attached.send(ctx, sequence, records, Self::snapshot_settled)
        });
        attached.journal.give_buffer(buffer);
        let sent = sent.map_err(SnapshotFailed::from).and_then(|sent| Ok(sent?));
        match sent {
            // The next one is due from here, unless this one is refused.
            Ok(()) => self.snapshots.begun(sequence),
            Err(failed) => self.state.on_signal(ctx, &PersistenceSignal::SnapshotFailed(failed)),
        }
    }

    /// The log has said what became of a snapshot.
    fn snapshot_settled(&mut self, ctx: &mut Context<'_, Self>, settled: Settled) -> Next<Self> {
        match settled.outcome {
            Ok(()) => self.snapshot_taken(ctx, Ok(settled.records)),
            Err(NotKept::Unknown(failed)) => self.snapshot_taken(ctx, Err(failed)),
            Err(NotKept::Refused(refused)) => {
                if let Some(sequence) = first_sequence(&settled) {
                    self.snapshots.refused(sequence);
                }
                let failed = SnapshotFailed::Journal(refused);
                self.state.on_signal(ctx, &PersistenceSignal::SnapshotFailed(failed));
                Next::Same
            }
        }
    }

    /// Tells the log that events up to this one are not needed.
    pub(super) fn give_up_afar(&self, ctx: &mut Context<'_, Self>, to_sequence: u64) {
        let Some(attached) = &self.attached else { return };
        let records = &[GroupRecord::deletion(to_sequence)];
        // One that is not sent is made good by the next one.
        let _ = attached.send(ctx, self.sequence, records, Self::deletion_settled);
    }

    /// The log has said what became of a deletion.
    fn deletion_settled(&mut self, ctx: &mut Context<'_, Self>, settled: Settled) -> Next<Self> {
        if let (Ok(()), Some(to_sequence)) = (settled.outcome, first_sequence(&settled)) {
            self.events_deleted(ctx, to_sequence);
        }
        Next::Same
    }
}

/// The number of the first record.
fn first_sequence(settled: &Settled) -> Option<u64> {
    settled.records.records().next().map(|record| record.header.entity_sequence)
}
