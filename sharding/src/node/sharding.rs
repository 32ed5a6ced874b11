//! Entities on a node: what a program declares before it starts, and gives to its node.

use std::cell::OnceCell;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mainspring::device::{Extension, NodePlan, ObserveTurns, Seat};
use mainspring::message::Message;
use mainspring::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::abroad::{
    Door, KEPT_SHARDS_LIMIT, Outland, Scheduler, Source, StoreDesk, StoreDevice, Tenure,
};
use super::coordinator::{Coordinator, Directive};
use super::entities::{Entities, TypeShared};
use super::entity_id::EntityId;
use super::entity_type::EntityType;
use super::error::DeclareError;
use super::hosting::{Hosting, Peers, Regions, Tables, Ways};
use super::moving::COORDINATOR_CORE;
use super::region::{Make, Region};
use super::tenants::Tenants;
use super::type_board::TypeBoard;
use super::types_file;
use crate::allocation::Allocator;
use crate::cluster::ClusterHandle;
use crate::entities::{Lives, MOST_RESIDENTS, Residents, ShardCount, ShardLoads};
use crate::handoff;
use crate::ownership::{ClusterStore, NodeRecord, OpenStore, Place};
use crate::passivation::Passivation;

/// Room for entities that are stopping, however few may be active.
const STOPPING: u32 = 1_024;

/// The entities of a node.
///
/// Types are declared before the node starts; it is given to the node that has them. Clones are the same.
///
/// ```
/// use mainspring::prelude::*;
/// use mainspring_sharding::{EntityType, Sharding};
///
/// #[message]
/// pub struct Deposit {
///     pub amount: u64,
///     pub reply_to: ActorRef<Balance>,
/// }
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Balance {
///     pub amount: u64,
/// }
///
/// #[derive(Default)]
/// struct Account {
///     balance: u64,
/// }
///
/// impl Actor for Account {
///     type Message = Deposit;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, deposit: &Archived<Deposit>) -> Next<Self> {
///         self.balance += deposit.amount.to_native();
///         ctx.tell(deposit.reply_to, &Balance { amount: self.balance });
///         Next::Same
///     }
/// }
///
/// let sharding = Sharding::new();
/// let accounts = sharding.entities(EntityType::new("account"), |_| Account::default())?;
/// let node = Node::builder().with(sharding).start()?;
/// let client = node.client();
/// let second = std::time::Duration::from_secs(1);
/// let deposit = |amount| move |reply_to| Deposit { amount, reply_to };
/// accounts.ask(&client, "iban-42", deposit(5), second)?.wait()?;
/// assert_eq!(accounts.ask(&client, "iban-42", deposit(2), second)?.wait()?, Balance { amount: 7 });
/// node.shutdown(second)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Sharding {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    directory: Option<PathBuf>,
    types: Mutex<Vec<Declared>>,
    cores: OnceLock<u16>,
    clustered: OnceLock<Clustered>,
    cluster: OnceLock<ClusterHandle>,
}

/// What entities of all nodes of a cluster need.
struct Clustered {
    /// None: the oldest member decides.
    store: Option<Arc<dyn OpenStore>>,
    /// Opened before the cores run: a thread of the store's is not to share theirs.
    opened: Mutex<Option<Box<dyn ClusterStore + Send>>>,
    tenure: Arc<Tenure>,
}

/// A type, and how its region is put onto a core.
struct Declared {
    hash: u64,
    name: String,
    shards: u32,
    keeps_journal: bool,
    board: Arc<TypeBoard>,
    install: Install,
}

type Install = Box<dyn Fn(&mut Seat<'_>, &mut Regions, &Home) + Send + Sync>;

/// What the types of a core have in common.
struct Home {
    incarnation: u64,
    tenure: Arc<Tenure>,
    /// In a cluster, on the core that decides.
    cluster: Option<(ClusterHandle, Option<Rc<StoreDesk>>)>,
    is_clustered: bool,
}

impl fmt::Debug for Sharding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self.inner.types.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<&str> = types.iter().map(|declared| declared.name.as_str()).collect();
        f.debug_struct("Sharding").field("types", &names).finish_non_exhaustive()
    }
}

