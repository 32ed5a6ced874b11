//! Entities of one type on all nodes of a simulated cluster: what a test of a cluster is written with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use mainspring::device::{Extension, Seat};
use mainspring::message::{Message, Reply};
use mainspring::prelude::*;
use mainspring::testkit::Probe;

use super::cluster::{SimulatedCluster, SimulatedClusterPlan};
use super::desk::{Desk, SendNext};
use super::watch::{Broken, Limits, Seen, Watch};
use crate::entities::ToEntityKey;
use crate::node::{
    DeclareError, Directive, Entities, EntityId, EntityTellError, EntityType, Hosting, MoveEnded,
    RegionFigures, Regions, Sharding,
};
use crate::ownership::Place;
use crate::ownership::shared_memory::SharedMemory;

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// How long figures are waited for.
const FIGURES_WITHIN: Duration = Duration::from_millis(100);

/// Entities of one type on all nodes of a [`SimulatedCluster`]. It is used as one: `carts.partition(..)`,
/// `carts.run_for(..)`, `carts.at(0)`.
///
/// ```
/// use std::time::Duration;
///
/// use mainspring::prelude::*;
/// use mainspring::testkit::Simulation;
/// use mainspring_sharding::EntityType;
/// use mainspring_sharding::ownership::shared_memory::SharedMemory;
/// use mainspring_sharding::testkit::SimulatedClusterPlan;
///
/// #[message]
/// pub struct Add {
///     pub sku: u64,
///     pub reply_to: ActorRef<Items>,
/// }
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Items {
///     pub count: u64,
/// }
///
/// #[derive(Default)]
/// struct Cart {
///     items: u64,
/// }
///
/// impl Actor for Cart {
///     type Message = Add;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
///         self.items += 1;
///         ctx.tell(add.reply_to, &Items { count: self.items });
///         Next::Same
///     }
/// }
///
/// let plan = SimulatedClusterPlan::of(Simulation::seeded(7).nodes(5));
/// let store = SharedMemory::seeded(7);
/// let mut carts = plan.entities(&store, EntityType::new("cart").shards(8), |_| Cart::default())?;
/// carts.assert_settled_within(Duration::from_secs(30)); // One view, every shard owned, nothing waits.
/// carts.partition([0, 1], [2, 3, 4]);
/// carts.run_for(Duration::from_secs(30)); // Virtual: the side of two gives up, the other one takes its shards.
/// carts.heal();
/// carts.restart(0);
/// carts.restart(1);
/// carts.assert_settled_within(Duration::from_secs(60));
/// let items: Items = carts.ask(0, "c-1", |reply_to| Add { sku: 1, reply_to })?;
/// assert_eq!(items.count, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SimulatedShards<M> {
    sim: SimulatedCluster,
    store: SharedMemory,
    name: String,
    shards: u32,
    lives: Rc<RefCell<Vec<Life<M>>>>,
    /// Of the cores from which something was sent, by the node's life.
    desks: BTreeMap<(u32, u16), Desk<M>>,
    /// Until when each node stands still.
    stalled_until_ns: Vec<u64>,
    watch: Watch,
}

/// The present life of a node.
struct Life<M> {
    sharding: Option<Sharding>,
    entities: Option<Entities<M>>,
    hostings: Vec<Rc<Hosting<M>>>,
}

