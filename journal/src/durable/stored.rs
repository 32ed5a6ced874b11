//! The actor around a state that is kept whole.

use std::ops::Range;
use std::rc::Rc;

use mainspring::prelude::*;

use super::change::{Change, Value};
use super::durable_state::{DurableState, OnDamage};
use crate::device::{
    CommitFailed, Committed, CoreJournal, Found, FoundRecord, Group, GroupRecord, ReadFailed,
    Refused,
};
use crate::entity::{Attached, End, EntityId, Offered, ReadingGuard, Steps, fail_next};
use crate::format::RecordKind;
use crate::log::AppendError;
use crate::schema::{EventBuffer, WriteError};
use crate::sourced::{PersistRejected, PersistenceSignal, RecoveryFailed};

/// So many values of an entity are behind the last one before the journal is told that they are not needed.
const SUPERSEDED_LIMIT: u64 = 16;

/// An actor whose state is kept whole: see [`DurableState`].
///
/// It runs on any core of its node, with its log on the one that its id leads to. Commands that come while it
/// recovers, and while a state is being written, wait in its stash; what finds no room there is a dead letter of the
/// reason [`StashFull`](mainspring::Reason::StashFull). When it fails it should be [restarted](mainspring::Restart)
/// with a pause.
pub struct Stored<D: DurableState> {
    id: EntityId,
    make: Rc<dyn Fn() -> D>,
    state: D,
    pub(super) revision: u64,
    /// Values up to this one are not needed, and the journal knows it.
    pub(super) given_up: u64,
    pub(super) attached: Option<Attached<Kind>>,
    reading: Option<ReadingGuard>,
    /// What happens when the value that is being written is durable.
    pub(super) after: Option<After<D>>,
}

/// What all actors of one type on a core have in common.
pub(super) struct Kind {
    /// The journal's number of the state's layout.
    pub(super) layout: usize,
}

pub(super) struct After<D: DurableState> {
    value: Value<D>,
    steps: Steps<D, Stored<D>>,
}

/// How a recovery goes on.
enum Recovery {
    /// The value is damaged and the one before is asked for.
    Again {
        below: u64,
    },
    Failed(RecoveryFailed),
}

impl<D: DurableState> Stored<D> {
    /// The entity of this id. `make` gives the state that is before its first change, and after a deletion.
    pub fn new(id: impl Into<EntityId>, make: impl Fn() -> D + 'static) -> Self {
        let make: Rc<dyn Fn() -> D> = Rc::new(make);
        Stored {
            id: id.into(),
            state: make(),
            make,
            revision: 0,
            given_up: 0,
            attached: None,
            reading: None,
            after: None,
        }
    }

