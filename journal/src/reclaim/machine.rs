//! Decides what is done next to give the oldest segment back.

use std::collections::BTreeMap;

use super::ReclaimSettings;
use super::assessing::{Assessed, Assessing};
use super::copying::{Copied, CopyGroup, Copying};
use crate::format::{RecordHeader, RecordKind};
use crate::index::retention::is_live;
use crate::index::{Entity, FooterError, FooterSummary, FrameEnd, Posting};
use crate::log::{AppendError, BlockBuffer};

/// Segments behind the oldest one that are looked at whenever the log has gone on: what is dead further back may be
/// worth to copy what is live in front of it.
const LOOK_AHEAD: u32 = 2;

/// The oldest segment of a log that has a footer, and no other before it.
#[derive(Clone, Copy, Debug)]
pub struct Front<'a> {
    /// What is known of its footer.
    pub summary: &'a FooterSummary,
    /// Rises whenever a segment gets its footer or is dropped.
    pub changes: u64,
}

/// What a reclaim has to know of its log, and its way to write to it.
pub trait Surroundings {
    /// The oldest segment, when it has a footer.
    fn front(&self) -> Option<Front<'_>>;

    /// What is known of a segment's footer, when it has one.
    fn footer(&self, segment_id: u64) -> Option<&FooterSummary>;

    /// What the log knows of an entity.
    fn entity(&self, hash: u64) -> Option<&Entity>;

    /// The last place in a shard's sequence.
    fn shard_sequence(&self, shard: u32) -> u64;

    /// Whether the log can spare time and room for copies.
    fn takes_copies(&self) -> bool;

    /// Appends records once more, as they are.
    ///
    /// # Errors
    /// [`AppendError`], also when it would take the last segment that is ready; nothing was appended.
    fn append(&mut self, now_ns: u64, group: &CopyGroup<'_>) -> Result<(), AppendError>;

    /// The frame that took the last record of all.
    fn last_frame(&self) -> u64;

    /// Every frame up to this one is durable.
    fn durable_frame(&self) -> u64;

    /// The number of the last search for an entity's records that was begun.
    fn last_search(&self) -> u64;

    /// The number of the oldest search that is not over.
    fn oldest_search(&self) -> Option<u64>;

    /// Whether a record is needed, as the log is now.
    fn is_live(&self, entity: u64, posting: &Posting) -> bool {
        self.entity(entity).is_none_or(|entity| is_live(posting, entity))
    }
}

/// What is to be done for a reclaim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Read whole blocks, then [`Reclaim::was_read`].
    Read {
        /// The segment.
        segment_id: u64,
        /// Of its footer; otherwise of the segment itself.
        of_footer: bool,
        /// From where in the file.
        offset: u64,
        /// How many bytes.
        bytes: usize,
    },
    /// Remove the oldest segment durably, then [`Reclaim::was_dropped`].
    Drop {
        /// Its number.
        segment_id: u64,
    },
}

/// Why a segment is not given back at present. It is looked at again when the log has gone on.
#[derive(Debug, thiserror::Error)]
#[error("segment {segment_id} of the journal is not given back: {reason}")]
pub struct ReclaimFailed {
    /// Which one.
    pub segment_id: u64,
    /// Why not.
    pub reason: String,
}

#[derive(Debug)]
enum Phase {
    /// The front is as it was when it was looked at last.
    Resting,
    Assessing(Assessing),
    Copying(Copying),
    /// Nothing of the segment's entities is needed any more; its shards may have to be stated anew.
    Stating {
        segment_id: u64,
    },
    /// Nothing in the segment is needed, once this frame is durable and this search over.
    Settling {
        segment_id: u64,
        frame: u64,
        search: u64,
    },
    Dropping {
        segment_id: u64,
    },
    /// Whether a segment is there is not known. Another one that was dropped might leave a hole.
    Stopped,
}

/// What is to become of the oldest segment.
enum Verdict {
    /// Nothing at present.
    Rest,
    /// Nothing in it is live.
    Drop { segment_id: u64 },
    /// What is live in it is copied forward.
    Copy { segment_id: u64, end: FrameEnd },
    /// It depends on this later one.
    Assess { segment_id: u64 },
}

