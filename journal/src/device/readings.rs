//! Reading the records of entities while the core goes on: who reads with whom, and who gets what when.
//!
//! What is in memory is given out at once. Of other readings a few begin at once, whatever else goes on. When more wait
//! than that, they go through the log together:
//! as many as there is room for, one such cohort at a time, so that those who come meanwhile make the next one. What
//! is read is given out one batch at a time, each against a ticket: an actor with a long history does not hold its
//! core up.
//!
//! Bounded are the readings that are under way, the places of their records, the bytes that lie in memory for them
//! (see [`Memory`]; when it is full what has come is given out although more would follow), the requests under way,
//! and what is done in one poll.

use std::collections::VecDeque;

use mainspring::device::Ticket;

use super::cohort::{Cohort, Stray};
use super::found::Found;
use super::log_index::{LogIndex, Run, Search};
use super::memory::Memory;
use super::reading::{READING_BYTES, Reading};
use super::reading_table::{ReadingId, ReadingTable};
use super::recent::{InMemory, Recent};
use super::requests::{Requested, Requests};
use super::storage::{LogFile, Storage};
use crate::log::BlockBuffer;

/// Readings that begin at once, together with those that began in the same sweep.
const FEW: usize = 16;
/// Cohorts of a few readings at a time.
const SMALL_COHORTS: usize = 16;
/// Records whose places are kept for all readings under way, unless one reading alone has more.
const PLACES_LIMIT: usize = 1 << 20;
/// Steps of searches in one poll.
const STEPS_A_POLL: usize = 2_048;
/// Fetches that are taken apart in one poll.
const FETCHES_A_POLL: usize = 8;
/// Batches that are given out in one poll.
const BATCHES_A_POLL: usize = 1_024;

/// Why an entity's records were not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadFailed {
    /// The device did not give what it holds.
    #[error("{file} cannot be read at byte {offset}: {reason}")]
    Device {
        /// The file.
        file: LogFile,
        /// From where.
        offset: u64,
        /// What the system said.
        reason: String,
    },
    /// The footer of a segment is damaged.
    #[error(
        "the footer of segment {segment_id} is damaged ({reason}): remove its file and open the journal again, \
         which makes it anew"
    )]
    Footer {
        /// The segment.
        segment_id: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A write of the log has failed before, so what it holds is not known.
    #[error("a write of the journal has failed; open it again")]
    Poisoned,
    /// It took too long.
    #[error("the records were not read within {limit_ms} ms")]
    Timeout {
        /// How long was waited.
        limit_ms: u64,
    },
    /// The core of the log has ended.
    #[error("core {core}, whose log has the records, has ended; start the node again")]
    Closed {
        /// The core.
        core: u16,
    },
}

impl ReadFailed {
    pub(super) fn device(file: LogFile, offset: u64, error: std::io::Error) -> Self {
        ReadFailed::Device { file, offset, reason: error.to_string() }
    }
}

/// What a reader waits with.
pub(super) type ReadTicket = Ticket<Result<Found, ReadFailed>>;

/// What becomes of a reader's ticket.
pub(super) type ReadRedemption = (ReadTicket, Result<Found, ReadFailed>);

/// All readings of a core.
#[derive(Debug)]
pub(super) struct Readings {
    table: ReadingTable,
    /// Those that wait, in the order in which they were begun; some may be over.
    queued: VecDeque<ReadingId>,
    cohorts: Vec<Cohort>,
    /// Those that are to go alone.
    strays: VecDeque<Stray>,
    permits: usize,
    /// Readings under way, and the records that they may have.
    active: usize,
    places: usize,
    requested: Requested,
    last_cohort: u64,
    memory: Memory,
}

impl Readings {
    /// So many readings at the same time.
    pub fn new(permits: usize) -> Self {
        Readings {
            table: ReadingTable::default(),
            queued: VecDeque::new(),
            cohorts: Vec::new(),
            strays: VecDeque::new(),
            permits: permits.max(1),
            active: 0,
            places: 0,
            requested: Requested::default(),
            last_cohort: 0,
            memory: Memory::default(),
        }
    }

