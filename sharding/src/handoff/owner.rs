//! The owner that gives a shard away: park, drain, seal, give away, offer, forward.
//!
//! Between the request to the store and its answer the shard is nobody's to use: an unknown outcome is read again, and
//! once there was one, the shard is resumed only at a new epoch, which voids whatever may still be on its way.

use super::message::{Content, Message, Payload};
use super::output::Output;
use super::region::{Region, Timer, Turn};
use super::relay::Relay;
use super::settings::Flaw;
use super::slot::{Order, State};
use crate::ownership::{Epoch, Home, Ownership, StoreAnswer, StoreRequest};

impl<H: Home, P: Payload> Region<H, P> {
    pub(super) fn hand_off(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        coordinator: H,
        shard: u32,
        epoch: Epoch,
        to: H,
    ) {
        let slot = self.slot(shard);
        let is_idle = matches!(slot.state, State::Elsewhere { .. } | State::Unknown { .. });
        if is_idle && epoch > slot.epoch() {
            // Ours, it seems, and nobody has told us to start.
            return self.find_owner(turn, shard);
        }
        let Some(known) = slot.known else { return };
        if known.epoch != epoch || known.owner != self.me {
            return turn.send(coordinator, Message::NotOwner { shard, ownership: known });
        }
        match &slot.state {
            State::Owned { unsettled }
                if unsettled.is_none() || self.settings.lacks(Flaw::SkipsSettling) =>
            {
                if to == self.me || self.places.binary_search(&to).is_err() {
                    return turn.send(coordinator, Message::Resumed { shard, ownership: known });
                }
                self.drain(turn, shard, Order { to, coordinator });
            }
            State::Draining { order } | State::Sealing { order }
                if *order == (Order { to, coordinator }) => {}
            State::GivingAway { order, .. } if *order == (Order { to, coordinator }) => {}
            State::Starting => {}
            _ => turn.send(coordinator, Message::Busy { shard, epoch }),
        }
    }

    fn drain(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, order: Order<H>) {
        self.enter(shard, State::Draining { order });
        let epoch = self.slot(shard).epoch();
        for &place in self.places.iter().filter(|&&place| place != self.me) {
            turn.send(place, Message::BeginHandOff { shard, epoch });
        }
        let step = self.slot_mut(shard).next_step();
        let deadline_ns = turn.now_ns.saturating_add(self.settings.stop_within_ns);
        turn.push(Output::StopEntities { shard, step, deadline_ns });
        self.set_timer(shard, Timer::State, Some(deadline_ns));
        if self.settings.lacks(Flaw::SkipsStop) {
            self.entities_stopped(turn, shard);
        }
    }

    /// Entities that have not stopped in time; again until none runs.
    pub(super) fn kill(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        self.counters.killed += 1;
        turn.push(Output::KillEntities { shard, step: self.slot(shard).step });
        self.retry_later(turn, shard);
    }

    pub(super) fn entities_stopped(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let State::Draining { order } = self.slot(shard).state else {
            self.counters.ignored += 1;
            return;
        };
        self.enter(shard, State::Sealing { order });
        self.slot_mut(shard).next_step();
        self.seal(turn, shard);
    }

    pub(super) fn give_away(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        order: Order<H>,
        last_sequence: u64,
    ) {
        self.enter(shard, State::GivingAway { order, in_doubt: false, last_sequence });
        let expected = self.slot(shard).epoch();
        self.ask_store(turn, shard, StoreRequest::GiveAway { shard, expected, to: order.to });
    }

    pub(super) fn store_answered(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        answer: StoreAnswer<H>,
    ) {
        match self.slot(shard).state {
            State::GivingAway { order, in_doubt, .. } => {
                self.give_away_answered(turn, shard, order, in_doubt, answer);
            }
            State::Unknown { .. } => self.read_answered(turn, shard, answer),
            _ => self.counters.ignored += 1,
        }
    }

    fn give_away_answered(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        order: Order<H>,
        in_doubt: bool,
        answer: StoreAnswer<H>,
    ) {
        let Some(known) = self.slot(shard).known else { return };
        let expected = known.epoch;
        match answer {
            StoreAnswer::Changed(record)
            | StoreAnswer::Found(Some(record))
            | StoreAnswer::Refused { current: Some(record), .. }
                if record.epoch > expected =>
            {
                self.learn(turn, shard, record);
            }
            // It has not happened yet, which is not that it will not: ask again, the epoch decides.
            StoreAnswer::Found(Some(_)) => {
                let request = StoreRequest::GiveAway { shard, expected, to: order.to };
                self.ask_store(turn, shard, request);
            }
            StoreAnswer::Refused { current: Some(_), .. } => {
                if in_doubt && !self.settings.lacks(Flaw::ResumesAtOldEpoch) {
                    let request = StoreRequest::GiveAway { shard, expected, to: self.me };
                    self.ask_store(turn, shard, request);
                } else {
                    self.resume(turn, shard, known);
                }
            }
            _ => {
                self.set_in_doubt(shard);
                self.retry_later(turn, shard);
                if self.settings.lacks(Flaw::ResumesOnGuess) {
                    self.resume(turn, shard, known);
                }
            }
        }
    }