impl SimulatedClusterPlan {
    /// All nodes begin, with entities of this type on all of them, which belong to whom the store says. `make` makes
    /// the one of an id.
    ///
    /// # Errors
    /// [`DeclareError`]: the type is not as it must be.
    ///
    /// # Panics
    /// As [`begin`](Self::begin).
    pub fn entities<A>(
        mut self,
        store: &SharedMemory,
        entity_type: EntityType,
        make: impl Fn(EntityId<'_>) -> A + Send + Sync + 'static,
    ) -> Result<SimulatedShards<A::Message>, DeclareError>
    where
        A: Actor,
        A::Message: Message,
    {
        let make = Arc::new(make);
        let declare = {
            let entity_type = entity_type.clone();
            move |sharding: &Sharding| {
                let make = Arc::clone(&make);
                sharding.entities(entity_type.clone(), move |id: EntityId<'_>| make(id))
            }
        };
        let shards = declare(&Sharding::new())?.shard_count();
        let nodes = self.sim.node_count();
        let life = |_| Life { sharding: None, entities: None, hostings: Vec::new() };
        let lives = Rc::new(RefCell::new((0..nodes).map(life).collect::<Vec<_>>()));
        let mut before = std::mem::replace(&mut self.install, Box::new(|_, _, _| {}));
        let (kept, opened) = (Rc::clone(&lives), store.clone());
        let plan = self.install(move |node, cluster, seat| {
            before(node, cluster, seat);
            let life = &mut kept.borrow_mut()[node];
            if seat.core() == 0 {
                let sharding = Sharding::new().in_cluster(opened.opener(node));
                // The same declaration was taken before.
                let entities = declare(&sharding).ok();
                *life = Life { sharding: Some(sharding), entities, hostings: Vec::new() };
            }
            life.install(seat);
        });
        let watch = Watch::new(shards, Limits::of(&entity_type));
        let (store, name) = (store.clone(), entity_type.name().to_owned());
        let (desks, stalled_until_ns) = (BTreeMap::new(), vec![0; nodes]);
        let sim = plan.begin();
        Ok(SimulatedShards { sim, store, name, shards, lives, desks, stalled_until_ns, watch })
    }
}

impl<M: Message> Life<M> {
    fn install(&mut self, seat: &mut Seat<'_>) {
        let (Some(sharding), Some(entities)) = (&self.sharding, &self.entities) else { return };
        sharding.install(seat);
        let regions = seat.shared::<Regions>();
        self.hostings.extend(regions.and_then(|regions| regions.find(entities.type_hash())));
    }
}

impl<M: Message> SimulatedShards<M> {
    /// The store that decides.
    pub fn store(&self) -> &SharedMemory {
        &self.store
    }

    /// How many shards the type has.
    pub fn shard_count(&self) -> u32 {
        self.shards
    }

    /// The entities, as the program of a node has them; none while the node has not begun.
    pub fn entities(&self, node: usize) -> Option<Entities<M>> {
        self.lives.borrow().get(node)?.entities.clone()
    }

    /// Sends a message to an entity from outside the cores of a node; it goes when the simulation runs.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was sent.
    pub fn tell(
        &mut self,
        node: usize,
        id: impl ToEntityKey,
        message: &M,
    ) -> Result<(), EntityTellError> {
        let entities = self.running(node)?;
        let (region, message) = entities.addressed(&id.to_entity_key()?, message)?;
        self.sim.at(node).core(region.core()).tell(region, &message);
        Ok(())
    }

    /// Has an actor of a core of a node send a message to an entity, when the simulation runs.
    ///
    /// # Errors
    /// [`EntityTellError`]: the node is not there, or the id cannot be one. What the core itself refuses,
    /// [`refused`](Self::refused) tells.
    pub fn tell_from(
        &mut self,
        (node, core): (usize, u16),
        id: impl ToEntityKey,
        message: M,
    ) -> Result<(), EntityTellError> {
        let to = self.running(node)?.entity(id)?;
        if core >= self.sim.core_count() {
            return Err(EntityTellError::UnknownType);
        }
        let life = self.sim.incarnation(node);
        let sim = &mut self.sim;
        let spawn = |clerk| sim.at(node).core(core).spawn(clerk);
        let desk = self.desks.entry((life, core)).or_insert_with(|| Desk::new(spawn));
        desk.put(to, message);
        self.sim.at(node).core(core).tell(desk.actor, &SendNext {});
        Ok(())
    }

    /// What was refused to the actor of a core that [`tell_from`](Self::tell_from) uses, since the last call.
    pub fn refused(&mut self, node: usize, core: u16) -> Vec<EntityTellError> {
        let life = self.sim.incarnation(node);
        self.desks.get(&(life, core)).map(Desk::take_refused).unwrap_or_default()
    }

    /// Asks an entity from outside the cores of a node, and lets time pass until it answers.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    ///
    /// # Panics
    /// When no answer comes.
    #[track_caller]
    pub fn ask<R: Reply>(
        &mut self,
        node: usize,
        id: impl ToEntityKey,
        request: impl FnOnce(ActorRef<R>) -> M,
    ) -> Result<R, EntityTellError> {
        let answer = self.sim.at(node).probe();
        self.tell(node, id, &request(answer.actor()))?;
        Ok(answer.next())
    }

    /// A core of the present life of a node, as the place of shards; none while the node has not begun.
    pub fn place(&self, node: usize, core: u16) -> Option<Place> {
        let lives = self.lives.borrow();
        lives.get(node)?.hostings.get(usize::from(core)).map(|hosting| hosting.place)
    }

    /// Asks a node to have a shard moved; how it ends comes to the probe. None while one of the nodes has not begun.
    pub fn begin_move(
        &mut self,
        asked: usize,
        shard: u32,
        (node, core): (usize, u16),
    ) -> Option<Probe<MoveEnded>> {
        let to = self.place(node, core)?;
        let coordinator = self.entities(asked)?.coordinator()?;
        let ended = self.sim.at(asked).probe();
        let reply_to = Some(ended.actor());
        self.sim.at(asked).tell(coordinator, &Directive::Move { shard, to, reply_to });
        Some(ended)
    }

    /// Who has a shard, as the store says: the node, if that life of it goes on, and the core.
    pub fn owner(&mut self, shard: u32) -> Option<(usize, u16)> {
        let owner = self.store.record(&self.name, shard)?.owner;
        let nodes = 0..self.sim.node_count();
        let node = { nodes }.find(|node| self.sim.incarnation(*node) == owner.node())?;
        Some((node, owner.core))
    }

    /// How many shards the store says a node's present life to have.
    pub fn shards_of(&mut self, node: usize) -> usize {
        let owners = 0..self.shards;
        owners.filter(|shard| self.owner(*shard).is_some_and(|owner| owner.0 == node)).count()
    }

    /// A node ends at once, as a process that is killed.
    pub fn crash(&mut self, node: usize) {
        let life = self.sim.incarnation(node);
        self.desks.retain(|(known, _), _| *known != life);
        self.stalled_until_ns[node] = 0;
        self.lives.borrow_mut()[node] =
            Life { sharding: None, entities: None, hostings: Vec::new() };
        self.sim.crash(node);
    }

    /// A node ends at once, as a process that is killed, and begins another life.
    ///
    /// # Panics
    /// As [`SimulatedClusterPlan::begin`].
    pub fn restart(&mut self, node: usize) {
        self.crash(node);
        self.sim.start(node);
    }

    /// No core of a node does anything for so much virtual time, and the node does not know.
    pub fn stall(&mut self, node: usize, pause: Duration) {
        let until_ns = (self.sim.now() + pause).as_nanos() as u64;
        self.stalled_until_ns[node] = until_ns;
        self.sim.stall(node, pause);
    }

    /// When a node stands still no more, in nanoseconds of virtual time; 0 if it has never stood still.
    pub fn awake_at_ns(&self, node: usize) -> u64 {
        self.stalled_until_ns[node]
    }

    /// What the region of a core has counted; none when it does not answer in time.
    pub fn figures(&mut self, node: usize, core: u16) -> Option<RegionFigures> {
        let entities = self.entities(node)?;
        let region = entities.region(core)?;
        let probe = self.sim.at(node).core(core).probe();
        let message = entities.ask_figures(probe.actor());
        self.sim.at(node).core(core).tell(region, &message);
        let end = self.sim.now() + FIGURES_WITHIN;
        while probe.waiting() == 0 && self.sim.now() < end {
            self.sim.run_for(Duration::from_millis(1));
        }
        let figures = (probe.waiting() > 0).then(|| probe.next());
        let actor = probe.actor();
        self.sim.stop(actor);
        figures
    }

    /// Whether what is promised of shards holds at this instant: of all places that say to have a shard at most one
    /// may use it, by the record that the store has made; no entity runs twice; a node without a lease stops its
    /// entities; bounds are kept.
    ///
    /// # Errors
    /// [`Broken`]: the first promise that does not.
    pub fn check(&mut self) -> Result<(), Broken> {
        let (now_ns, places) = (self.now_ns(), self.places());
        self.watch.look(now_ns, &places)?;
        for shard in 0..self.shards {
            let Some((place, epoch)) = self.watch.delivers(shard) else { continue };
            let record = self.store.record(&self.name, shard);
            let is_made = record.is_some_and(|record| {
                record.epoch.0 > epoch || record.epoch.0 == epoch && record.owner == place
            });
            if !is_made {
                return Err(Broken::NotByTheStore { shard, place, epoch });
            }
        }
        Ok(())
    }

    /// Whether all nodes that run see one cluster, every shard has come to rest with an owner, and nothing waits.
    ///
    /// # Errors
    /// [`Broken`]: the first promise that does not hold, or what has not come to rest.
    pub fn check_rest(&mut self) -> Result<(), Broken> {
        self.check()?;
        if !self.sim.has_one_view() {
            let what = "the nodes do not see one cluster".to_owned();
            return Err(Broken::NoRest { seconds: 0, what });
        }
        let (now_ns, places) = (self.now_ns(), self.places());
        self.watch.look_for_rest(now_ns, &places)?;
        for node in 0..self.sim.node_count() {
            for core in 0..self.sim.core_count() {
                let Some(place) = self.place(node, core) else { continue };
                let Some(figures) = self.figures(node, core) else {
                    let what = format!("the region at {place} does not answer");
                    return Err(Broken::NoRest { seconds: 0, what });
                };
                if figures.kept_bytes > 0 {
                    return Err(Broken::StillWaiting { place, bytes: figures.kept_bytes });
                }
            }
        }
        Ok(())
    }

    /// Every shard belongs to a node that is present, as the store says, within so much virtual time.
    ///
    /// # Panics
    /// When one does not.
    #[track_caller]
    pub fn assert_owned_within(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        loop {
            let present = self.store.present();
            let is_owned = |shard: &u32| {
                let record = self.store.record(&self.name, *shard);
                record.is_some_and(|record| present.contains(&record.owner.incarnation))
            };
            let missing: Vec<u32> = (0..self.shards).filter(|shard| !is_owned(shard)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(self.sim.now() < end, "shards without an owner: {missing:?}");
            self.sim.run_for(LOOK);
        }
    }

    /// All nodes that run come to one view, every shard to rest with an owner, and nothing waits any more, within so
    /// much virtual time; what is promised holds at every look until then.
    ///
    /// # Panics
    /// When they do not; the message says what is missing.
    #[track_caller]
    pub fn assert_settled_within(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        while let Err(missing) = self.check_rest() {
            assert!(self.sim.now() < end, "not settled within {time:?}: {missing}");
            if let Err(broken) = self.check() {
                panic!("{broken}");
            }
            self.sim.run_for(LOOK);
        }
    }

    /// What the watch has seen to deliver for a shard last.
    pub(super) fn delivers(&self, shard: u32) -> Option<(Place, u64)> {
        self.watch.delivers(shard)
    }

    pub(super) fn now_ns(&mut self) -> u64 {
        self.sim.now().as_nanos() as u64
    }

    fn running(&self, node: usize) -> Result<Entities<M>, EntityTellError> {
        self.entities(node).ok_or(EntityTellError::UnknownType)
    }

    /// The places of all nodes that live.
    fn places(&mut self) -> Vec<Seen<M>> {
        let now_ns = self.now_ns();
        let lives = self.lives.borrow();
        let mut places = Vec::new();
        for (node, life) in lives.iter().enumerate() {
            let is_awake = self.stalled_until_ns[node] <= now_ns;
            let incarnation = self.sim.incarnation(node);
            let living = life.hostings.iter().filter(|it| it.place.node() == incarnation);
            places.extend(living.map(|it| Seen { hosting: Rc::clone(it), is_awake }));
        }
        places
    }
}

impl<M> Deref for SimulatedShards<M> {
    type Target = SimulatedCluster;

    fn deref(&self) -> &SimulatedCluster {
        &self.sim
    }
}

impl<M> DerefMut for SimulatedShards<M> {
    fn deref_mut(&mut self) -> &mut SimulatedCluster {
        &mut self.sim
    }
}