/// Live bytes of a segment that must stay.
const MUST_STAY: u64 = u64::MAX;

/// Gives the oldest segments of one log back, one after the other.
#[derive(Debug)]
pub struct Reclaim {
    settings: ReclaimSettings,
    phase: Phase,
    /// [`Front::changes`] when the front was looked at last.
    looked_at: Option<u64>,
    /// Live bytes of segments as they were found, from the oldest on; by now there may be fewer. A segment that must
    /// stay has more than any.
    live_bytes: BTreeMap<u64, u64>,
    /// The last segment behind the oldest one that was looked at.
    ahead: u64,
    looks_left: u32,
    /// Nothing is read or copied before.
    due_ns: u64,
    /// An order is under way.
    is_waiting: bool,
    /// There is something to do at once.
    has_more: bool,
    /// The log takes no copies at present. Whatever changes that brings a step with it.
    is_blocked: bool,
    /// Does not wait until the copies are durable: to show that tests find out.
    drops_early: bool,
}

impl Reclaim {
    /// A reclaim that has not looked at anything.
    pub fn new(settings: ReclaimSettings) -> Self {
        Reclaim {
            settings,
            phase: Phase::Resting,
            looked_at: None,
            live_bytes: BTreeMap::new(),
            ahead: 0,
            looks_left: 0,
            due_ns: 0,
            is_waiting: false,
            has_more: false,
            is_blocked: false,
            drops_early: false,
        }
    }

    /// From now on segments are dropped before their copies are durable. For tests that must find it out.
    pub fn drop_early(&mut self) {
        self.drops_early = true;
    }

    /// Goes on as far as it gets without waiting. What is ordered is done before the next step.
    ///
    /// # Errors
    /// [`ReclaimFailed`]; the segment stays.
    pub fn step(
        &mut self,
        now_ns: u64,
        log: &mut dyn Surroundings,
    ) -> Result<Option<Order>, ReclaimFailed> {
        (self.has_more, self.is_blocked) = (false, false);
        if self.is_waiting {
            return Ok(None);
        }
        if matches!(self.phase, Phase::Resting) && !self.begin(log) {
            return Ok(None);
        }
        let order = self.go_on(now_ns, log);
        self.is_waiting = matches!(order, Ok(Some(_)));
        order
    }

    /// What was read.
    ///
    /// # Errors
    /// [`ReclaimFailed`]; the segment stays.
    pub fn was_read(
        &mut self,
        now_ns: u64,
        log: &dyn Surroundings,
        bytes: BlockBuffer,
        result: std::io::Result<()>,
    ) -> Result<(), ReclaimFailed> {
        self.is_waiting = false;
        self.has_more = true;
        let pause_ns = bytes.len() as u64 * 1_000_000_000 / self.settings.bytes_per_second.max(1);
        self.due_ns = now_ns.saturating_add(pause_ns);
        if let Err(error) = result {
            return Err(self.give_up(&error));
        }
        let taken = match &mut self.phase {
            Phase::Copying(copying) => {
                copying.take(bytes);
                Ok(())
            }
            Phase::Assessing(assessing) => match log.footer(assessing.segment_id) {
                Some(footer) => assessing.take(footer, &bytes, |hash| log.entity(hash)),
                None => Ok(()),
            },
            _ => Ok(()),
        };
        taken.map_err(|error: FooterError| self.give_up(&error))
    }

    /// The segment is gone for ever, or still there.
    ///
    /// # Errors
    /// [`ReclaimFailed`]; the segment may be there or not, so nothing more is given back until the log is opened again.
    pub fn was_dropped(&mut self, result: std::io::Result<()>) -> Result<(), ReclaimFailed> {
        self.is_waiting = false;
        match result {
            Ok(()) => {
                self.phase = Phase::Resting;
                self.has_more = true;
                Ok(())
            }
            Err(error) => {
                let failed = self.give_up(&error);
                self.phase = Phase::Stopped;
                Err(failed)
            }
        }
    }

