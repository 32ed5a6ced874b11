//! The footer of one sealed segment, made again from its frames.

use super::footer::Footer;
use super::segment_index::{FrameEnd, IndexError, IndexedSegment, SegmentIndex};
use crate::format::SegmentHeader;
use crate::log::recovery::{ReadError, Segment, SegmentReader, read_segment};

/// Why a segment's footer cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The device did not give what it holds.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The segment holds more than an index does.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The frames do not reach to where the next segment begins.
    #[error(
        "the frames of segment {segment_id} end with frame {last_frame}, and segment {} follows frame {next_follows}; \
         restore a copy, or salvage what is left into a new directory",
        segment_id + 1
    )]
    CutOff {
        /// The segment.
        segment_id: u64,
        /// The last frame that was found.
        last_frame: u64,
        /// The frame that the next segment follows.
        next_follows: u64,
    },
}

/// Reads a sealed segment and makes its footer; `next` is the header of the segment behind. Which segment held an
/// entity's records before is no longer known, so every row names the segment just before.
pub fn rebuild_footer(
    reader: &mut dyn SegmentReader,
    segment: &Segment,
    next: &SegmentHeader,
) -> Result<Footer, RebuildError> {
    let Segment { file, header } = segment;
    let segment_id = header.segment_id;
    let mut index = SegmentIndex::new(IndexedSegment {
        log_id: header.log_id,
        segment_id,
        file: *file,
        segment_bytes: header.segment_bytes,
    });
    let mut end = FrameEnd::default();
    let mut added = Ok(());
    read_segment(reader, segment, &mut |frame| {
        end.take_in(&frame.header, frame.offset);
        if added.is_ok() {
            added = index.add_frame(frame, &mut |_, _| Ok(segment_id - 1));
        }
    })?;
    added?;
    let footer = index.finish(end);
    if footer.summary().is_followed_by(next) {
        Ok(footer)
    } else {
        let (last_frame, next_follows) = (end.last_frame, next.previous_frame);
        Err(RebuildError::CutOff { segment_id, last_frame, next_follows })
    }
}
