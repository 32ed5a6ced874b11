//! Decides what the background thread of a journal does next: makes segments ahead, one step at a time, and the
//! small jobs between the steps.
//!
//! Promises: every request that was taken is answered once, except segments when it closes. A segment is ready only
//! after all its zeroes were written, synced and published, in this order. A small job waits for one step of a
//! segment, never for a whole one. When there is no room, what was begun is thrown away, the request waits, and is
//! tried again every so often, and at once when files were removed; meanwhile segments are still made out of retired
//! files, which needs no room.
//!
//! Refuses: more requests than its limit. An error other than missing room is not tried again: who asked knows better.
//!
//! A machine without files or clock: it gives a [`Step`], is told the outcome, and gives the next one.

use std::collections::VecDeque;
use std::path::Path;

use super::durable_file::FileError;
use super::segment_files::ZERO_BYTES;
use crate::log::SegmentFile;

/// A piece of blocking work on a core's folder.
pub type Work = Box<dyn FnOnce(&Path) -> Result<(), FileError> + Send>;

/// What a core asks of the background thread.
pub enum Request {
    /// A new segment.
    Segment {
        /// Its number.
        file: SegmentFile,
    },
    /// A segment out of a file that no log needs any more. Its old number is gone as soon as this is begun.
    Recycle {
        /// The old number.
        retired: SegmentFile,
        /// The new number.
        file: SegmentFile,
    },
    /// A small file: written as a whole, or what it was before.
    Write {
        /// Comes back with the answer.
        token: u64,
        /// A plain file name.
        name: String,
        /// The content.
        bytes: Vec<u8>,
    },
    /// Files to be removed, in this order.
    Remove {
        /// Comes back with the answer.
        token: u64,
        /// Plain file names.
        names: Vec<String>,
    },
    /// Anything else that blocks, such as to merge a checkpoint. It holds everything else up.
    Run {
        /// Comes back with the answer.
        token: u64,
        /// The work; it is given the core's folder.
        work: Work,
    },
}

/// What has become of a request, and of the room.
#[derive(Debug)]
pub enum MakerEvent {
    /// The segment can be used.
    SegmentReady {
        /// Its number.
        file: SegmentFile,
    },
    /// The segment is not made.
    SegmentFailed {
        /// Its number.
        file: SegmentFile,
        /// Why not.
        error: FileError,
    },
    /// The job is done and durable.
    JobDone {
        /// Which one.
        token: u64,
    },
    /// The job is not done, or not as a whole.
    JobFailed {
        /// Which one.
        token: u64,
        /// Why not.
        error: FileError,
    },
    /// There is no room for a segment. Requests for segments wait until there is.
    Full {
        /// Since when.
        since: std::time::Instant,
    },
    /// There is room again.
    SpaceIsBack,
}

/// Who asked: a number that the thread gives.
pub(super) type Asker = usize;

/// What is to be done next, as a whole, before the next one is asked for.
pub(super) enum Step {
    /// Make a file, or take a retired one.
    Begin { asker: Asker, file: SegmentFile, retired: Option<SegmentFile> },
    /// Write zeroes into it.
    Zero { offset: u64, bytes: usize },
    /// Make them durable.
    Sync,
    /// Give it its number.
    Publish,
    /// Throw it away.
    Abandon,
    /// A request that is no segment.
    Job { asker: Asker, job: Request },
}

/// The machine.
pub(super) struct Making {
    segment_bytes: u64,
    retry_every_ns: u64,
    limit: usize,
    segments: VecDeque<Wanted>,
    jobs: VecDeque<(Asker, Request)>,
    current: Option<Current>,
    under_way: Option<UnderWay>,
    /// Whose turn it is when both have something to do.
    jobs_turn: bool,
    full: Option<Full>,
    closing: bool,
}

#[derive(Clone, Copy)]
struct Wanted {
    asker: Asker,
    file: SegmentFile,
    retired: Option<SegmentFile>,
}

/// The segment that is being made, and what comes next for it.
struct Current {
    wanted: Wanted,
    next: Stage,
}

enum Stage {
    Zero { offset: u64 },
    Sync,
    Publish,
    Abandon { cause: Option<FileError> },
}

/// What was given out and not answered.
enum UnderWay {
    Begin(Wanted),
    Segment,
    Job { asker: Asker, token: u64, gives_room: bool },
}

#[derive(Clone, Copy)]
struct Full {
    since_ns: u64,
    retry_at_ns: u64,
}

impl Making {
    pub fn new(segment_bytes: u64, retry_every_ns: u64, limit: usize) -> Making {
        Making {
            segment_bytes,
            retry_every_ns,
            limit,
            segments: VecDeque::new(),
            jobs: VecDeque::new(),
            current: None,
            under_way: None,
            jobs_turn: true,
            full: None,
            closing: false,
        }
    }

    /// Takes a request in; gives it back at the limit, or when it is closing.
    pub fn ask(&mut self, asker: Asker, request: Request) -> Result<(), Request> {
        if self.closing || self.segments.len() + self.jobs.len() >= self.limit {
            return Err(request);
        }
        match request {
            Request::Segment { file } => {
                self.segments.push_back(Wanted { asker, file, retired: None });
            }
            Request::Recycle { retired, file } => {
                self.segments.push_back(Wanted { asker, file, retired: Some(retired) });
            }
            job => self.jobs.push_back((asker, job)),
        }
        Ok(())
    }

    /// What to do next; `None` when there is nothing, or when the last step was not answered.
    pub fn next(&mut self, now_ns: u64) -> Option<Step> {
        if self.under_way.is_some() {
            return None;
        }
        let is_jobs_turn = std::mem::replace(&mut self.jobs_turn, true);
        let job = if is_jobs_turn { self.next_job() } else { None };
        job.or_else(|| self.next_of_segment(now_ns)).or_else(|| self.next_job())
    }