    /// Which entity it is.
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// How often the state was changed.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    fn decide(&self, command: &Archived<D::Command>) -> Change<D> {
        match self.state.expected_revision(command) {
            Some(expected) if expected != self.revision => {
                self.state.on_conflict(command, self.revision).without_value()
            }
            _ => self.state.on_command(command),
        }
    }

    /// Offers a value to the journal.
    fn offer(
        &mut self,
        ctx: &mut Context<'_, Self>,
        value: &Value<D>,
    ) -> Result<Offered, PersistRejected> {
        if self.attached.as_ref().is_some_and(Attached::is_away) {
            return self.offer_afar(ctx, value);
        }
        let taken = match value {
            Value::Stored(state) => self.append_state(ctx.now_ns(), state),
            Value::Deleted => self.append_deletion(ctx.now_ns()),
        };
        match &self.attached {
            Some(attached) => attached.wait(ctx, taken, Self::persisted),
            None => Err(Refused::Log(AppendError::Poisoned).into()),
        }
    }

    fn append_state(
        &mut self,
        now_ns: u64,
        state: &D,
    ) -> Result<(u64, Range<u64>), PersistRejected> {
        let Some(Attached { journal, kind, entity, shard, .. }) = &mut self.attached else {
            return Err(Refused::Log(AppendError::Poisoned).into());
        };
        let (shard, after, given_up) = (*shard, self.revision, self.given_up);
        let mut buffer = journal.take_buffer();
        let taken = with_value(state, after, given_up, kind.layout, &mut buffer, |records| {
            let gives_up = records.len() > 1;
            let group = Group { entity, shard, after, records };
            journal.append(now_ns, group).map(|place| (place, gives_up))
        });
        journal.give_buffer(buffer);
        let (place, gives_up) = taken??;
        if gives_up {
            self.given_up = after;
        }
        Ok(place)
    }

    fn append_deletion(&mut self, now_ns: u64) -> Result<(u64, Range<u64>), PersistRejected> {
        let Some(Attached { journal, entity, shard, .. }) = &mut self.attached else {
            return Err(Refused::Log(AppendError::Poisoned).into());
        };
        let records = &[GroupRecord::deletion(self.revision + 1)];
        let group = Group { entity, shard: *shard, after: self.revision, records };
        let taken = journal.append(now_ns, group)?;
        self.given_up = self.revision + 1;
        Ok(taken)
    }

    /// The last value is durable, or nobody knows.
    pub(super) fn persisted(
        &mut self,
        ctx: &mut Context<'_, Self>,
        outcome: Result<Committed, CommitFailed>,
    ) -> Next<Self> {
        if outcome.is_err() {
            self.state.on_signal(ctx, &PersistenceSignal::PersistFailed);
            return self.fail_next(ctx);
        }
        let Some(After { value, steps }) = self.after.take() else { return Next::Same };
        self.revision += 1;
        self.state = match value {
            Value::Stored(state) => state,
            Value::Deleted => (self.make)(),
        };
        self.tell_watcher();
        let end = steps.end;
        steps.run(&self.state, ctx);
        end.next()
    }

    fn tell_watcher(&self) {
        if let Some(Attached { journal, entity, .. }) = &self.attached {
            journal.hooks().changed(entity.hash(), self.revision, &self.state);
        }
    }

    /// The entity's last value has come, or there is none.
    fn found(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<Found, ReadFailed>,
    ) -> Next<Self> {
        let begun = self.reading.as_ref().and_then(ReadingGuard::begun);
        if let (Some(attached), Some(begun)) = (&mut self.attached, begun) {
            attached.take_begun(Some(begun));
            self.revision = begun.sequence;
        }
        match self.take_in(found) {
            Ok(true) => {
                self.reading = None;
                self.tell_watcher();
                let sequence = self.revision;
                self.state.on_signal(ctx, &PersistenceSignal::RecoveryCompleted { sequence });
                Next::Same
            }
            Ok(false) => {
                let ticket = ctx.ticket(Self::found);
                ctx.suspend_until(&ticket);
                match self.reading.as_ref().map(|reading| reading.read_on(ticket)) {
                    Some(Ok(())) => Next::Same,
                    _ => Next::Fault,
                }
            }
            Err(Recovery::Again { below }) => {
                self.begin_reading(ctx, below);
                Next::Same
            }
            Err(Recovery::Failed(failed)) => self.recovery_failed(ctx, failed),
        }
    }

    /// Whether all is read.
    fn take_in(&mut self, found: Result<Found, ReadFailed>) -> Result<bool, Recovery> {
        let found = found.map_err(|failed| Recovery::Failed(failed.into()))?;
        for record in found.records() {
            match (record.kind, &self.attached) {
                (RecordKind::State, _) => self.take_in_value(&record)?,
                (RecordKind::Entity, Some(attached)) => {
                    attached.check_name(&self.id, &record).map_err(Recovery::Failed)?;
                }
                _ => {}
            }
        }
        Ok(found.is_last)
    }

    fn take_in_value(&mut self, found: &FoundRecord<'_>) -> Result<(), Recovery> {
        let sequence = found.sequence;
        let record = match &found.record {
            Ok(record) => record,
            Err(source) if D::on_damage() == OnDamage::UsePrevious => {
                tracing::warn!(
                    entity = D::LAYOUT.name,
                    id = %self.id,
                    revision = sequence,
                    error = %source,
                    "the last value is damaged; the one before it stands in"
                );
                return Err(Recovery::Again { below: sequence });
            }
            Err(source) => {
                let source = *source;
                return Err(Recovery::Failed(RecoveryFailed::Damaged { sequence, source }));
            }
        };
        let layout = found.layout.ok_or(Recovery::Failed(RecoveryFailed::NoLayout { sequence }))?;
        let schema = |source| Recovery::Failed(RecoveryFailed::Schema { sequence, source });
        let reader = D::reader(&layout.name, layout.version, layout.fingerprint).map_err(schema)?;
        self.state = D::read(reader, record.payload).map_err(schema)?;
        Ok(())
    }

    fn begin_reading(&mut self, ctx: &mut Context<'_, Self>, below: u64) {
        let Some(attached) = &self.attached else { return };
        self.revision = attached.sequence();
        self.reading = Some(attached.read(ctx, below, Self::found));
    }

    fn fail_next(&self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        fail_next(ctx, self.attached.as_ref().map(|attached| &*attached.journal))
    }

    fn recovery_failed(
        &mut self,
        ctx: &mut Context<'_, Self>,
        failed: RecoveryFailed,
    ) -> Next<Self> {
        tracing::error!(entity = D::LAYOUT.name, id = %self.id, error = %failed, "an entity was not recovered");
        self.state.on_signal(ctx, &PersistenceSignal::RecoveryFailed(failed));
        self.fail_next(ctx)
    }
}

