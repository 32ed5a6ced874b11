//! Counters on all nodes of a cluster, and a store in memory.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainspring::device::Extension;
use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::entities::ToEntityKey;
use mainspring_sharding::ownership::shared_memory::SharedMemory;
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};
use mainspring_sharding::{Entities, EntityType, Sharding};

#[message]
pub struct Add {
    pub amount: u64,
    pub reply_to: Option<ActorRef<Sum>>,
}

#[message]
#[derive(Debug, PartialEq)]
pub struct Sum {
    pub sum: u64,
}

struct Counter {
    sum: u64,
    handled: Arc<AtomicU64>,
}

impl Actor for Counter {
    type Message = Add;

    fn receive(&mut self, ctx: &mut Context<Self>, add: &Archived<Add>) -> Next<Self> {
        self.sum += add.amount.to_native();
        self.handled.fetch_add(1, Ordering::Relaxed);
        if let Some(reply_to) = add.reply_to.as_ref() {
            ctx.tell(*reply_to, &Sum { sum: self.sum });
        }
        Next::Same
    }
}

/// See the module's header.
pub struct Town {
    pub sim: SimulatedCluster,
    pub store: SharedMemory,
    /// Which version each node runs from its next start.
    pub versions: Rc<RefCell<Vec<&'static str>>>,
    entities: Rc<RefCell<Vec<Option<Entities<Add>>>>>,
    shards: u32,
    handled: Arc<AtomicU64>,
    sent: u64,
}

impl Town {
    pub fn new(sim: Simulation, shards: u32) -> Town {
        Town::with(sim, move |_| shards, true)
    }

    /// Where the oldest member decides about owners.
    pub fn without_store(sim: Simulation, shards: u32) -> Town {
        Town::with(sim, move |_| shards, false)
    }

    /// The last node declares one shard more.
    pub fn disagreeing(sim: Simulation, shards: u32) -> Town {
        let last = sim.node_count() - 1;
        Town::with(sim, move |node| shards + u32::from(node == last), true)
    }

    fn with(sim: Simulation, shards_at: impl Fn(usize) -> u32 + 'static, has_store: bool) -> Town {
        let shards = shards_at(0);
        let store = SharedMemory::seeded(sim.seed());
        let handled = Arc::new(AtomicU64::new(0));
        let nodes = sim.node_count();
        let entities = Rc::new(RefCell::new(vec![None; nodes]));
        let versions = Rc::new(RefCell::new(vec!["1.0"; nodes]));
        let kept = Rc::new(RefCell::new(Vec::new()));
        kept.borrow_mut().resize_with(nodes, || None::<Sharding>);
        let sim = {
            let (store, handled) = (store.clone(), Arc::clone(&handled));
            let entities = Rc::clone(&entities);
            let versions = Rc::clone(&versions);
            let plan = SimulatedClusterPlan::of(sim)
                .cluster(move |node, cluster| cluster.app_version(versions.borrow()[node]));
            plan.install(move |node, _, seat| {
                if seat.core() == 0 {
                    let sharding = match has_store {
                        true => Sharding::new().in_cluster(store.opener(node)),
                        false => Sharding::new().in_cluster_without_store(),
                    };
                    let handled = Arc::clone(&handled);
                    let make = move |_: mainspring_sharding::EntityId<'_>| Counter {
                        sum: 0,
                        handled: Arc::clone(&handled),
                    };
                    let counters = EntityType::new("counter").shards(shards_at(node));
                    let declared = sharding.entities(counters, make).expect("a type");
                    entities.borrow_mut()[node] = Some(declared);
                    kept.borrow_mut()[node] = Some(sharding);
                }
                if let Some(sharding) = &kept.borrow()[node] {
                    sharding.install(seat);
                }
            })
        };
        let sim = sim.begin();
        Town { sim, store, versions, entities, shards, handled, sent: 0 }
    }

    fn at(&self, node: usize) -> Entities<Add> {
        self.entities.borrow()[node].clone().expect("the node has begun")
    }

    pub fn send(&mut self, node: usize, id: u64, amount: u64) {
        self.tell(node, id, Add { amount, reply_to: None });
    }

    fn tell(&mut self, node: usize, id: u64, add: Add) {
        let key = id.to_entity_key().expect("an id");
        let (region, message) = self.at(node).addressed(&key, &add).expect("a region");
        self.sim.at(node).core(region.core()).tell(region, &message);
        self.sent += 1;
    }

    /// The sum of an entity after an addition that a node sends.
    #[track_caller]
    pub fn add(&mut self, node: usize, id: u64, amount: u64) -> u64 {
        let probe = self.sim.at(node).probe::<Sum>();
        self.tell(node, id, Add { amount, reply_to: Some(probe.actor()) });
        probe.next().sum
    }

    pub fn sent(&self) -> u64 {
        self.sent
    }

    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    pub fn crash(&mut self, node: usize) {
        self.sim.crash(node);
    }

    /// How many shards the store says a node's present life to have.
    pub fn shards_of(&mut self, node: usize) -> usize {
        let owner = self.sim.incarnation(node);
        let records = (0..self.shards).filter_map(|shard| self.store.record("counter", shard));
        records.filter(|record| record.owner.node() == owner).count()
    }

    #[track_caller]
    pub fn assert_owned_within(&mut self, time: Duration) {
        let end = self.sim.now() + time;
        loop {
            let present = self.store.present();
            let is_owned = |shard| {
                let record = self.store.record("counter", shard);
                record.is_some_and(|record| present.contains(&record.owner.incarnation))
            };
            let missing: Vec<u32> = (0..self.shards).filter(|shard| !is_owned(*shard)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(self.sim.now() < end, "shards without an owner: {missing:?}");
            self.sim.run_for(Duration::from_millis(20));
        }
    }
}
