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
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mainspring::context::Asked;
use mainspring::device::{ObserveTurns, TurnSample};
use mainspring::message::{Enclosed, LocalMessage, Message};
use mainspring::prelude::*;

use super::abroad::{Introduction, Tenure};
use super::coordinator::Directive;
use super::envelope::{Delivery, Envelope, RegionMessage};
use super::error::EntityTellError;
use super::figures::RegionFigures;
use super::parcel::Parcel;
use super::tenants::Tenants;
use crate::entities::{EntityKey, Lives, Residents, ShardLoads, Slot, ToEntityKey, hash_of};
use crate::handoff::{Region as Shards, Route};
use crate::ownership::{Epoch, Place};
use crate::passivation::{BEAT_BITS, Passivation, beat_of};

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

    /// The region that is this actor, if its entities take messages `M`.
    pub fn of_parent<M: Message>(&self, parent: Address) -> Option<Rc<Hosting<M>>> {
        let mut all = self.types.iter().filter_map(|(_, any)| {
            let hosting: Result<Rc<Hosting<M>>, _> = Rc::clone(any).downcast();
            hosting.ok()
        });
        all.find(|hosting| hosting.region.get().is_some_and(|region| region.address() == parent))
    }
}

/// The regions of a core whose entities take messages `M`, by the hashes of their types' names: what a message is sent
/// by.
pub(crate) struct Ways<M> {
    types: Vec<(u64, Rc<Hosting<M>>)>,
}

impl<M: Message> Ways<M> {
    /// Those that were there, and one more, which takes the place of one with the same name.
    pub fn with(before: Option<Rc<Ways<M>>>, entity_type: u64, hosting: Rc<Hosting<M>>) -> Self {
        let before = before.iter().flat_map(|ways| &ways.types);
        let others = before.filter(|(known, _)| *known != entity_type).cloned();
        Ways { types: others.chain([(entity_type, hosting)]).collect() }
    }

    #[inline]
    fn get(&self, entity_type: u64) -> Option<&Hosting<M>> {
        let (_, hosting) = self.types.iter().find(|(known, _)| *known == entity_type)?;
        Some(hosting)
    }
}

/// The regions of one type on another node.
pub(crate) struct Abroad<M> {
    pub incarnation: u64,
    pub scheduler: ActorRef<Directive>,
    /// By core.
    pub regions: Arc<[ActorRef<RegionMessage<M>>]>,
}

impl<M> Clone for Abroad<M> {
    fn clone(&self) -> Self {
        let Abroad { incarnation, scheduler, ref regions } = *self;
        Abroad { incarnation, scheduler, regions: Arc::clone(regions) }
    }
}

/// The regions of one type on all cores of a node, once they are there, and what they have in common.
pub(crate) struct Peers<M> {
    incarnation: u64,
    /// Until when the node may use what it owns.
    pub tenure: Arc<Tenure>,
    /// Those of other nodes, by incarnation. Core 0 writes it; each region takes a copy when it is told to.
    abroad: Mutex<Vec<Abroad<M>>>,
    door: OnceLock<ActorRef<Introduction<M>>>,
    regions: Box<[OnceLock<ActorRef<RegionMessage<M>>>]>,
    /// Whether the node takes part: it has met all members, or is alone.
    has_begun: AtomicBool,
}

impl<M: Message> Peers<M> {
    pub fn new(incarnation: u64, cores: u16, tenure: Arc<Tenure>) -> Self {
        let regions = (0..cores).map(|_| OnceLock::new()).collect();
        let (abroad, door) = (Mutex::default(), OnceLock::new());
        let has_begun = AtomicBool::new(false);
        Peers { incarnation, tenure, abroad, door, regions, has_begun }
    }

