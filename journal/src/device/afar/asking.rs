//! What a core has asked other cores' journals for, and who waits for it.
//!
//! Decides what may be sent and whose ticket a reply belongs to; sends nothing itself.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use mainspring::device::Ticket;

use super::letters::{Answer, Begun, Reply, Request, Settled};
use super::{GROUPS_LIMIT_BYTES, Limits};
use crate::device::{Found, ReadFailed};

/// What a reader waits with.
pub(super) type ReadTicket = Ticket<Result<Found, ReadFailed>>;

/// Who is told what.
#[derive(Debug)]
pub(super) enum Redemption {
    Settled(Ticket<Settled>, Settled),
    Found(ReadTicket, Result<Found, ReadFailed>),
}

/// See the module's header.
#[derive(Debug)]
pub(super) struct Asking {
    limits: Limits,
    last_number: u64,
    groups: BTreeMap<u64, AskedGroup>,
    readings: BTreeMap<u64, AskedReading>,
    /// By core.
    homes: Vec<Home>,
    /// Who waits until a group may be sent.
    room: Vec<Ticket<()>>,
    /// Since somebody was told that there is none.
    has_room: bool,
}

/// What is under way with one core.
#[derive(Debug, Default)]
struct Home {
    groups: usize,
    group_bytes: usize,
    readings: usize,
    /// Readings that are to begin when another one is over, in order; some may be cancelled.
    waiting: VecDeque<u64>,
}

#[derive(Debug)]
struct AskedGroup {
    home: u16,
    bytes: usize,
    ticket: Ticket<Settled>,
}

#[derive(Debug)]
struct AskedReading {
    home: u16,
    entity: u64,
    shard: u32,
    below: u64,
    begun: Rc<Cell<Option<Begun>>>,
    /// Its letter was sent.
    is_sent: bool,
    is_cancelled: bool,
    ticket: Option<ReadTicket>,
}

impl Asking {
    /// For a node with so many cores.
    pub fn new(cores: u16) -> Self {
        Asking {
            limits: Limits::of(cores),
            last_number: 0,
            groups: BTreeMap::new(),
            readings: BTreeMap::new(),
            homes: (0..cores).map(|_| Home::default()).collect(),
            room: Vec::new(),
            has_room: false,
        }
    }

    /// Whether a group of so many bytes may be sent to a core.
    pub fn may_send(&self, home: u16, bytes: usize) -> bool {
        self.homes.get(usize::from(home)).is_some_and(|home| {
            let fits = home.groups == 0 || home.group_bytes + bytes <= GROUPS_LIMIT_BYTES;
            home.groups < self.limits.groups && fits
        })
    }

    /// A group is sent; `ticket` gets what becomes of it. Returns its number.
    pub fn send(&mut self, home: u16, bytes: usize, ticket: Ticket<Settled>) -> u64 {
        self.last_number += 1;
        if let Some(home) = self.homes.get_mut(usize::from(home)) {
            home.groups += 1;
            home.group_bytes += bytes;
        }
        self.groups.insert(self.last_number, AskedGroup { home, bytes, ticket });
        self.last_number
    }

    /// Gives `ticket` a turn when a group may be sent again.
    pub fn wait_for_room(&mut self, ticket: Ticket<()>) {
        self.room.push(ticket);
    }

    /// Somebody wants to read an entity; the number of his reading. It is sent when [`Asking::next_reading`] says so.
    pub fn read(
        &mut self,
        home: u16,
        (entity, shard): (u64, u32),
        below: u64,
        ticket: ReadTicket,
    ) -> (u64, Rc<Cell<Option<Begun>>>) {
        self.last_number += 1;
        let begun = Rc::new(Cell::new(None));
        let reading = AskedReading {
            home,
            entity,
            shard,
            below,
            begun: Rc::clone(&begun),
            is_sent: false,
            is_cancelled: false,
            ticket: Some(ticket),
        };
        self.readings.insert(self.last_number, reading);
        if let Some(home) = self.homes.get_mut(usize::from(home)) {
            home.waiting.push_back(self.last_number);
        }
        (self.last_number, begun)
    }

    /// The next reading that may begin: where, its number, and what is asked for.
    pub fn next_reading(&mut self) -> Option<(u16, u64, Request)> {
        for home in &mut self.homes {
            while home.readings < self.limits.readings {
                let Some(number) = home.waiting.pop_front() else { break };
                let Some(reading) = self.readings.get_mut(&number) else { continue };
                reading.is_sent = true;
                home.readings += 1;
                let AskedReading { home, entity, shard, below, .. } = *reading;
                return Some((home, number, Request::Read { entity, shard, below }));
            }
        }
        None
    }

