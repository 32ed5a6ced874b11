//! A place has gone: what waited for it does not wait any more, and what was on its way to it is given back.

use super::message::Payload;
use super::output::RefusalReason;
use super::region::{Region, Timer, Turn};
use super::slot::State;
use crate::ownership::Home;

impl<H: Home, P: Payload> Region<H, P> {
    pub(super) fn place_gone(&mut self, turn: &mut Turn<'_, H, P>, place: H) {
        let Ok(at) = self.places.binary_search(&place) else { return };
        if place == self.me {
            return;
        }
        self.places.remove(at);
        for shard in 0..self.slots.len() as u32 {
            self.place_gone_for(turn, shard, place);
        }
    }

    fn place_gone_for(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, place: H) {
        let me = self.me;
        let owner = self.slot(shard).known.map(|known| known.owner);
        match &self.slot(shard).state {
            State::Elsewhere { .. } if owner == Some(place) => {
                self.abandon_relay(turn, shard);
                self.enter(shard, State::Unknown { asked: false });
                self.read_again(turn, shard);
            }
            State::AwaitingStart { .. } if owner == Some(place) => {
                let is_lost = |origin, _| origin != me;
                self.refuse_parked(turn, shard, RefusalReason::OwnerGone, is_lost);
                self.enter(shard, State::Unknown { asked: false });
                self.read_again(turn, shard);
            }
            State::Elsewhere { .. } | State::Unknown { .. } => self.relay_on(turn, shard),
            State::Owned { unsettled: Some(unsettled) } => {
                if unsettled.given_by == place {
                    self.settle(turn, shard);
                } else {
                    self.orphan(turn, shard, place);
                    self.settle_if_flushed(turn, shard);
                }
            }
            _ => {}
        }
    }

    /// The marker of a place that went may never come; its messages would wait for ever.
    fn orphan(&mut self, turn: &mut Turn<'_, H, P>, shard: u32, place: H) {
        self.refuse_parked(turn, shard, RefusalReason::OwnerGone, |origin, _| origin == place);
    }

    /// Whether the new owner had taken them is not known.
    fn abandon_relay(&mut self, turn: &mut Turn<'_, H, P>, shard: u32) {
        let Some(relay) = self.slot_mut(shard).relay.take() else { return };
        self.set_timer(shard, Timer::Relay, None);
        for (origin, payload) in relay.into_payloads() {
            self.ledger.give_back(&payload);
            self.refuse(turn, shard, origin, payload, RefusalReason::OwnerGone);
        }
    }
}
