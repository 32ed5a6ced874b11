//! The actor around an event-sourced state.

use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;

use mainspring::prelude::*;

use super::effect::{Effect, Events as EffectEvents};
use super::event_sourced::EventSourced;
use super::recovery::{Recovering, Recovery};
use super::settings::PersistenceSettings;
use super::signal::{PersistRejected, PersistenceSignal, RecoveryFailed, SnapshotFailed};
use super::snapshots::Snapshots;
use super::tags::checked_tags;
use crate::device::{CommitFailed, Committed, CoreJournal, Group, GroupRecord, Refused};
use crate::entity::{Attached, End, EntityId, Offered, Steps, fail_next};
use crate::format::RecordKind;
use crate::log::AppendError;
use crate::schema::{ArchivedEvent, EventBuffer, Events, WriteError};

/// An actor whose state is the fold of its events: see [`EventSourced`].
///
/// It runs on any core of its node. On the one whose log it has ([`Journal::core_of`](crate::Journal::core_of)) it
/// writes there itself; elsewhere that core's log is used from afar, for the price of the way. Commands that
/// come while it recovers, and while events are being written, wait in its stash; what finds no room there is a
/// dead letter of the reason [`StashFull`](mainspring::Reason::StashFull). When it fails it should be
/// [restarted](mainspring::Restart) with a pause.
pub struct Persistent<E: EventSourced> {
    pub(super) id: EntityId,
    pub(super) make: Rc<dyn Fn() -> E>,
    pub(super) state: E,
    pub(super) sequence: u64,
    pub(super) snapshots: Snapshots,
    /// Ids of the last commands that had events.
    pub(super) commands: VecDeque<u128>,
    pub(super) attached: Option<Attached<Kind>>,
    pub(super) recovering: Option<Recovering>,
    /// What happens when the events that are being written are durable.
    pub(super) after: Option<After<E>>,
}

/// What all actors of one type on a core have in common.
#[derive(Debug)]
pub(crate) struct Kind {
    /// The journal's numbers of the event layouts, in the order of [`Events::LAYOUTS`].
    pub(super) layouts: Vec<usize>,
    /// The journal's number of the state's layout.
    pub(super) state_layout: usize,
    pub(super) settings: PersistenceSettings,
}

pub(super) struct After<E: EventSourced> {
    /// The events, to tell how each is read.
    events: EffectEvents<E>,
    steps: Steps<E, Persistent<E>>,
    command_id: Option<u128>,
}

impl<E: EventSourced> Persistent<E> {
    /// The entity of this id. `make` gives the state that is before its first event.
    pub fn new(id: impl Into<EntityId>, make: impl Fn() -> E + 'static) -> Self {
        let make: Rc<dyn Fn() -> E> = Rc::new(make);
        Persistent {
            id: id.into(),
            state: make(),
            make,
            sequence: 0,
            snapshots: Snapshots::default(),
            commands: VecDeque::new(),
            attached: None,
            recovering: None,
            after: None,
        }
    }

    /// Which entity it is.
    pub fn id(&self) -> &EntityId {
        &self.id
    }

