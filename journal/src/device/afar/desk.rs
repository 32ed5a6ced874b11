//! A core's place at the exchange: it asks for its entities and serves those of others.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use mainspring::device::{Device, DeviceTurn, Seat, TakesTickets, Ticket};

use super::asking::{Asking, ReadTicket, Redemption};
use super::exchange::Exchange;
use super::letters::{Begun, Letter, Request, Settled};
use super::serving::{Addressed, Serving};
use super::{CarriedGroup, LETTERS_A_POLL};
use crate::device::{
    CommitFailed, Committed, CoreJournal, Found, GroupRecord, ReadFailed, Refused, ShardClaim,
};
use crate::format::record::record_bytes;
use crate::log::DeclaredEntity;

/// See the module's header. Actors of the core share it.
pub(crate) struct Desk {
    core: u16,
    journal: Rc<CoreJournal>,
    exchange: Arc<Exchange>,
    asking: RefCell<Asking>,
    serving: RefCell<Serving>,
}

/// A group for the log of another core.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FarGroup<'a> {
    pub home: u16,
    pub entity: &'a DeclaredEntity,
    pub shard: ShardClaim,
    pub after: u64,
    /// With the layouts as the journal of this core numbers them.
    pub records: &'a [GroupRecord<'a>],
}

impl Desk {
    /// Opens a core's place and has the core look after it. The journal's own device comes behind this one, so that
    /// what is taken here is written in the same sweep.
    pub fn install(seat: &mut Seat<'_>, journal: &Rc<CoreJournal>, exchange: Arc<Exchange>) {
        exchange.open(seat.core(), seat.alarm());
        let desk = Rc::new(Desk {
            core: seat.core(),
            journal: Rc::clone(journal),
            asking: RefCell::new(Asking::new(exchange.cores())),
            serving: RefCell::default(),
            exchange,
        });
        seat.share(Rc::clone(&desk));
        seat.add_device(Box::new(DeskDevice { desk, redeemed: Vec::new(), turns: Vec::new() }));
    }

    /// Whether records may be sent to a core now.
    ///
    /// # Errors
    /// [`Refused`]: too much is under way, or the core has ended.
    pub fn check(&self, home: u16, records: &[GroupRecord<'_>]) -> Result<(), Refused> {
        if self.exchange.is_closed(home) {
            return Err(Refused::Closed { core: home });
        }
        match self.asking.borrow().may_send(home, bytes_of(records)) {
            true => Ok(()),
            false => Err(Refused::UnderWay { core: home }),
        }
    }

    /// Sends a group that may be sent to the core of its log; `ticket` gets what has become of it.
    pub fn append(&self, group: FarGroup<'_>, ticket: Ticket<Settled>) {
        let FarGroup { home, entity, shard, after, records } = group;
        let layout_of = |number| self.journal.layout(number);
        let group = CarriedGroup::pack(entity, shard, after, records, layout_of);
        let number = self.asking.borrow_mut().send(home, bytes_of(records), ticket);
        self.send(home, number, Request::Append(Box::new(group)));
    }

    /// Gives `ticket` a turn when a group may be sent again.
    pub fn wait_for_room(&self, ticket: Ticket<()>) {
        self.asking.borrow_mut().wait_for_room(ticket);
    }

    /// Begins to read an entity of another core's log, as [`CoreJournal::read`] does.
    pub fn read(
        self: &Rc<Self>,
        home: u16,
        (entity, shard): (u64, u32),
        below: u64,
        ticket: ReadTicket,
    ) -> FarReading {
        let (number, begun) = self.asking.borrow_mut().read(home, (entity, shard), below, ticket);
        self.send_readings();
        FarReading { desk: Rc::clone(self), number, begun }
    }

    /// An entity begins to read on this core, where its log is: everything that was sent for it from elsewhere comes
    /// before.
    pub fn overtake(&self, now_ns: u64, entity: u64) {
        if !self.exchange.has_letters(self.core) && self.serving.borrow().is_idle() {
            return;
        }
        while self.serve(now_ns) > 0 {}
        if self.serving.borrow().waits_for_room() {
            let more = std::iter::from_fn(|| self.exchange.next_letter(self.core));
            let mut refused = Vec::new();
            self.serving.borrow_mut().overtake(entity, more, &mut refused);
            refused.into_iter().for_each(|reply| self.reply(reply));
        }
    }

    /// Takes in what has come back; who is told what.
    fn collect(&self, redeemed: &mut Vec<Redemption>, turns: &mut Vec<Ticket<()>>) {
        let asking = &mut *self.asking.borrow_mut();
        // Asked first: what a core has sent before it ended is there by then.
        let closed = self.exchange.closed();
        while let Some(reply) = self.exchange.next_reply(self.core) {
            asking.take(reply, redeemed);
        }
        if closed > 0 {
            let all = 0..self.exchange.cores();
            for core in all.filter(|core| self.exchange.is_closed(*core)) {
                asking.lose(core, redeemed);
            }
        }
        asking.take_room(turns);
    }

    /// Does what others have asked for; how much.
    fn serve(&self, now_ns: u64) -> usize {
        for done in 0..LETTERS_A_POLL {
            let serving = &mut *self.serving.borrow_mut();
            if serving.waits_for_room() {
                return done;
            }
            let next = serving.next_waiting().or_else(|| self.exchange.next_letter(self.core));
            let Some(letter) = next else { return done };
            if let Some(reply) = serving.take(now_ns, letter, &self.journal) {
                self.reply(reply);
            }
        }
        LETTERS_A_POLL
    }

    /// Sends readings that may begin; how many.
    fn send_readings(&self) -> usize {
        let mut sent = 0;
        while let Some((home, number, request)) = self.next_reading() {
            self.send(home, number, request);
            sent += 1;
        }
        sent
    }

    fn next_reading(&self) -> Option<(u16, u64, Request)> {
        self.asking.borrow_mut().next_reading()
    }

    fn send(&self, to: u16, number: u64, request: Request) {
        let is_sent = self.exchange.send(to, Letter { from: self.core, number, request });
        if !is_sent {
            // There is a place for everything that may be under way.
            tracing::error!(to, number, "a letter to another core's journal found no place");
            debug_assert!(false, "a letter to core {to} found no place");
        }
    }

    fn reply(&self, (to, reply): Addressed) {
        let number = reply.number;
        if !self.exchange.reply(to, reply) {
            tracing::error!(to, number, "a reply of a journal found no place");
            debug_assert!(false, "a reply to core {to} found no place");
        }
    }
}

impl TakesTickets<Result<Committed, CommitFailed>> for Desk {
    fn redeemed(&self, key: u64, committed: Result<Committed, CommitFailed>) {
        let reply = self.serving.borrow_mut().settled(key, committed);
        reply.into_iter().for_each(|reply| self.reply(reply));
    }
}

impl TakesTickets<Result<Found, ReadFailed>> for Desk {
    fn redeemed(&self, key: u64, found: Result<Found, ReadFailed>) {
        let reply = self.serving.borrow_mut().found(key, found);
        reply.into_iter().for_each(|reply| self.reply(reply));
    }
}

impl TakesTickets<()> for Desk {
    fn redeemed(&self, _: u64, (): ()) {
        self.serving.borrow_mut().has_room();
    }
}

/// A reading of another core's log. It ends with this.
pub(crate) struct FarReading {
    desk: Rc<Desk>,
    number: u64,
    begun: Rc<Cell<Option<Begun>>>,
}

impl FarReading {
    /// Asks for the next records.
    ///
    /// # Errors
    /// The ticket: the reading is over.
    pub fn read_on(&self, ticket: ReadTicket) -> Result<(), ReadTicket> {
        let home = self.desk.asking.borrow_mut().read_on(self.number, ticket)?;
        self.desk.send(home, self.number, Request::ReadOn);
        Ok(())
    }