impl Sharding {
    /// No entities yet. The number of shards of a type is not remembered from one start of the program to the next,
    /// which is right for entities that keep nothing.
    pub fn new() -> Self {
        Sharding::default()
    }

    /// No entities yet. A file in this directory remembers how many shards each type has, and another number is
    /// refused.
    pub fn stored_in(directory: impl Into<PathBuf>) -> Self {
        let inner = Inner { directory: Some(directory.into()), ..Inner::default() };
        Sharding { inner: Arc::new(inner) }
    }

    /// The entities are those of all nodes of a cluster, and the store decides which of them has which shard. The node
    /// gets its [`Cluster`](crate::cluster::Cluster) before this.
    ///
    /// A node that is no member any more, or that has lost its lease at the store, stops its entities at once and
    /// refuses messages for them; it has to start again. Entities are balanced over nodes by the number of their
    /// shards. What a journal keeps does not go with a shard from node to node, so types of event-sourced entities and
    /// of durable state are refused: they are for a node alone.
    pub fn in_cluster(self, store: impl OpenStore) -> Self {
        self.clustered(Some(Arc::new(store)), Tenure::none())
    }

    /// As [`in_cluster`](Self::in_cluster), without a store: the oldest member decides which node has which shard.
    ///
    /// **This promises less.** What the members agree on decides, and while two sides of a broken network both take
    /// themselves for the cluster, each has every entity: a [resolver](crate::cluster::Cluster::resolver) puts one side
    /// down, some seconds later. It is for entities that keep nothing and whose effects may happen twice. A type has at
    /// most 4,096 shards.
    pub fn in_cluster_without_store(self) -> Self {
        self.clustered(None, Tenure::unlimited())
    }

    /// Whether a type can be one of all nodes of a cluster, if it is to be.
    fn check_in_cluster(
        &self,
        name: &str,
        shards: u32,
        keeps_journal: bool,
    ) -> Result<(), DeclareError> {
        let Some(clustered) = self.inner.clustered.get() else { return Ok(()) };
        if keeps_journal {
            return Err(DeclareError::KeepsJournal { name: name.to_owned() });
        }
        if clustered.store.is_none() && shards > KEPT_SHARDS_LIMIT {
            let (name, limit) = (name.to_owned(), KEPT_SHARDS_LIMIT);
            return Err(DeclareError::NeedsStore { name, shards, limit });
        }
        Ok(())
    }

    fn clustered(self, store: Option<Arc<dyn OpenStore>>, tenure: Tenure) -> Self {
        // The first choice stays.
        let (opened, tenure) = (Mutex::default(), Arc::new(tenure));
        let _ = self.inner.clustered.set(Clustered { store, opened, tenure });
        self
    }

    /// Declares a type of entities. `make` makes the one of an id, on the core that its shard is on, when the first
    /// message for it comes; again whenever a message comes and it is not running.
    ///
    /// # Errors
    /// [`DeclareError`]; nothing has changed.
    pub fn entities<A>(
        &self,
        entity_type: EntityType,
        make: impl Fn(EntityId<'_>) -> A + Send + Sync + 'static,
    ) -> Result<Entities<A::Message>, DeclareError>
    where
        A: Actor,
        A::Message: Message,
    {
        let shard_count = entity_type.checked()?;
        let name = entity_type.name.clone();
        let hash = xxh3_64(name.as_bytes());
        let shards = shard_count.get();
        self.check_in_cluster(&name, shards, A::KEEPS_JOURNAL)?;
        let mut types = self.inner.types.lock().unwrap_or_else(PoisonError::into_inner);
        if self.inner.cores.get().is_some() {
            return Err(DeclareError::Started { name });
        }
        if let Some(other) = types.iter().find(|declared| declared.hash == hash) {
            return Err(DeclareError::Taken { name, other: other.name.clone() });
        }
        let board = Arc::new(TypeBoard::new(shard_count.get()));
        let shared = Arc::new(TypeShared::<A::Message>::new(Arc::clone(&board)));
        let entities = Entities::new(hash, shard_count, Arc::clone(&shared));
        let make: Make<A> = Arc::new(make);
        let install = Box::new(move |seat: &mut Seat<'_>, regions: &mut Regions, home: &Home| {
            install(seat, regions, home, hash, &entity_type, shard_count, &shared, &make);
        });
        let keeps_journal = A::KEEPS_JOURNAL;
        types.push(Declared { hash, name, shards, keeps_journal, board, install });
        Ok(entities)
    }
}

