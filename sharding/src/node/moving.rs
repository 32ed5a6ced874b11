//! What a region does for the hand-off.

use mainspring::message::Message;
use mainspring::prelude::*;

use super::coordinator::Directive;
use super::envelope::{Delivery, Envelope, RegionMessage};
use super::parcel::Parcel;
use super::region::Region;
use super::wording::word_of;
use crate::entities::{Slot, State};
use crate::handoff::{self, Input, Output};
use crate::ownership::{Epoch, Ownership, Place};

/// The place of the coordinator.
pub(super) const COORDINATOR_CORE: u16 = 0;

/// Who owns a shard when its node starts, and at which epoch.
pub(super) fn first_owner(shard: u32, incarnation: u64, cores: u16) -> Ownership<Place> {
    let core = (shard % u32::from(cores.max(1))) as u16;
    let owner = Place { incarnation, core };
    Ownership { owner, epoch: Epoch(u64::from(shard) + 1), given_by: None }
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// Learns who owns the shards, and opens its own.
    pub(super) fn open_shards(&mut self, ctx: &mut Context<'_, Self>) {
        let shard_count = self.hosting.tables.borrow().residents.shard_count().get();
        for shard in 0..shard_count {
            let ownership = first_owner(shard, self.place.incarnation, ctx.cores());
            self.input(ctx, Input::Learned { shard, ownership });
        }
    }

    /// Something happened to a shard: what follows from it is done.
    pub(super) fn input(
        &mut self,
        ctx: &mut Context<'_, Self>,
        input: Input<Place, Parcel<A::Message>>,
    ) {
        let mut outputs = Vec::new();
        self.hosting.tables.borrow_mut().shards.handle(ctx.now_ns(), input, &mut outputs);
        self.outputs.extend(outputs);
        // What is being done brings further inputs: their outputs wait for their turn in the loop further up.
        if std::mem::replace(&mut self.is_acting, true) {
            return;
        }
        while let Some(output) = self.outputs.pop_front() {
            self.act(ctx, output);
        }
        self.is_acting = false;
    }

    fn act(&mut self, ctx: &mut Context<'_, Self>, output: Output<Place, Parcel<A::Message>>) {
        match output {
            Output::Deliver { origin, payload, .. } => {
                self.deliver(ctx, origin, &payload.id, payload.message.view());
            }
            Output::Direct { to, epoch, payload, .. } => self.send_on(ctx, to, epoch, payload),
            Output::Send { to, message } => self.say(ctx, to, message),
            Output::StopEntities { shard, step, .. } => self.stop_entities(ctx, shard, step),
            Output::KillEntities { shard, step } => self.kill_entities(ctx, shard, step),
            // Entities without a journal have written nothing; those with one have ended, and with them their writes.
            Output::Seal { shard, step, .. } => {
                self.input(ctx, Input::Sealed { shard, step, last_sequence: 0 });
            }
            Output::Open { shard, .. } => {
                self.open_remembered(shard);
                self.sole_opened(ctx.now_ns());
            }
            Output::Store { step, request } => {
                let (from, shard) = (self.place, request.shard());
                let question = request.into();
                self.tell_coordinator(ctx, &Directive::Asked { from, shard, step, question });
            }
            // Counted by the hand-off.
            Output::Refuse { .. } => {}
        }
    }

    /// A message of this core for an entity of another.
    fn send_on(
        &mut self,
        ctx: &mut Context<'_, Self>,
        to: Place,
        epoch: Epoch,
        payload: Parcel<A::Message>,
    ) {
        let Parcel { id, message } = payload;
        let delivery = Delivery { from: self.place, epoch: epoch.0, way: 0, id: id.into_vec() };
        self.send_to_peer(ctx, to, (Envelope::Deliver(delivery), vec![message]));
    }

    /// What is lost on the way is said or asked again after a time.
    pub(super) fn tell_coordinator(&self, ctx: &mut Context<'_, Self>, directive: &Directive) {
        if let Some(coordinator) = self.coordinator.get() {
            let _ = ctx.try_tell(*coordinator, directive);
        }
    }

    /// As [`tell_coordinator`](Self::tell_coordinator), on the node of a place.
    fn tell_coordinator_at(
        &self,
        ctx: &mut Context<'_, Self>,
        place: Place,
        directive: &Directive,
    ) {
        if self.hosting.peers.has(place) {
            return self.tell_coordinator(ctx, directive);
        }
        if let Some(scheduler) = self.hosting.scheduler_of(place) {
            let _ = ctx.try_tell(scheduler, directive);
        }
    }

    fn say(
        &mut self,
        ctx: &mut Context<'_, Self>,
        to: Place,
        message: handoff::Message<Place, Parcel<A::Message>>,
    ) {
        let for_coordinator = matches!(
            message,
            handoff::Message::ShardStarted { .. }
                | handoff::Message::ShardStopped { .. }
                | handoff::Message::Resumed { .. }
                | handoff::Message::Busy { .. }
        );
        if to.core == COORDINATOR_CORE && for_coordinator {
            let (word, _) = word_of(message.clone());
            self.tell_coordinator_at(ctx, to, &Directive::Said { word });
        }
        if to == self.place {
            return self.input(ctx, Input::Message { from: self.place, message });
        }
        if let handoff::Message::HostShard { shard, .. } = &message {
            self.send_remembered(ctx, *shard, to);
        }
        let (word, enclosed) = word_of(message);
        // One that is refused is said again by the hand-off, after a longer time.
        self.send_to_peer(ctx, to, (Envelope::Handover { from: self.place, word }, enclosed));
    }

    /// Sends to the region of another core, behind what still waits for room on the way there. What finds no room waits
    /// too, within the limit; what cannot be sent is refused and counted, and then it is `false`.
    pub(super) fn send_to_peer(
        &mut self,
        ctx: &mut Context<'_, Self>,
        to: Place,
        message: RegionMessage<A::Message>,
    ) -> bool {
        let sent = match self.hosting.region_of(to) {
            None => Err(TellError::Gone),
            Some(_) if self.unsent.has(to) => Err(TellError::Full),
            Some(region) => ctx.try_tell(region, &message),
        };
        match sent {
            Ok(()) => true,
            Err(TellError::Full) if self.unsent.keep(to, message) => {
                self.hosting.tables.borrow_mut().is_behind = true;
                true
            }
            Err(_) => {
                self.count(|figures| figures.refused_sends += 1);
                false
            }
        }
    }

    /// Sends what found no room before.
    pub(super) fn send_unsent(&mut self, ctx: &mut Context<'_, Self>) {
        let hosting = &self.hosting;
        let refused = self.unsent.send(|to, message| {
            let region = hosting.region_of(to).ok_or(TellError::Gone)?;
            ctx.try_tell(region, message)
        });
        let tables = &mut *self.hosting.tables.borrow_mut();
        tables.figures.refused_sends += refused;
        tables.is_behind = !self.unsent.is_empty();
    }

    /// Asks the entities of a shard to stop when they have handled what they have got. What was kept for them goes
    /// with the shard.
    fn stop_entities(&mut self, ctx: &mut Context<'_, Self>, shard: u32, step: u64) {
        self.remember(shard);
        self.sole_closed();
        self.draining.insert(shard, step);
        for (slot, state) in self.entities_of(shard) {
            self.send_back_kept(ctx, shard, slot);
            match state {
                State::Active => self.passivate(ctx, slot),
                State::Passivating => {}
                State::Starting | State::BackingOff | State::Broken => self.forget(slot),
            }
        }
        self.look_whether_drained(ctx, shard);
    }

    /// Stops what still runs of a shard at once.
    pub(super) fn kill_entities(&mut self, ctx: &mut Context<'_, Self>, shard: u32, step: u64) {
        if step > 0 {
            self.draining.insert(shard, step);
        }
        for (slot, state) in self.entities_of(shard) {
            let refused = self.kept.take(slot).len() as u64;
            self.count(|figures| figures.refused_broken += refused);
            let tenant = {
                let tables = &mut *self.hosting.tables.borrow_mut();
                tables.passivation.remove(slot);
                tables.lives.passivate(&mut tables.residents, slot);
                tables.residents.get(slot).and_then(|resident| resident.value)
            };
            match tenant {
                Some(tenant) => ctx.stop(tenant.actor),
                None if state != State::Passivating => self.forget(slot),
                None => {}
            }
        }
        self.look_whether_drained(ctx, shard);
    }

    fn entities_of(&self, shard: u32) -> Vec<(Slot, State)> {
        let tables = self.hosting.tables.borrow();
        let slots = tables.residents.of_shard(shard);
        slots.filter_map(|slot| Some((slot, tables.residents.state(slot)?))).collect()
    }

    fn forget(&mut self, slot: Slot) {
        let tables = &mut *self.hosting.tables.borrow_mut();
        tables.passivation.remove(slot);
        tables.residents.remove(slot);
    }

    /// Messages that were kept for an entity wait for its shard from now on, before those that come later.
    fn send_back_kept(&mut self, ctx: &mut Context<'_, Self>, shard: u32, slot: Slot) {
        let (id, epoch) = {
            let tables = self.hosting.tables.borrow();
            let id: Option<Box<[u8]>> =
                tables.residents.get(slot).map(|resident| resident.id.into());
            (id, tables.shards.ownership(shard).map(|ownership| ownership.epoch))
        };
        let (Some(id), Some(epoch)) = (id, epoch) else { return };
        for kept in self.kept.take(slot) {
            let payload = Parcel { id: id.clone(), message: kept.message };
            let from =
                if kept.origin == super::envelope::FROM_OUTSIDE { self.place } else { kept.origin };
            self.input(ctx, Input::Arrived { from, shard, epoch, payload });
        }
    }
}
