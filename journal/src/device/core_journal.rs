//! One core's journal as its actors see it.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use mainspring::device::{Device, DeviceTurn, Ticket};

use super::commits::{CommitFailed, Commits, Committed, Redemption};
use super::core_settings::{CoreSettings, JournalFigures};
use super::group::{Group, GroupRecord, Refused, ShardClaim};
use super::hooks::Hooks;
use super::log_index::{LogIndex, Step};
use super::opened_log::{FIRST_EPOCH, OpenedLog};
use super::published::Published;
use super::reading_table::ReadingId;
use super::readings::{ReadRedemption, ReadTicket, Readings};
use super::recent::Recent;
use super::reclaimer::{Reclaimer, Surrounding};
use super::storage::{Storage, StorageEvent};
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::format::record::record_bytes;
use crate::index::MOST_ROWS;
use crate::log::{AppendError, CoreLog, DeclaredEntity, DeclaredSchema, NameTooLong, NewRecord};
use crate::schema::{EventBuffer, Layout};
use crate::sourced::{PersistenceSettings, RecoveryFailed};

struct State {
    log: CoreLog,
    storage: Box<dyn Storage>,
    index: LogIndex,
    entities_limit: usize,
    layouts: Vec<(Layout, DeclaredSchema)>,
    shard_sequences: Vec<u64>,
    shard_epochs: Vec<u64>,
    commits: Commits,
    readings: Readings,
    recent: Recent,
    reclaimer: Reclaimer,
    segment_bytes: u64,
    /// Who waits for room.
    room: Vec<Ticket<()>>,
    /// Something happened since that may have given room, or the certainty that there is none.
    room_changed: bool,
    /// The device has no room for another segment.
    has_no_space: bool,
    /// Who wants a turn of its own.
    soon: Vec<Ticket<()>>,
    /// The number of the frame that took the last group.
    last_frame: u64,
    published: Arc<Published>,
    figures: JournalFigures,
}

/// A core's journal. Actors of the core share it.
pub struct CoreJournal {
    state: RefCell<State>,
    shard_count: u32,
    recovery_limit_ms: u64,
    /// Cores of the node, over which the shards are spread.
    cores: u16,
    persistence: PersistenceSettings,
    /// By the type of the actor.
    kinds: RefCell<Vec<(TypeId, Rc<dyn Any>)>>,
    buffer: Cell<EventBuffer>,
    hooks: Hooks,
}

impl std::fmt::Debug for CoreJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreJournal").field("figures", &self.figures()).finish_non_exhaustive()
    }
}

impl CoreJournal {
    /// A journal on a log that was opened; its torn tail, if it had one, is zeroes by now.
    pub fn new(
        opened: OpenedLog,
        mut storage: Box<dyn Storage>,
        settings: CoreSettings,
        published: Arc<Published>,
    ) -> Rc<Self> {
        let OpenedLog { log, index, shard_sequences, shard_epochs, recovered, .. } = opened;
        storage.want_segments(log.wanted_segments());
        let shard_count = shard_sequences.len() as u32;
        let segment_bytes = log.segment_bytes();
        let state = State {
            log,
            storage,
            index,
            entities_limit: settings.entities_limit.min(MOST_ROWS),
            layouts: Vec::new(),
            shard_sequences,
            shard_epochs,
            commits: Commits::default(),
            readings: Readings::new(settings.recovery_permits),
            recent: Recent::new(settings.recent_limit_bytes),
            reclaimer: Reclaimer::new(settings.reclaim),
            segment_bytes,
            room: Vec::new(),
            room_changed: false,
            has_no_space: false,
            soon: Vec::new(),
            last_frame: recovered.tail.frame,
            published,
            figures: JournalFigures::default(),
        };
        let state = RefCell::new(state);
        Rc::new(CoreJournal {
            state,
            shard_count,
            recovery_limit_ms: settings.recovery_limit_ms,
            cores: settings.cores,
            persistence: settings.persistence,
            kinds: RefCell::default(),
            buffer: Cell::default(),
            hooks: Hooks::default(),
        })
    }

