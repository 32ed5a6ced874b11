//! How a region starts its entities, stops them, and what it does when they end.

use std::panic::{AssertUnwindSafe, catch_unwind};

use mainspring::message::Message;
use mainspring::prelude::*;

use super::entity_id::EntityId;
use super::hosting::Tenant;
use super::region::Region;
use crate::entities::{Due, Ended, EntityKey, Slot, StartFailed, State};
use crate::handoff::Input;

/// Entities that are stopped, started again, or started because they are remembered, in one tick.
pub(super) const A_TICK: usize = 1_024;

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// Takes an entity in and starts it. Its actor, or none if it could not be made: then it is tried again. `None`
    /// when there is no room for it.
    pub(super) fn take_in(
        &mut self,
        ctx: &mut Context<'_, Self>,
        key: &EntityKey<'_>,
    ) -> Option<(Slot, Option<ActorRef<A::Message>>)> {
        let slot = self.hosting.tables.borrow_mut().residents.insert(key, None).ok()?;
        if !self.admit(ctx, slot, key.hash()) {
            self.hosting.tables.borrow_mut().residents.remove(slot);
            return None;
        }
        if !self.may_start(ctx, slot) {
            return Some((slot, None));
        }
        Some((slot, self.start(ctx, slot)))
    }

    /// Makes room for an entity among the active ones.
    fn admit(&mut self, ctx: &mut Context<'_, Self>, slot: Slot, hash: u64) -> bool {
        let admitted = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            let residents = &tables.residents;
            let may_stop = |slot| residents.state(slot) == Some(State::Active);
            tables.passivation.admit(slot, hash, ctx.now_ns(), may_stop)
        };
        match admitted {
            Ok(Some(victim)) => {
                self.count(|figures| figures.passivated_limit += 1);
                self.leaves(victim);
                self.passivate(ctx, victim);
                true
            }
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Makes the actor of an entity that is starting.
    fn start(&mut self, ctx: &mut Context<'_, Self>, slot: Slot) -> Option<ActorRef<A::Message>> {
        let made = {
            let tables = self.hosting.tables.borrow();
            let resident = tables.residents.get(slot)?;
            let id = EntityId::new(resident.id);
            // The factory is the user's code: its panic is the entity's failure, not the region's.
            catch_unwind(AssertUnwindSafe(|| (self.make)(id)))
        };
        let actor = made.ok().and_then(|actor| ctx.spawn_value(actor).ok());
        let Some(actor) = actor else {
            self.failed(ctx, slot, 0);
            return None;
        };
        let tenant = Tenant::born(actor, ctx.now_ns());
        let tables = &mut *self.hosting.tables.borrow_mut();
        tables.residents.replace(slot, Some(tenant));
        tables.lives.started(&mut tables.residents, slot);
        tables.figures.started += 1;
        tables.tenants.insert(actor.address(), slot);
        Some(actor)
    }

    /// Starts an entity for which messages wait.
    fn start_again(&mut self, ctx: &mut Context<'_, Self>, slot: Slot) {
        let hash = {
            let tables = self.hosting.tables.borrow();
            tables.residents.get(slot).map(|resident| xxhash_rust::xxh3::xxh3_64(resident.id))
        };
        let Some(hash) = hash else { return };
        if !self.admit(ctx, slot, hash) {
            return self.failed(ctx, slot, 0);
        }
        if self.may_start(ctx, slot) {
            self.start_with_kept(ctx, slot);
        }
    }

    /// Starts an entity, which gets the messages that were kept for it.
    pub(super) fn start_with_kept(&mut self, ctx: &mut Context<'_, Self>, slot: Slot) {
        if let Some(actor) = self.start(ctx, slot) {
            for kept in self.kept.take(slot) {
                self.hand_over(ctx, Some(actor), kept.message.view());
            }
        }
    }

    /// Asks an entity to stop when it has handled what it has got. What comes meanwhile is kept.
    pub(super) fn passivate(&mut self, ctx: &mut Context<'_, Self>, slot: Slot) {
        let tenant = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            tables.passivation.remove(slot);
            if !tables.lives.passivate(&mut tables.residents, slot) {
                return;
            }
            tables.residents.get(slot).and_then(|resident| resident.value)
        };
        self.ask_to_stop(ctx, slot, tenant);
    }

    fn ask_to_stop(
        &mut self,
        ctx: &mut Context<'_, Self>,
        slot: Slot,
        tenant: Option<Tenant<A::Message>>,
    ) {
        let Some(tenant) = tenant else { return };
        if ctx.stop_in_turn(tenant.actor).is_err() {
            self.unstopped.push(slot);
        }
    }

    /// An entity is gone.
    pub(super) fn child_stopped(
        &mut self,
        ctx: &mut Context<'_, Self>,
        actor: Address,
        reason: StopReason,
    ) {
        let ended = self.hosting.tables.borrow_mut().tenants.take(actor);
        let Some(slot) = ended else { return };
        let end = self.end_of(slot, actor, reason);
        let tenant = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            tables.passivation.remove(slot);
            let resident = tables.residents.get(slot);
            let shard = resident.as_ref().map(|resident| resident.shard);
            let tenant = resident.and_then(|resident| resident.value);
            tables.residents.replace(slot, None);
            tenant.zip(shard)
        };
        let Some((tenant, shard)) = tenant else { return };
        if reason == StopReason::Failed && !self.draining.contains_key(&shard) {
            self.failed(ctx, slot, tenant.lived_ns(ctx.now_ns()));
        } else {
            let has_kept = self.kept.has(slot);
            let ended = {
                let tables = &mut *self.hosting.tables.borrow_mut();
                tables.lives.ended(&mut tables.residents, slot, has_kept)
            };
            match ended {
                Ended::StartAgain => self.start_again(ctx, slot),
                Ended::Absent(_) => {
                    if let Some(end) = end {
                        self.record_end(ctx, end);
                    }
                    self.sole_ended(ctx.now_ns());
                }
                Ended::NotRunning => {}
            }
        }
        self.look_whether_drained(ctx, shard);
    }

    /// An entity could not be made, or failed.
    fn failed(&mut self, ctx: &mut Context<'_, Self>, slot: Slot, lived_ns: u64) {
        let outcome = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            tables.figures.failed += 1;
            tables.passivation.remove(slot);
            tables.lives.failed(&mut tables.residents, slot, ctx.now_ns(), lived_ns)
        };
        match outcome {
            StartFailed::RetryAt { .. } => {}
            StartFailed::BrokenUntil { .. }
            | StartFailed::Forgotten(_)
            | StartFailed::NotRunning => {
                let refused = self.kept.take(slot).len() as u64;
                self.count(|figures| figures.refused_broken += refused);
                self.sole_ended(ctx.now_ns());
            }
        }
    }

    /// Stops entities that were idle for too long, that asked for it, or whose request found the queue full.
    pub(super) fn stop_what_is_due(&mut self, ctx: &mut Context<'_, Self>) {
        for slot in std::mem::take(&mut self.unstopped) {
            let tenant = {
                let tables = self.hosting.tables.borrow();
                tables.residents.get(slot).and_then(|resident| resident.value)
            };
            self.ask_to_stop(ctx, slot, tenant);
        }
        let asked = std::mem::take(&mut self.hosting.tables.borrow_mut().asked_to_stop);
        for actor in asked {
            let slot = self.hosting.tables.borrow().tenants.get(actor);
            if let Some(slot) = slot {
                self.count(|figures| figures.passivated_asked += 1);
                self.leaves(slot);
                self.passivate(ctx, slot);
            }
        }
        let mut expired = Vec::new();
        {
            let tables = &mut *self.hosting.tables.borrow_mut();
            let residents = &tables.residents;
            let may_stop = |slot| residents.state(slot) == Some(State::Active);
            tables.passivation.expired(ctx.now_ns(), A_TICK, may_stop, &mut expired);
            tables.figures.passivated_idle += expired.len() as u64;
        }
        for slot in expired {
            self.passivate(ctx, slot);
        }
    }

    /// Starts entities again that failed, if messages wait for them, they are recorded as running, or they always run;
    /// the others are forgotten.
    pub(super) fn start_what_is_due(&mut self, ctx: &mut Context<'_, Self>) {
        let mut due = Vec::new();
        {
            let tables = &mut *self.hosting.tables.borrow_mut();
            tables.lives.due(&mut tables.residents, ctx.now_ns(), A_TICK, &mut due);
        }
        let always = self.recorder.is_some() || self.sole.is_some();
        for due in due {
            match due {
                Due::StartAgain(slot) if self.kept.has(slot) || always => {
                    self.start_again(ctx, slot);
                }
                Due::StartAgain(slot) => {
                    self.hosting.tables.borrow_mut().residents.remove(slot);
                }
                Due::Forgotten(_) => self.sole_ended(ctx.now_ns()),
            }
        }
    }

    /// Tells the hand-off when the last entity of a shard that moves is gone.
    pub(super) fn look_whether_drained(&mut self, ctx: &mut Context<'_, Self>, shard: u32) {
        if self.hosting.tables.borrow().residents.entities_of(shard) > 0 {
            return;
        }
        if let Some(step) = self.draining.remove(&shard) {
            self.input(ctx, Input::EntitiesStopped { shard, step });
        }
    }
}
