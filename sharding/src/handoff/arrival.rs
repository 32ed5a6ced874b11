//! A message for an entity that could not go its way by the table alone.
//!
//! Delivered, sent on, parked or given back; never dropped.

use super::message::{Content, Message, Payload};
use super::output::{Output, RefusalReason};
use super::parked::Parked;
use super::region::{Region, Turn};
use super::settings::Flaw;
use super::slot::State;
use crate::ownership::{Epoch, Home};

/// What becomes of an arrival.
enum Fate<H> {
    Deliver,
    Park,
    /// Park, and ask the store: the sender knows more than this place.
    ParkAndRead,
    Direct(H),
    /// Into the stream to the new owner.
    Relay,
    Stale,
}

impl<H: Home, P: Payload> Region<H, P> {
    pub(super) fn arrived(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        from: H,
        shard: u32,
        epoch: Epoch,
        payload: P,
    ) {
        if !self.has(shard) {
            return self.refuse(turn, shard, from, payload, RefusalReason::NoSuchShard);
        }
        match self.fate(from, shard, epoch) {
            Fate::Deliver => turn.push(Output::Deliver { shard, origin: from, payload }),
            Fate::Direct(to) => {
                let epoch = self.slot(shard).epoch();
                turn.push(Output::Direct { to, shard, epoch, payload });
            }
            Fate::Park => self.park(turn, shard, from, epoch, payload),
            Fate::ParkAndRead => {
                self.park(turn, shard, from, epoch, payload);
                self.find_owner(turn, shard);
            }
            Fate::Relay => self.relay_late(turn, shard, from, payload),
            Fate::Stale => {
                self.refuse(turn, shard, from, payload, RefusalReason::StaleEpoch);
                if let Some(ownership) = self.slot(shard).known {
                    turn.send(from, Message::NotOwner { shard, ownership });
                }
            }
        }
    }

    fn fate(&self, from: H, shard: u32, epoch: Epoch) -> Fate<H> {
        let slot = self.slot(shard);
        let is_own = from == self.me;
        if let Some(relay) = &slot.relay
            && !is_own
            && (relay.since..relay.epoch).contains(&epoch)
        {
            return Fate::Relay;
        }
        // Senders may name any epoch of an unbroken time as owner: all of them came down the same way.
        let is_ours = is_own || epoch >= slot.since;
        match &slot.state {
            State::Owned { unsettled: None } if is_own => Fate::Deliver,
            State::Owned { unsettled: None } if (slot.since..=slot.epoch()).contains(&epoch) => {
                Fate::Deliver
            }
            State::Owned { unsettled: Some(unsettled) } if is_ours => {
                let is_open = unsettled.is_flushed(from) || self.settings.lacks(Flaw::SkipsFlush);
                if is_open { Fate::Deliver } else { Fate::Park }
            }
            State::Draining { .. }
            | State::Sealing { .. }
            | State::GivingAway { .. }
            | State::AwaitingStart { .. }
            | State::Starting
                if is_ours =>
            {
                Fate::Park
            }
            State::Elsewhere { is_held: true } if is_own => Fate::Park,
            State::Elsewhere { .. } if is_own => {
                slot.known.map_or(Fate::ParkAndRead, |known| Fate::Direct(known.owner))
            }
            State::Unknown { .. } if is_own => Fate::ParkAndRead,
            State::Elsewhere { .. } | State::Unknown { .. } if epoch > slot.epoch() => {
                Fate::ParkAndRead
            }
            _ => Fate::Stale,
        }
    }

    fn park(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, origin: H, epoch: Epoch, payload: P) {
        if !self.ledger.take(&self.settings, &payload) {
            return self.refuse(turn, shard, origin, payload, RefusalReason::Full);
        }
        let content = Content::Payload(payload);
        self.slot_mut(shard).parked.push_back(Parked { origin, epoch, content });
    }

    fn relay_late(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, origin: H, payload: P) {
        if !self.ledger.take(&self.settings, &payload) {
            return self.refuse(turn, shard, origin, payload, RefusalReason::Full);
        }
        let slot = self.slot_mut(shard);
        let Some(relay) = &mut slot.relay else { return };
        relay.push_payload(origin, payload);
        let tells = relay.tells(origin);
        if let Some(ownership) = slot.known.filter(|_| tells) {
            turn.send(origin, Message::NotOwner { shard, ownership });
        }
        self.relay_on(turn, shard);
    }

    /// Delivers what is parked, in order, as far as `is_open` says so of its origin.
    pub(super) fn deliver_parked(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        is_open: impl Fn(H) -> bool,
    ) {
        for parked in std::mem::take(&mut self.slot_mut(shard).parked) {
            if !is_open(parked.origin) {
                self.slot_mut(shard).parked.push_back(parked);
            } else if let Content::Payload(payload) = parked.content {
                self.ledger.give_back(&payload);
                turn.push(Output::Deliver { shard, origin: parked.origin, payload });
            }
        }
    }

    /// Gives back what is parked, as far as `is_lost` says so of its origin and epoch.
    pub(super) fn refuse_parked(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        reason: RefusalReason,
        is_lost: impl Fn(H, Epoch) -> bool,
    ) {
        for parked in std::mem::take(&mut self.slot_mut(shard).parked) {
            if !is_lost(parked.origin, parked.epoch) {
                self.slot_mut(shard).parked.push_back(parked);
            } else if let Content::Payload(payload) = parked.content {
                self.ledger.give_back(&payload);
                self.refuse(turn, shard, parked.origin, payload, reason);
            }
        }
    }

    pub(super) fn refuse(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        origin: H,
        payload: P,
        reason: RefusalReason,
    ) {
        let counter = match reason {
            RefusalReason::Full => &mut self.counters.refused_full,
            RefusalReason::StaleEpoch | RefusalReason::NoSuchShard => {
                &mut self.counters.refused_stale
            }
            RefusalReason::OwnerGone => &mut self.counters.refused_owner_gone,
        };
        *counter += 1;
        turn.push(Output::Refuse { shard, origin, payload, reason });
    }
}
