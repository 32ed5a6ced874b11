//! From files to a log that can be written on: what its index says, and the frames that the index does not know.

use std::collections::BTreeMap;

use super::log_index::LogIndex;
use crate::format::record::Records;
use crate::index::{
    Footer, IndexError, IndexReader, OpenedIndex, RebuildError, open_index, rebuild_footer,
};
use crate::log::recovery::{
    Expected, FoundFrame, Recovered, RecoveryError, SegmentReader, recover_from, segments,
};
use crate::log::{CoreLog, LogIdentity, LogSettings};

/// A log that was read and can be written on.
#[derive(Debug)]
pub struct OpenedLog {
    pub(super) log: CoreLog,
    pub(super) index: LogIndex,
    pub(super) shard_sequences: Vec<u64>,
    pub(super) shard_epochs: Vec<u64>,
    /// What recovery has found, with what has to be repaired before the first write.
    pub recovered: Recovered,
    /// Footers that were gone and have been made again: to be written before the journal is used.
    pub rebuilt: Vec<Footer>,
    /// How far the index reached.
    pub extent: IndexExtent,
}

/// The epoch of a shard that nobody has raised.
pub(super) const FIRST_EPOCH: u64 = 1;

/// How much of a log was known without reading its frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexExtent {
    /// Segments known by a checkpoint.
    pub by_checkpoint: u64,
    /// Segments known by a footer alone.
    pub by_footer: u64,
    /// Segments whose frames were read.
    pub by_frames: u64,
    /// Footers and checkpoints that are there and could not be used.
    pub refused: u32,
    /// The highest generation of a checkpoint, whether it could be used or not.
    pub highest_generation: u64,
    /// The generation of the checkpoint that was used, 0 when there was none.
    pub checkpoint_generation: u64,
    /// The last segment that a checkpoint includes.
    pub checkpoint_segment: u64,
    /// The first segment of the log.
    pub first_segment: u64,
}

/// Why a log was not opened. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenLogError {
    /// The log itself.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// A footer cannot be made again.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The index takes no more.
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl OpenedLog {
    /// Reads a log: by its index, and from where the index ends by its frames. `identity.log_id` is taken for a
    /// log that has not begun; otherwise the log keeps its own.
    ///
    /// # Errors
    /// [`OpenLogError`]; nothing was changed.
    pub fn read(
        reader: &mut dyn SegmentReader,
        index_reader: &mut dyn IndexReader,
        mut identity: LogIdentity,
        settings: LogSettings,
    ) -> Result<OpenedLog, OpenLogError> {
        let expected = Expected {
            system: identity.system.clone(),
            core: identity.core,
            shard_count: identity.shard_count,
        };
        let all = segments(reader, &expected)?;
        let headers: Vec<_> = all.iter().map(|segment| segment.header.clone()).collect();
        let mut opened = open_index(index_reader, &headers);
        let mut rebuilt = Vec::new();
        for segment_id in std::mem::take(&mut opened.footers_missing) {
            let pair = all.windows(2).find(|pair| pair[0].header.segment_id == segment_id);
            let Some([segment, next]) = pair else { continue };
            let footer = rebuild_footer(reader, segment, &next.header)?;
            opened.footers.push(footer.summary());
            rebuilt.push(footer);
        }
        let extent = IndexExtent::of(&opened, &headers);
        let files: BTreeMap<_, _> =
            all.iter().map(|segment| (segment.header.segment_id, segment.file)).collect();
        let log_id = headers.first().map_or(identity.log_id, |header| header.log_id);
        let OpenedIndex { entities, shards, footers, start, .. } = opened;
        let mut shard_sequences = vec![0; identity.shard_count as usize];
        let mut shard_epochs = vec![FIRST_EPOCH; identity.shard_count as usize];
        let both = shard_sequences.iter_mut().zip(&mut shard_epochs);
        for (row, (sequence, epoch)) in (0..).map(|shard| shards.get(shard)).zip(both) {
            *sequence = row.map_or(0, |row| row.last_sequence);
            *epoch = row.map_or(FIRST_EPOCH, |row| row.epoch.max(FIRST_EPOCH));
        }
        let mut index = LogIndex::new(log_id, settings.segment_bytes, entities, footers, files);
        let mut taken = Ok(());
        let mut visit = |frame: &FoundFrame<'_>| {
            if taken.is_ok() {
                taken = index.take_in(frame);
            }
            count_shards(frame, &mut shard_sequences, &mut shard_epochs);
        };
        let recovered = recover_from(reader, &expected, start, &mut visit)?;
        taken?;
        identity.log_id = log_id;
        let log = CoreLog::resumed(identity, settings, recovered.segment.clone(), recovered.tail);
        Ok(OpenedLog { log, index, shard_sequences, shard_epochs, recovered, rebuilt, extent })
    }

    /// Up to where it is durable: to its end.
    pub fn durable_lsn(&self) -> u64 {
        self.log.durable().lsn
    }

    /// Segments of which the index is in their footers, the newest first.
    pub fn footers(&self) -> impl Iterator<Item = u64> + '_ {
        self.index.footers()
    }

    /// How many entities it holds.
    pub fn entities(&self) -> usize {
        self.index.entities()
    }
}

/// Takes in how far the shards have come, and under which epochs.
fn count_shards(frame: &FoundFrame<'_>, sequences: &mut [u64], epochs: &mut [u64]) {
    for record in Records::new(frame.records, frame.header.record_count).flatten() {
        let shard = record.header.shard as usize;
        if let (Some(sequence), Some(epoch)) = (sequences.get_mut(shard), epochs.get_mut(shard)) {
            *sequence = record.header.shard_sequence.max(*sequence);
            *epoch = record.header.epoch.max(*epoch);
        }
    }
}

impl IndexExtent {
    fn of(opened: &OpenedIndex, headers: &[crate::format::SegmentHeader]) -> Self {
        let first_segment = headers.first().map_or(0, |header| header.segment_id);
        let checkpoint_segment = opened.checkpoint.map_or(0, |header| header.last_segment);
        let known = opened.start.map_or(0, |start| start.segment_id.saturating_sub(first_segment));
        let by_checkpoint = match checkpoint_segment {
            0 => 0,
            last => (last + 1).saturating_sub(first_segment),
        };
        IndexExtent {
            by_checkpoint,
            by_footer: known.saturating_sub(by_checkpoint),
            by_frames: headers.len() as u64 - known,
            refused: opened.checkpoints_refused + opened.footers_refused,
            highest_generation: opened.highest_generation,
            checkpoint_generation: opened.checkpoint.map_or(0, |header| header.generation),
            checkpoint_segment,
            first_segment,
        }
    }
}