/// Puts the region of a type onto a core.
#[allow(clippy::too_many_arguments, reason = "what a declaration has kept, and where it goes")]
fn install<A>(
    seat: &mut Seat<'_>,
    regions: &mut Regions,
    home: &Home,
    hash: u64,
    entity_type: &EntityType,
    shard_count: ShardCount,
    shared: &TypeShared<A::Message>,
    make: &Make<A>,
) where
    A: Actor,
    A::Message: Message,
{
    let (core, cores) = (seat.core(), seat.cores());
    let made = || Arc::new(Peers::new(home.incarnation, cores, Arc::clone(&home.tenure)));
    let peers = Arc::clone(shared.peers.get_or_init(made));
    let place = peers.place(core);
    if core == COORDINATOR_CORE {
        let coordinator = match &home.cluster {
            Some(cluster) => {
                let outland = Outland::new(Arc::clone(&peers), Arc::clone(&shared.board));
                scheduler(seat, cluster, outland, entity_type, shard_count)
            }
            None => coordinator(seat, &peers, entity_type, shard_count),
        };
        match coordinator {
            Ok(coordinator) => drop(shared.coordinator.set(coordinator)),
            Err(error) => {
                tracing::error!(name = entity_type.name, %error, "a type has no coordinator");
            }
        }
    }
    let tables = match tables(place, cores, home.is_clustered, entity_type, shard_count) {
        Ok(tables) => tables,
        Err(error) => {
            tracing::error!(core, name = entity_type.name, %error, "a type has no region");
            return;
        }
    };
    let hosting = Rc::new(Hosting {
        place,
        region: std::cell::Cell::new(None),
        peers: Arc::clone(&peers),
        abroad: std::cell::RefCell::default(),
        tables: std::cell::RefCell::new(tables),
    });
    let coordinator = Arc::clone(&shared.coordinator);
    let is_alone = !home.is_clustered;
    let region =
        Region::new(Rc::clone(&hosting), Arc::clone(make), coordinator, entity_type, is_alone);
    match seat.spawn(region) {
        Ok(region) => {
            hosting.region.set(Some(region));
            peers.set(core, region);
            shared.board.add_core();
            if entity_type.looks_at_turn_time() {
                seat.observe_turns(Rc::clone(&hosting) as Rc<dyn ObserveTurns>);
            }
            let ways = Ways::with(seat.shared(), hash, Rc::clone(&hosting));
            seat.share(Rc::new(ways));
            regions.add(hash, hosting);
        }
        Err(error) => {
            tracing::error!(core, name = entity_type.name, %error, "a type has no region");
        }
    }
}

/// The coordinator of a type on a node alone.
fn coordinator<M: Message>(
    seat: &mut Seat<'_>,
    peers: &Arc<Peers<M>>,
    entity_type: &EntityType,
    shard_count: ShardCount,
) -> Result<ActorRef<Directive>, Box<dyn Error>> {
    let (peers, settings) = (Arc::clone(peers), entity_type.rebalance);
    let cores = seat.cores();
    Ok(seat.spawn(Coordinator::new(peers, cores, shard_count, settings)?)?)
}

