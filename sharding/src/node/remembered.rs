//! Which entities run is remembered over a move of their shard: they start again on its new core without a message.
//!
//! The old owner collects their ids when it stops them and sends them ahead of the offer of the shard, by the same way;
//! the new owner starts them when the shard opens, so many in a second. If the shard stays, the old one starts them.
//! Ids that find no room, here or on the way, are left out and counted: those entities start with their next message.

use std::collections::{BTreeMap, VecDeque};

use mainspring::message::Message;
use mainspring::prelude::*;

use super::envelope::Envelope;
use super::region::Region;
use super::tenancy::A_TICK;
use crate::entities::{State, ToEntityKey};
use crate::handoff::Route;
use crate::ownership::Place;

/// The most bytes of ids in one message.
const MESSAGE_BYTES: usize = 4_096;

/// The most bytes of ids that a region holds, with what each takes beside its own.
const LIMIT_BYTES: usize = 64 << 20;
const BESIDE_BYTES: usize = 32;

const SECOND_NS: u64 = 1_000_000_000;

type Ids = VecDeque<Box<[u8]>>;

/// See the module's header.
pub(super) struct Remembered {
    per_second: u32,
    /// Of shards that leave, or have come and are not open.
    waiting: BTreeMap<u32, Ids>,
    /// To be started, by their shards, none of which has none.
    due: BTreeMap<u32, Ids>,
    /// Of both.
    bytes: usize,
    limit_bytes: usize,
    /// Those for which there was no room, until they are counted.
    left_out: u64,
    next_ns: u64,
}

impl Remembered {
    /// So many entities are started in a second.
    pub fn new(per_second: u32) -> Self {
        Remembered {
            per_second: per_second.max(1),
            waiting: BTreeMap::new(),
            due: BTreeMap::new(),
            bytes: 0,
            limit_bytes: LIMIT_BYTES,
            left_out: 0,
            next_ns: 0,
        }
    }

    /// These wait for what becomes of their shard.
    pub fn wait(&mut self, shard: u32, ids: impl IntoIterator<Item = Box<[u8]>>) {
        for id in ids {
            let bytes = self.bytes + id.len() + BESIDE_BYTES;
            if bytes > self.limit_bytes {
                self.left_out += 1;
                continue;
            }
            self.bytes = bytes;
            self.waiting.entry(shard).or_default().push_back(id);
        }
    }

    /// Those of a shard that leave with it.
    pub fn take_waiting(&mut self, shard: u32) -> Ids {
        let ids = self.waiting.remove(&shard).unwrap_or_default();
        ids.iter().for_each(|id| self.bytes -= id.len() + BESIDE_BYTES);
        ids
    }

    /// One of a shard that leaves has ended of itself meanwhile.
    pub fn forget(&mut self, shard: u32, id: &[u8]) {
        let Some(ids) = self.waiting.get_mut(&shard) else { return };
        if let Some(place) = ids.iter().position(|it| **it == *id) {
            ids.remove(place);
            self.bytes -= id.len() + BESIDE_BYTES;
        }
    }

    /// A shard leaves: those that were to be started and are not there yet wait with the others.
    fn hold(&mut self, shard: u32, is_there: impl Fn(&[u8]) -> bool) {
        let due = self.due.remove(&shard).unwrap_or_default();
        due.iter().for_each(|id| self.bytes -= id.len() + BESIDE_BYTES);
        self.wait(shard, due.into_iter().filter(|id| !is_there(id)));
    }

    /// A shard is open: its entities are due.
    pub fn open(&mut self, shard: u32) {
        if let Some(mut ids) = self.waiting.remove(&shard) {
            self.due.entry(shard).or_default().append(&mut ids);
        }
    }