    /// What the log said of the entity when the reading began; known with the first records.
    pub fn begun(&self) -> Option<Begun> {
        self.begun.get()
    }
}

impl Drop for FarReading {
    fn drop(&mut self) {
        let home = self.desk.asking.borrow_mut().cancel(self.number);
        if let Some(home) = home {
            self.desk.send(home, self.number, Request::Cancel);
        }
    }
}

/// What records take on their way.
fn bytes_of(records: &[GroupRecord<'_>]) -> usize {
    records.iter().map(|record| record_bytes(record.payload.len())).sum()
}

/// Polls a core's desk. When it goes, the others are told.
struct DeskDevice {
    desk: Rc<Desk>,
    redeemed: Vec<Redemption>,
    turns: Vec<Ticket<()>>,
}

impl Device for DeskDevice {
    fn poll(&mut self, turn: &mut DeviceTurn<'_>) -> usize {
        self.desk.collect(&mut self.redeemed, &mut self.turns);
        let mut work = self.redeemed.len() + self.turns.len();
        for redemption in self.redeemed.drain(..) {
            match redemption {
                Redemption::Settled(ticket, settled) => turn.redeem(ticket, settled),
                Redemption::Found(ticket, found) => turn.redeem(ticket, found),
            }
        }
        for ticket in self.turns.drain(..) {
            turn.redeem(ticket, ());
        }
        work += self.desk.serve(turn.now_ns());
        work + self.desk.send_readings()
    }

    fn has_work(&mut self) -> bool {
        let Desk { core, exchange, asking, serving, .. } = &*self.desk;
        let asking = asking.borrow();
        let serving = serving.borrow();
        exchange.has_replies(*core)
            || (exchange.has_letters(*core) && !serving.waits_for_room())
            || serving.may_try()
            || asking.has_reading()
            || (exchange.closed() > 0 && asking.is_waiting())
    }

    fn is_quiet(&self) -> bool {
        let Desk { core, exchange, asking, serving, .. } = &*self.desk;
        !asking.borrow().is_waiting() && serving.borrow().is_idle() && !exchange.has_letters(*core)
    }
}

impl Drop for DeskDevice {
    fn drop(&mut self) {
        self.desk.exchange.close(self.desk.core);
    }
}
