//! A place that sends to a shard: it learns who owns it, and leaves the old way behind a marker.
//!
//! Every record of a higher epoch comes through [`Region::learn`]; lower ones change nothing.

use super::message::{Content, Message, Payload};
use super::output::{Output, RefusalReason};
use super::parked::Parked;
use super::region::{Region, Timer, Turn};
use super::settings::Flaw;
use super::slot::State;
use crate::ownership::{Epoch, Home, Ownership, StoreAnswer, StoreRequest};

impl<H: Home, P: Payload> Region<H, P> {
    /// Somebody knows the record of a shard.
    pub(super) fn learn(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, ownership: Ownership<H>) {
        if !self.is_news(shard, &ownership) {
            self.counters.ignored += 1;
            return;
        }
        if matches!(self.slot(shard).state, State::GivingAway { .. })
            && ownership.given_by == Some(self.me)
        {
            return if ownership.owner == self.me {
                self.resume(turn, shard, ownership)
            } else {
                self.gave(turn, shard, ownership)
            };
        }
        self.leave(turn, shard, ownership);
        self.slot_mut(shard).known = Some(ownership);
        if ownership.owner == self.me {
            self.begin_hosting(turn, shard, ownership);
        } else {
            self.adopt(turn, shard, ownership);
        }
    }

    /// Another place says who owns a shard. To a newcomer that never knew, it is a reason to ask the store.
    pub(super) fn hear_of(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        let never_knew = self.slot(shard).known.is_none() && ownership.owner != self.me;
        if self.is_newcomer && never_knew {
            self.find_owner(turn, shard);
        } else {
            self.learn(turn, shard, ownership);
        }
    }

    fn is_news(&self, shard: u32, ownership: &Ownership<H>) -> bool {
        let slot = self.slot(shard);
        let is_lost = matches!(slot.state, State::Unknown { .. }) && ownership.owner != self.me;
        ownership.epoch > slot.epoch()
            || is_lost && ownership.epoch == slot.epoch() && ownership.epoch != Epoch::NONE
            || self.settings.lacks(Flaw::BelievesLowerEpochs) && slot.known != Some(*ownership)
    }

    /// What the record of before had begun here ends.
    fn leave(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, ownership: Ownership<H>) {
        match self.slot(shard).state {
            State::Unknown { .. } | State::Elsewhere { .. } => {}
            State::AwaitingStart { .. } => self.refuse_foreign(turn, shard, ownership.epoch),
            State::Starting
            | State::Owned { .. }
            | State::Draining { .. }
            | State::Sealing { .. }
            | State::GivingAway { .. } => {
                self.counters.taken_over += 1;
                turn.push(Output::KillEntities { shard, step: 0 });
                self.refuse_foreign(turn, shard, ownership.epoch);
            }
        }
        if let Some(relay) = self.slot_mut(shard).relay.take() {
            self.set_timer(shard, Timer::Relay, None);
            // Who gives away had settled, and so had everything. Whom it was taken from had perhaps not.
            let is_complete = ownership.given_by == Some(relay.to);
            for (origin, payload) in relay.into_payloads() {
                self.ledger.give_back(&payload);
                if !is_complete {
                    self.refuse(turn, shard, origin, payload, RefusalReason::OwnerGone);
                }
            }
        }
        // A marker of before makes way for nothing any more.
        self.slot_mut(shard).parked.retain(|parked| {
            parked.epoch >= ownership.epoch || !matches!(parked.content, Content::Flush)
        });
    }

    /// What others sent here for a time as owner that is over. They may have gone on to the next owner already.
    fn refuse_foreign(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, below: Epoch) {
        let me = self.me;
        let is_lost = |origin, epoch| origin != me && epoch < below;
        self.refuse_parked(turn, shard, RefusalReason::OwnerGone, is_lost);
    }

    /// Somebody else owns the shard: the old way is left, and what waits here goes the new one.
    fn adopt(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, ownership: Ownership<H>) {
        let me = self.me;
        let (to, epoch) = (ownership.owner, ownership.epoch);
        self.flush_old_way(turn, shard, ownership);
        let is_over = |origin, named| origin != me && named <= epoch;
        self.refuse_parked(turn, shard, RefusalReason::StaleEpoch, is_over);
        if self.slot(shard).parked.iter().any(|parked| parked.origin != me) {
            // A sender has named an epoch higher still at which the shard is ours.
            self.enter(shard, State::Unknown { asked: false });
            return self.find_owner(turn, shard);
        }
        if self.places.binary_search(&to).is_err() {
            // An owner that has gone: somebody will take over.
            self.enter(shard, State::Unknown { asked: true });
            return self.retry_later(turn, shard);
        }
        self.enter(shard, State::Elsewhere { is_held: false });
        self.send_parked(turn, shard, to, epoch);
    }

    fn send_parked(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, to: H, epoch: Epoch) {
        for parked in std::mem::take(&mut self.slot_mut(shard).parked) {
            if let Content::Payload(payload) = parked.content {
                self.ledger.give_back(&payload);
                turn.push(Output::Direct { to, shard, epoch, payload });
            }
        }
    }