    /// What actors of this core do unless their type says otherwise.
    pub fn persistence(&self) -> PersistenceSettings {
        self.persistence
    }

    /// The core that a shard belongs to.
    pub fn home_of(&self, shard: u32) -> u16 {
        (shard % u32::from(self.cores.max(1))) as u16
    }

    /// What the actors of the type `A` have in common; made for the first of them.
    pub(crate) fn kind<A: 'static, K: 'static>(
        &self,
        make: impl FnOnce(&CoreJournal) -> Result<K, RecoveryFailed>,
    ) -> Result<Rc<K>, RecoveryFailed> {
        let of = TypeId::of::<A>();
        let known = self.kinds.borrow().iter().find(|(known, _)| *known == of).cloned();
        if let Some(kind) = known.and_then(|(_, kind)| kind.downcast().ok()) {
            return Ok(kind);
        }
        let kind = Rc::new(make(self)?);
        self.kinds.borrow_mut().push((of, Rc::clone(&kind) as Rc<dyn Any>));
        Ok(kind)
    }

    /// What a testkit has put here.
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.hooks
    }

    /// Memory to write events to; it is empty.
    pub(crate) fn take_buffer(&self) -> EventBuffer {
        let mut buffer = self.buffer.take();
        buffer.clear();
        buffer
    }

    /// Gives it back.
    pub(crate) fn give_buffer(&self, buffer: EventBuffer) {
        self.buffer.set(buffer);
    }

    /// Gives `ticket` a turn when the log takes groups again.
    pub fn wait_for_room(&self, ticket: Ticket<()>) {
        self.state.borrow_mut().room.push(ticket);
    }

    /// Gives `ticket` a turn after this sweep's turns.
    pub fn at_next_poll(&self, ticket: Ticket<()>) {
        self.state.borrow_mut().soon.push(ticket);
    }

    /// From now on old segments are dropped before the copies of what they hold are durable.
    pub(crate) fn drop_segments_early(&self) {
        self.state.borrow_mut().reclaimer.drop_early();
    }

    /// No later than then an entity's latest state was written, in milliseconds since 1970: the time of the last frame
    /// of its segment.
    pub fn state_written_at_ms(&self, entity: u64) -> u64 {
        self.state.borrow().index.state_written_at_ms(entity)
    }

    /// The wall clock by which frames are dated, in milliseconds since 1970.
    pub fn wall_clock_ms(&self) -> u64 {
        self.state.borrow_mut().storage.wall_clock_ms()
    }

    /// What it has done so far.
    pub fn figures(&self) -> JournalFigures {
        self.state.borrow().figures
    }

    /// How many shards the system has.
    pub fn shard_count(&self) -> u32 {
        self.shard_count
    }

    /// Whether a write has failed: nothing is taken any more.
    pub fn is_poisoned(&self) -> bool {
        self.state.borrow().log.is_poisoned()
    }

    /// The number by which groups of this core refer to a layout.
    ///
    /// # Errors
    /// [`NameTooLong`].
    pub fn declare(&self, layout: Layout) -> Result<usize, NameTooLong> {
        let layouts = &mut self.state.borrow_mut().layouts;
        if let Some(number) = layouts.iter().position(|(known, _)| *known == layout) {
            return Ok(number);
        }
        let schema = DeclaredSchema::new(layout.name, layout.version, layout.fingerprint)?;
        layouts.push((layout, schema));
        Ok(layouts.len() - 1)
    }

    /// The layout of a number that [`CoreJournal::declare`] has given.
    pub(super) fn layout(&self, number: usize) -> Option<Layout> {
        self.state.borrow().layouts.get(number).map(|(layout, _)| *layout)
    }

    /// An entity by its name as dictionaries hold it, not to be declared again where it is.
    pub(super) fn declared(&self, name: &[u8]) -> DeclaredEntity {
        let mut entity = DeclaredEntity::named(name);
        if let Some(segment_id) = self.state.borrow().index.named_in(entity.hash()) {
            entity.declare(segment_id);
        }
        entity
    }

    /// How long a reading may take.
    pub(super) fn recovery_limit_ms(&self) -> u64 {
        self.recovery_limit_ms
    }

    /// Takes a group of records. Returns its frame and where in the file it stands, for [`CoreJournal::wait`].
    ///
    /// # Errors
    /// [`Refused`]; nothing of the group will be written, and nothing changed.
    pub fn append(&self, now_ns: u64, group: Group<'_>) -> Result<(u64, Range<u64>), Refused> {
        let taken = match self.hooks.refuses() {
            true => Err(refusal_of(&group)),
            false => self.state.borrow_mut().append(now_ns, group),
        };
        if let Err(refused) = &taken {
            self.state.borrow_mut().figures.count(refused);
        }
        taken
    }

    /// A shard and its epoch: under which its entities are written for from now on.
    pub fn claim(&self, shard: u32) -> ShardClaim {
        let epochs = &self.state.borrow().shard_epochs;
        let epoch = epochs.get(shard as usize).copied().unwrap_or(FIRST_EPOCH);
        ShardClaim { number: shard, epoch }
    }

    /// Seals a shard for all epochs before one: from this call on nothing is taken under them, and once
    /// [`CoreJournal::wait`] says that the place which this returns is durable, that holds after every restart too,
    /// and everything that was taken before is durable. To be said once more, the epoch that the shard has may be
    /// raised to again.
    ///
    /// # Errors
    /// [`Refused`]: the epoch is lower than the shard's, there is no such shard, or the log does not take it. Then
    /// nothing has changed.
    pub fn raise_epoch(
        &self,
        now_ns: u64,
        shard: u32,
        epoch: u64,
    ) -> Result<(u64, Range<u64>), Refused> {
        let state = &mut *self.state.borrow_mut();
        let taken = state.raise_epoch(now_ns, ShardClaim { number: shard, epoch });
        if let Err(refused) = &taken {
            state.figures.count(refused);
        }
        taken
    }

    /// Gives `ticket` what became of the group that was appended last of all.
    pub fn wait(
        &self,
        (frame, place): (u64, Range<u64>),
        ticket: Ticket<Result<Committed, CommitFailed>>,
    ) {
        self.state.borrow_mut().commits.wait(frame, place, ticket);
    }

    /// The last sequence number of an entity, 0 when there is none.
    pub fn sequence_of(&self, entity: u64) -> u64 {
        self.state.borrow().index.sequence_of(entity)
    }

    /// Reads what an entity is made from: its name, by which the reader tells whose records they are, the latest state
    /// below a sequence number, and the events behind it. `ticket` gets the first batch.
    pub fn read(&self, now_ns: u64, entity: u64, below: u64, ticket: ReadTicket) -> ReadingId {
        let state = &mut *self.state.borrow_mut();
        let search = state.index.search(entity, below);
        state.figures.readings += 1;
        // Records of others may be on their way to the device: this entity's need not wait for them.
        let end = state.index.end_in_memory(entity);
        let is_durable = end.is_none_or(|(segment_id, end)| state.log.is_durable(segment_id, end));
        let limit_ms = self.recovery_limit_ms;
        if is_durable
            && end.is_some_and(|(segment_id, end)| state.recent.reaches(segment_id, end))
            && let Ok(Step::Found(runs)) = state.index.step(&mut search.clone())
            && let Some(found) = state.readings.find_in(&state.recent, entity, &runs)
        {
            return state.readings.begin_with(now_ns, limit_ms, search, found, ticket);
        }
        let after_frame = if is_durable { 0 } else { state.last_frame };
        state.readings.begin(now_ns, limit_ms, after_frame, search, ticket)
    }

    /// Asks for the next batch of a reading.
    ///
    /// # Errors
    /// The ticket: the reading is over, or took too long.
    pub fn read_on(&self, reading: ReadingId, ticket: ReadTicket) -> Result<(), ReadTicket> {
        self.state.borrow_mut().readings.go_on(reading, ticket)
    }

    /// Nobody waits for this reading any more.
    pub fn cancel_read(&self, reading: ReadingId) {
        self.state.borrow_mut().readings.cancel(reading);
    }
}

