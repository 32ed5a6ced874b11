//! What other cores have this core's journal do.
//!
//! Letters are done in the order in which they came. When the log has no room for a group just now, that one and
//! everything behind it waits until it has.

use std::collections::{BTreeMap, VecDeque};

use mainspring::device::Ticket;

use super::CarriedGroup;
use super::desk::Desk;
use super::letters::{Answer, Begun, Letter, NotKept, Reply, Request};
use super::owned_found::OwnedFound;
use crate::device::{
    CommitFailed, Committed, CoreJournal, Found, Group, ReadFailed, ReadingId, Refused,
};
use crate::format::dictionary::EntityEntry;
use crate::log::AppendError;

/// To which core a reply goes.
pub(super) type Addressed = (u16, Reply);

/// See the module's header.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// The key of the last ticket that was left with the journal.
    last_key: u64,
    /// Groups that will be durable, by the keys of their tickets.
    taken: BTreeMap<u64, Taken>,
    /// By core, and by the number that it has given.
    readings: BTreeMap<(u16, u64), Served>,
    /// Readings that wait for records, by the keys of their tickets.
    asked: BTreeMap<u64, (u16, u64)>,
    /// The first one is a group that the log had no room for.
    waiting: VecDeque<Letter>,
    waits_for_room: bool,
}

#[derive(Debug)]
struct Taken {
    from: u16,
    number: u64,
    group: Box<CarriedGroup>,
}

#[derive(Debug)]
struct Served {
    id: ReadingId,
    key: u64,
    begun: Begun,
}

impl Serving {
    /// The next letter that was put off, if it may be tried.
    pub fn next_waiting(&mut self) -> Option<Letter> {
        if self.waits_for_room { None } else { self.waiting.pop_front() }
    }

    /// Whether letters are put off.
    pub fn waits_for_room(&self) -> bool {
        self.waits_for_room
    }

    /// Whether letters that were put off may be tried.
    pub fn may_try(&self) -> bool {
        !self.waits_for_room && !self.waiting.is_empty()
    }

    /// Whether nothing is under way for other cores.
    pub fn is_idle(&self) -> bool {
        self.taken.is_empty() && self.readings.is_empty() && self.waiting.is_empty()
    }

    /// The log may have room again.
    pub fn has_room(&mut self) {
        self.waits_for_room = false;
    }

    /// Does what a letter asks for; what can be replied at once.
    pub fn take(
        &mut self,
        now_ns: u64,
        letter: Letter,
        journal: &CoreJournal,
    ) -> Option<Addressed> {
        let Letter { from, number, request } = letter;
        let answer = match request {
            Request::Append(group) => return self.append(now_ns, from, number, group, journal),
            Request::Read { entity, shard, below } => {
                // The claim comes first, so that nobody else can have written since.
                let shard = journal.claim(shard);
                let sequence = journal.sequence_of(entity);
                let state_written_at_ms = journal.state_written_at_ms(entity);
                let begun = Begun { sequence, state_written_at_ms, shard };
                let key = self.key();
                let id = journal.read(now_ns, entity, below, Ticket::for_shared::<Desk>(key));
                self.readings.insert((from, number), Served { id, key, begun });
                self.asked.insert(key, (from, number));
                return None;
            }
            Request::ReadOn => self.read_on(from, number, journal)?,
            Request::Cancel => {
                if let Some(served) = self.readings.remove(&(from, number)) {
                    self.asked.remove(&served.key);
                    journal.cancel_read(served.id);
                }
                Answer::Cancelled
            }
        };
        Some((from, Reply { number, answer }))
    }

    fn append(
        &mut self,
        now_ns: u64,
        from: u16,
        number: u64,
        group: Box<CarriedGroup>,
        journal: &CoreJournal,
    ) -> Option<Addressed> {
        match offer(now_ns, &group, journal) {
            Ok(place) => {
                let key = self.key();
                journal.wait(place, Ticket::for_shared::<Desk>(key));
                self.taken.insert(key, Taken { from, number, group });
                None
            }
            Err(Refused::Log(AppendError::Busy { .. }) | Refused::NotReady) => {
                self.waiting.push_front(Letter { from, number, request: Request::Append(group) });
                self.waits_for_room = true;
                journal.wait_for_room(Ticket::for_shared::<Desk>(0));
                None
            }
            Err(refused) => Some(refuse(from, number, group, refused)),
        }
    }

    /// When the reading is over, which it may be because it took too long, the answer.
    fn read_on(&mut self, from: u16, number: u64, journal: &CoreJournal) -> Option<Answer> {
        let key = self.key();
        let begun = match self.readings.get_mut(&(from, number)) {
            Some(served) => {
                if journal.read_on(served.id, Ticket::for_shared::<Desk>(key)).is_ok() {
                    served.key = key;
                    self.asked.insert(key, (from, number));
                    return None;
                }
                Some(served.begun)
            }
            None => None,
        };
        self.readings.remove(&(from, number));
        let found = Err(ReadFailed::Timeout { limit_ms: journal.recovery_limit_ms() });
        Some(Answer::Found(Box::new((found, begun))))
    }

    /// A group is durable, or nobody knows.
    pub fn settled(
        &mut self,
        key: u64,
        committed: Result<Committed, CommitFailed>,
    ) -> Option<Addressed> {
        let Taken { from, number, group } = self.taken.remove(&key)?;
        let outcome = committed.map(drop).map_err(NotKept::Unknown);
        Some((from, Reply { number, answer: Answer::Settled { group, outcome } }))
    }

    /// Records were read, or cannot be.
    pub fn found(&mut self, key: u64, found: Result<Found, ReadFailed>) -> Option<Addressed> {
        let (from, number) = self.asked.remove(&key)?;
        let begun = self.readings.get(&(from, number)).map(|served| served.begun);
        if found.as_ref().map_or(true, |found| found.is_last) {
            self.readings.remove(&(from, number));
        }
        let found = found.map(OwnedFound::from);
        Some((from, Reply { number, answer: Answer::Found(Box::new((found, begun))) }))
    }

    /// A new life of an entity begins to read here: what an earlier one still has waiting would be written behind its
    /// back, and is refused. `more` are all letters that have come and were not looked at.
    pub fn overtake(
        &mut self,
        entity: u64,
        more: impl Iterator<Item = Letter>,
        refused: &mut Vec<Addressed>,
    ) {
        self.waiting.extend(more);
        for letter in std::mem::take(&mut self.waiting) {
            match letter {
                Letter { from, number, request: Request::Append(group) }
                    if EntityEntry::hash_of(&group.name) == entity =>
                {
                    refused.push(refuse(from, number, group, Refused::NotReady));
                }
                letter => self.waiting.push_back(letter),
            }
        }
    }

    fn key(&mut self) -> u64 {
        self.last_key += 1;
        self.last_key
    }
}

/// Offers a group to the log as if its entity were one of this core.
fn offer(
    now_ns: u64,
    group: &CarriedGroup,
    journal: &CoreJournal,
) -> Result<(u64, std::ops::Range<u64>), Refused> {
    let entity = &mut journal.declared(&group.name);
    // A name that was declared on the other core is not too long for this one.
    let records = group.unpack(|layout| journal.declare(layout).ok());
    let (shard, after) = (group.shard, group.after);
    journal.append(now_ns, Group { entity, shard, after, records: &records })
}

fn refuse(from: u16, number: u64, group: Box<CarriedGroup>, refused: Refused) -> Addressed {
    let outcome = Err(NotKept::Refused(refused));
    (from, Reply { number, answer: Answer::Settled { group, outcome } })
}
