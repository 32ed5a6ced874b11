//! Writes footers and, every so many, a checkpoint: on the journal's thread, from what a core hands over.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::index_files::{checkpoint_name, footer_name};
use crate::device::{IndexExtent, SealedSegment, StorageEvent};
use crate::directory::Request;
use crate::directory::durable_file::{FileError, replace_with};
use crate::directory::segment_files::retire;
use crate::index::{FooterHeader, FooterSummary, NewCheckpoint, merge};
use crate::log::SegmentFile;

/// Segments between two checkpoints: as many footers are read at most when a journal is opened.
pub const CHECKPOINT_EVERY_SEGMENTS: u64 = 8;

/// The footers and checkpoints of one core's log.
pub(super) struct Librarian {
    last_token: u64,
    /// What the journal's thread has written, for the core to take.
    written: Arc<Mutex<Vec<(u64, FooterSummary)>>>,
    checkpoints: Arc<Mutex<Checkpoints>>,
}

/// What is known of the log's checkpoints.
#[derive(Clone, Copy, Debug)]
struct Checkpoints {
    first_segment: u64,
    /// The last segment that the newest one includes, 0 when there is none.
    last_segment: u64,
    /// Its generation, which tells its file.
    generation: u64,
    /// The highest that either file has: one that is damaged counts too, but nothing is merged with it.
    highest_generation: u64,
}

impl Librarian {
    /// The librarian of a log, as it was opened.
    pub fn new(extent: &IndexExtent) -> Self {
        let checkpoints = Checkpoints {
            first_segment: extent.first_segment.max(1),
            last_segment: extent.checkpoint_segment,
            generation: extent.checkpoint_generation,
            highest_generation: extent.highest_generation,
        };
        let checkpoints = Arc::new(Mutex::new(checkpoints));
        Librarian { last_token: 0, written: Arc::default(), checkpoints }
    }

    /// The work to be done for a segment.
    pub fn request(&mut self, sealed: &SealedSegment) -> Request {
        self.last_token += 1;
        let token = self.last_token;
        let (written, checkpoints) = (Arc::clone(&self.written), Arc::clone(&self.checkpoints));
        let SealedSegment { index, end } = sealed.clone();
        let work = Box::new(move |folder: &Path| {
            let footer = (*index).clone().finish(end);
            let segment_id = footer.header().segment_id;
            replace_with(folder, &footer_name(segment_id), |file| footer.write_to(file))?;
            let summary = footer.summary();
            written.lock().unwrap_or_else(PoisonError::into_inner).push((token, summary));
            let mut checkpoints = checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
            if segment_id >= checkpoints.last_segment + CHECKPOINT_EVERY_SEGMENTS {
                // A checkpoint that cannot be made costs time at the next opening, and nothing else.
                match checkpoints.write(folder, footer.header().log_id, segment_id) {
                    Ok(()) => {}
                    Err(error) => tracing::warn!(%error, "no checkpoint of the journal was made"),
                }
            }
            Ok(())
        });
        Request::Run { token, work }
    }

    /// The work to drop the oldest segment: its file first, so that no segment ever stands without those behind it.
    /// `to_pool`: the file stays, without a name of a segment, to become another one.
    pub fn drop_request(&mut self, segment_id: u64, file: SegmentFile, to_pool: bool) -> Request {
        self.last_token += 1;
        let checkpoints = Arc::clone(&self.checkpoints);
        let work = Box::new(move |folder: &Path| {
            let mut checkpoints = checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
            // Without room a checkpoint cannot be made, and dropping is what gives room.
            if let Err(error) = checkpoints.include(folder, segment_id) {
                tracing::warn!(%error, "no checkpoint of the journal was made");
            }
            checkpoints.first_segment = segment_id + 1;
            retire(folder, file, to_pool)?;
            // Should it come back at a crash, it is removed when the journal is opened.
            let footer = folder.join(footer_name(segment_id));
            if let Err(error) = std::fs::remove_file(&footer) {
                tracing::warn!(%error, path = %footer.display(), "an old footer is left");
            }
            Ok(())
        });
        Request::Run { token: self.last_token, work }
    }

    /// The token of the last request.
    pub fn last_token(&self) -> u64 {
        self.last_token
    }

    /// A request is done: what the core is told.
    pub fn written(&mut self, token: u64) -> Option<StorageEvent> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let at = written.iter().position(|(of, _)| *of == token)?;
        Some(StorageEvent::FooterWritten(written.swap_remove(at).1))
    }
}

impl Checkpoints {
    /// Makes sure that a segment is in a checkpoint before it is dropped: the next one goes on from there.
    fn include(&mut self, folder: &Path, segment_id: u64) -> Result<(), FileError> {
        if segment_id <= self.last_segment {
            return Ok(());
        }
        let path = folder.join(footer_name(segment_id));
        let header = File::open(&path)
            .and_then(|mut footer| FooterHeader::read(&mut footer).map_err(io::Error::other));
        let header = header.map_err(FileError::at("read", &path))?;
        self.write(folder, header.log_id, segment_id)
    }

    /// Merges the newest checkpoint with the footers since, up to and with a segment.
    fn write(&mut self, folder: &Path, log_id: u128, to_segment: u64) -> Result<(), FileError> {
        let open = |name: String| File::open(folder.join(name)).map(BufReader::new);
        let generation = self.highest_generation.max(self.generation) + 1;
        let new = NewCheckpoint { log_id, generation, first_segment: self.first_segment };
        // One that ends before the first segment says nothing that the segments do not say themselves.
        let previous = match self.last_segment {
            last if last == 0 || last + 1 < self.first_segment => None,
            _ => Some(checkpoint_name(self.generation % crate::index::CHECKPOINT_FILES)),
        };
        let first = self.last_segment.max(self.first_segment - 1) + 1;
        let name = checkpoint_name(generation % crate::index::CHECKPOINT_FILES);
        replace_with(folder, &name, |file| {
            let mut previous = previous.map(open).transpose()?;
            let footers = (first..=to_segment).map(|segment_id| open(footer_name(segment_id)));
            let mut footers = footers.collect::<io::Result<Vec<_>>>()?;
            let mut inputs: Vec<&mut dyn Read> =
                footers.iter_mut().map(|footer| footer as &mut dyn Read).collect();
            let previous = previous.as_mut().map(|previous| previous as &mut dyn Read);
            merge(&new, previous, &mut inputs, file).map_err(io::Error::other)?;
            Ok(())
        })?;
        (self.generation, self.last_segment) = (generation, to_segment);
        self.highest_generation = generation;
        Ok(())
    }
}