impl State {
    fn append(&mut self, now_ns: u64, group: Group<'_>) -> Result<(u64, Range<u64>), Refused> {
        let Group { entity, shard, after, records } = group;
        let actual = self.index.sequence_near(entity.rows(), entity.hash());
        if actual != after {
            return Err(Refused::Sequence { expected: after, actual });
        }
        let limit = self.entities_limit;
        if actual == 0 && self.index.entities() >= limit && !self.index.has(entity.hash()) {
            return Err(Refused::TooManyEntities { limit });
        }
        let by = self.epoch_of(shard.number)?;
        if by != shard.epoch {
            return Err(shard.fenced(by));
        }
        self.write(now_ns, entity, shard, records)
    }

    fn raise_epoch(&mut self, now_ns: u64, to: ShardClaim) -> Result<(u64, Range<u64>), Refused> {
        let by = self.epoch_of(to.number)?;
        if by > to.epoch {
            return Err(to.fenced(by));
        }
        let (kind, layout, sequence, payload) = (RecordKind::ShardEpoch, None, 0, &[][..]);
        let record = GroupRecord { kind, layout, sequence, payload };
        let taken = self.write(now_ns, &mut DeclaredEntity::nobody(), to, &[record])?;
        if let Some(epoch) = self.shard_epochs.get_mut(to.number as usize) {
            *epoch = to.epoch;
        }
        Ok(taken)
    }