    /// The node takes part from now on.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
    }

    /// Whether the node takes part.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Looks at the regions of other nodes, or changes them.
    pub fn abroad<T>(&self, look: impl FnOnce(&mut Vec<Abroad<M>>) -> T) -> T {
        look(&mut self.abroad.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The actor by which regions of different nodes meet, in a cluster.
    pub fn door(&self) -> Option<ActorRef<Introduction<M>>> {
        self.door.get().copied()
    }

    pub fn set_door(&self, door: ActorRef<Introduction<M>>) {
        // There is one.
        let _ = self.door.set(door);
    }

    /// A core of this node.
    pub fn place(&self, core: u16) -> Place {
        Place { incarnation: self.incarnation, core }
    }

    /// Whether a place is a core of this node.
    pub fn has(&self, place: Place) -> bool {
        place.incarnation == self.incarnation
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

/// The actor of an entity. With its id it fits a cache line.
pub(crate) struct Tenant<M> {
    pub actor: ActorRef<M>,
    /// The beat at which it was started; never 0.
    born: NonZeroU32,
    /// The beat of the last message that passivation was told of.
    touched: u32,
}

const _: () = assert!(size_of::<Option<Tenant<u64>>>() == 24);

impl<M> Tenant<M> {
    /// One that is started now.
    pub fn born(actor: ActorRef<M>, now_ns: u64) -> Self {
        let beat = beat_of(now_ns);
        Tenant { actor, born: NonZeroU32::new(beat).unwrap_or(NonZeroU32::MIN), touched: beat }
    }

    /// How long it has lived, at least. Beats begin anew every 52 days: then it is young again.
    pub fn lived_ns(&self, now_ns: u64) -> u64 {
        let beats = beat_of(now_ns).max(1).wrapping_sub(self.born.get());
        u64::from(beats.saturating_sub(1)) << BEAT_BITS
    }
}

impl<M> Clone for Tenant<M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<M> Copy for Tenant<M> {}

/// See the module's header.
pub(crate) struct Hosting<M> {
    pub place: Place,
    pub region: Cell<Option<ActorRef<RegionMessage<M>>>>,
    pub peers: Arc<Peers<M>>,
    /// The regions of other nodes as this core knows them, by incarnation.
    pub abroad: RefCell<Vec<Abroad<M>>>,
    pub tables: RefCell<Tables<M>>,
}

/// The tables of a region.
pub(crate) struct Tables<M> {
    pub shards: Shards<Place, Parcel<M>>,
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
    pub fn count_message(&mut self, shard: u32, origin: Place) {
        if self.counts_messages {
            self.loads.message(shard, origin.core);
        }
    }

    /// Whether no message of this core for the shard may still wait, for the core's own region or for room on the way
    /// from there.
    #[inline]
    fn is_clear(&self, shard: u32) -> bool {
        // Most of the time all have been seen.
        let is_seen = self.last_way == self.seen_way || self.ways[shard as usize] <= self.seen_way;
        is_seen && !self.is_behind
    }

    /// An entity gets a message: passivation is told once a beat.
    #[inline(never)]
    fn touch(&mut self, slot: Slot, now_ns: u64) {
        self.passivation.touch(slot, now_ns);
        if let Some(Some(tenant)) = self.residents.value_mut(slot) {
            tenant.touched = beat_of(now_ns);
        }
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

/// Sends a message to an entity as part of the running turn.
#[inline]
pub(crate) fn tell<A: Actor, M: Message>(
    ctx: &mut Context<'_, A>,
    entity_type: u64,
    id: &[u8],
    message: &M,
) -> Result<(), EntityTellError> {
    match running(ctx, entity_type, id) {
        Some(actor) => Ok(ctx.try_tell(actor, message)?),
        None => tell_region(ctx, entity_type, id, message),
    }
}

#[inline(never)]
fn tell_region<A: Actor, M: Message>(
    ctx: &mut Context<'_, A>,
    entity_type: u64,
    id: &[u8],
    message: &M,
) -> Result<(), EntityTellError> {
    let (region, delivery) = way_by_region(ctx, entity_type, id)?;
    let enclosed = Enclosed::of(message)
        .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
    Ok(ctx.try_tell(region, &(Envelope::Deliver(delivery), vec![enclosed]))?)
}

/// Asks an entity a question as part of the running turn.
pub(crate) fn ask<'c, A, M, R, F>(
    ctx: &'c mut Context<'_, A>,
    entity_type: u64,
    id: &[u8],
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
    if let Some(actor) = running(ctx, entity_type, id) {
        return Ok(ctx.ask(actor, request, deadline, then));
    }
    let (region, delivery) = way_by_region::<A, M>(ctx, entity_type, id)?;
    // A request that is too large leaves its place empty, and the region refuses what has none.
    let request = |reply_to| {
        let enclosed = Enclosed::of(&request(reply_to));
        (Envelope::Deliver(delivery), enclosed.into_iter().collect())
    };
    Ok(ctx.ask(region, request, deadline, then))
}

/// The actor of an entity, if that is where a message goes now. What cannot be an id is refused on the other way.
#[inline]
fn running<A: Actor, M: Message>(
    ctx: &Context<'_, A>,
    entity_type: u64,
    id: &[u8],
) -> Option<ActorRef<M>> {
    let hosting = ctx.shared_ref::<Ways<M>>()?.get(entity_type)?;
    hosting.running(hash_of(id), id, ctx.now_ns())
}

/// The region to which a message goes that cannot go straight to its entity.
fn way_by_region<A: Actor, M: Message>(
    ctx: &Context<'_, A>,
    entity_type: u64,
    id: &[u8],
) -> Result<(ActorRef<RegionMessage<M>>, Delivery), EntityTellError> {
    // The bytes may come from another program: they are looked at again.
    let key = id.to_entity_key()?;
    let ways = ctx.shared_ref::<Ways<M>>().ok_or(EntityTellError::UnknownType)?;
    ways.get(entity_type).ok_or(EntityTellError::UnknownType)?.way_by_region(&key)
}

impl<M: Message> Hosting<M> {
    /// The actor of an entity that runs here and to which the way is clear. Counts the message.
    #[inline(always)]
    fn running(&self, hash: u64, id: &[u8], now_ns: u64) -> Option<ActorRef<M>> {
        let tables = &mut *self.tables.borrow_mut();
        let (slot, shard, tenant) = tables.residents.find_active(hash, id)?;
        let Tenant { actor, touched, .. } = (*tenant)?;
        let is_ours = tables.shards.is_here(shard) && self.peers.tenure.holds(now_ns);
        if !is_ours || !tables.is_clear(shard) {
            return None;
        }
        tables.count_message(shard, self.place);
        if touched != beat_of(now_ns) {
            tables.touch(slot, now_ns);
        }
        Some(actor)
    }

    /// The way of a message that cannot go straight to its entity. Counts it if its shard is here; others are counted
    /// where they arrive.
    fn way_by_region(
        &self,
        key: &EntityKey<'_>,
    ) -> Result<(ActorRef<RegionMessage<M>>, Delivery), EntityTellError> {
        if self.peers.tenure.is_closed() {
            return Err(EntityTellError::Over);
        }
        let tables = &mut *self.tables.borrow_mut();
        let shard = tables.residents.shard_count().shard_of(key);
        match tables.shards.route(shard) {
            Route::There(owner, epoch) if tables.is_clear(shard) => {
                let region = self.region_of(owner).ok_or(TellError::Gone)?;
                return Ok((region, self.delivery(key, epoch, 0)));
            }
            Route::Park
                if !tables.has_room_to_park(key.as_bytes().len(), size_of::<M::Archived>()) =>
            {
                tables.figures.refused_moving += 1;
                return Err(EntityTellError::Moving);
            }
            Route::Here => tables.count_message(shard, self.place),
            _ => {}
        }
        tables.last_way += 1;
        let number = tables.last_way;
        tables.ways[shard as usize] = number;
        let region = self.region.get().ok_or(TellError::Gone)?;
        Ok((region, self.delivery(key, Epoch::NONE, number)))
    }

    /// The region of a place.
    #[inline]
    pub fn region_of(&self, place: Place) -> Option<ActorRef<RegionMessage<M>>> {
        if self.peers.has(place) {
            return self.peers.get(place.core);
        }
        let abroad = self.abroad.borrow();
        let at = abroad.binary_search_by_key(&place.incarnation, |known| known.incarnation).ok()?;
        abroad[at].regions.get(usize::from(place.core)).copied()
    }

    /// Who has shards moved on the node of a place that is not this one.
    pub fn scheduler_of(&self, place: Place) -> Option<ActorRef<Directive>> {
        let abroad = self.abroad.borrow();
        let at = abroad.binary_search_by_key(&place.incarnation, |known| known.incarnation).ok()?;
        Some(abroad[at].scheduler)
    }

    /// Whether this core knows the node of a place, its own or another one.
    #[inline]
    pub fn knows(&self, place: Place) -> bool {
        let known = |known: &Abroad<M>| known.incarnation;
        self.peers.has(place)
            || self.abroad.borrow().binary_search_by_key(&place.incarnation, known).is_ok()
    }

    pub fn delivery(&self, key: &EntityKey<'_>, epoch: Epoch, way: u64) -> Delivery {
        Delivery { from: self.place, epoch: epoch.0, way, id: key.as_bytes().to_vec() }
    }
}
