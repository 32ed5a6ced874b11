//! Readings that go through the log together: first their places are looked for, then their records are fetched in the
//! order of the log, each block once.
//!
//! Invariants: a reading gets its records in its own order; a record that cannot be read fails its own reading, a
//! fetch that fails those whose records it held; nothing is taken out of a fetch while one of its readings has more
//! to give out than it may gather.

use std::rc::Rc;

use super::log_index::{LogIndex, Run};
use super::memory::Memory;
use super::pass::{Fetch, Pass};
use super::reading::READING_BYTES;
use super::reading_table::{ReadingId, ReadingTable};
use super::readings::ReadFailed;
use super::recent::Recent;
use super::requests::Requests;
use super::searches::{Searched, Searches};
use crate::log::BlockBuffer;

/// So much of a fetch must be of its only reading for its records to stay where they are.
const WHOLE_FETCH_BYTES: usize = 64 << 10;

/// See the module's header.
#[derive(Debug)]
pub(super) struct Cohort {
    id: u64,
    members: Vec<ReadingId>,
    /// Members whose readings are not over.
    alive: usize,
    searches: Option<Searches>,
    pass: Pass,
    /// Those who must give something out before more is taken for them.
    full: Vec<ReadingId>,
}

/// A reading that goes through the log in another order than the others: it is to go alone.
pub(super) type Stray = (ReadingId, Vec<Run>);

impl Cohort {
    /// Readings whose places are not known yet.
    pub fn new(id: u64, members: Vec<ReadingId>, table: &mut ReadingTable) -> Self {
        let mut search_of = |member: &ReadingId| {
            let reading = table.get_mut(*member)?;
            reading.cohort = Some(id);
            reading.search.take()
        };
        let searches = Searches::new(members.iter().map(&mut search_of).collect());
        let pass = Pass::as_written();
        Cohort {
            id,
            alive: members.len(),
            members,
            searches: Some(searches),
            pass,
            full: Vec::new(),
        }
    }

    /// One reading whose places are known.
    pub fn alone(id: u64, (member, runs): Stray, table: &mut ReadingTable) -> Self {
        let alive = usize::from(table.get(member).is_some());
        if let Some(reading) = table.get_mut(member) {
            reading.cohort = Some(id);
        }
        let pass = Pass::as_wanted(runs);
        Cohort { id, members: vec![member], alive, searches: None, pass, full: Vec::new() }
    }

    pub fn id(&self) -> u64 {
        self.id
    }

    pub fn members(&self) -> &[ReadingId] {
        &self.members
    }

    /// A member's reading is over, or it goes alone.
    pub fn lose_one(&mut self) {
        self.alive = self.alive.saturating_sub(1);
    }

    /// Whether nobody is left.
    pub fn is_over(&self) -> bool {
        self.alive == 0
    }

    /// Whether something can be done before the device has done something, or a reader.
    pub fn has_work(&self, table: &ReadingTable, memory: &Memory) -> bool {
        self.searches.as_ref().is_some_and(Searches::has_work)
            || self.pass.has_to_begin()
            || (self.pass.has_come() && memory.has_room() && !self.is_blocked(table))
    }

    /// Bytes have come, or will not; they come back when nobody here asked for them.
    pub fn fetched(
        &mut self,
        token: u64,
        bytes: BlockBuffer,
        result: std::io::Result<()>,
    ) -> Result<(), (BlockBuffer, std::io::Result<()>)> {
        let (bytes, result) = match &mut self.searches {
            Some(searches) => match searches.fetched(token, bytes, result) {
                Ok(()) => return Ok(()),
                Err(other) => other,
            },
            None => (bytes, result),
        };
        self.pass.fetched(token, bytes, result)
    }

    /// Goes on looking for places for at most `budget` steps, and asks for what is next. How many requests were begun.
    pub fn drive(
        &mut self,
        budget: &mut usize,
        recent: &Recent,
        index: &mut LogIndex,
        table: &mut ReadingTable,
        requests: &mut Requests<'_>,
        memory: &mut Memory,
    ) -> (usize, Vec<Stray>) {
        let mut begun = 0;
        let mut strays = Vec::new();
        if let Some(searches) = &mut self.searches {
            let mut done = Vec::new();
            begun += searches.go_on(budget, index, requests, &mut done);
            let is_over = searches.is_over();
            for searched in done {
                strays.extend(self.searched(searched, recent, table, memory));
            }
            if !is_over {
                return (begun, strays);
            }
            self.searches = None;
        }
        (begun + self.pass.begin(requests), strays)
    }