    fn epoch_of(&self, shard: u32) -> Result<u64, Refused> {
        let count = self.shard_epochs.len() as u32;
        self.shard_epochs.get(shard as usize).copied().ok_or(Refused::Shard { shard, count })
    }

    /// Hands records to the log and enters them in the index.
    fn write(
        &mut self,
        now_ns: u64,
        entity: &mut DeclaredEntity,
        shard: ShardClaim,
        records: &[GroupRecord<'_>],
    ) -> Result<(u64, Range<u64>), Refused> {
        let ShardClaim { number: shard, epoch } = shard;
        let count = self.shard_sequences.len() as u32;
        let Some(shard_sequence) = self.shard_sequences.get_mut(shard as usize) else {
            return Err(Refused::Shard { shard, count });
        };
        let layouts = &self.layouts;
        let first = ShardPlace { shard, epoch, sequence: *shard_sequence + 1 };
        let position = match records {
            [one] => self.log.append(now_ns, entity, &[new_record(one, 0, layouts, first)]),
            many => {
                let many = many.iter().enumerate();
                let new: Vec<_> =
                    many.map(|(place, record)| new_record(record, place, layouts, first)).collect();
                self.log.append(now_ns, entity, &new)
            }
        };
        let position = position.map_err(|error| match error {
            AppendError::Full { .. } if !self.has_no_space => Refused::NotReady,
            error => error.into(),
        })?;
        *shard_sequence += records.len() as u64;
        let (mut start, mut end) = (u64::MAX, 0);
        let mut number = 0;
        for placed in self.log.placed() {
            start = start.min(placed.offset);
            end = end.max(placed.offset + u64::from(placed.bytes));
            let entry = match placed.header.kind {
                // A layout is declared just before the first record that has it.
                RecordKind::Schema => records
                    .get(number)
                    .and_then(|record| layouts.get(record.layout?))
                    .map(|(layout, _)| entry_of(layout, placed.header.schema)),
                RecordKind::Entity => {
                    self.recent.named(&placed.header, entity.payload());
                    None
                }
                _ => {
                    number += 1;
                    None
                }
            };
            if let Err(error) = self.index.add(entity.rows_mut(), placed, entry) {
                // There is room for its entity, and the other limits lie beyond what a segment holds.
                tracing::error!(%error, "a record of the journal is not in its index");
            }
        }
        self.last_frame = position.frame;
        self.figures.groups += 1;
        self.figures.records += records.len() as u64;
        Ok((position.frame, start..end))
    }

    /// Takes in what the storage has finished; who is told what.
    fn take_events(&mut self, now_ns: u64, commits: &mut Vec<Redemption>) -> usize {
        let mut taken = 0;
        while let Some(event) = self.storage.next_event(now_ns) {
            taken += 1;
            self.room_changed |= !matches!(event, StorageEvent::Read { .. });
            match event {
                StorageEvent::Written { frame, offset, bytes, result: Ok(()) } => {
                    self.figures.commits += 1;
                    self.figures.committed_bytes += bytes.len() as u64;
                    self.commits.written(frame, offset, bytes);
                    if let Ok(durable) = self.log.completed(frame) {
                        self.commits.durable(durable.frame, &mut self.recent, commits);
                        self.published.publish(durable.lsn, &self.figures);
                    }
                }
                StorageEvent::Written { frame, result: Err(error), .. } => {
                    self.figures.failed_writes += 1;
                    tracing::error!(%error, frame, "a write of the journal failed; open it again");
                    let _ = self.log.failed(frame);
                }
                StorageEvent::Read { token, bytes, result } if Reclaimer::has_asked_for(token) => {
                    let (reclaimer, around, _) = self.reclaiming();
                    reclaimer.was_read(now_ns, &around, bytes, result);
                }
                StorageEvent::SegmentDropped { result, .. } => {
                    if result.is_ok() {
                        self.figures.segments_dropped += 1;
                        self.figures.bytes_given_back += self.segment_bytes;
                    }
                    self.reclaimer.was_dropped(result);
                }
                StorageEvent::Read { token, bytes, result } => {
                    self.readings.fetched(token, bytes, result);
                }
                StorageEvent::FooterWritten(summary) => {
                    self.figures.footers += 1;
                    self.index.footer_written(summary);
                }
                StorageEvent::NoFooter(error) => {
                    self.figures.footers_failed += 1;
                    tracing::warn!(%error, "a segment of the journal has no footer");
                }
                StorageEvent::SegmentReady(file) => {
                    self.has_no_space = false;
                    self.log.add_segment(file);
                }
                StorageEvent::NoSegment(error) => {
                    self.figures.segments_refused += 1;
                    if !std::mem::replace(&mut self.has_no_space, true) {
                        tracing::warn!(%error, "no segment of the journal can be made ahead");
                    }
                }
            }
        }
        if self.log.is_poisoned() {
            self.commits.failed(commits);
        }
        taken
    }

    /// Hands out what can begin.
    fn drive(&mut self, now_ns: u64) -> usize {
        let mut begun = 0;
        while let Some(memory) = self.commits.take_free() {
            self.log.recycle(memory);
        }
        self.log.mark_idle(now_ns);
        while self.log.can_write() {
            let now_ms = self.storage.wall_clock_ms();
            let Some(write) = self.log.next_write(now_ns, now_ms) else { break };
            begun += 1;
            if let Some((frame, offset)) = write.header() {
                self.index.frame_written(&frame, offset);
                self.recent.begun(&frame, offset);
            }
            if let Err(write) = self.storage.write(write) {
                // A storage has room for as many writes as the log may have in flight.
                tracing::error!(
                    frame = write.frame,
                    "the storage has no room for a write of the journal"
                );
                self.figures.failed_writes += 1;
                let _ = self.log.failed(write.frame);
                break;
            }
        }
        let durable_frame = self.log.durable().frame;
        while let Some(sealed) = self.index.take_sealed(durable_frame) {
            begun += 1;
            self.storage.write_footer(sealed);
        }
        begun +=
            self.readings.drive(durable_frame, &self.recent, &mut self.index, &mut *self.storage);
        let requested = self.readings.requested();
        (self.figures.reads, self.figures.read_bytes) = (requested.reads, requested.bytes);
        if !self.log.is_poisoned() {
            let (reclaimer, mut around, storage) = self.reclaiming();
            begun += reclaimer.drive(now_ns, &mut around, storage);
            self.storage.want_segments(self.log.wanted_segments());
        }
        begun
    }

    fn reclaiming(&mut self) -> (&mut Reclaimer, Surrounding<'_>, &mut dyn Storage) {
        let around = Surrounding {
            log: &mut self.log,
            index: &mut self.index,
            readings: &self.readings,
            shard_sequences: &self.shard_sequences,
            last_frame: &mut self.last_frame,
            has_no_space: self.has_no_space,
            pending_limit_bytes: self.reclaimer.pending_limit_bytes(),
            figures: &mut self.figures,
        };
        (&mut self.reclaimer, around, &mut *self.storage)
    }
}

impl JournalFigures {
    fn count(&mut self, refused: &Refused) {
        match refused {
            Refused::Log(AppendError::Full { .. }) => self.refused_full += 1,
            Refused::Log(AppendError::Busy { .. }) | Refused::NotReady => self.refused_busy += 1,
            _ => self.refused_other += 1,
        }
    }
}

/// Where a group begins in its shard.
#[derive(Clone, Copy)]
struct ShardPlace {
    shard: u32,
    epoch: u64,
    sequence: u64,
}

fn entry_of(layout: &Layout, number: u16) -> SchemaEntry {
    let Layout { name, version, fingerprint } = *layout;
    SchemaEntry { number, version, fingerprint, name: name.to_owned() }
}

/// What a journal without room says to a group.
fn refusal_of(group: &Group<'_>) -> Refused {
    let bytes = group.records.iter().map(|record| record_bytes(record.payload.len()) as u64);
    AppendError::Full { needed_bytes: bytes.sum() }.into()
}

fn new_record<'a>(
    record: &GroupRecord<'a>,
    place: usize,
    layouts: &'a [(Layout, DeclaredSchema)],
    first: ShardPlace,
) -> NewRecord<'a> {
    NewRecord {
        kind: record.kind,
        schema: record.layout.and_then(|layout| layouts.get(layout)).map(|(_, schema)| schema),
        shard: first.shard,
        entity_sequence: record.sequence,
        shard_sequence: first.sequence + place as u64,
        epoch: first.epoch,
        payload: record.payload,
    }
}

