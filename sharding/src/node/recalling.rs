//! Which entities ran is read from the journal when the node has started: one list after the other, in the order of the
//! shards, while the region works.
//!
//! A list that cannot be read, or of which a part is damaged, is told of once; the shard works, and what is known of
//! the list is used.

use std::rc::Rc;

use mainspring::message::Message;
use mainspring::prelude::*;
use mainspring_journal::device::{CoreJournal, Found, FoundRecord, ReadFailed};
use mainspring_journal::format::RecordKind;
use mainspring_journal::schema::{Events, State};

use super::recorder::{Reading, Recorder};
use super::region::Region;
use crate::handoff::Route;
use crate::passivation::{Passivation, PassivationSettings};
use crate::remember::{ArchivedRunningEvent, Recall, Running, RunningEvent};

/// How the reading of a list goes on.
enum Goes {
    On,
    /// A snapshot cannot be used: from the one before.
    Again {
        below: u64,
    },
    /// The list is not this one: another entity of the journal has the same hash.
    Elsewhere,
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// If entities are remembered and the core has a journal: begins to record, and to read who ran.
    pub(super) fn begin_recording(&mut self, ctx: &mut Context<'_, Self>) {
        if self.remembered.is_none() {
            return;
        }
        let Some(journal) = ctx.shared::<CoreJournal>() else { return };
        let shard_count = self.hosting.tables.borrow().residents.shard_count().get();
        let type_name = self.entity_type.name.as_str();
        match Recorder::new(self.place.core, type_name, shard_count, Rc::clone(&journal)) {
            Ok(recorder) => self.recorder = Some(recorder),
            Err(error) => {
                return tracing::error!(type_name, %error, "which entities run is not recorded");
            }
        }
        self.keep_idle_ones();
        self.read_next_list(ctx);
    }

    /// Who is to run again after a restart is not stopped for being idle.
    fn keep_idle_ones(&mut self) {
        let PassivationSettings { idle_after_ns, at_most } = self.entity_type.passivation();
        if idle_after_ns.is_none() {
            return;
        }
        tracing::warn!(
            type_name = self.entity_type.name,
            "`passivate_after` has no effect: entities of this type are remembered over a restart"
        );
        if let Ok(passivation) =
            Passivation::new(PassivationSettings { idle_after_ns: None, at_most })
        {
            self.hosting.tables.borrow_mut().passivation = passivation;
        }
    }

    fn read_next_list(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(recorder) = &mut self.recorder else { return };
        if let Some(shard) = recorder.unread.pop_front() {
            self.read_list(ctx, shard, u64::MAX, Recall::new());
        }
    }

    fn read_list(&mut self, ctx: &mut Context<'_, Self>, shard: u32, below: u64, recall: Recall) {
        let ticket = ctx.ticket(Self::list_read);
        let Some(recorder) = &mut self.recorder else { return };
        let entity = recorder.entry_of(shard).hash();
        let id = recorder.journal.read(ctx.now_ns(), entity, below, ticket);
        recorder.reading = Some(Reading { shard, id, recall });
    }

    /// Some records of a list have come.
    fn list_read(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<Found, ReadFailed>,
    ) -> Next<Self> {
        let Some(recorder) = &mut self.recorder else { return Next::Same };
        let Some(Reading { shard, id, mut recall }) = recorder.reading.take() else {
            return Next::Same;
        };
        let found = match found {
            Ok(found) => found,
            Err(failed) => {
                self.list_unreadable(shard, &failed.to_string());
                self.read_next_list(ctx);
                return self.recalled_some(ctx);
            }
        };
        let name = recorder.entry_of(shard).encode();
        for record in found.records() {
            match take_in(&mut recall, &record, &name) {
                Goes::On => {}
                Goes::Again { below } => {
                    recorder.journal.cancel_read(id);
                    let recall = recall.without_snapshot();
                    self.read_list(ctx, shard, below, recall);
                    return Next::Same;
                }
                Goes::Elsewhere => {
                    recorder.journal.cancel_read(id);
                    recorder.store.close(Some(shard));
                    self.list_unreadable(shard, "another entity of the journal has the same hash");
                    self.read_next_list(ctx);
                    return Next::Same;
                }
            }
        }
        if !found.is_last {
            let ticket = ctx.ticket(Self::list_read);
            match recorder.journal.read_on(id, ticket) {
                Ok(()) => recorder.reading = Some(Reading { shard, id, recall }),
                Err(_) => {
                    self.list_unreadable(shard, "the reading is over before its end");
                    self.read_next_list(ctx);
                }
            }
            return Next::Same;
        }
        self.list_complete(ctx, shard, recall);
        self.read_next_list(ctx);
        self.recalled_some(ctx)
    }

