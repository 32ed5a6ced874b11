//! Which entities run is remembered over a move of their shard: they start again on its new core without a message.
//!
//! The old owner collects their ids when it stops them and sends them ahead of the offer of the shard, by the same way;
//! the new owner starts them when the shard opens, so many in a second. If the shard stays, the old one starts them.
//! Ids that find no room on the way are left out and counted: those entities start with their next message.

use std::collections::{BTreeMap, VecDeque};

use mainspring::message::Message;
use mainspring::prelude::*;

use super::envelope::Envelope;
use super::region::Region;
use crate::entities::{State, ToEntityKey};

/// The most bytes of ids in one message.
const MESSAGE_BYTES: usize = 4_096;

const SECOND_NS: u64 = 1_000_000_000;

type Ids = Vec<Box<[u8]>>;

/// See the module's header.
pub(super) struct Remembered {
    per_second: u32,
    /// Of shards that leave, or have come and are not open.
    waiting: BTreeMap<u32, Ids>,
    /// To be started, with their shards.
    due: VecDeque<(u32, Box<[u8]>)>,
    next_ns: u64,
}

impl Remembered {
    /// So many entities are started in a second.
    pub fn new(per_second: u32) -> Self {
        let (waiting, due) = (BTreeMap::new(), VecDeque::new());
        Remembered { per_second: per_second.max(1), waiting, due, next_ns: 0 }
    }

    /// These wait for what becomes of their shard.
    pub fn wait(&mut self, shard: u32, ids: impl IntoIterator<Item = Box<[u8]>>) {
        self.waiting.entry(shard).or_default().extend(ids);
    }

    /// Those of a shard that leave with it.
    pub fn take_waiting(&mut self, shard: u32) -> Ids {
        self.waiting.remove(&shard).unwrap_or_default()
    }

    /// A shard leaves: what was to be started waits with the others.
    fn hold(&mut self, shard: u32) {
        let of_shard = |(other, _): &(u32, Box<[u8]>)| *other == shard;
        let (held, due): (Vec<_>, Vec<_>) = self.due.drain(..).partition(of_shard);
        self.due = due.into();
        self.wait(shard, held.into_iter().map(|(_, id)| id));
    }

    /// A shard is open: its entities are due.
    pub fn open(&mut self, shard: u32) {
        let ids = self.take_waiting(shard);
        self.due.extend(ids.into_iter().map(|id| (shard, id)));
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
        let due = self.due.pop_front()?;
        self.next_ns += SECOND_NS / u64::from(self.per_second);
        Some(due)
    }
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// A shard is about to leave: which of its entities run.
    pub(super) fn remember(&mut self, shard: u32) {
        let Some(remembered) = &mut self.remembered else { return };
        remembered.hold(shard);
        let tables = self.hosting.tables.borrow();
        let residents = &tables.residents;
        let runs = |state| matches!(state, State::Starting | State::Active | State::BackingOff);
        let running = residents.of_shard(shard).filter_map(|slot| {
            let id = residents.get(slot)?.id;
            residents.state(slot).is_some_and(runs).then(|| id.into())
        });
        remembered.wait(shard, running);
    }

    /// The ids go before the offer of their shard.
    pub(super) fn send_remembered(&mut self, ctx: &mut Context<'_, Self>, shard: u32, to: u16) {
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
            let region = self.hosting.peers.get(to);
            if region.is_none_or(|region| ctx.try_tell(region, &message).is_err()) {
                self.count(|figures| figures.not_remembered += count);
            }
        }
    }

    /// Starts those that are due and do not run yet, as long as nobody has to leave for it.
    pub(super) fn start_remembered(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        while let Some((shard, id)) = self.remembered.as_mut().and_then(|due| due.next(now_ns)) {
            let Ok(key) = id.to_entity_key() else { continue };
            let may_start = {
                let tables = self.hosting.tables.borrow();
                let owner = tables.shards.ownership(shard).map(|ownership| ownership.owner);
                owner == Some(self.core)
                    && tables.residents.find(&key).is_none()
                    && tables.passivation.len() < self.at_most
            };
            if may_start {
                self.take_in(ctx, &key);
            }
        }
    }
}