    /// The outcome of the last step. What has come of a request, if it ended with this.
    pub fn finished(
        &mut self,
        now_ns: u64,
        outcome: Result<(), FileError>,
    ) -> Option<(Asker, MakerEvent)> {
        match self.under_way.take()? {
            UnderWay::Job { asker, token, gives_room } => {
                if let (true, Some(full)) = (gives_room, &mut self.full) {
                    full.retry_at_ns = now_ns;
                }
                let event = match outcome {
                    Ok(()) => MakerEvent::JobDone { token },
                    Err(error) => MakerEvent::JobFailed { token, error },
                };
                Some((asker, event))
            }
            UnderWay::Begin(wanted) => {
                let next = match outcome {
                    _ if self.closing => Stage::Abandon { cause: None },
                    Ok(()) => Stage::Zero { offset: 0 },
                    Err(error) => Stage::Abandon { cause: Some(error) },
                };
                self.current = Some(Current { wanted, next });
                None
            }
            UnderWay::Segment => self.segment_finished(now_ns, outcome),
        }
    }

    /// Since when there is no room, in nanoseconds of the caller's clock.
    pub fn full_since_ns(&self) -> Option<u64> {
        self.full.map(|full| full.since_ns)
    }

    /// When there is something to do though nothing else happens.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let waits = self.under_way.is_none() && self.current.is_none() && !self.segments.is_empty();
        self.full.filter(|_| waits).map(|full| full.retry_at_ns)
    }

    /// Takes nothing any more. Jobs that were taken are still done; segments are not.
    pub fn close(&mut self) {
        self.closing = true;
        self.segments.clear();
        if let Some(current) = &mut self.current {
            current.next = Stage::Abandon { cause: None };
        }
    }

    fn next_job(&mut self) -> Option<Step> {
        let (asker, job) = self.jobs.pop_front()?;
        let (token, gives_room) = match &job {
            Request::Remove { token, .. } => (*token, true),
            Request::Write { token, .. } | Request::Run { token, .. } => (*token, false),
            // These never stand among the jobs.
            Request::Segment { .. } | Request::Recycle { .. } => return None,
        };
        self.jobs_turn = false;
        self.under_way = Some(UnderWay::Job { asker, token, gives_room });
        Some(Step::Job { asker, job })
    }

    fn next_of_segment(&mut self, now_ns: u64) -> Option<Step> {
        let Some(current) = &self.current else {
            let wanted = self.next_wanted(now_ns)?;
            self.under_way = Some(UnderWay::Begin(wanted));
            let Wanted { asker, file, retired } = wanted;
            return Some(Step::Begin { asker, file, retired });
        };
        self.under_way = Some(UnderWay::Segment);
        Some(match current.next {
            Stage::Zero { offset } => {
                let bytes = (self.segment_bytes - offset).min(ZERO_BYTES as u64) as usize;
                Step::Zero { offset, bytes }
            }
            Stage::Sync => Step::Sync,
            Stage::Publish => Step::Publish,
            Stage::Abandon { .. } => Step::Abandon,
        })
    }

    /// The request that has waited longest; without room, the one that needs none.
    fn next_wanted(&mut self, now_ns: u64) -> Option<Wanted> {
        match self.full {
            Some(full) if now_ns < full.retry_at_ns => {
                let place = self.segments.iter().position(|wanted| wanted.retired.is_some())?;
                self.segments.remove(place)
            }
            _ => self.segments.pop_front(),
        }
    }

    fn segment_finished(
        &mut self,
        now_ns: u64,
        outcome: Result<(), FileError>,
    ) -> Option<(Asker, MakerEvent)> {
        let Current { wanted, next } = self.current.take()?;
        let go_on = |next| Some(Current { wanted, next });
        match (next, outcome) {
            (Stage::Abandon { cause }, _) => return self.abandoned(now_ns, wanted, cause),
            _ if self.closing => self.current = go_on(Stage::Abandon { cause: None }),
            (_, Err(error)) => self.current = go_on(Stage::Abandon { cause: Some(error) }),
            (Stage::Zero { offset }, Ok(())) => {
                let offset = offset.saturating_add(ZERO_BYTES as u64);
                let is_whole = offset >= self.segment_bytes;
                self.current = go_on(if is_whole { Stage::Sync } else { Stage::Zero { offset } });
            }
            (Stage::Sync, Ok(())) => self.current = go_on(Stage::Publish),
            (Stage::Publish, Ok(())) => {
                if wanted.retired.is_none() {
                    self.full = None;
                }
                return Some((wanted.asker, MakerEvent::SegmentReady { file: wanted.file }));
            }
        }
        None
    }

    fn abandoned(
        &mut self,
        now_ns: u64,
        wanted: Wanted,
        cause: Option<FileError>,
    ) -> Option<(Asker, MakerEvent)> {
        match cause {
            _ if self.closing => None,
            Some(error) if error.is_no_space() => {
                let since_ns = self.full.map_or(now_ns, |full| full.since_ns);
                let retry_at_ns = now_ns.saturating_add(self.retry_every_ns);
                self.full = Some(Full { since_ns, retry_at_ns });
                // The retired file, if there was one, went with what was thrown away.
                self.segments.push_front(Wanted { retired: None, ..wanted });
                None
            }
            Some(error) => {
                Some((wanted.asker, MakerEvent::SegmentFailed { file: wanted.file, error }))
            }
            None => None,
        }
    }
}

#[cfg(test)]
#[path = "making_tests.rs"]
mod tests;