    /// When the next may be started.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        (!self.due.is_empty()).then_some(self.next_ns)
    }

    /// One that may be started now.
    fn next(&mut self, now_ns: u64) -> Option<(u32, Box<[u8]>)> {
        // What was not used in the last tenth of a second is gone.
        self.next_ns = self.next_ns.max(now_ns.saturating_sub(SECOND_NS / 10));
        if self.next_ns > now_ns {
            return None;
        }
        let mut of_shard = self.due.first_entry()?;
        let (shard, id) = (*of_shard.key(), of_shard.get_mut().pop_front());
        if of_shard.get().is_empty() {
            of_shard.remove();
        }
        let id = id?;
        self.bytes -= id.len() + BESIDE_BYTES;
        self.next_ns += SECOND_NS / u64::from(self.per_second);
        Some((shard, id))
    }
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// A shard is about to leave: which of its entities run.
    pub(super) fn remember(&mut self, shard: u32) {
        let Some(remembered) = &mut self.remembered else { return };
        let tables = self.hosting.tables.borrow();
        let residents = &tables.residents;
        remembered
            .hold(shard, |id| id.to_entity_key().is_ok_and(|key| residents.find(&key).is_some()));
        let runs = |state| matches!(state, State::Starting | State::Active | State::BackingOff);
        let running = residents.of_shard(shard).filter_map(|slot| {
            let id = residents.get(slot)?.id;
            residents.state(slot).is_some_and(runs).then(|| id.into())
        });
        remembered.wait(shard, running);
    }

    /// The ids go before the offer of their shard.
    pub(super) fn send_remembered(&mut self, ctx: &mut Context<'_, Self>, shard: u32, to: Place) {
        let Some(remembered) = &mut self.remembered else { return };
        let mut ids = remembered.take_waiting(shard).into_iter().peekable();
        while ids.peek().is_some() {
            let (mut batch, mut bytes) = (Vec::new(), 0);
            while let Some(id) = ids.next_if(|id| bytes + id.len() <= MESSAGE_BYTES) {
                bytes += id.len() + size_of::<u64>();
                batch.push(id.into_vec());
            }
            let count = batch.len() as u64;
            let message = (Envelope::Remembered { shard, ids: batch }, Vec::new());
            let region = self.hosting.region_of(to);
            if region.is_none_or(|region| ctx.try_tell(region, &message).is_err()) {
                self.count(|figures| figures.not_remembered += count);
            }
        }
    }

    /// Another core says who ran of a shard: one that comes here, or is here already.
    pub(super) fn remembered_elsewhere(&mut self, shard: u32, ids: &[Archived<Vec<u8>>]) {
        let Some(remembered) = &mut self.remembered else { return };
        remembered.wait(shard, ids.iter().map(|id| id.as_slice().into()));
        if self.hosting.tables.borrow().shards.route(shard) == Route::Here {
            remembered.open(shard);
        }
    }

    /// Starts those that are due and do not run yet, so many in a tick, as long as nobody has to leave for it.
    pub(super) fn start_remembered(&mut self, ctx: &mut Context<'_, Self>) {
        let Some(remembered) = &mut self.remembered else { return };
        let left_out = std::mem::take(&mut remembered.left_out);
        self.count(|figures| figures.not_remembered += left_out);
        let now_ns = ctx.now_ns();
        for _ in 0..A_TICK {
            let due = self.remembered.as_mut().and_then(|due| due.next(now_ns));
            let Some((shard, id)) = due else { return };
            let Ok(key) = id.to_entity_key() else { continue };
            let may_start = {
                let tables = self.hosting.tables.borrow();
                let owner = tables.shards.ownership(shard).map(|ownership| ownership.owner);
                owner == Some(self.place)
                    && tables.residents.find(&key).is_none()
                    && tables.passivation.len() < self.at_most
            };
            if may_start {
                self.take_in(ctx, &key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: std::ops::Range<u8>) -> impl Iterator<Item = Box<[u8]>> {
        numbers.map(|number| Box::from([number]))
    }

    #[test]
    fn ids_beyond_the_limit_of_bytes_are_left_out_however_often_shards_come_and_go() {
        let mut remembered = Remembered::new(1);
        remembered.limit_bytes = 10 * (BESIDE_BYTES + 1);
        for shard in 0..20 {
            remembered.wait(shard, ids(0..2));
            remembered.open(shard);
            remembered.hold(shard, |_| false);
            remembered.open(shard);
        }
        assert_eq!((remembered.due.len(), remembered.left_out), (5, 30));
        assert_eq!(remembered.next(SECOND_NS), Some((0, Box::from([0]))));
        remembered.wait(7, ids(0..2));
        assert_eq!((remembered.take_waiting(7).len(), remembered.left_out), (1, 31));
    }

    #[test]
    fn one_that_runs_by_now_is_not_remembered_twice_when_its_shard_leaves() {
        let mut remembered = Remembered::new(1);
        remembered.wait(3, ids(0..4));
        remembered.open(3);
        remembered.hold(3, |id| id == [2]);
        remembered.wait(3, ids(2..3));
        assert_eq!(Vec::from(remembered.take_waiting(3)), [0, 1, 3, 2].map(|n| Box::from([n])));
        assert_eq!((remembered.bytes, remembered.next_deadline_ns()), (0, None));
    }
}
