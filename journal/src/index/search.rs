//! Finds the records of one entity: from its last segment back to where its history begins, and no further.
//!
//! A machine: it says what is to be read, is given the bytes, and goes on. Of a sealed segment it wants one block of
//! entities and then the blocks of the entity's postings; segments in between are not touched.

use std::ops::Range;

use super::Entity;
use super::footer::FooterError;
use super::footer_summary::{DecodedBlocks, FooterSummary};
use super::row::{EntityRow, Posting, RecordPlace};
use super::segment_index::SegmentIndex;
use crate::format::BLOCK_BYTES;

/// What is known of a segment of the log.
#[derive(Clone, Copy, Debug)]
pub enum KnownSegment<'a> {
    /// It takes records, or its footer is not written yet.
    Open(&'a SegmentIndex),
    /// It has a footer.
    Sealed(&'a FooterSummary),
    /// Its footer is gone.
    Unindexed,
    /// The log does not have it, because it was given back.
    Absent,
}

/// What a search needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// These bytes of a segment's footer, whole blocks: then [`Search::take`].
    Read {
        /// The segment.
        segment_id: u64,
        /// Where in the footer's file.
        place: Range<u64>,
    },
    /// The footer of this segment made again ([`super::rebuild_footer`]): then [`Search::step`] once more.
    Rebuild {
        /// The segment.
        segment_id: u64,
    },
    /// Nothing: it is over.
    Done,
}

/// A search for the records of one entity.
#[derive(Clone, Debug)]
pub struct Search {
    entity: u64,
    /// The segment to be looked at; below `history_segment` when it is over.
    segment_id: u64,
    history_segment: u64,
    /// What its footer has of the entity, once that was read.
    row: Option<EntityRow>,
    /// From the newest segment back.
    found: Vec<(u64, Vec<Posting>)>,
    /// Where each of these segments has the entity's name, from the newest segment back.
    names: Vec<(u64, RecordPlace)>,
}

impl Search {
    /// Looks for all that is needed since the entity's latest state.
    pub fn since_latest_state(entity: &Entity) -> Self {
        Search { history_segment: entity.history_segment.max(1), ..Search::for_everything(entity) }
    }

    /// Looks for every record that the log has of the entity: when its latest state cannot be read.
    pub fn for_everything(entity: &Entity) -> Self {
        Search {
            entity: entity.hash,
            segment_id: entity.last_segment,
            history_segment: 1,
            row: None,
            found: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Goes on as far as it gets without reading. `segment` says what is known of a segment.
    pub fn step<'a>(&mut self, segment: impl Fn(u64) -> KnownSegment<'a>) -> SearchStep {
        while self.segment_id >= self.history_segment {
            let segment_id = self.segment_id;
            match segment(segment_id) {
                KnownSegment::Absent => break,
                KnownSegment::Unindexed => return SearchStep::Rebuild { segment_id },
                KnownSegment::Open(index) => {
                    let row = index.row(self.entity);
                    self.found.push((segment_id, index.records_of(self.entity).collect()));
                    self.names.extend(row.and_then(|row| Some((segment_id, row.name?))));
                    self.go_back(row.map(|row| row.previous_segment));
                }
                KnownSegment::Sealed(summary) => match (self.row, summary.block_of(self.entity)) {
                    (Some(row), _) => {
                        let place = summary.postings_place(&row);
                        return SearchStep::Read { segment_id, place };
                    }
                    (None, Some(offset)) => {
                        let place = offset..offset + BLOCK_BYTES as u64;
                        return SearchStep::Read { segment_id, place };
                    }
                    (None, None) => self.go_back(None),
                },
            }
        }
        SearchStep::Done
    }

    /// Takes in what the last step wanted, from the footer that it named.
    ///
    /// # Errors
    /// [`FooterError`]: the footer is damaged. It is to be forgotten, so that the next step wants it made again.
    pub fn take(&mut self, summary: &FooterSummary, bytes: &[u8]) -> Result<(), FooterError> {
        self.take_in(summary, bytes, &mut DecodedBlocks::default())
    }

    /// The same, where the bytes are part of one read that was made for many searches: what is decoded of it for one
    /// of them is `decoded` for the next, if that needs the same blocks. All must be of the footer `summary`.
    ///
    /// # Errors
    /// As [`Search::take`].
    pub fn take_in(
        &mut self,
        summary: &FooterSummary,
        bytes: &[u8],
        decoded: &mut DecodedBlocks,
    ) -> Result<(), FooterError> {
        if summary.header().segment_id != self.segment_id {
            return Err(FooterError::Content("it is the footer of another segment"));
        }
        match self.row {
            None => match summary.find_in(bytes, self.entity, decoded)? {
                Some(row) => self.row = Some(row),
                None => self.go_back(None),
            },
            Some(row) => {
                let postings = summary.postings_in(bytes, &row, decoded);
                // Should its footer be made again, the entity stands elsewhere in it.
                self.row = None;
                self.found.push((self.segment_id, postings?));
                self.names.extend(row.name.map(|name| (self.segment_id, name)));
                self.go_back(Some(row.previous_segment));
            }
        }
        Ok(())
    }

    /// Where the records are that name the entity, with their segments, from the newest segment back. Records belong to
    /// a hash; whose they are is known when one of these was compared.
    pub fn names(&self) -> &[(u64, RecordPlace)] {
        &self.names
    }

    /// What was found, with its segments, in the order of the log. A record that was copied forward is there twice, and
    /// behind those that were written after it: sort by place in the entity's sequence.
    pub fn into_records(self) -> impl Iterator<Item = (u64, Posting)> {
        self.into_segments().into_iter().flat_map(|(segment_id, postings)| {
            postings.into_iter().map(move |posting| (segment_id, posting))
        })
    }

    /// The same, segment by segment.
    pub fn into_segments(self) -> Vec<(u64, Vec<Posting>)> {
        let mut found = self.found;
        found.reverse();
        found
    }

    /// Without a word on the segment before, every one before may have records.
    fn go_back(&mut self, previous: Option<u64>) {
        let before = self.segment_id.saturating_sub(1);
        self.segment_id = previous.map_or(before, |previous| previous.min(before));
    }
}