/// Polls a core's journal.
#[derive(Debug)]
pub struct JournalDevice {
    journal: Rc<CoreJournal>,
    commits: Vec<Redemption>,
    found: Vec<ReadRedemption>,
    turns: Vec<Ticket<()>>,
}

impl JournalDevice {
    /// The device of a journal.
    pub fn new(journal: Rc<CoreJournal>) -> Self {
        JournalDevice { journal, commits: Vec::new(), found: Vec::new(), turns: Vec::new() }
    }
}

impl Device for JournalDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        let now_ns = turn.now_ns();
        let mut work = 0;
        {
            let state = &mut *self.journal.state.borrow_mut();
            work += state.take_events(now_ns, &mut self.commits);
            let poisoned = state.log.is_poisoned();
            state.readings.give_out(now_ns, poisoned, &mut self.found);
            self.turns.append(&mut state.soon);
            if std::mem::take(&mut state.room_changed) || poisoned {
                self.turns.append(&mut state.room);
            }
        }
        work += self.commits.len() + self.found.len() + self.turns.len();
        for ticket in self.turns.drain(..) {
            turn.redeem(ticket, ());
        }
        for (ticket, committed) in self.commits.drain(..) {
            turn.redeem(ticket, committed);
        }
        for (ticket, found) in self.found.drain(..) {
            turn.redeem(ticket, found);
        }
        work + self.journal.state.borrow_mut().drive(now_ns)
    }

    fn has_work(&mut self) -> bool {
        let state = &mut *self.journal.state.borrow_mut();
        state.storage.has_events()
            || state.log.can_write()
            || state.readings.has_work()
            || state.index.has_sealed(state.log.durable().frame)
            || (state.reclaimer.has_work() && !state.log.is_poisoned())
            || !state.soon.is_empty()
            || (state.log.is_poisoned() && state.commits.waiting() > 0)
    }

    fn next_deadline_ns(&self) -> Option<u64> {
        let state = self.journal.state.borrow();
        let all = [
            state.storage.next_deadline_ns(),
            state.log.marker_due_ns(),
            state.readings.next_deadline_ns(),
            state.reclaimer.next_deadline_ns().filter(|_| !state.log.is_poisoned()),
        ];
        all.into_iter().flatten().min()
    }

    fn is_quiet(&self) -> bool {
        let state = self.journal.state.borrow();
        let over = state.log.is_poisoned()
            || (state.log.is_settled() && state.log.marker_due_ns().is_none());
        over && state.commits.waiting() == 0 && state.readings.is_empty()
    }
}
