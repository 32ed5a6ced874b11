//! Who waits for which frame, and what they get when it is durable.

use std::collections::VecDeque;
use std::rc::Rc;

use mainspring::device::Ticket;

use super::recent::Recent;
use crate::format::record::{Record, read_at, record_bytes};
use crate::format::{RecordHeader, RecordKind};
use crate::log::BlockBuffer;

/// A group of records that is durable. Its records are read where they were written from.
#[derive(Clone, Debug)]
pub struct Committed {
    frame: Rc<BlockBuffer>,
    /// Within the memory.
    start: usize,
    end: usize,
}

/// One record of a group that is durable.
#[derive(Clone, Copy, Debug)]
pub struct CommittedRecord<'a> {
    /// Its header.
    pub header: RecordHeader,
    /// Its payload.
    pub payload: &'a [u8],
}

/// It is not known whether a group of records is durable: a write has failed. The log takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a write of the journal failed: whether the events are kept is not known; open the journal again"
)]
pub struct CommitFailed;

impl Committed {
    /// Records behind each other, in the form that they have in the log.
    pub(super) fn of_records(bytes: BlockBuffer) -> Self {
        let end = bytes.len();
        Committed { frame: Rc::new(bytes), start: 0, end }
    }

    /// The records, without those of the dictionaries.
    pub fn records(&self) -> impl Iterator<Item = CommittedRecord<'_>> {
        let bytes = self.frame.get(self.start..self.end).unwrap_or_default();
        let mut offset = 0;
        std::iter::from_fn(move || {
            loop {
                // They were written from here a moment ago, so they can be read.
                let Record { header, payload, .. } = read_at(bytes, offset).ok()?;
                offset += record_bytes(payload.len());
                if !matches!(header.kind, RecordKind::Schema | RecordKind::Entity) {
                    return Some(CommittedRecord { header, payload });
                }
            }
        })
    }
}

/// What becomes of a ticket.
pub(super) type Redemption =
    (Ticket<Result<Committed, CommitFailed>>, Result<Committed, CommitFailed>);

#[derive(Debug)]
struct Waiting {
    frame: u64,
    /// Where the group stands in its file.
    start: u64,
    end: u64,
    ticket: Ticket<Result<Committed, CommitFailed>>,
}

/// A frame that was written.
#[derive(Debug)]
pub(super) struct Written {
    /// Its number.
    pub frame: u64,
    /// Where in the file its memory was written to.
    pub offset: u64,
    pub bytes: Rc<BlockBuffer>,
}

/// Frames whose memory is watched for being free.
const FRAMES_KEPT: usize = 8;

/// Tickets in the order of their frames, and the memory of frames that were written.
#[derive(Debug, Default)]
pub(super) struct Commits {
    waiting: VecDeque<Waiting>,
    written: VecDeque<Written>,
    /// Frames whose tickets are given back. Their memory is free when nobody reads them any more.
    done: VecDeque<Rc<BlockBuffer>>,
}

impl Commits {
    /// A ticket for a group that was appended last of all.
    pub fn wait(
        &mut self,
        frame: u64,
        place: std::ops::Range<u64>,
        ticket: Ticket<Result<Committed, CommitFailed>>,
    ) {
        self.waiting.push_back(Waiting { frame, start: place.start, end: place.end, ticket });
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// A frame was written; what it says can be read once it is durable.
    pub fn written(&mut self, frame: u64, offset: u64, bytes: BlockBuffer) {
        let at = self.written.partition_point(|written| written.frame < frame);
        self.written.insert(at, Written { frame, offset, bytes: Rc::new(bytes) });
    }

    /// Everything up to and with this frame is durable: who is told what, and what is kept in memory.
    pub fn durable(&mut self, frame: u64, recent: &mut Recent, redeemed: &mut Vec<Redemption>) {
        while let Some(written) = self.written.front()
            && written.frame <= frame
        {
            let Some(written) = self.written.pop_front() else { return };
            recent.durable(&written);
            let Written { frame, offset, bytes } = written;
            if self.done.len() >= FRAMES_KEPT {
                self.done.pop_front();
            }
            self.done.push_back(Rc::clone(&bytes));
            while let Some(waiting) = self.waiting.front()
                && waiting.frame <= frame
            {
                let Some(Waiting { start, end, ticket, .. }) = self.waiting.pop_front() else {
                    return;
                };
                let within = |place: u64| place.saturating_sub(offset) as usize;
                let (start, end) = (within(start), within(end));
                redeemed.push((ticket, Ok(Committed { frame: Rc::clone(&bytes), start, end })));
            }
        }
    }

    /// The memory of a frame that nobody reads any more.
    pub fn take_free(&mut self) -> Option<BlockBuffer> {
        let at = self.done.iter().position(|frame| Rc::strong_count(frame) == 1)?;
        self.done.remove(at).and_then(|frame| Rc::try_unwrap(frame).ok())
    }

    /// A write has failed: nobody who still waits learns what became of it.
    pub fn failed(&mut self, redeemed: &mut Vec<Redemption>) {
        self.written.clear();
        redeemed.extend(self.waiting.drain(..).map(|waiting| (waiting.ticket, Err(CommitFailed))));
    }
}