    /// Begins a reading; `ticket` gets the first batch.
    pub fn begin(
        &mut self,
        now_ns: u64,
        limit_ms: u64,
        after_frame: u64,
        search: Search,
        ticket: ReadTicket,
    ) -> ReadingId {
        let deadline_ns = now_ns.saturating_add(limit_ms.saturating_mul(1_000_000));
        let id = self
            .table
            .insert(deadline_ns, |id| Reading::new(id, after_frame, limit_ms, search, ticket));
        self.queued.push_back(id);
        id
    }

    /// The records of some runs, if all of them are in memory and may be gathered at once.
    pub fn find_in<'a>(
        &self,
        recent: &'a Recent,
        entity: u64,
        runs: &'a [Run],
    ) -> Option<Vec<InMemory<'a>>> {
        let postings = runs.iter().flat_map(|run| &run.postings);
        let bytes: usize = postings.map(|posting| posting.bytes as usize).sum();
        let may_gather = bytes <= READING_BYTES && self.memory.has_room();
        may_gather.then(|| recent.find(entity, runs)).flatten()
    }

    /// Begins a reading of which everything is in memory: it waits for no other.
    pub fn begin_with(
        &mut self,
        now_ns: u64,
        limit_ms: u64,
        search: Search,
        found: Vec<InMemory<'_>>,
        ticket: ReadTicket,
    ) -> ReadingId {
        let deadline_ns = now_ns.saturating_add(limit_ms.saturating_mul(1_000_000));
        let id = self.table.insert(deadline_ns, |id| Reading::new(id, 0, limit_ms, search, ticket));
        if let Some(reading) = self.table.get_mut(id) {
            reading.take_in(found);
            self.memory.hold(reading.held_bytes());
            self.memory.list(reading);
        }
        id
    }

    /// The reader takes the next batch. When the reading is gone, the ticket comes back.
    pub fn go_on(&mut self, id: ReadingId, ticket: ReadTicket) -> Result<(), ReadTicket> {
        let Some(reading) = self.table.get_mut(id) else { return Err(ticket) };
        reading.ticket = Some(ticket);
        if reading.has_batch() {
            self.memory.list(reading);
        }
        Ok(())
    }

    /// The reader is gone.
    pub fn cancel(&mut self, id: ReadingId) {
        self.remove(id);
        // Readers that come and go must not make the queue grow.
        if self.queued.len() > 2 * self.table.len() + FEW {
            self.queued.retain(|id| self.table.get(*id).is_some());
        }
    }

    /// The number of the last reading that was begun, 0 before the first.
    pub fn last_id(&self) -> u64 {
        self.table.last_number()
    }

    /// The number of the oldest reading that is not over.
    pub fn oldest_id(&self) -> Option<u64> {
        self.table.oldest_number()
    }

    /// Whether nobody reads.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// Requests that were begun so far, and the bytes that they asked for.
    pub fn requested(&self) -> Requested {
        self.requested
    }

    /// Whether something can be done before the device has done something.
    pub fn has_work(&self) -> bool {
        !self.memory.has_nothing_listed()
            || self.cohorts.iter().any(|cohort| cohort.has_work(&self.table, &self.memory))
    }

    /// When the first reading has taken too long.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.table.next_deadline_ns()
    }

    /// Blocks have come, or will not. Those of a reading that is gone are dropped.
    pub fn fetched(&mut self, token: u64, bytes: BlockBuffer, result: std::io::Result<()>) {
        let mut come = (bytes, result);
        for cohort in &mut self.cohorts {
            match cohort.fetched(token, come.0, come.1) {
                Ok(()) => return,
                Err(other) => come = other,
            }
        }
        self.memory.free(come.0);
    }

    /// Begins what may begin and hands requests out; how many.
    pub fn drive(
        &mut self,
        durable_frame: u64,
        recent: &Recent,
        index: &mut LogIndex,
        storage: &mut dyn Storage,
    ) -> usize {
        self.memory.give_back(storage);
        self.cohorts.retain(|cohort| !cohort.is_over());
        self.admit(durable_frame);
        let mut begun = 0;
        let mut budget = STEPS_A_POLL;
        let mut requests = Requests { requested: &mut self.requested, storage };
        for cohort in &mut self.cohorts {
            let (table, memory) = (&mut self.table, &mut self.memory);
            let (more, strays) =
                cohort.drive(&mut budget, recent, index, table, &mut requests, memory);
            begun += more;
            self.strays.extend(strays);
        }
        begun
    }

    /// Everything that can be given out by now, but not more than a core gives out at once.
    pub fn give_out(&mut self, now_ns: u64, poisoned: bool, out: &mut Vec<ReadRedemption>) {
        if poisoned {
            out.extend(
                self.table
                    .drain()
                    .filter_map(|reading| Some((reading.ticket?, Err(ReadFailed::Poisoned)))),
            );
            // A number is not used again: requests and readers that are still there mean the old ones.
            let (table, requested) = (std::mem::take(&mut self.table), self.requested);
            *self = Readings { table, requested, ..Readings::new(self.permits) };
            return;
        }
        while let Some(late) = self.table.first_late(now_ns) {
            let Some(Reading { ticket, limit_ms, .. }) = self.remove(late) else { break };
            out.extend(ticket.map(|ticket| (ticket, Err(ReadFailed::Timeout { limit_ms }))));
        }
        for cohort in &mut self.cohorts {
            for _ in 0..FETCHES_A_POLL {
                if !cohort.take_come(&mut self.table, &mut self.memory) {
                    break;
                }
            }
        }
        for _ in 0..BATCHES_A_POLL {
            let Some(id) = self.memory.next_listed() else { break };
            self.give_batch(id, out);
        }
        if !self.memory.has_room() && self.memory.has_nothing_listed() {
            self.hurry();
        }
    }

    fn give_batch(&mut self, id: ReadingId, out: &mut Vec<ReadRedemption>) {
        let Some(reading) = self.table.get_mut(id) else { return };
        reading.is_listed = false;
        let held_bytes = reading.held_bytes();
        let Some((redemption, is_over)) = reading.take_batch() else { return };
        self.memory.let_go(held_bytes - reading.held_bytes());
        out.push(redemption);
        if is_over {
            self.remove(id);
        }
    }

    /// There is no more room: what has come is given out although more would follow.
    fn hurry(&mut self) {
        let members = self.cohorts.iter().flat_map(Cohort::members);
        for id in members {
            if let Some(reading) = self.table.get_mut(*id).filter(|one| one.can_be_hurried()) {
                reading.is_hurried = true;
                self.memory.list(reading);
            }
        }
    }

    /// Lets those begin that may: a few at once, many together.
    fn admit(&mut self, durable_frame: u64) {
        while self.small_cohorts() < SMALL_COHORTS
            && let Some(stray) = self.strays.pop_front()
        {
            self.last_cohort += 1;
            self.cohorts.push(Cohort::alone(self.last_cohort, stray, &mut self.table));
        }
        while self.queued.front().is_some_and(|id| self.table.get(*id).is_none()) {
            self.queued.pop_front();
        }
        let has_few = self.queued.len() <= FEW;
        let may_begin = match has_few {
            true => self.small_cohorts() < SMALL_COHORTS,
            false => self.small_cohorts() == self.cohorts.len(),
        };
        if self.queued.is_empty() || !may_begin {
            return;
        }
        let mut members = Vec::new();
        while let Some(id) = self.queued.front().copied() {
            if let Some(reading) = self.table.get_mut(id) {
                let has_room = self.places == 0 || self.places + reading.places <= PLACES_LIMIT;
                if reading.after_frame > durable_frame || self.active >= self.permits || !has_room {
                    break;
                }
                reading.is_admitted = true;
                self.active += 1;
                self.places += reading.places;
                members.push(id);
            }
            self.queued.pop_front();
        }
        if !members.is_empty() {
            self.last_cohort += 1;
            self.cohorts.push(Cohort::new(self.last_cohort, members, &mut self.table));
        }
    }

    fn small_cohorts(&self) -> usize {
        self.cohorts.iter().filter(|cohort| cohort.members().len() <= FEW).count()
    }

    /// The reading is over.
    fn remove(&mut self, id: ReadingId) -> Option<Reading> {
        let reading = self.table.remove(id)?;
        self.memory.let_go(reading.held_bytes());
        self.memory.unreserve(reading.reserved_bytes);
        if reading.is_admitted {
            self.active -= 1;
            self.places -= reading.places;
        }
        let cohort = self.cohorts.iter_mut().find(|one| Some(one.id()) == reading.cohort);
        cohort.into_iter().for_each(Cohort::lose_one);
        Some(reading)
    }
}
