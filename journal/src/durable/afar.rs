//! An actor whose state is kept whole, on another core than its log: the same promises, with the outcome of each change
//! told later.

use std::rc::Rc;

use mainspring::prelude::*;

use super::change::Value;
use super::durable_state::DurableState;
use super::stored::{Stored, with_value};
use crate::device::GroupRecord;
use crate::device::afar::{NotKept, Settled};
use crate::entity::Offered;
use crate::format::RecordKind;
use crate::sourced::PersistRejected;

impl<D: DurableState> Stored<D> {
    /// Sends a value to its log.
    pub(super) fn offer_afar(
        &mut self,
        ctx: &mut Context<'_, Self>,
        value: &Value<D>,
    ) -> Result<Offered, PersistRejected> {
        let Some(attached) = &mut self.attached else { return Ok(Offered::Busy) };
        let (after, given_up) = (self.revision, self.given_up);
        let state = match value {
            Value::Stored(state) => state,
            Value::Deleted => {
                return attached.send_and_wait(
                    ctx,
                    after,
                    &[GroupRecord::deletion(after + 1)],
                    Self::settled,
                );
            }
        };
        let (journal, layout) = (Rc::clone(&attached.journal), attached.kind.layout);
        let mut buffer = journal.take_buffer();
        let offered = with_value(state, after, given_up, layout, &mut buffer, |records| {
            attached.send_and_wait(ctx, after, records, Self::settled)
        });
        journal.give_buffer(buffer);
        offered.map_err(PersistRejected::from).and_then(|offered| offered)
    }

    /// The log has said what became of the last value.
    fn settled(&mut self, ctx: &mut Context<'_, Self>, settled: Settled) -> Next<Self> {
        match settled.outcome {
            Ok(()) => {
                let mut records = settled.records.records();
                let given_up = records.find(|record| record.header.kind == RecordKind::Deletion);
                let given_up = given_up.map(|record| record.header.entity_sequence);
                self.given_up = given_up.unwrap_or(self.given_up);
                drop(records);
                self.persisted(ctx, Ok(settled.records))
            }
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
}
