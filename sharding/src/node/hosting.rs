//! What the senders of a core and its region share: where messages for entities of one type go.
//!
//! A message goes straight to the actor of its entity when the shard is here and the entity is running; straight to the
//! owner's region when the shard is on another core; and to the region of its own core in every other case: the entity
//! is to be started, or is stopping, or the shard moves.
//!
//! Invariant: messages of one core for one shard do not overtake each other. Those that went to the core's own region
//! are numbered; while one of them may still be queued, later ones for the shard take the same way. A number whose
//! message was taken back by a failed turn is never seen, and the next one that is makes up for it.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainspring::context::Asked;
use mainspring::device::{ObserveTurns, TurnSample};
use mainspring::message::{Enclosed, LocalMessage, Message};
use mainspring::prelude::*;

use super::envelope::{Delivery, Envelope, RegionMessage};
use super::error::EntityTellError;
use super::figures::RegionFigures;
use super::parcel::Parcel;
use super::tenants::Tenants;
use crate::entities::{EntityKey, Lives, Residents, ShardLoads, State};
use crate::handoff::{Region as Shards, Route};
use crate::ownership::Epoch;
use crate::passivation::Passivation;

/// The regions of a core, by the hashes of their types' names: what an extension leaves there.
#[derive(Default)]
pub(crate) struct Regions {
    types: Vec<(u64, Rc<dyn Any>)>,
}

impl Regions {
    pub fn add<M: Message>(&mut self, entity_type: u64, hosting: Rc<Hosting<M>>) {
        self.types.push((entity_type, hosting));
    }

    /// The region of a type, if its entities take messages `M`.
    pub fn find<M: Message>(&self, entity_type: u64) -> Option<Rc<Hosting<M>>> {
        let (_, hosting) = self.types.iter().find(|(known, _)| *known == entity_type)?;
        Rc::clone(hosting).downcast().ok()
    }

    /// As [`find`](Self::find), for a message that is sent at once.
    #[inline]
    fn get<M: Message>(&self, entity_type: u64) -> Option<&Hosting<M>> {
        let (_, hosting) = self.types.iter().find(|(known, _)| *known == entity_type)?;
        hosting.downcast_ref()
    }

    /// The region that is this actor, if its entities take messages `M`.
    pub fn of_parent<M: Message>(&self, parent: Address) -> Option<Rc<Hosting<M>>> {
        let mut all = self.types.iter().filter_map(|(_, any)| {
            let hosting: Result<Rc<Hosting<M>>, _> = Rc::clone(any).downcast();
            hosting.ok()
        });
        all.find(|hosting| hosting.region.get().is_some_and(|region| region.address() == parent))
    }
}

/// The regions of one type on all cores of a node, once they are there.
pub(crate) struct Peers<M> {
    regions: Box<[OnceLock<ActorRef<RegionMessage<M>>>]>,
}

impl<M: Message> Peers<M> {
    pub fn new(cores: u16) -> Self {
        Peers { regions: (0..cores).map(|_| OnceLock::new()).collect() }
    }

    pub fn set(&self, core: u16, region: ActorRef<RegionMessage<M>>) {
        if let Some(place) = self.regions.get(usize::from(core)) {
            // A core installs its region once.
            let _ = place.set(region);
        }
    }

    pub fn cores(&self) -> u16 {
        self.regions.len() as u16
    }

    #[inline]
    pub fn get(&self, core: u16) -> Option<ActorRef<RegionMessage<M>>> {
        self.regions.get(usize::from(core)).and_then(|place| place.get().copied())
    }
}

/// The actor of an entity.
pub(crate) struct Tenant<M> {
    pub actor: ActorRef<M>,
    pub born_ns: u64,
}

impl<M> Clone for Tenant<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Tenant<M> {}

/// See the module's header.
pub(crate) struct Hosting<M> {
    pub core: u16,
    pub region: Cell<Option<ActorRef<RegionMessage<M>>>>,
    pub peers: Arc<Peers<M>>,
    pub tables: RefCell<Tables<M>>,
}

/// The tables of a region.
pub(crate) struct Tables<M> {
    pub shards: Shards<u16, Parcel<M>>,
    pub residents: Residents<Option<Tenant<M>>>,
    pub lives: Lives,
    pub passivation: Passivation,
    /// Which entity an actor is.
    pub tenants: Tenants,
    pub loads: ShardLoads,
    /// Whether anybody looks at the loads.
    pub counts_messages: bool,
    pub figures: RegionFigures,
    /// The number of the last message that went to the core's own region.
    pub last_way: u64,
    /// The highest number that it has seen.
    pub seen_way: u64,
    /// The number of each shard's last message that took this way.
    pub ways: Box<[u64]>,
    /// Bytes that may wait for shards that move.
    pub parked_limit_bytes: usize,
    /// Messages of this core wait for room on the way to another: later ones go behind them.
    pub is_behind: bool,
    /// Entities that asked to be stopped.
    pub asked_to_stop: Vec<Address>,
}

impl<M> Tables<M> {
    /// Counts a message for a shard, if anybody looks at what shards cost.
    #[inline]
    pub fn count_message(&mut self, shard: u32, origin: u16) {
        if self.counts_messages {
            self.loads.message(shard, origin);
        }
    }

    /// Whether no message of this core for the shard may still wait, for the core's own region or for room on the way
    /// from there.
    #[inline]
    fn is_clear(&self, shard: u32) -> bool {
        self.ways[shard as usize] <= self.seen_way && !self.is_behind
    }

