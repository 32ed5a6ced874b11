//! How a log is opened without reading all of it: the newest checkpoint, the footers since, and from where on the
//! frames themselves have to be read.

use std::io::Read;

use super::checkpoint::{CHECKPOINT_FILES, Checkpoint, CheckpointHeader};
use super::footer_summary::FooterSummary;
use super::{EntityRow, EntityTable, ShardTable};
use crate::format::SegmentHeader;
use crate::log::recovery::Start;

/// Where footers and checkpoints are read from. What cannot be read is as good as not there.
pub trait IndexReader {
    /// The footer of a segment, from its beginning.
    fn footer(&mut self, segment_id: u64) -> Option<Box<dyn Read + '_>>;

    /// One of the [`CHECKPOINT_FILES`] checkpoints, from its beginning. It is read block by block, so a buffer pays.
    fn checkpoint(&mut self, file_number: u64) -> Option<Box<dyn Read + '_>>;
}

/// What is known of a log without its frames.
#[derive(Debug, Default)]
pub struct OpenedIndex {
    /// The entities of all segments before [`OpenedIndex::start`].
    pub entities: EntityTable,
    /// The shards of all segments before it.
    pub shards: ShardTable,
    /// The footers of the segments before it, in their order. Those of [`OpenedIndex::footers_missing`] are not here.
    pub footers: Vec<FooterSummary>,
    /// Where reading frames begins; none when that is the first segment.
    pub start: Option<Start>,
    /// Segments before it whose footers are gone, although a checkpoint knows their entities: each has to be scanned
    /// before one of its records can be found.
    pub footers_missing: Vec<u64>,
    /// The checkpoint that was used.
    pub checkpoint: Option<CheckpointHeader>,
    /// The highest generation that either file has, whether it could be used or not: the next one has to be higher.
    pub highest_generation: u64,
    /// Checkpoint files that are there and could not be used.
    pub checkpoints_refused: u32,
    /// Footers that are there and could not be used.
    pub footers_refused: u32,
}

/// Reads what there is of an index. `segments` are those of the log in their order, without holes. The last one is
/// never taken from a footer: only the segment behind one proves it.
pub fn open_index(reader: &mut dyn IndexReader, segments: &[SegmentHeader]) -> OpenedIndex {
    let mut opened = OpenedIndex::default();
    opened.use_checkpoint(reader, segments);
    for pair in segments.windows(2) {
        let [segment, next] = pair else { continue };
        let is_included =
            opened.checkpoint.is_some_and(|header| segment.segment_id <= header.last_segment);
        let mut rows = Vec::new();
        let wanted = (!is_included).then_some(&mut rows);
        match opened.footer(reader, segment, next, wanted) {
            Some(summary) if is_included || opened.apply(&summary, &rows) => {
                opened.footers.push(summary);
            }
            None if is_included => opened.footers_missing.push(segment.segment_id),
            _ => break,
        }
    }
    opened
}

impl OpenedIndex {
    /// Loads the checkpoint with the highest generation that is whole and of this log.
    fn use_checkpoint(&mut self, reader: &mut dyn IndexReader, segments: &[SegmentHeader]) {
        let Some(first) = segments.first() else { return };
        let mut candidates = Vec::new();
        for file_number in 0..CHECKPOINT_FILES {
            let Some(mut input) = reader.checkpoint(file_number) else { continue };
            match CheckpointHeader::read(&mut input) {
                Ok(header) => candidates.push((header, file_number)),
                Err(_) => self.checkpoints_refused += 1,
            }
        }
        candidates.sort_unstable_by_key(|(header, _)| std::cmp::Reverse(header.generation));
        self.highest_generation = candidates.first().map_or(0, |(header, _)| header.generation);
        for (header, file_number) in candidates {
            let is_ours = segments.iter().any(|next| header.is_followed_by(next));
            let input = reader.checkpoint(file_number).filter(|_| is_ours);
            let loaded = input.map(|mut input| Checkpoint::load(&mut input, first.segment_id));
            let Some(Ok(checkpoint)) = loaded else {
                self.checkpoints_refused += 1;
                continue;
            };
            self.checkpoint = Some(checkpoint.header);
            self.entities = checkpoint.entities;
            self.shards = checkpoint.shards;
            self.start = Some(Start {
                segment_id: header.last_segment + 1,
                last_frame: header.last_frame,
                last_chain: header.last_chain,
                written_at_ms: header.written_at_ms,
            });
            return;
        }
    }

    /// The footer of a segment, if it is right; with its entities, if they are wanted.
    fn footer(
        &mut self,
        reader: &mut dyn IndexReader,
        segment: &SegmentHeader,
        next: &SegmentHeader,
        wanted: Option<&mut Vec<EntityRow>>,
    ) -> Option<FooterSummary> {
        let mut input = reader.footer(segment.segment_id)?;
        let read = match wanted {
            Some(rows) => FooterSummary::read_with_entities(&mut input, |row| rows.push(*row)),
            None => FooterSummary::read(&mut input),
        };
        let is_right = |summary: &FooterSummary| {
            summary.header().segment_bytes == segment.segment_bytes && summary.is_followed_by(next)
        };
        let summary = read.ok().filter(is_right);
        self.footers_refused += u32::from(summary.is_none());
        summary
    }

    /// Takes in the footer of the segment at which frames would have to be read otherwise. False when the tables are
    /// full; whoever reads the frames then meets the same limit and says so.
    fn apply(&mut self, summary: &FooterSummary, rows: &[EntityRow]) -> bool {
        let header = summary.header();
        let shards = summary.shards().iter().try_for_each(|row| self.shards.apply_row(row));
        let entities =
            rows.iter().try_for_each(|row| self.entities.apply_row(row, header.segment_id));
        if shards.is_err() || entities.is_err() {
            return false;
        }
        self.start = Some(Start {
            segment_id: header.segment_id + 1,
            last_frame: header.end.last_frame,
            last_chain: header.end.last_chain,
            written_at_ms: header.end.written_at_ms,
        });
        true
    }
}
