//! The actor that stands before the entities of one type on one core.
//!
//! It takes the messages whose way is not clear ([`Hosting`]), starts and stops entities ([`super::tenancy`]) and does
//! what the hand-off decides ([`super::moving`]). Its entities are its children; it is told of the end of each.
//!
//! Invariant: whatever it takes is delivered, sent on, kept or parked within a limit, or refused and counted.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainspring::message::{Enclosed, EnclosedView, Message};
use mainspring::prelude::*;

use super::coordinator::{Directive, Load};
use super::entity_id::EntityId;
use super::entity_type::EntityType;
use super::envelope::{ArchivedDelivery, ArchivedEnvelope, Envelope, FROM_OUTSIDE, RegionMessage};
use super::figures::RegionFigures;
use super::hosting::Hosting;
use super::kept::Kept;
use super::parcel::Parcel;
use super::recorder::Recorder;
use super::remembered::Remembered;
use super::sole::Sole;
use super::unsent::Unsent;
use super::wording::message_of;
use crate::entities::{Arrival, ShardLoad, Slot, ToEntityKey};
use crate::handoff::{Input, Message as HandoffMessage, Output, Route};
use crate::ownership::{Epoch, Place};

/// The shortest time between two ticks.
const TICK_NS: u64 = 1_000_000;

/// How often the loads of the shards are told to the coordinator.
const REPORT_NS: u64 = 1_000_000_000;