    /// Whether one more message may wait for its shard: at least as large as its root.
    fn has_room_to_park(&self, id_bytes: usize, root_bytes: usize) -> bool {
        self.shards.parked().1 + id_bytes + root_bytes <= self.parked_limit_bytes
    }
}

impl<M: Message> ObserveTurns for Hosting<M> {
    /// An entity's turn is charged to its shard.
    fn turn_took(&self, sample: &TurnSample) {
        let tables = &mut *self.tables.borrow_mut();
        let resident = tables.tenants.get(sample.actor).and_then(|slot| tables.residents.get(slot));
        if let Some(resident) = resident {
            tables.loads.turn(resident.shard, sample.weighted_ns());
        }
    }
}

/// Where a message goes.
enum Way<M> {
    Entity(ActorRef<M>),
    Region(ActorRef<RegionMessage<M>>, Delivery),
}

/// Sends a message to an entity as part of the running turn.
#[inline]
pub(crate) fn tell<A: Actor, M: Message>(
    ctx: &mut Context<'_, A>,
    entity_type: u64,
    key: &EntityKey<'_>,
    message: &M,
) -> Result<(), EntityTellError> {
    match way(ctx, entity_type, key)? {
        Way::Entity(actor) => Ok(ctx.try_tell(actor, message)?),
        Way::Region(region, delivery) => {
            let enclosed = Enclosed::of(message)
                .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
            let message = (Envelope::Deliver(delivery), vec![enclosed]);
            Ok(ctx.try_tell(region, &message)?)
        }
    }
}

/// Asks an entity a question as part of the running turn.
pub(crate) fn ask<'c, A, M, R, F>(
    ctx: &'c mut Context<'_, A>,
    entity_type: u64,
    key: &EntityKey<'_>,
    request: impl FnOnce(ActorRef<R>) -> M,
    deadline: Duration,
    then: F,
) -> Result<Asked<'c>, EntityTellError>
where
    A: Actor,
    M: Message,
    R: LocalMessage,
    F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<R>, AskError>) -> Next<A> + Copy + 'static,
{
    match way(ctx, entity_type, key)? {
        Way::Entity(actor) => Ok(ctx.ask(actor, request, deadline, then)),
        Way::Region(region, delivery) => {
            // A request that is too large leaves its place empty, and the region refuses what has none.
            let request = |reply_to| {
                let enclosed = Enclosed::of(&request(reply_to));
                (Envelope::Deliver(delivery), enclosed.into_iter().collect())
            };
            Ok(ctx.ask(region, request, deadline, then))
        }
    }
}

#[inline]
fn way<A: Actor, M: Message>(
    ctx: &Context<'_, A>,
    entity_type: u64,
    key: &EntityKey<'_>,
) -> Result<Way<M>, EntityTellError> {
    let regions = ctx.shared_ref::<Regions>().ok_or(EntityTellError::UnknownType)?;
    let hosting = regions.get::<M>(entity_type).ok_or(EntityTellError::UnknownType)?;
    match hosting.running(key, ctx.now_ns()) {
        Some(actor) => Ok(Way::Entity(actor)),
        None => hosting.way_by_region(key),
    }
}

impl<M: Message> Hosting<M> {
    /// The actor of an entity that runs here and to which the way is clear. Counts a message for a shard that is here;
    /// others are counted where they arrive.
    #[inline]
    fn running(&self, key: &EntityKey<'_>, now_ns: u64) -> Option<ActorRef<M>> {
        let tables = &mut *self.tables.borrow_mut();
        let shard = tables.residents.shard_count().shard_of(key);
        if tables.shards.route(shard) != Route::Here {
            return None;
        }
        tables.count_message(shard, self.core);
        if !tables.is_clear(shard) {
            return None;
        }
        let found = tables.residents.find(key)?;
        let tenant = found.value.filter(|_| found.state == State::Active)?;
        tables.passivation.touch(found.slot, now_ns);
        Some(tenant.actor)
    }

    /// The way of a message that cannot go straight to its entity.
    #[inline(never)]
    fn way_by_region(&self, key: &EntityKey<'_>) -> Result<Way<M>, EntityTellError> {
        let tables = &mut *self.tables.borrow_mut();
        let shard = tables.residents.shard_count().shard_of(key);
        match tables.shards.route(shard) {
            Route::There(owner, epoch) if tables.is_clear(shard) => {
                let region = self.peers.get(owner).ok_or(TellError::Gone)?;
                return Ok(Way::Region(region, self.delivery(key, epoch, 0)));
            }
            Route::Park
                if !tables.has_room_to_park(key.as_bytes().len(), size_of::<M::Archived>()) =>
            {
                tables.figures.refused_moving += 1;
                return Err(EntityTellError::Moving);
            }
            _ => {}
        }
        tables.last_way += 1;
        let number = tables.last_way;
        tables.ways[shard as usize] = number;
        let region = self.region.get().ok_or(TellError::Gone)?;
        Ok(Way::Region(region, self.delivery(key, Epoch::NONE, number)))
    }

    pub fn delivery(&self, key: &EntityKey<'_>, epoch: Epoch, way: u64) -> Delivery {
        Delivery { from: self.core, epoch: epoch.0, way, id: key.as_bytes().to_vec() }
    }
}