    /// The number of the last event.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn decide(&self, command: &Archived<E::Command>) -> (Effect<E>, Option<u128>) {
        let id = self.state.command_id(command);
        if let Some(id) = id
            && self.commands.contains(&id)
        {
            return (without_events(self.state.on_duplicate(command)), None);
        }
        if let Some(expected) = self.state.expected_sequence(command)
            && expected != self.sequence
        {
            return (without_events(self.state.on_conflict(command, self.sequence)), None);
        }
        (self.state.on_command(command), id)
    }

    /// Gives the events to the journal.
    fn persist(
        &mut self,
        ctx: &mut Context<'_, Self>,
        effect: &EffectEvents<E>,
        command_id: Option<u128>,
    ) -> Result<Offered, PersistRejected> {
        let Some(Attached { journal, kind, entity, shard, away }) = &mut self.attached else {
            return Ok(Offered::Busy);
        };
        if away.is_some() {
            return self.persist_afar(ctx, effect, command_id);
        }
        let shard = *shard;
        let mut buffer = journal.take_buffer();
        let sequence = self.sequence;
        let taken = match effect {
            EffectEvents::None => return Ok(Offered::Taken),
            EffectEvents::One(event) if command_id.is_none() && E::tags(event).is_empty() => {
                let layout = kind.layouts.get(event.layout()).copied();
                event.write(&mut buffer).map_err(PersistRejected::from).and_then(|place| {
                    let payload = buffer.get(place);
                    let sequence = sequence + 1;
                    let record = GroupRecord { kind: RecordKind::Event, layout, sequence, payload };
                    let records = &[record];
                    let group = Group { entity, shard, after: self.sequence, records };
                    Ok(journal.append(ctx.now_ns(), group)?)
                })
            }
            EffectEvents::One(event) => {
                let events = std::slice::from_ref(event);
                append_many::<E>(
                    ctx.now_ns(),
                    self.attached.as_mut(),
                    &mut buffer,
                    sequence,
                    events,
                    command_id,
                )
            }
            EffectEvents::Many(events) => append_many::<E>(
                ctx.now_ns(),
                self.attached.as_mut(),
                &mut buffer,
                sequence,
                events,
                command_id,
            ),
        };
        let Some(attached) = &self.attached else { return Ok(Offered::Busy) };
        attached.journal.give_buffer(buffer);
        attached.wait(ctx, taken, Self::persisted)
    }

    /// The events of the last command are durable, or nobody knows.
    pub(super) fn persisted(
        &mut self,
        ctx: &mut Context<'_, Self>,
        outcome: Result<Committed, CommitFailed>,
    ) -> Next<Self> {
        if outcome.is_err() {
            self.state.on_signal(ctx, &PersistenceSignal::PersistFailed);
            return self.fail_next(ctx);
        }
        let Some(After { events, steps, command_id }) = self.after.take() else {
            return Next::Same;
        };
        if let Err(failed) = self.apply(events.as_slice()) {
            return self.recovery_failed(ctx, failed);
        }
        self.tell_watcher();
        if let (Some(id), Some(Attached { kind, .. })) = (command_id, &self.attached) {
            remember(&mut self.commands, id, kind.settings.commands_remembered);
        }
        let end = steps.end;
        steps.run(&self.state, ctx);
        self.consider_snapshot(ctx);
        end.next()
    }

    /// The state changes by events that are durable. Their archives are made once more, which is cheaper than reading
    /// records that nobody vouches for, and the same: equal values give equal bytes.
    fn apply(&mut self, events: &[E::Event]) -> Result<(), RecoveryFailed> {
        let Some(Attached { journal, .. }) = &self.attached else { return Ok(()) };
        let mut buffer = journal.take_buffer();
        let state = &mut self.state;
        let mut change = |event: ArchivedEvent<'_, E::Event>| state.on_event(event);
        let mut applied = Ok(());
        for event in events {
            let sequence = self.sequence + 1;
            applied = event
                .read_back(&mut buffer, &mut change)
                .map_err(|source| RecoveryFailed::Schema { sequence, source });
            if applied.is_err() {
                break;
            }
            self.sequence = sequence;
        }
        journal.give_buffer(buffer);
        applied
    }

    fn tell_watcher(&self) {
        if let Some(Attached { journal, entity, .. }) = &self.attached {
            journal.hooks().changed(entity.hash(), self.sequence, &self.state);
        }
    }

    /// Takes a snapshot if it is time for one.
    fn consider_snapshot(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(Attached { kind, .. }) = &self.attached else { return };
        let since = self.sequence - self.snapshots.last();
        let every = kind.settings.snapshot_every;
        let is_due = every > 0 && since >= every;
        if since > 0 && (is_due || self.state.snapshot_when(self.sequence)) {
            self.snapshot(ctx);
        }
    }

    fn snapshot(&mut self, ctx: &mut Context<'_, Self>) {
        let sequence = self.sequence;
        let Some(Attached { journal, kind, entity, shard, away }) = &mut self.attached else {
            return;
        };
        if away.is_some() {
            return self.snapshot_afar(ctx);
        }
        let (shard, layout) = (*shard, kind.state_layout);
        let mut buffer = journal.take_buffer();
        let (state, commands) = (&self.state, &self.commands);
        let taken = with_snapshot(state, commands, sequence, layout, &mut buffer, |records| {
            journal.append(ctx.now_ns(), Group { entity, shard, after: sequence, records })
        });
        let taken = taken.map_err(SnapshotFailed::from).and_then(|taken| Ok(taken?));
        journal.give_buffer(buffer);
        match taken {
            Ok(place) => {
                // The next one is due from here, whatever becomes of this one.
                self.snapshots.begun(sequence);
                let ticket = ctx.ticket(Self::snapshot_taken);
                if let Some(Attached { journal, .. }) = &self.attached {
                    journal.wait(place, ticket);
                }
            }
            Err(failed) => self.state.on_signal(ctx, &PersistenceSignal::SnapshotFailed(failed)),
        }
    }

    /// A snapshot is durable; events before the oldest one that is kept may go.
    pub(super) fn snapshot_taken(
        &mut self,
        ctx: &mut Context<'_, Self>,
        outcome: Result<Committed, CommitFailed>,
    ) -> Next<Self> {
        let snapshot = outcome.ok().and_then(|committed| {
            committed.records().next().map(|record| record.header.entity_sequence)
        });
        let Some(sequence) = snapshot else {
            self.state.on_signal(ctx, &PersistenceSignal::PersistFailed);
            return self.fail_next(ctx);
        };
        if let Some(Attached { journal, .. }) = &self.attached {
            self.snapshots.completed(sequence, journal.wall_clock_ms());
        }
        self.state.on_signal(ctx, &PersistenceSignal::SnapshotCompleted { sequence });
        self.give_up_events(ctx);
        Next::Same
    }

    fn give_up_events(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(Attached { journal, kind, entity, shard, away }) = &mut self.attached else {
            return;
        };
        let now_ms = journal.wall_clock_ms();
        let Some(to_sequence) = self.snapshots.to_give_up(&kind.settings, now_ms) else { return };
        if away.is_some() {
            return self.give_up_afar(ctx, to_sequence);
        }
        let records = &[GroupRecord::deletion(to_sequence)];
        let group = Group { entity, shard: *shard, after: self.sequence, records };
        // A deletion that is refused is made good by the next one.
        if journal.append(ctx.now_ns(), group).is_ok() {
            self.events_deleted(ctx, to_sequence);
        }
    }

    pub(super) fn events_deleted(&mut self, ctx: &mut Context<'_, Self>, to_sequence: u64) {
        self.snapshots.given_up(to_sequence);
        self.state.on_signal(ctx, &PersistenceSignal::EventsDeleted { to_sequence });
    }

    fn fail_next(&self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        fail_next(ctx, self.attached.as_ref().map(|attached| &*attached.journal))
    }

    pub(super) fn recovery_failed(
        &mut self,
        ctx: &mut Context<'_, Self>,
        failed: RecoveryFailed,
    ) -> Next<Self> {
        tracing::error!(entity = E::LAYOUT.name, id = %self.id, error = %failed, "an entity was not recovered");
        self.state.on_signal(ctx, &PersistenceSignal::RecoveryFailed(failed));
        self.fail_next(ctx)
    }

    fn begin_reading(&mut self, ctx: &mut Context<'_, Self>, below: u64) {
        let Some(attached) = &self.attached else { return };
        let sequence = attached.sequence();
        self.recovering = Some(Recovering::new(attached.read(ctx, below, Self::found), sequence));
    }

    /// Some of the records have come.
    fn found(
        &mut self,
        ctx: &mut Context<'_, Self>,
        found: Result<crate::device::Found, crate::device::ReadFailed>,
    ) -> Next<Self> {
        if let (Some(attached), Some(recovering)) = (&mut self.attached, &self.recovering) {
            attached.take_begun(recovering.begun());
        }
        match self.take_in(found) {
            Recovery::GoesOn => {
                let ticket = ctx.ticket(Self::found);
                ctx.suspend_until(&ticket);
                let asked = self.recovering.as_ref().map(|recovering| recovering.read_on(ticket));
                match asked {
                    Some(Ok(())) => Next::Same,
                    _ => Next::Fault,
                }
            }
            Recovery::Again { below } => {
                self.begin_reading(ctx, below);
                Next::Same
            }
            Recovery::Failed(failed) => self.recovery_failed(ctx, failed),
            Recovery::Completed => {
                self.recovering = None;
                self.tell_watcher();
                let sequence = self.sequence;
                self.state.on_signal(ctx, &PersistenceSignal::RecoveryCompleted { sequence });
                Next::Same
            }
        }
    }
}