/// The scheduler of a type on a node in a cluster, and the door beside it.
fn scheduler<M: Message>(
    seat: &mut Seat<'_>,
    (cluster, desk): &(ClusterHandle, Option<Rc<StoreDesk>>),
    outland: Outland<M>,
    entity_type: &EntityType,
    shard_count: ShardCount,
) -> Result<ActorRef<Directive>, Box<dyn Error>> {
    let (name, shards) = (entity_type.name.as_str(), shard_count.get());
    let (peers, outland) = (Arc::clone(&outland.peers), Rc::new(outland));
    let allocator = Allocator::new(entity_type.allocation)?;
    let hears: Rc<OnceCell<ActorRef<Directive>>> = Rc::default();
    let source = match desk {
        None => {
            outland.neighbours.borrow_mut().set_present();
            Source::members(peers.place(0).incarnation, shards)
        }
        Some(desk) => {
            let hears = Rc::clone(&hears);
            let listener = desk.listen(Rc::new(move |turn, news| {
                if let Some(scheduler) = hears.get() {
                    turn.run(*scheduler, |scheduler: &mut Scheduler<M>, ctx| {
                        scheduler.news(ctx, news);
                        Next::Same
                    });
                }
            }));
            Source::Store { desk: Rc::clone(desk), listener }
        }
    };
    let asks = (cluster.clone(), source);
    let scheduler = Scheduler::new(asks, Rc::clone(&outland), (name, shards), allocator);
    let scheduler = seat.spawn(scheduler)?;
    let _ = hears.set(scheduler);
    let role = entity_type.role.clone();
    let door = Door::new(cluster.clone(), outland, scheduler, shards, (name, role));
    peers.set_door(seat.spawn(door)?);
    Ok(scheduler)
}

/// The tables of a region. What was declared has been checked, but for what depends on the number of cores.
fn tables<M: Message>(
    place: Place,
    cores: u16,
    is_clustered: bool,
    entity_type: &EntityType,
    shard_count: ShardCount,
) -> Result<Tables<M>, Box<dyn Error>> {
    let settings = handoff::Settings {
        parked_limit_bytes: entity_type.parked_limit_bytes,
        stop_within_ns: entity_type.stop_within_ns,
        ..handoff::Settings::default()
    };
    let places = (0..cores).map(|core| Place { core, ..place });
    let shards = match is_clustered {
        true => handoff::Region::joining(place, places, shard_count.get(), settings),
        false => handoff::Region::new(place, places, shard_count.get(), settings),
    };
    Ok(Tables {
        shards,
        residents: Residents::new(shard_count, residents_limit(entity_type))?,
        lives: Lives::new(entity_type.lives)?,
        passivation: Passivation::new(entity_type.passivation())?,
        loads: ShardLoads::new(shard_count, u32::from(cores))?,
        tenants: Tenants::default(),
        counts_messages: entity_type.looks_at_loads(),
        figures: super::figures::RegionFigures::default(),
        last_way: 0,
        seen_way: 0,
        ways: vec![0; shard_count.get() as usize].into(),
        parked_limit_bytes: entity_type.parked_limit_bytes,
        is_behind: false,
        asked_to_stop: Vec::new(),
    })
}

/// Entities that are stopping, or in trouble, need room beside the active ones.
fn residents_limit(entity_type: &EntityType) -> u32 {
    let active = entity_type.at_most;
    let stopping = active / 4 + STOPPING;
    let limit = active.saturating_add(stopping).saturating_add(entity_type.lives.most_troubled);
    limit.min(MOST_RESIDENTS)
}