    /// Takes the records out of what has come, as far as there is room for them; whether there was something.
    pub fn take_come(&mut self, table: &mut ReadingTable, memory: &mut Memory) -> bool {
        self.full.retain(|id| table.get(*id).is_some_and(|reading| reading.is_full()));
        if !self.full.is_empty() || !memory.has_room() {
            return false;
        }
        let Some((fetch, result)) = self.pass.take_come() else { return false };
        match result {
            Err(failed) => self.fail(&fetch, &failed, table, memory),
            Ok(blocks) if self.members.len() == 1 && fetch.wanted_bytes >= WHOLE_FETCH_BYTES => {
                self.take_whole(&fetch, blocks, table, memory);
            }
            Ok(blocks) => {
                self.gather(&fetch, &blocks, table, memory);
                memory.free(blocks);
            }
        }
        true
    }

    fn is_blocked(&self, table: &ReadingTable) -> bool {
        self.full.iter().any(|id| table.get(*id).is_some_and(|reading| reading.is_full()))
    }

    /// The places of a reading's records are known, or cannot be found.
    fn searched(
        &mut self,
        (member, runs): Searched,
        recent: &Recent,
        table: &mut ReadingTable,
        memory: &mut Memory,
    ) -> Option<Stray> {
        let id = *self.members.get(member as usize)?;
        let reading = table.get_mut(id)?;
        let runs = match runs {
            Ok(runs) => runs,
            Err(failed) => {
                reading.failed = Some(failed);
                memory.list(reading);
                return None;
            }
        };
        let postings = || runs.iter().flat_map(|run| &run.postings);
        let bytes = postings().map(|posting| posting.bytes as usize).sum();
        memory.list(reading);
        if bytes <= READING_BYTES
            && memory.has_room()
            && let Some(found) = recent.find(reading.entity, &runs)
        {
            reading.take_in(found);
            memory.hold(reading.held_bytes());
            return None;
        }
        reading.expects(postings().count(), bytes);
        if self.members.len() == 1 {
            self.pass = Pass::as_wanted(runs);
        } else if is_as_written(&runs) {
            self.pass.add(member, runs);
        } else if bytes <= READING_BYTES && memory.reserve(bytes) {
            reading.is_out_of_order = true;
            reading.reserved_bytes = bytes;
            self.pass.add(member, runs);
        } else {
            self.lose_one();
            reading.cohort = None;
            return Some((id, runs));
        }
        None
    }

    fn fail(
        &self,
        fetch: &Fetch,
        failed: &ReadFailed,
        table: &mut ReadingTable,
        memory: &mut Memory,
    ) {
        for place in &fetch.places {
            let member = self.members.get(place.member as usize);
            if let Some(reading) = member.and_then(|id| table.get_mut(*id)) {
                reading.failed = Some(failed.clone());
                memory.list(reading);
            }
        }
    }

    fn take_whole(
        &mut self,
        fetch: &Fetch,
        blocks: BlockBuffer,
        table: &mut ReadingTable,
        memory: &mut Memory,
    ) {
        let Some(id) = self.members.first().copied() else { return };
        let Some(reading) = table.get_mut(id) else { return };
        let held_bytes = reading.held_bytes();
        reading.take_whole(fetch, memory.lend(Rc::new(blocks)));
        memory.let_go(held_bytes - reading.held_bytes());
        self.full.push(id);
        memory.list(reading);
    }

    fn gather(
        &mut self,
        fetch: &Fetch,
        blocks: &[u8],
        table: &mut ReadingTable,
        memory: &mut Memory,
    ) {
        for place in &fetch.places {
            let Some(id) = self.members.get(place.member as usize).copied() else { continue };
            let Some(reading) = table.get_mut(id) else { continue };
            let held_bytes = reading.held_bytes();
            let from = (place.posting.offset - fetch.offset) as usize;
            // A place beyond what was fetched leaves nothing, and the reader says so.
            let record = blocks.get(from..from + place.posting.bytes as usize);
            reading.gather(&place.posting, &fetch.layouts, record.unwrap_or_default());
            memory.hold(reading.held_bytes() - held_bytes);
            if reading.is_full() && self.full.last() != Some(&id) {
                self.full.push(id);
            }
            if reading.has_batch() {
                memory.list(reading);
            }
        }
    }
}

/// Whether the records stand in the log in the reading's order.
fn is_as_written(runs: &[Run]) -> bool {
    let mut last = (0, 0);
    runs.iter().all(|run| {
        run.postings.iter().all(|posting| {
            let place = (run.segment_id, posting.offset);
            let is_behind = place > last;
            last = place;
            is_behind
        })
    })
}