    /// Whether there is something to do at once.
    pub fn has_more(&self) -> bool {
        self.has_more
    }

    /// When it goes on though nothing else happens.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        let is_paced = matches!(self.phase, Phase::Assessing(_) | Phase::Copying(_));
        (is_paced && !self.is_waiting && !self.is_blocked).then_some(self.due_ns)
    }

    /// Looks at the front, when it is another one or the log has gone on.
    fn begin(&mut self, log: &dyn Surroundings) -> bool {
        let Some(front) = log.front() else { return false };
        if self.looked_at.replace(front.changes) == Some(front.changes) {
            return false;
        }
        let segment_id = front.summary.header().segment_id;
        self.looks_left = LOOK_AHEAD;
        self.phase = match self.live_bytes.get(&segment_id) {
            // What is dead stays dead.
            Some(0) => Phase::Stating { segment_id },
            _ => Phase::Assessing(Assessing::new(front.summary, &self.settings)),
        };
        true
    }

    /// What follows from what is known of the oldest segment and those behind it.
    fn decide(&mut self, log: &dyn Surroundings) -> Verdict {
        let Some(front) = log.front().map(|front| front.summary.header()) else {
            return Verdict::Rest;
        };
        let segment_id = front.segment_id;
        self.live_bytes.retain(|known, _| *known >= segment_id);
        match self.live_bytes.get(&segment_id) {
            None | Some(&MUST_STAY) => return Verdict::Rest,
            Some(0) => return Verdict::Drop { segment_id },
            Some(_) => {}
        }
        if self.is_worth_copying(segment_id, log) {
            return Verdict::Copy { segment_id, end: front.end };
        }
        if self.looks_left == 0 {
            return Verdict::Rest;
        }
        self.looks_left -= 1;
        let next = [self.ahead.max(segment_id) + 1, segment_id + 1];
        let next = next.into_iter().find(|next| log.footer(*next).is_some());
        self.ahead = next.unwrap_or(0);
        next.map_or(Verdict::Rest, |segment_id| Verdict::Assess { segment_id })
    }

    /// Whether the oldest segments, as many as it takes, together hold little that is live.
    fn is_worth_copying(&self, first: u64, log: &dyn Surroundings) -> bool {
        let percent = u64::from(self.settings.live_limit_percent.min(100));
        let (mut live_bytes, mut all_bytes) = (0_u64, 0_u64);
        for (segment_id, own_bytes) in (first..).zip(self.live_bytes.range(first..)) {
            let Some(footer) = log.footer(segment_id).filter(|_| *own_bytes.0 == segment_id) else {
                return false;
            };
            live_bytes = live_bytes.saturating_add(*own_bytes.1);
            all_bytes += footer.header().segment_bytes;
            if live_bytes <= all_bytes / 100 * percent {
                return true;
            }
        }
        false
    }

    fn go_on(
        &mut self,
        now_ns: u64,
        log: &mut dyn Surroundings,
    ) -> Result<Option<Order>, ReclaimFailed> {
        loop {
            let is_paced = matches!(self.phase, Phase::Assessing(_) | Phase::Copying(_));
            if is_paced && now_ns < self.due_ns {
                return Ok(None);
            }
            match &mut self.phase {
                Phase::Resting | Phase::Dropping { .. } | Phase::Stopped => return Ok(None),
                Phase::Assessing(assessing) => {
                    let segment_id = assessing.segment_id;
                    let Some(footer) = log.footer(segment_id) else {
                        self.phase = Phase::Resting;
                        return Ok(None);
                    };
                    match assessing.step(footer) {
                        Err(place) => {
                            let bytes = (place.end - place.start) as usize;
                            let (of_footer, offset) = (true, place.start);
                            return Ok(Some(Order::Read { segment_id, of_footer, offset, bytes }));
                        }
                        Ok(Assessed { live_bytes, must_stay }) => {
                            let live_bytes = if must_stay { MUST_STAY } else { live_bytes };
                            self.live_bytes.insert(segment_id, live_bytes);
                        }
                    }
                    match self.decide(log) {
                        Verdict::Rest => {
                            self.phase = Phase::Resting;
                            return Ok(None);
                        }
                        Verdict::Drop { segment_id } => {
                            self.phase = Phase::Stating { segment_id };
                        }
                        Verdict::Copy { segment_id, end } => {
                            self.phase = Phase::Copying(Copying::new(segment_id, end));
                        }
                        Verdict::Assess { segment_id } => {
                            if let Some(footer) = log.footer(segment_id) {
                                let assessing = Assessing::new(footer, &self.settings);
                                self.phase = Phase::Assessing(assessing);
                            }
                        }
                    }
                }
                Phase::Copying(_) if !log.takes_copies() => {
                    self.is_blocked = true;
                    return Ok(None);
                }
                Phase::Copying(copying) => {
                    let segment_id = copying.segment_id;
                    match copying.step(now_ns, log) {
                        Ok(Copied::Read { offset, bytes }) => {
                            let (of_footer, bytes) = (false, bytes as usize);
                            return Ok(Some(Order::Read { segment_id, of_footer, offset, bytes }));
                        }
                        Ok(Copied::More) => {
                            self.has_more = true;
                            return Ok(None);
                        }
                        Ok(Copied::Blocked) => {
                            self.is_blocked = true;
                            return Ok(None);
                        }
                        Ok(Copied::All) => self.phase = Phase::Stating { segment_id },
                        Err(error) => return Err(self.give_up(&error)),
                    }
                }
                Phase::Stating { segment_id } => match state_shards(now_ns, log) {
                    Ok(()) => {
                        let (segment_id, frame) = (*segment_id, log.last_frame());
                        let search = log.last_search();
                        self.phase = Phase::Settling { segment_id, frame, search };
                    }
                    Err(AppendError::Busy { .. } | AppendError::Full { .. }) => {
                        self.is_blocked = true;
                        return Ok(None);
                    }
                    Err(error) => return Err(self.give_up(&error)),
                },
                Phase::Settling { segment_id, frame, search } => {
                    let is_durable = log.durable_frame() >= *frame || self.drops_early;
                    let is_unread = log.oldest_search().is_none_or(|oldest| oldest > *search);
                    if !is_durable || !is_unread {
                        return Ok(None);
                    }
                    let segment_id = *segment_id;
                    self.phase = Phase::Dropping { segment_id };
                    return Ok(Some(Order::Drop { segment_id }));
                }
            }
        }
    }

    fn give_up(&mut self, reason: &dyn std::fmt::Display) -> ReclaimFailed {
        let segment_id = match &self.phase {
            Phase::Resting | Phase::Stopped => 0,
            Phase::Assessing(assessing) => assessing.segment_id,
            Phase::Copying(copying) => copying.segment_id,
            Phase::Stating { segment_id }
            | Phase::Settling { segment_id, .. }
            | Phase::Dropping { segment_id } => *segment_id,
        };
        self.phase = Phase::Resting;
        self.is_waiting = false;
        ReclaimFailed { segment_id, reason: reason.to_string() }
    }
}

/// Of the shards whose last record stands in the front, says once more how far they have come. A shard that has gone
/// on says so itself, in a later segment.
fn state_shards(now_ns: u64, log: &mut dyn Surroundings) -> Result<(), AppendError> {
    let Some(front) = log.front() else { return Ok(()) };
    let shards = front.summary.shards().iter();
    let last: Vec<_> =
        shards.filter(|row| log.shard_sequence(row.shard) == row.last_sequence).copied().collect();
    for row in last {
        let header = RecordHeader {
            kind: RecordKind::ShardEpoch,
            schema: 0,
            shard: row.shard,
            entity: 0,
            entity_sequence: 0,
            shard_sequence: row.last_sequence,
            epoch: row.epoch,
        };
        let record = super::CopiedRecord { header, layout: None, payload: &[] };
        log.append(now_ns, &CopyGroup { name: None, records: vec![record] })?;
    }
    Ok(())
}
