//! Gives the oldest segments of a core's log back: carries out what [`Reclaim`] orders, and tells it of the log.

use super::core_settings::JournalFigures;
use super::log_index::LogIndex;
use super::readings::Readings;
use super::storage::{LogFile, ReadRequest, Storage};
use crate::format::RecordKind;
use crate::format::dictionary::SchemaEntry;
use crate::index::{Entity, FooterSummary};
use crate::log::{AppendError, BlockBuffer, CoreLog, DeclaredEntity, NewRecord};
use crate::reclaim::{
    CopyGroup, Front, Order, Reclaim, ReclaimFailed, ReclaimSettings, Surroundings,
};

/// The token of every read: there is one at a time, and those of readings are lower.
const TOKEN: u64 = 1 << 60;

/// What of the core's journal it works with.
pub(super) struct Surrounding<'a> {
    pub log: &'a mut CoreLog,
    pub index: &'a mut LogIndex,
    pub readings: &'a Readings,
    pub shard_sequences: &'a [u64],
    pub last_frame: &'a mut u64,
    pub has_no_space: bool,
    pub pending_limit_bytes: usize,
    pub figures: &'a mut JournalFigures,
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Reclaimer {
    machine: Reclaim,
    pending_limit_bytes: usize,
    /// What the storage had no room for.
    postponed: Option<Order>,
}

impl Reclaimer {
    pub fn new(settings: ReclaimSettings) -> Self {
        let pending_limit_bytes = settings.pending_limit_bytes;
        Reclaimer { machine: Reclaim::new(settings), pending_limit_bytes, postponed: None }
    }

    /// See [`ReclaimSettings::pending_limit_bytes`].
    pub fn pending_limit_bytes(&self) -> usize {
        self.pending_limit_bytes
    }

    /// See [`Reclaim::drop_early`].
    pub fn drop_early(&mut self) {
        self.machine.drop_early();
    }

    /// Whether a read was ordered here.
    pub fn has_asked_for(token: u64) -> bool {
        token == TOKEN
    }

    /// Goes on; how many requests that took.
    pub fn drive(
        &mut self,
        now_ns: u64,
        surrounding: &mut Surrounding<'_>,
        storage: &mut dyn Storage,
    ) -> usize {
        let order = match self.postponed.take() {
            Some(order) => Some(order),
            None => told(self.machine.step(now_ns, surrounding)).flatten(),
        };
        let Some(order) = order else { return 0 };
        let Some(file) = surrounding.index.front_file() else { return 0 };
        match order {
            Order::Read { segment_id, of_footer, offset, bytes } => {
                let file = match of_footer {
                    true => LogFile::Footer(segment_id),
                    false => LogFile::Segment(file),
                };
                let read = ReadRequest { token: TOKEN, file, offset, bytes };
                if storage.read(read).is_err() {
                    self.postponed = Some(order);
                    return 0;
                }
            }
            Order::Drop { segment_id } => {
                // From here on nobody is led there.
                surrounding.index.drop_front(segment_id);
                storage.drop_segment(segment_id, file);
            }
        }
        1
    }

    pub fn was_read(
        &mut self,
        now_ns: u64,
        surrounding: &Surrounding<'_>,
        bytes: BlockBuffer,
        result: std::io::Result<()>,
    ) {
        told(self.machine.was_read(now_ns, surrounding, bytes, result));
    }

    pub fn was_dropped(&mut self, result: std::io::Result<()>) {
        told(self.machine.was_dropped(result));
    }

    pub fn has_work(&self) -> bool {
        self.machine.has_more()
    }

    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.machine.next_deadline_ns()
    }
}

/// A segment that is not given back costs room, and nothing else.
fn told<T>(outcome: Result<T, ReclaimFailed>) -> Option<T> {
    outcome.inspect_err(|failed| tracing::warn!(error = %failed, "no space is given back")).ok()
}

impl Surroundings for Surrounding<'_> {
    fn front(&self) -> Option<Front<'_>> {
        self.index.front()
    }

    fn footer(&self, segment_id: u64) -> Option<&FooterSummary> {
        self.index.footer(segment_id)
    }

    fn entity(&self, hash: u64) -> Option<&Entity> {
        self.index.entity(hash)
    }

    fn shard_sequence(&self, shard: u32) -> u64 {
        self.shard_sequences.get(shard as usize).copied().unwrap_or(0)
    }

    fn takes_copies(&self) -> bool {
        !self.has_no_space && self.log.pending_bytes() < self.pending_limit_bytes
    }

    fn append(&mut self, now_ns: u64, group: &CopyGroup<'_>) -> Result<(), AppendError> {
        let needed_bytes = group.needed_bytes();
        if !self.log.can_spare(needed_bytes) {
            return Err(AppendError::Full { needed_bytes: needed_bytes as u64 });
        }
        let mut entity = match group.name {
            Some(name) => {
                let mut entity = DeclaredEntity::named(name);
                if let Some(segment_id) = self.index.named_in(entity.hash()) {
                    entity.declare(segment_id);
                }
                entity
            }
            None => DeclaredEntity::nobody(),
        };
        let new = group.records.iter().map(|record| NewRecord {
            kind: record.header.kind,
            schema: record.layout.map(|layout| &layout.declared),
            shard: record.header.shard,
            entity_sequence: record.header.entity_sequence,
            shard_sequence: record.header.shard_sequence,
            epoch: record.header.epoch,
            payload: record.payload,
        });
        let new: Vec<_> = new.collect();
        let position = self.log.append_copies(now_ns, &mut entity, &new)?;
        let mut number = 0;
        for placed in self.log.placed() {
            let entry = match placed.header.kind {
                // A layout is declared just before the first record that has it.
                RecordKind::Schema => {
                    let layout = group.records.get(number).and_then(|record| record.layout);
                    let number = placed.header.schema;
                    layout.map(|layout| SchemaEntry { number, ..layout.entry.clone() })
                }
                RecordKind::Entity => None,
                _ => {
                    number += 1;
                    self.figures.bytes_copied_forward += u64::from(placed.bytes);
                    None
                }
            };
            if let Err(error) = self.index.add(entity.rows_mut(), placed, entry) {
                // Its limits lie beyond what a segment holds; were one met, the next opening would say so.
                tracing::error!(%error, "a record of the journal is not in its index");
            }
        }
        *self.last_frame = position.frame;
        Ok(())
    }

    fn last_frame(&self) -> u64 {
        *self.last_frame
    }

    fn durable_frame(&self) -> u64 {
        self.log.durable().frame
    }

    fn last_search(&self) -> u64 {
        self.readings.last_id()
    }

    fn oldest_search(&self) -> Option<u64> {
        self.readings.oldest_id()
    }
}
