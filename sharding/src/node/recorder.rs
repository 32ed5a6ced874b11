//! A region's place at its core's journal, where the lists of running entities stand.
//!
//! What is written and when decides the [`RememberStore`]; here it becomes records of the log, and its refusals become
//! what the store is told. The lists of a type are entities of the journal of their own, one for each shard and core,
//! of the entity type [`LIST_TYPE`]. They are appended to within the turn in which something happens, and waited for by
//! nobody: what is appended later to the same log is durable later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;

use mainspring_journal::device::{CoreJournal, Group, GroupRecord, ReadingId, Refused, ShardClaim};
use mainspring_journal::format::RecordKind;
use mainspring_journal::format::dictionary::EntityEntry;
use mainspring_journal::log::{AppendError, DeclaredEntity, NameTooLong};
use mainspring_journal::schema::{EventBuffer, Events, State};

use crate::entities::{EntityKey, Slot};
use crate::remember::{
    Batch, Recall, RememberLimits, RememberStore, Running, RunningEvent, Snapshot,
};

/// The type of the lists, as the journal's tools show it.
const LIST_TYPE: &str = "mainspring.sharding.running";

/// See the module's header.
pub(super) struct Recorder {
    pub journal: Rc<CoreJournal>,
    pub store: RememberStore,
    changed_layout: usize,
    running_layout: usize,
    buffer: EventBuffer,
    names: Names,
    /// Shards whose lists are to be read, and the one that is being read.
    pub unread: VecDeque<u32>,
    pub reading: Option<Reading>,
    /// Starts that wait for their records in the log of this core, in the order of their deadlines.
    pub waiting_here: VecDeque<Waiting>,
    /// Starts that wait for other cores, by number, with when they are not waited for any more.
    pub waiting_there: BTreeMap<u64, (Slot, u64)>,
    /// Starts on other cores that wait for their records here, in the order of their deadlines.
    pub asked: VecDeque<Asked>,
    pub last_number: u64,
    /// Entities that have asked to be stopped or have to leave: they are not to be started again by themselves.
    pub leaving: BTreeSet<Slot>,
    /// A shard whose snapshot is being written.
    snapshot_under_way: Option<u32>,
    /// The journal has no room, and that was said.
    pub has_no_room: bool,
}

/// A list that is being read.
pub(super) struct Reading {
    pub shard: u32,
    pub id: ReadingId,
    pub recall: Recall,
}

/// An entity that is started when its record is there.
pub(super) struct Waiting {
    pub slot: Slot,
    pub shard: u32,
    pub id: Box<[u8]>,
    /// Then it is started in any case.
    pub until_ns: u64,
}

/// An entity of another core that waits for its record.
pub(super) struct Asked {
    pub from: u16,
    pub number: u64,
    pub shard: u32,
    pub id: Box<[u8]>,
    pub until_ns: u64,
}

/// What the store is told of a refusal.
enum Refusal {
    /// It passes.
    ForNow,
    /// There is no room, and nobody knows for how long.
    NoRoom,
    /// For this shard, for ever.
    Shard,
    /// For the whole log, for ever.
    Log,
}

impl Recorder {
    /// The recorder of a type of entities on a core, and its lists that are to be read.
    ///
    /// # Errors
    /// [`NameTooLong`].
    pub fn new(
        core: u16,
        type_name: &str,
        shard_count: u32,
        journal: Rc<CoreJournal>,
    ) -> Result<Self, NameTooLong> {
        let changed_layout = journal.declare(RunningEvent::LAYOUTS[0])?;
        let running_layout = journal.declare(Running::LAYOUT)?;
        let mut recorder = Recorder {
            journal,
            store: RememberStore::new(RememberLimits::default()),
            changed_layout,
            running_layout,
            buffer: EventBuffer::new(),
            names: Names { core, type_name: type_name.to_owned(), known: BTreeMap::new() },
            unread: VecDeque::new(),
            reading: None,
            waiting_here: VecDeque::new(),
            waiting_there: BTreeMap::new(),
            asked: VecDeque::new(),
            last_number: 0,
            leaving: BTreeSet::new(),
            snapshot_under_way: None,
            has_no_room: false,
        };
        for shard in 0..shard_count {
            let sequence = recorder.journal.sequence_of(recorder.entry_of(shard).hash());
            if sequence > 0 {
                recorder.store.expect(shard, sequence);
                recorder.unread.push_back(shard);
            }
        }
        Ok(recorder)
    }

    /// The core whose log has the events of an entity, if it writes them under its own id.
    pub fn home_of(&self, key: &EntityKey<'_>) -> u16 {
        let shards = u64::from(self.journal.shard_count().max(1));
        self.journal.home_of((key.hash() % shards) as u32)
    }

    /// The name of a shard's list in the journal.
    pub fn entry_of(&self, shard: u32) -> EntityEntry {
        self.names.entry_of(shard)
    }

    /// Writes what is due, or everything; how many events were written.
    pub fn write(&mut self, now_ns: u64, everything: bool) -> u64 {
        let mut events = 0;
        loop {
            let batch = match everything {
                true => self.store.any_batch(),
                false => self.store.next_batch(now_ns),
            };
            let Some(batch) = batch else { return events };
            match self.append_batch(now_ns, &batch) {
                Ok(()) => {
                    events += 1;
                    self.has_no_room = false;
                    self.store.written(&batch);
                }
                Err(Refusal::ForNow) => {
                    self.store.refused(now_ns);
                    return events;
                }
                Err(Refusal::NoRoom) => {
                    self.store.refused(now_ns);
                    if !std::mem::replace(&mut self.has_no_room, true) {
                        let entity_type = &self.names.type_name;
                        tracing::warn!(
                            entity_type,
                            "the journal has no room: entities are started without a record"
                        );
                    }
                    return events;
                }
                Err(Refusal::Shard) => self.store.close(Some(batch.shard)),
                Err(Refusal::Log) => self.store.close(None),
            }
        }
    }