/// Makes the entity of an id.
pub(super) type Make<A> = Arc<dyn Fn(EntityId<'_>) -> A + Send + Sync>;

/// See the module's header.
pub(crate) struct Region<A: Actor>
where
    A::Message: Message,
{
    pub(super) place: Place,
    /// Whether its node is in no cluster.
    is_alone: bool,
    pub(super) hosting: Rc<Hosting<A::Message>>,
    pub(super) make: Make<A>,
    pub(super) coordinator: Arc<OnceLock<ActorRef<Directive>>>,
    pub(super) kept: Kept<A::Message>,
    /// Shards whose entities are asked to stop, with the step to answer.
    pub(super) draining: BTreeMap<u32, u64>,
    /// Entities whose request to stop found the queue full.
    pub(super) unstopped: Vec<Slot>,
    /// What found no room on its way to another region.
    pub(super) unsent: Unsent<A::Message>,
    /// What the hand-off wants done.
    pub(super) outputs: VecDeque<Output<Place, Parcel<A::Message>>>,
    /// A loop over `outputs` is under way further up the call stack.
    pub(super) is_acting: bool,
    /// Entities that start again where their shard goes, if they do.
    pub(super) remembered: Option<Remembered>,
    /// Writes down which entities run, where there is a journal and they are remembered.
    pub(super) recorder: Option<Recorder>,
    /// The entity that always runs where its shard is, if the type is of that kind.
    pub(super) sole: Option<Sole>,
    /// The most active entities.
    pub(super) at_most: u32,
    pub(super) entity_type: EntityType,
    armed_ns: u64,
    /// When the loads are told next, if anybody looks at them.
    report_ns: Option<u64>,
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    pub fn new(
        hosting: Rc<Hosting<A::Message>>,
        make: Make<A>,
        coordinator: Arc<OnceLock<ActorRef<Directive>>>,
        entity_type: &EntityType,
        is_alone: bool,
    ) -> Self {
        Region {
            place: hosting.place,
            is_alone,
            hosting,
            make,
            coordinator,
            kept: Kept::new(entity_type.kept_limit_bytes),
            draining: BTreeMap::new(),
            unstopped: Vec::new(),
            unsent: Unsent::new(entity_type.parked_limit_bytes),
            outputs: VecDeque::new(),
            is_acting: false,
            remembered: entity_type.remembered_per_second.map(Remembered::new),
            recorder: None,
            sole: entity_type.is_single.then(|| Sole::new(entity_type.lives.first_backoff_ns)),
            at_most: entity_type.at_most,
            entity_type: entity_type.clone(),
            armed_ns: u64::MAX,
            report_ns: entity_type.looks_at_loads().then_some(0),
        }
    }

    /// Whether all who may send to this node are known here.
    fn may_host(&self) -> bool {
        self.is_alone || self.hosting.peers.has_begun()
    }

    /// A message for an entity has come.
    fn arrived(
        &mut self,
        ctx: &mut Context<'_, Self>,
        delivery: &ArchivedDelivery,
        message: EnclosedView<'_, A::Message>,
    ) {
        let origin = Place::from(&delivery.from);
        let is_own = origin == self.place || origin == FROM_OUTSIDE;
        let id = delivery.id.as_slice();
        if !is_own && !self.hosting.knows(origin) {
            return self.count(|figures| figures.refused_over += 1);
        }
        let clear = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            let way = delivery.way.to_native();
            tables.seen_way = tables.seen_way.max(way);
            let Ok(key) = id.to_entity_key() else {
                tables.figures.refused_sends += 1;
                return;
            };
            let shard = tables.residents.shard_count().shard_of(&key);
            if way == 0 {
                tables.count_message(shard, origin);
            }
            let epoch = Epoch(delivery.epoch.to_native());
            let is_clear = match tables.shards.route(shard) {
                Route::Here if is_own => true,
                _ => !is_own && tables.shards.accepts(shard, epoch),
            };
            if is_clear { Ok(()) } else { Err((shard, epoch)) }
        };
        match clear {
            Ok(()) => self.deliver(ctx, origin, id, message),
            Err((shard, epoch)) => {
                let from = if is_own { self.place } else { origin };
                let payload = Parcel { id: id.into(), message: message.keep() };
                self.input(ctx, Input::Arrived { from, shard, epoch, payload });
            }
        }
    }

    /// Hands a message to its entity, which is started if it does not run.
    pub(super) fn deliver(
        &mut self,
        ctx: &mut Context<'_, Self>,
        origin: Place,
        id: &[u8],
        message: EnclosedView<'_, A::Message>,
    ) {
        let Ok(key) = id.to_entity_key() else { return self.count(|f| f.refused_sends += 1) };
        if !self.hosting.peers.tenure.holds(ctx.now_ns()) {
            return self.count(|figures| figures.refused_over += 1);
        }
        let found = self.hosting.tables.borrow().residents.find(&key);
        match Arrival::of(found.map(|found| found.state)) {
            Arrival::Deliver => {
                if let Some(found) = found {
                    let now_ns = ctx.now_ns();
                    self.hosting.tables.borrow_mut().passivation.touch(found.slot, now_ns);
                    self.hand_over(ctx, found.value.map(|tenant| tenant.actor), message);
                }
            }
            Arrival::Keep => {
                if let Some(found) = found {
                    self.keep(found.slot, origin, message);
                }
            }
            Arrival::Refuse => self.count(|figures| figures.refused_broken += 1),
            Arrival::Absent => match self.take_in(ctx, &key) {
                Some((_, Some(actor))) => self.hand_over(ctx, Some(actor), message),
                Some((slot, None)) => self.keep(slot, origin, message),
                None => self.count(|figures| figures.refused_full += 1),
            },
        }
    }

    pub(super) fn hand_over(
        &mut self,
        ctx: &mut Context<'_, Self>,
        actor: Option<ActorRef<A::Message>>,
        message: EnclosedView<'_, A::Message>,
    ) {
        let sent = actor.is_some_and(|actor| ctx.try_tell_enclosed(actor, message).is_ok());
        if !sent {
            self.count(|figures| figures.refused_sends += 1);
        }
    }

    pub(super) fn keep(
        &mut self,
        slot: Slot,
        origin: Place,
        message: EnclosedView<'_, A::Message>,
    ) {
        if !self.kept.keep(slot, origin, message) {
            self.count(|figures| figures.refused_full += 1);
        }
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut RegionFigures)) {
        change(&mut self.hosting.tables.borrow_mut().figures);
    }

    fn figures(&self) -> RegionFigures {
        let tables = self.hosting.tables.borrow();
        let shard_count = tables.residents.shard_count().get();
        let settled = (0..shard_count).filter(|shard| tables.shards.is_settled(*shard));
        let counters = tables.shards.counters();
        RegionFigures {
            core: self.place.core,
            entities: tables.residents.len(),
            active: tables.passivation.len(),
            shards: settled.count() as u32,
            kept_bytes: self.kept.bytes() as u64,
            parked: tables.shards.parked().0 as u64,
            refused_moving: tables.figures.refused_moving
                + counters.refused_full
                + counters.refused_stale
                + counters.refused_owner_gone,
            given_away: counters.given_away,
            killed: counters.killed,
            ..tables.figures
        }
    }

    fn tick(&mut self, ctx: &mut Context<'_, Self>) {
        self.armed_ns = u64::MAX;
        self.input(ctx, Input::Tick);
        self.stop_what_is_due(ctx);
        self.start_what_is_due(ctx);
        self.write_records(ctx);
        self.start_recorded(ctx);
        self.start_remembered(ctx);
        self.start_sole(ctx);
        if let Some(report_ns) = &mut self.report_ns
            && *report_ns <= ctx.now_ns()
        {
            *report_ns = ctx.now_ns() + REPORT_NS;
            self.report_loads(ctx);
        }
    }

    /// Tells the coordinator what the shards cost since the last time.
    fn report_loads(&self, ctx: &mut Context<'_, Self>) {
        let loads: Vec<Load> = {
            let tables = &mut *self.hosting.tables.borrow_mut();
            let mut loads = Vec::new();
            for shard in 0..tables.residents.shard_count().get() {
                if tables.shards.is_settled(shard) {
                    let entities = tables.residents.entities_of(shard);
                    loads.push(tables.loads.take(shard, entities));
                } else {
                    // What it cost here says nothing when it comes back one day.
                    tables.loads.forget(shard);
                }
            }
            loads.retain(|load| load.entities > 0 || load.turn_ns > 0 || load.messages() > 0);
            let load_of = |ShardLoad { shard, entities, turn_ns, messages_from }| Load {
                shard,
                entities,
                turn_ns,
                messages_from,
            };
            loads.into_iter().map(load_of).collect()
        };
        if !loads.is_empty() {
            self.tell_coordinator(ctx, &Directive::Loads { loads });
        }
    }

    /// Sees to it that a tick comes when something is due.
    pub(super) fn arm(&mut self, ctx: &mut Context<'_, Self>) {
        let due_ns = {
            let tables = self.hosting.tables.borrow();
            let deadlines = [
                tables.shards.next_deadline_ns(),
                tables.lives.next_deadline_ns(),
                tables.passivation.next_deadline_ns(),
                self.report_ns,
                self.remembered.as_ref().and_then(Remembered::next_deadline_ns),
                self.recorder.as_ref().and_then(Recorder::next_deadline_ns),
                self.sole.as_ref().and_then(Sole::next_deadline_ns),
                (!self.unstopped.is_empty() || !tables.asked_to_stop.is_empty()).then_some(0),
                (!self.unsent.is_empty()).then_some(0),
            ];
            deadlines.into_iter().flatten().min()
        };
        let Some(due_ns) = due_ns else { return };
        let due_ns = due_ns.max(ctx.now_ns() + TICK_NS);
        if due_ns < self.armed_ns {
            self.armed_ns = due_ns;
            let pause = Duration::from_nanos(due_ns - ctx.now_ns());
            ctx.timer("tick").after(pause, &(Envelope::Tick, Vec::new()));
        }
    }
}