    fn list_unreadable(&mut self, shard: u32, reason: &str) {
        let type_name = self.entity_type.name.as_str();
        tracing::error!(
            type_name,
            shard,
            reason,
            "which entities ran cannot be read; they start with their next messages"
        );
        if let Some(recorder) = &mut self.recorder {
            recorder.store.unreadable(shard);
        }
        self.count(|figures| figures.records_unreadable += 1);
    }

    /// A list is known: who ran is started, so many in a second.
    fn list_complete(&mut self, ctx: &mut Context<'_, Self>, shard: u32, recall: Recall) {
        let damaged = recall.damaged();
        if damaged > 0 {
            let type_name = self.entity_type.name.as_str();
            tracing::error!(
                type_name,
                shard,
                damaged,
                "records of which entities ran are damaged; those start with their next messages"
            );
        }
        let Some(recorder) = &mut self.recorder else { return };
        let (ids, left_out) = recorder.store.recalled(shard, recall);
        let found = ids.len() as u64;
        self.count(|figures| {
            figures.recalled += found;
            figures.records_unreadable += damaged;
            figures.not_remembered += left_out;
        });
        if let Some(remembered) = &mut self.remembered {
            remembered.wait(shard, ids);
        }
        let route = self.hosting.tables.borrow().shards.route(shard);
        match route {
            Route::There(owner, _) => self.send_remembered(ctx, shard, owner),
            Route::Here => self.open_remembered(shard),
            // Whoever opens it has them, or is sent them.
            Route::Park => {}
        }
    }

    /// Entities are due that have to be started, and lists may have to be written.
    fn recalled_some(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        self.write_records(ctx);
        self.arm(ctx);
        Next::Same
    }

    /// Entities of a shard that is open here are to be started.
    pub(super) fn open_remembered(&mut self, shard: u32) {
        if let Some(remembered) = &mut self.remembered {
            remembered.open(shard);
        }
    }
}

fn take_in(recall: &mut Recall, found: &FoundRecord<'_>, name: &[u8]) -> Goes {
    let (Ok(record), sequence) = (&found.record, found.sequence) else {
        return match found.kind {
            RecordKind::State => {
                recall.record_damaged();
                Goes::Again { below: found.sequence }
            }
            RecordKind::Event => {
                recall.record_damaged();
                Goes::On
            }
            _ => Goes::On,
        };
    };
    let layout = found.layout.map(|layout| (&layout.name, layout.version, layout.fingerprint));
    match (found.kind, layout) {
        (RecordKind::Entity, _) if record.payload != name => Goes::Elsewhere,
        (RecordKind::State, Some((name, version, fingerprint))) => {
            let reader = Running::reader(name, version, fingerprint);
            match reader.and_then(|reader| Running::read(reader, record.payload)) {
                Ok(running) => {
                    recall.snapshot_read(sequence, running.ids.iter().map(Vec::as_slice));
                    Goes::On
                }
                Err(_) => {
                    recall.record_damaged();
                    Goes::Again { below: sequence }
                }
            }
        }
        (RecordKind::Event, Some((name, version, fingerprint))) => {
            let reader = RunningEvent::reader(name, version, fingerprint);
            let read = reader.and_then(|reader| {
                RunningEvent::read(reader, record.payload, &mut |event| {
                    let ArchivedRunningEvent::Changed(changed) = event;
                    let started = changed.started.iter().map(|id| id.as_slice());
                    let ended = changed.ended.iter().map(|id| id.as_slice());
                    recall.event_read(sequence, started, ended);
                })
            });
            if read.is_err() {
                recall.record_damaged();
            }
            Goes::On
        }
        _ => Goes::On,
    }
}