/// Gives `give` the records of a value behind another one.
pub(super) fn with_value<D: DurableState, T>(
    state: &D,
    after: u64,
    given_up: u64,
    layout: usize,
    buffer: &mut EventBuffer,
    give: impl FnOnce(&[GroupRecord<'_>]) -> T,
) -> Result<T, WriteError> {
    let place = state.write(buffer)?;
    let value = GroupRecord {
        kind: RecordKind::State,
        layout: Some(layout),
        sequence: after + 1,
        payload: buffer.get(place),
    };
    // The value before this one stays: it may have to stand in.
    let both = [value, GroupRecord::deletion(after)];
    let gives_up = after > given_up + SUPERSEDED_LIMIT;
    Ok(give(if gives_up { &both[..] } else { &both[..1] }))
}

impl<D: DurableState> Actor for Stored<D> {
    type Message = D::Command;
    const KEEPS_JOURNAL: bool = true;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        command: &Archived<D::Command>,
    ) -> Next<Self> {
        let mut change = self.decide(command);
        if let Some(value) = change.value.take() {
            match self.offer(ctx, &value) {
                Ok(Offered::Busy) => return Next::Stash,
                Ok(offered) => {
                    self.after = Some(After { value, steps: change.steps });
                    return offered.next();
                }
                Err(rejected) => {
                    change = self.state.on_rejected(command, &rejected).without_value();
                    if rejected.is_fenced() {
                        change.steps.end = End::Stop;
                    }
                }
            }
        }
        let end = change.steps.end;
        change.steps.run(&self.state, ctx);
        end.next()
    }

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        match Attached::find(ctx, D::LAYOUT.name, &self.id, Kind::of::<D>) {
            Ok(attached) => {
                self.attached = Some(attached);
                self.begin_reading(ctx, u64::MAX);
                Next::Same
            }
            Err(failed) => self.recovery_failed(ctx, failed),
        }
    }
}

impl Kind {
    fn of<D: DurableState>(journal: &CoreJournal) -> Result<Self, RecoveryFailed> {
        Ok(Kind { layout: journal.declare(D::LAYOUT)? })
    }
}