impl<A: Actor> Actor for Region<A>
where
    A::Message: Message,
{
    type Message = RegionMessage<A::Message>;
    const TRACKS_CHILDREN: bool = true;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        if self.is_alone {
            self.open_shards(ctx);
            self.begin_recording(ctx);
        }
        self.arm(ctx);
        Next::Same
    }

    fn receive(
        &mut self,
        ctx: &mut Context<Self>,
        message: &Archived<RegionMessage<A::Message>>,
    ) -> Next<Self> {
        if !self.unsent.is_empty() {
            self.send_unsent(ctx);
        }
        let enclosed: &[Archived<Enclosed<A::Message>>] = message.1.as_slice();
        match &message.0 {
            ArchivedEnvelope::Deliver(delivery) => match enclosed.first() {
                Some(enclosed) => self.arrived(ctx, delivery, enclosed.view()),
                None => self.count(|figures| figures.refused_sends += 1),
            },
            ArchivedEnvelope::Handover { from, word } => {
                let from = Place::from(from);
                match message_of(word, enclosed).filter(|_| self.hosting.knows(from)) {
                    // Until all members have been met nothing is taken: who offers a shard does so again.
                    Some(HandoffMessage::HostShard { .. }) if !self.may_host() => {}
                    Some(message) => self.input(ctx, Input::Message { from, message }),
                    None => self.count(|figures| figures.refused_over += 1),
                }
            }
            ArchivedEnvelope::Neighbours { version, nodes } => {
                self.take_neighbours(ctx, version.to_native(), nodes);
            }
            ArchivedEnvelope::Records { records } => {
                let records = records.iter().map(|pair| (pair.0.to_native(), (&pair.1).into()));
                self.take_records(ctx, records);
            }
            ArchivedEnvelope::Over => self.end_all(ctx),
            ArchivedEnvelope::StoreAnswered { shard, step, answer } => {
                let (shard, step) = (shard.to_native(), step.to_native());
                self.input(ctx, Input::StoreAnswered { shard, step, answer: answer.into() });
            }
            ArchivedEnvelope::Remembered { shard, ids } => {
                self.remembered_elsewhere(shard.to_native(), ids);
            }
            ArchivedEnvelope::Starts { from, number, shard, epoch, id } => {
                let asked = (from.to_native(), number.to_native());
                self.start_asked(ctx, asked, (shard.to_native(), epoch.to_native()), id);
            }
            ArchivedEnvelope::Recorded { number, is_recorded } => {
                self.start_answered(ctx, number.to_native(), *is_recorded);
            }
            ArchivedEnvelope::Ended { shard, epoch, id } => {
                self.end_told(ctx.now_ns(), (shard.to_native(), epoch.to_native()), id);
            }
            ArchivedEnvelope::Figures { reply_to } => ctx.tell(*reply_to, &self.figures()),
            ArchivedEnvelope::Tick => self.tick(ctx),
        }
        self.arm(ctx);
        Next::Same
    }

    fn signal(&mut self, ctx: &mut Context<Self>, signal: &Signal) -> Next<Self> {
        if let Signal::ChildStopped { actor, reason } = signal {
            self.child_stopped(ctx, *actor, *reason);
            self.arm(ctx);
        }
        Next::Same
    }

    fn stopped(&mut self, ctx: &mut Context<Self>) {
        if let Some(recorder) = &mut self.recorder {
            recorder.write(ctx.now_ns(), true);
        }
    }
}