    /// The marker behind everything that went to the owner before.
    pub(super) fn flush_old_way(
        &self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        let (epoch, origin) = (ownership.epoch, self.me);
        let old = ownership.given_by.filter(|&old| old != origin && old != ownership.owner);
        if let Some(old) = old {
            turn.send(old, Message::Flush { shard, epoch, origin });
        }
    }

    /// The new owner delivers. To the old owner it says: forward. To everybody: send your marker.
    pub(super) fn shard_started(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        let was_known = self.slot(shard).epoch() == ownership.epoch;
        if !was_known {
            self.hear_of(turn, shard, ownership);
        }
        let slot = self.slot(shard);
        if slot.epoch() != ownership.epoch {
            return;
        }
        match slot.state {
            State::AwaitingStart { .. } => self.begin_relay(turn, shard),
            State::Elsewhere { .. } if ownership.given_by == Some(self.me) => {
                self.flush_to_new_owner(turn, shard, ownership);
            }
            State::Elsewhere { .. } if was_known => {
                self.let_go(turn, shard);
                self.flush_old_way(turn, shard, ownership);
            }
            State::Unknown { .. } => self.learn(turn, shard, ownership),
            _ => {}
        }
    }

    /// The old owner's own marker once more, when nothing is left to forward.
    fn flush_to_new_owner(&self, turn: &mut Turn<'_, H, P>, shard: u32, ownership: Ownership<H>) {
        let (epoch, origin) = (ownership.epoch, self.me);
        if self.slot(shard).relay.is_none() {
            turn.send(ownership.owner, Message::Flush { shard, epoch, origin });
        }
    }

    /// A marker has come down a way.
    pub(super) fn flush(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        from: H,
        shard: u32,
        epoch: Epoch,
        origin: H,
    ) {
        let me = self.me;
        let slot = self.slot_mut(shard);
        let known = slot.epoch();
        match (&slot.state, &mut slot.relay, slot.known) {
            (_, Some(relay), _) if relay.epoch == epoch => {
                relay.push_flush(origin);
                self.relay_on(turn, shard);
            }
            (State::GivingAway { .. }, ..) if epoch > known => {
                self.park_flush(shard, epoch, origin);
            }
            (State::AwaitingStart { .. }, ..) if epoch == known => {
                self.park_flush(shard, epoch, origin);
            }
            // Everything has been forwarded and acknowledged.
            (State::Elsewhere { .. }, None, Some(ownership))
                if epoch == known && ownership.given_by == Some(me) =>
            {
                turn.send(ownership.owner, Message::Flush { shard, epoch, origin });
            }
            (State::Owned { unsettled: Some(unsettled) }, ..)
                if epoch == known && unsettled.given_by == from =>
            {
                self.flushed(turn, shard, origin);
            }
            _ => self.counters.ignored += 1,
        }
    }

    fn park_flush(&mut self, shard: u32, epoch: Epoch, origin: H) {
        let slot = self.slot_mut(shard);
        let is_there = slot.parked.iter().any(|parked| {
            parked.origin == origin
                && parked.epoch == epoch
                && matches!(parked.content, Content::Flush)
        });
        if !is_there {
            slot.parked.push_back(Parked { origin, epoch, content: Content::Flush });
        }
    }

    /// A hint that the shard is about to move: what is sent here waits for a moment.
    pub(super) fn hold(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, epoch: Epoch) {
        let slot = self.slot(shard);
        if slot.epoch() == epoch && matches!(slot.state, State::Elsewhere { is_held: false }) {
            self.enter(shard, State::Elsewhere { is_held: true });
            self.retry_later(turn, shard);
        }
    }

    /// The moment is over and nothing was heard: to the owner that is known.
    pub(super) fn let_go(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let Some(known) = self.slot(shard).known else { return };
        self.enter(shard, State::Elsewhere { is_held: false });
        self.send_parked(turn, shard, known.owner, known.epoch);
    }

    /// Asks the store who owns the shard, unless it was asked.
    pub(super) fn find_owner(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        if matches!(self.slot(shard).state, State::Unknown { asked: true }) {
            return;
        }
        if matches!(self.slot(shard).state, State::Unknown { .. }) {
            self.slot_mut(shard).state = State::Unknown { asked: true };
        } else {
            self.enter(shard, State::Unknown { asked: true });
        }
        self.ask_store(turn, shard, StoreRequest::Read { shard });
    }

    /// Asks again, as long as something waits for the answer.
    pub(super) fn read_again(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        // The state stays, so that a late answer still counts.
        let asked = !self.slot(shard).parked.is_empty();
        self.slot_mut(shard).state = State::Unknown { asked };
        if asked {
            self.ask_store(turn, shard, StoreRequest::Read { shard });
        }
    }

    pub(super) fn read_answered(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        answer: StoreAnswer<H>,
    ) {
        // Without an answer, or without an owner: the deadline asks again.
        if let StoreAnswer::Found(Some(ownership)) = answer {
            self.learn(turn, shard, ownership);
        }
    }
}