/// Events with their tags, and the id of their command, as one group.
fn append_many<E: EventSourced>(
    now_ns: u64,
    attached: Option<&mut Attached<Kind>>,
    buffer: &mut EventBuffer,
    after: u64,
    events: &[E::Event],
    command_id: Option<u128>,
) -> Result<(u64, Range<u64>), PersistRejected> {
    let Some(Attached { journal, kind, entity, shard, .. }) = attached else {
        return Err(Refused::Log(AppendError::Poisoned).into());
    };
    let shard = *shard;
    let taken = with_records::<E, _>(kind, buffer, after, events, command_id, |records| {
        journal.append(now_ns, Group { entity, shard, after, records })
    });
    Ok(taken??)
}

/// Gives `give` the records of events, of their tags and of the id of their command.
pub(super) fn with_records<E: EventSourced, T>(
    kind: &Kind,
    buffer: &mut EventBuffer,
    after: u64,
    events: &[E::Event],
    command_id: Option<u128>,
    give: impl FnOnce(&[GroupRecord<'_>]) -> T,
) -> Result<T, PersistRejected> {
    let mut places = Vec::with_capacity(events.len());
    for event in events {
        let tags = checked_tags(E::tags(event))?;
        places.push((event.write(buffer)?, kind.layouts.get(event.layout()).copied(), tags));
    }
    let fixed = |kind, sequence, payload| GroupRecord { kind, layout: None, sequence, payload };
    let mut records = Vec::with_capacity(places.len() + 1);
    let mut sequence = after;
    for (place, layout, tags) in places {
        sequence += 1;
        let payload = buffer.get(place);
        records.push(GroupRecord { kind: RecordKind::Event, layout, sequence, payload });
        let tags = tags.iter().map(|tag| fixed(RecordKind::Tag, sequence, tag.as_bytes()));
        records.extend(tags);
    }
    let id = command_id.map(u128::to_le_bytes);
    records.extend(id.iter().map(|id| fixed(RecordKind::Command, sequence, id)));
    Ok(give(&records))
}

/// Gives `give` the records of a snapshot: the state, and the ids of the commands that are remembered.
pub(super) fn with_snapshot<E: EventSourced, T>(
    state: &E,
    commands: &VecDeque<u128>,
    sequence: u64,
    layout: usize,
    buffer: &mut EventBuffer,
    give: impl FnOnce(&[GroupRecord<'_>]) -> T,
) -> Result<T, WriteError> {
    let ids: Vec<[u8; 16]> = commands.iter().map(|id| id.to_le_bytes()).collect();
    let place = state.write(buffer)?;
    let payload = buffer.get(place);
    let state = GroupRecord { kind: RecordKind::State, layout: Some(layout), sequence, payload };
    let command =
        |id| GroupRecord { kind: RecordKind::Command, layout: None, sequence, payload: id };
    let commands = ids.iter().map(|id| command(&id[..]));
    let records: Vec<_> = std::iter::once(state).chain(commands).collect();
    Ok(give(&records))
}

/// Of an effect that may have no events.
fn without_events<E: EventSourced>(effect: Effect<E>) -> Effect<E> {
    Effect { events: EffectEvents::None, ..effect }
}

/// Keeps the last ids only. One that was copied forward may be found twice.
pub(super) fn remember(commands: &mut VecDeque<u128>, id: u128, limit: u32) {
    if commands.contains(&id) {
        return;
    }
    while commands.len() >= limit.max(1) as usize {
        commands.pop_front();
    }
    commands.push_back(id);
}

impl<E: EventSourced> Actor for Persistent<E> {
    type Message = E::Command;
    const KEEPS_JOURNAL: bool = true;

    fn receive(
        &mut self,
        ctx: &mut Context<'_, Self>,
        command: &Archived<E::Command>,
    ) -> Next<Self> {
        let (mut effect, command_id) = self.decide(command);
        if !effect.events().is_empty() {
            match self.persist(ctx, &effect.events, command_id) {
                Ok(Offered::Busy) => return Next::Stash,
                Ok(offered) => {
                    let Effect { events, steps } = effect;
                    self.after = Some(After { events, steps, command_id });
                    return offered.next();
                }
                Err(rejected) => {
                    effect = without_events(self.state.on_rejected(command, &rejected));
                    if rejected.is_fenced() {
                        effect.steps.end = End::Stop;
                    }
                }
            }
        }
        let end = effect.steps.end;
        effect.steps.run(&self.state, ctx);
        end.next()
    }

    fn started(&mut self, ctx: &mut Context<'_, Self>) -> Next<Self> {
        match Attached::find(ctx, E::LAYOUT.name, &self.id, Kind::of::<E>) {
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
    fn of<E: EventSourced>(journal: &CoreJournal) -> Result<Self, RecoveryFailed> {
        let mut layouts = Vec::new();
        for layout in E::Event::LAYOUTS {
            layouts.push(journal.declare(*layout)?);
        }
        let state_layout = journal.declare(E::LAYOUT)?;
        let settings = E::settings(journal.persistence());
        Ok(Kind { layouts, state_layout, settings })
    }
}