    /// Whether a reading may begin.
    pub fn has_reading(&self) -> bool {
        self.homes
            .iter()
            .any(|home| home.readings < self.limits.readings && !home.waiting.is_empty())
    }

    /// The reader takes the next batch: where it is to be asked for. The ticket comes back when the reading is over.
    pub fn read_on(&mut self, number: u64, ticket: ReadTicket) -> Result<u16, ReadTicket> {
        match self.readings.get_mut(&number) {
            Some(reading)
                if reading.is_sent && !reading.is_cancelled && reading.ticket.is_none() =>
            {
                reading.ticket = Some(ticket);
                Ok(reading.home)
            }
            _ => Err(ticket),
        }
    }

    /// The reader is gone: who is to be told.
    pub fn cancel(&mut self, number: u64) -> Option<u16> {
        let reading = self.readings.get_mut(&number)?;
        if !reading.is_sent {
            let home = reading.home;
            self.readings.remove(&number);
            self.forget_waiting(home);
            return None;
        }
        reading.ticket = None;
        let is_first = !std::mem::replace(&mut reading.is_cancelled, true);
        is_first.then_some(reading.home)
    }

    /// Readers that come and go must not make the queue grow.
    fn forget_waiting(&mut self, home: u16) {
        let Some(home) = self.homes.get_mut(usize::from(home)) else { return };
        if home.waiting.len() > 2 * self.readings.len() + self.limits.readings {
            home.waiting.retain(|number| self.readings.contains_key(number));
        }
    }

    /// A reply has come.
    pub fn take(&mut self, reply: Reply, redeemed: &mut Vec<Redemption>) {
        let Reply { number, answer } = reply;
        match answer {
            Answer::Settled { group, outcome } => {
                let Some(asked) = self.groups.remove(&number) else { return };
                self.forget_group(asked.home, asked.bytes);
                redeemed.push(Redemption::Settled(asked.ticket, group.settle(outcome)));
            }
            Answer::Found(it) => {
                let (found, begun) = *it;
                let Some(reading) = self.readings.get_mut(&number) else { return };
                reading.begun.set(begun.or(reading.begun.get()));
                let is_over = found.as_ref().map_or(true, |found| found.is_last);
                let found = found.map(Found::from);
                redeemed.extend(reading.ticket.take().map(|it| Redemption::Found(it, found)));
                // One that is cancelled is over when that is replied to.
                if is_over && !reading.is_cancelled {
                    self.forget_reading(number);
                }
            }
            Answer::Cancelled => self.forget_reading(number),
        }
    }

    /// A core has ended: nothing comes from there any more.
    pub fn lose(&mut self, home: u16, redeemed: &mut Vec<Redemption>) {
        let lost = |asked: &AskedGroup| asked.home == home;
        let groups: Vec<u64> =
            self.groups.iter().filter(|(_, it)| lost(it)).map(|(number, _)| *number).collect();
        for number in groups {
            let Some(AskedGroup { bytes, ticket, .. }) = self.groups.remove(&number) else {
                continue;
            };
            self.forget_group(home, bytes);
            redeemed.push(Redemption::Settled(ticket, Settled::lost()));
        }
        let readings = self.readings.iter().filter(|(_, reading)| reading.home == home);
        let readings: Vec<u64> = readings.map(|(number, _)| *number).collect();
        for number in readings {
            let ticket = self.readings.get_mut(&number).and_then(|reading| reading.ticket.take());
            let gone = Err(ReadFailed::Closed { core: home });
            redeemed.extend(ticket.map(|ticket| Redemption::Found(ticket, gone)));
            self.forget_reading(number);
        }
    }

    /// Whether something is under way, or is to be.
    pub fn is_waiting(&self) -> bool {
        !self.groups.is_empty() || !self.readings.is_empty()
    }

    /// Who is to try again.
    pub fn take_room(&mut self, turns: &mut Vec<Ticket<()>>) {
        if std::mem::take(&mut self.has_room) {
            turns.append(&mut self.room);
        }
    }

    fn forget_group(&mut self, home: u16, bytes: usize) {
        if let Some(home) = self.homes.get_mut(usize::from(home)) {
            home.groups -= 1;
            home.group_bytes -= bytes;
        }
        self.has_room = true;
    }

    fn forget_reading(&mut self, number: u64) {
        let Some(reading) = self.readings.remove(&number) else { return };
        if reading.is_sent
            && let Some(home) = self.homes.get_mut(usize::from(reading.home))
        {
            home.readings -= 1;
        }
    }
}
