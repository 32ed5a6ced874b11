//! The new owner: seal at the new epoch, open, and hold every sender's messages until its marker has come.

use super::message::{Content, Item, Message, Payload};
use super::output::Output;
use super::region::{Region, Turn};
use super::settings::Flaw;
use super::slot::{State, Unsettled};
use crate::ownership::{Epoch, Home, Ownership};

impl<H: Home, P: Payload> Region<H, P> {
    pub(super) fn host_shard(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        from: H,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        self.learn(turn, shard, ownership);
        let slot = self.slot(shard);
        let Some(known) = slot.known else { return };
        match slot.state {
            State::Owned { .. } if known.epoch == ownership.epoch => {
                turn.send(from, Message::ShardStarted { shard, ownership: known });
            }
            State::Elsewhere { .. } => {
                turn.send(from, Message::NotOwner { shard, ownership: known });
            }
            _ => {}
        }
    }

    /// Ours from now on: the journal first.
    pub(super) fn begin_hosting(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        self.enter(shard, State::Starting);
        let slot = self.slot_mut(shard);
        slot.since = ownership.epoch;
        slot.next_step();
        self.seal(turn, shard);
        self.flush_old_way(turn, shard, ownership);
        if self.settings.lacks(Flaw::SkipsSeal) {
            self.start(turn, shard);
        }
    }

    /// Sealed: entities may run, and who sent to the owner before is asked for its marker.
    pub(super) fn start(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let Some(ownership) = self.slot(shard).known else { return };
        let given_by = ownership
            .given_by
            .filter(|&place| place != self.me && self.places.binary_search(&place).is_ok());
        let unsettled = given_by
            .map(|given_by| Box::new(Unsettled { given_by, flushed: Vec::new(), received: 0 }));
        self.enter(shard, State::Owned { unsettled });
        turn.push(Output::Open { shard, epoch: ownership.epoch });
        self.announce(turn, shard, ownership);
        if given_by.is_some() {
            self.retry_later(turn, shard);
        } else {
            self.settle(turn, shard);
        }
    }

    /// Tells everybody, whoever listens at this place too.
    pub(super) fn announce(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        for &place in &self.places {
            turn.send(place, Message::ShardStarted { shard, ownership });
        }
    }

    /// Asks those whose marker has not come.
    pub(super) fn ask_for_flushes(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let slot = self.slot(shard);
        let (State::Owned { unsettled: Some(unsettled) }, Some(ownership)) =
            (&slot.state, slot.known)
        else {
            return;
        };
        for &place in self.places.iter().filter(|&&place| !unsettled.is_flushed(place)) {
            if place == self.me {
                self.flush_old_way(turn, shard, ownership);
            } else {
                turn.send(place, Message::ShardStarted { shard, ownership });
            }
        }
        self.retry_later(turn, shard);
    }

    pub(super) fn forwarded(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        from: H,
        shard: u32,
        epoch: Epoch,
        first: u64,
        items: Vec<Item<H, P>>,
    ) {
        let end = first.saturating_add(items.len() as u64);
        let slot = self.slot(shard);
        if epoch <= slot.settled && !self.settings.lacks(Flaw::TakesForwardTwice) {
            // All of the stream had come before the shard was settled.
            let acknowledged = Message::ForwardAcknowledged { shard, epoch, next: end };
            return turn.send(from, acknowledged);
        }
        if epoch < slot.epoch()
            && let Some(ownership) = slot.known
        {
            return turn.send(from, Message::NotOwner { shard, ownership });
        }
        let mut has_flushed = false;
        for (number, item) in (first..).zip(items) {
            has_flushed |= self.take_item(turn, shard, epoch, number, item);
        }
        if has_flushed {
            self.release_flushed(turn, shard);
        }
        self.acknowledge_stream(turn, from, shard, epoch, end);
    }

    /// Takes one item of the stream, if it is the next one. Says whether it was a marker.
    fn take_item(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        epoch: Epoch,
        number: u64,
        item: Item<H, P>,
    ) -> bool {
        let takes_all = self.settings.lacks(Flaw::TakesForwardTwice);
        let slot = self.slot_mut(shard);
        let State::Owned { unsettled: Some(unsettled) } = &mut slot.state else { return false };
        let is_next = unsettled.received == number || takes_all;
        if !is_next || slot.known.is_none_or(|known| known.epoch != epoch) {
            return false;
        }
        unsettled.received = number + 1;
        match item.content {
            Content::Payload(payload) => {
                turn.push(Output::Deliver { shard, origin: item.origin, payload });
                false
            }
            Content::Flush => {
                unsettled.set_flushed(item.origin);
                true
            }
        }
    }

    fn acknowledge_stream(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        from: H,
        shard: u32,
        epoch: Epoch,
        end: u64,
    ) {
        let slot = self.slot(shard);
        let next = match &slot.state {
            State::Owned { unsettled: Some(unsettled) } if slot.epoch() == epoch => {
                unsettled.received
            }
            State::Owned { unsettled: None } if slot.settled == epoch => end,
            // Not open yet: the old owner will send again.
            _ => return,
        };
        turn.send(from, Message::ForwardAcknowledged { shard, epoch, next });
    }

    /// The marker of `origin` has come by itself, behind everything that was forwarded.
    pub(super) fn flushed(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, origin: H) {
        if let State::Owned { unsettled: Some(unsettled) } = &mut self.slot_mut(shard).state {
            unsettled.set_flushed(origin);
            self.release_flushed(turn, shard);
        }
    }

    /// What those whose markers have come sent directly may go: one pass over what is held.
    fn release_flushed(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let State::Owned { unsettled: Some(unsettled) } = &self.slot(shard).state else { return };
        let flushed = unsettled.flushed.clone();
        self.deliver_parked(turn, shard, |origin| flushed.binary_search(&origin).is_ok());
        self.refresh(shard);
        self.settle_if_flushed(turn, shard);
    }

    pub(super) fn settle_if_flushed(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let State::Owned { unsettled: Some(unsettled) } = &self.slot(shard).state else { return };
        if self.places.iter().all(|&place| unsettled.is_flushed(place)) {
            self.settle(turn, shard);
        }
    }

    /// Nothing is on its way around: the shard is like any other, and may move again.
    pub(super) fn settle(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let slot = self.slot_mut(shard);
        slot.settled = slot.epoch();
        self.enter(shard, State::Owned { unsettled: None });
        self.deliver_parked(turn, shard, |_| true);
    }
}