    /// No answer in time, or an unknown outcome some time ago: what does the record say?
    pub(super) fn doubt(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        self.set_in_doubt(shard);
        self.ask_store(turn, shard, StoreRequest::Read { shard });
    }

    fn set_in_doubt(&mut self, shard: u32) {
        if let State::GivingAway { in_doubt, .. } = &mut self.slot_mut(shard).state {
            *in_doubt = true;
        }
    }

    /// The shard stays: at its old epoch when the store surely refused, at a new one otherwise.
    pub(super) fn resume(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        ownership: Ownership<H>,
    ) {
        let State::GivingAway { order, .. } = self.slot(shard).state else { return };
        self.slot_mut(shard).known = Some(ownership);
        self.slot_mut(shard).settled = ownership.epoch;
        self.enter(shard, State::Owned { unsettled: None });
        self.counters.resumed += 1;
        turn.push(Output::Open { shard, epoch: ownership.epoch });
        self.deliver_parked(turn, shard, |_| true);
        turn.send(order.coordinator, Message::Resumed { shard, ownership });
        // Who holds its messages can let them go.
        self.announce(turn, shard, ownership);
    }

    /// The store says that the shard is somebody else's by our own request.
    pub(super) fn gave(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, ownership: Ownership<H>) {
        let State::GivingAway { order, last_sequence, .. } = self.slot(shard).state else { return };
        self.slot_mut(shard).known = Some(ownership);
        self.counters.given_away += 1;
        self.enter(shard, State::AwaitingStart { order, last_sequence });
        self.offer(turn, shard);
    }

    /// The shard is offered until its new owner says that it has started.
    pub(super) fn offer(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let slot = self.slot(shard);
        let (State::AwaitingStart { order, last_sequence }, Some(ownership)) =
            (&slot.state, slot.known)
        else {
            return;
        };
        let (coordinator, last_sequence) = (order.coordinator, Some(*last_sequence));
        turn.send(ownership.owner, Message::HostShard { shard, ownership, last_sequence });
        turn.send(coordinator, Message::ShardStopped { shard, ownership });
        self.retry_later(turn, shard);
    }

    /// The new owner delivers: it gets what was parked, in order, and this place's own marker behind it.
    pub(super) fn begin_relay(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let me = self.me;
        let slot = self.slot_mut(shard);
        let Some(known) = slot.known else { return };
        let mut relay = Relay::new(known.owner, known.epoch, slot.since);
        for parked in std::mem::take(&mut slot.parked) {
            match parked.content {
                Content::Payload(payload) => relay.push_payload(parked.origin, payload),
                Content::Flush if parked.epoch == known.epoch => relay.push_flush(parked.origin),
                Content::Flush => {}
            }
        }
        relay.push_flush(me);
        slot.relay = Some(Box::new(relay));
        self.enter(shard, State::Elsewhere { is_held: false });
        self.relay_on(turn, shard);
    }

    /// Sends the next batch if none is on its way; ends the relay when nothing more can come.
    pub(super) fn relay_on(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let Some(relay) = &mut self.slots[shard as usize].relay else { return };
        if relay.is_done(&self.places) {
            self.slot_mut(shard).relay = None;
            self.set_timer(shard, Timer::Relay, None);
        } else if let Some((first, items)) = relay.next_batch(&self.settings) {
            let epoch = relay.epoch;
            turn.send(relay.to, Message::Forward { shard, epoch, first, items });
            self.relay_later(turn, shard);
        }
    }

    pub(super) fn relay_due(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let Some(relay) = &self.slot(shard).relay else { return };
        if let Some((first, items)) = relay.batch() {
            let epoch = relay.epoch;
            turn.send(relay.to, Message::Forward { shard, epoch, first, items });
            self.relay_later(turn, shard);
        }
    }

    pub(super) fn acknowledged(
        &mut self,
        turn: &mut Turn<'_, H, P>,
        shard: u32,
        epoch: Epoch,
        next: u64,
    ) {
        let Some(relay) = &mut self.slots[shard as usize].relay else { return };
        if relay.epoch == epoch && relay.acknowledge(next, &mut self.ledger) {
            self.set_timer(shard, Timer::Relay, None);
            self.relay_rest(turn, shard);
        }
    }

    /// What of a batch was not acknowledged waits for its deadline; else the next batch goes.
    fn relay_rest(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let is_partial = self.slot(shard).relay.as_ref().is_some_and(|r| r.batch().is_some());
        if is_partial {
            self.relay_later(turn, shard);
        } else {
            self.relay_on(turn, shard);
        }
    }

    fn relay_later(&mut self, turn: &Turn<'_, H, P>, shard: u32) {
        let due_ns = turn.now_ns.saturating_add(self.settings.retry_ns());
        self.set_timer(shard, Timer::Relay, Some(due_ns));
    }
}