impl Extension for Sharding {
    fn name(&self) -> &'static str {
        "sharding"
    }

    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let types = self.inner.types.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were declared before it was said that they are of a cluster.
        for declared in types.iter() {
            self.check_in_cluster(&declared.name, declared.shards, declared.keeps_journal)?;
        }
        if let Some(directory) = &self.inner.directory {
            let types = types.iter().map(|declared| (declared.name.as_str(), declared.shards));
            types_file::agree(Path::new(directory), types)?;
        }
        let _ = self.inner.cores.set(node.cores);
        if let Some(Clustered { store: Some(store), opened, .. }) = self.inner.clustered.get() {
            *opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(store.open()?);
        }
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        let _ = self.inner.cores.set(seat.cores());
        let home = match self.home(seat) {
            Ok(home) => home,
            Err(error) => return tracing::error!(%error, "this node has no entities"),
        };
        let types = self.inner.types.lock().unwrap_or_else(PoisonError::into_inner);
        let mut regions = Regions::default();
        for declared in types.iter() {
            (declared.install)(seat, &mut regions, &home);
        }
        seat.share(Rc::new(regions));
    }
}

impl Sharding {
    /// The number of cores, once the node has started.
    pub(super) fn started_cores(&self) -> Option<u16> {
        self.inner.cores.get().copied()
    }

    /// Whether the entities are those of a cluster.
    pub(super) fn is_clustered(&self) -> bool {
        self.inner.clustered.get().is_some()
    }

    /// The cluster, once the node has started in one.
    pub(super) fn cluster(&self) -> Option<ClusterHandle> {
        self.inner.cluster.get().cloned()
    }

    /// Whether this node may not use what it owns any more, for good.
    pub(super) fn has_ended(&self) -> bool {
        self.inner.clustered.get().is_some_and(|it| it.tenure.is_closed())
    }

    /// What is written down of each type, in the order of their declarations.
    pub(super) fn boards(&self) -> Vec<(String, Arc<TypeBoard>)> {
        let types = self.inner.types.lock().unwrap_or_else(PoisonError::into_inner);
        types.iter().map(|known| (known.name.clone(), Arc::clone(&known.board))).collect()
    }

    /// What the types of a core have in common. In a cluster the first core gets the desk of the store.
    fn home(&self, seat: &mut Seat<'_>) -> Result<Home, Box<dyn Error>> {
        let node = seat.incarnation();
        let Some(Clustered { store, opened, tenure }) = self.inner.clustered.get() else {
            let (incarnation, tenure) = (u64::from(node), Arc::new(Tenure::unlimited()));
            return Ok(Home { incarnation, tenure, cluster: None, is_clustered: false });
        };
        let cluster = seat.shared::<ClusterHandle>().ok_or(NO_CLUSTER)?;
        let _ = self.inner.cluster.set(ClusterHandle::clone(&cluster));
        let (incarnation, address) = cluster.own_record(node).ok_or(NO_CLUSTER)?;
        let tenure = Arc::clone(tenure);
        let mut home = Home { incarnation, tenure, cluster: None, is_clustered: true };
        if seat.core() == COORDINATOR_CORE {
            self.require(&cluster, store.is_some());
            let desk = match store {
                Some(store) => {
                    let opened = opened.lock().unwrap_or_else(PoisonError::into_inner).take();
                    let mut store = opened.map_or_else(|| store.open(), Ok)?;
                    store.use_alarm(seat.alarm());
                    let record = NodeRecord { incarnation, address };
                    let desk = Rc::new(StoreDesk::new(store, record, Arc::clone(&home.tenure)));
                    seat.add_device(Box::new(StoreDevice(Rc::clone(&desk))));
                    Some(desk)
                }
                None => {
                    tracing::warn!(
                        "no store decides about owners of shards: while the network is broken, an entity may run on \
                         both sides of it until one side is down"
                    );
                    None
                }
            };
            home.cluster = Some((ClusterHandle::clone(&cluster), desk));
        }
        Ok(home)
    }
}

impl Sharding {
    /// What all members have to agree on.
    fn require(&self, cluster: &ClusterHandle, has_store: bool) {
        let owners = if has_store { "decided by a store" } else { "decided by the oldest member" };
        cluster.require("sharding.owners", owners);
        for declared in self.inner.types.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let shards = format!("{} shards", declared.shards);
            cluster.require(format!("sharding.{}", declared.name), shards);
        }
    }
}

const NO_CLUSTER: &str =
    "entities of a cluster on a node without one: give the node its cluster first";