    /// Writes a list whole, if it is time to and no other one is under way; where it stands.
    pub fn write_snapshot(&mut self, now_ns: u64) -> Option<(u64, Range<u64>)> {
        if self.snapshot_under_way.is_some() {
            return None;
        }
        let Snapshot { shard, sequence, ids } = self.store.next_snapshot()?;
        self.buffer.clear();
        let place = Running { ids }.write(&mut self.buffer);
        let taken = place.ok().and_then(|place| {
            let record = GroupRecord {
                kind: RecordKind::State,
                layout: Some(self.running_layout),
                sequence,
                payload: self.buffer.get(place),
            };
            let (entity, shard) = self.names.get(shard, &self.journal).ok()?;
            let group = Group { entity, shard, after: sequence, records: &[record] };
            self.journal.append(now_ns, group).ok()
        });
        self.store.snapshot_offered(shard, taken.is_some());
        self.snapshot_under_way = taken.is_some().then_some(shard);
        taken
    }

    /// The snapshot that was under way is durable: what the one before it stands for is given up.
    pub fn snapshot_durable(&mut self, now_ns: u64, sequence: u64) {
        let Some(shard) = self.snapshot_under_way.take() else { return };
        let Some((to, after)) = self.store.snapshot_durable(shard, sequence) else { return };
        let record =
            GroupRecord { kind: RecordKind::Deletion, layout: None, sequence: to, payload: &[] };
        if let Ok((entity, shard)) = self.names.get(shard, &self.journal) {
            // One that is refused is made good by the next one.
            let _ = self.journal.append(now_ns, Group { entity, shard, after, records: &[record] });
        }
    }

    /// When something is to be done.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let here = self.waiting_here.front().map(|waiting| waiting.until_ns);
        let there = self.waiting_there.first_key_value().map(|(_, (_, until_ns))| *until_ns);
        let asked = self.asked.front().map(|asked| asked.until_ns);
        [self.store.next_deadline_ns(), here, there, asked].into_iter().flatten().min()
    }

    fn append_batch(&mut self, now_ns: u64, batch: &Batch) -> Result<(), Refusal> {
        let Batch { shard, after, changed } = batch;
        self.buffer.clear();
        let event = RunningEvent::from(changed.clone());
        let place = event.write(&mut self.buffer).map_err(|error| error.to_string());
        let taken = place.and_then(|place| {
            let record = GroupRecord {
                kind: RecordKind::Event,
                layout: Some(self.changed_layout),
                sequence: after + 1,
                payload: self.buffer.get(place),
            };
            let name = self.names.get(*shard, &self.journal);
            let (entity, shard) = name.map_err(|error| error.to_string())?;
            let group = Group { entity, shard, after: *after, records: &[record] };
            Ok(self.journal.append(now_ns, group))
        });
        let (refusal, reason) = match taken {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(refused)) => (Refusal::of(&refused), refused.to_string()),
            Err(reason) => (Refusal::Shard, reason),
        };
        if matches!(refusal, Refusal::Shard | Refusal::Log) {
            let entity_type = &self.names.type_name;
            tracing::error!(
                entity_type,
                shard,
                reason,
                "which entities run is not recorded any more; start the node again"
            );
        }
        Err(refusal)
    }
}

impl Refusal {
    fn of(refused: &Refused) -> Self {
        match refused {
            Refused::NotReady
            | Refused::UnderWay { .. }
            | Refused::Log(AppendError::Busy { .. }) => Refusal::ForNow,
            Refused::Log(AppendError::Full { .. }) | Refused::TooManyEntities { .. } => {
                Refusal::NoRoom
            }
            Refused::Log(AppendError::Poisoned) | Refused::Closed { .. } => Refusal::Log,
            _ => Refusal::Shard,
        }
    }
}

/// The names of the lists.
struct Names {
    core: u16,
    /// Of the entities.
    type_name: String,
    /// Those that were written, as the log wants them.
    known: BTreeMap<u32, (DeclaredEntity, ShardClaim)>,
}

impl Names {
    /// The name of a shard's list in the journal.
    fn entry_of(&self, shard: u32) -> EntityEntry {
        let id = format!("{}/{shard}/{}", self.type_name, self.core).into_bytes();
        EntityEntry { entity_type: LIST_TYPE.to_owned(), id }
    }

    /// The name of a shard's list, and the shard of the journal that it is written for: one of this core; the one with
    /// the same number where the journal has as many shards as the entities.
    fn get(
        &mut self,
        shard: u32,
        journal: &CoreJournal,
    ) -> Result<(&mut DeclaredEntity, ShardClaim), NameTooLong> {
        if !self.known.contains_key(&shard) {
            let EntityEntry { entity_type, id } = self.entry_of(shard);
            let is_here = shard < journal.shard_count() && journal.home_of(shard) == self.core;
            let claim = journal.claim(if is_here { shard } else { self.core.into() });
            self.known.insert(shard, (DeclaredEntity::new(&entity_type, &id)?, claim));
        }
        match self.known.get_mut(&shard) {
            Some((entity, claim)) => Ok((entity, *claim)),
            None => Err(NameTooLong { bytes: self.type_name.len() }),
        }
    }
}
