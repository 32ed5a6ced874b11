//! Nodes on one store, whatever store it is: time is virtual over memory and real over etcd.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainspring_sharding::ownership::shared_memory::{SharedMemory, StoreFaults};
use mainspring_sharding::ownership::{
    ClusterStore, Epoch, LeaseSettings, NodeRecord, OpenStore, Ownership, Place, RequestId,
    StoreAnswer, StoreNews, StoreQuestion, StoreRequest,
};

use crate::members::Members;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
/// The shortest that etcd grants.
pub const TTL_NS: u64 = 2 * SECOND;

enum Clock {
    Virtual(u64),
    Real(Instant),
}

type Open = Box<dyn Fn(usize) -> Box<dyn ClusterStore + Send>>;

/// Nodes and their store.
pub struct Scene {
    clock: Clock,
    open: Open,
    pub nodes: Vec<Node>,
    next_id: u64,
}

/// One node, and what it has heard.
pub struct Node {
    store: Option<Box<dyn ClusterStore + Send>>,
    pub incarnation: u64,
    pub until_ns: u64,
    pub heard: Vec<(u64, StoreNews)>,
}

impl Scene {
    pub fn in_memory() -> Scene {
        let lease = LeaseSettings::for_ttl(TTL_NS);
        let memory = SharedMemory::seeded(1).with_lease(lease);
        memory.set_faults(StoreFaults::delays());
        Scene::new(Clock::Virtual(0), Box::new(move |node| Box::new(memory.of(node))))
    }

    pub fn in_etcd(members: &Members) -> Scene {
        let settings = members.all().ttl_seconds((TTL_NS / SECOND) as u32);
        Scene::of(settings)
    }

    /// Real time, with what opens a store.
    pub fn of(settings: impl OpenStore) -> Scene {
        let open = move |_| settings.open().expect("the settings are right");
        Scene::new(Clock::Real(Instant::now()), Box::new(open))
    }

    fn new(clock: Clock, open: Open) -> Scene {
        Scene { clock, open, nodes: Vec::new(), next_id: 0 }
    }

    pub fn now_ns(&self) -> u64 {
        match self.clock {
            Clock::Virtual(now_ns) => now_ns,
            Clock::Real(since) => since.elapsed().as_nanos() as u64,
        }
    }

    /// One more node that has asked to be present. Which.
    pub fn add(&mut self) -> usize {
        let store = (self.open)(self.nodes.len());
        self.add_with(store)
    }

    pub fn add_with(&mut self, store: Box<dyn ClusterStore + Send>) -> usize {
        let node = self.nodes.len();
        let incarnation = node as u64 + 0x100;
        self.nodes.push(Node { store: Some(store), incarnation, until_ns: 0, heard: Vec::new() });
        node
    }

    /// One more node that is present.
    pub fn join(&mut self) -> usize {
        let node = self.add();
        self.register(node);
        node
    }

    pub fn register(&mut self, node: usize) {
        let id = self.ask_to_register(node);
        self.wait(30 * SECOND, "present", |scene| {
            scene.heard(node, &StoreNews::Registered(id)).is_some()
        });
    }

    pub fn ask_to_register(&mut self, node: usize) -> RequestId {
        let incarnation = self.nodes[node].incarnation;
        let address = format!("10.0.0.{node}:7355");
        self.ask(node, StoreQuestion::Register(NodeRecord { incarnation, address }))
    }

    pub fn ask(&mut self, node: usize, question: StoreQuestion) -> RequestId {
        self.next_id += 1;
        let (id, now_ns) = (RequestId(self.next_id), self.now_ns());
        let store = self.nodes[node].store.as_mut().expect("the node runs");
        store.ask(now_ns, id, question).expect("few questions wait");
        id
    }

    /// The node is no more.
    pub fn drop_node(&mut self, node: usize) {
        self.nodes[node].store = None;
    }

    pub fn poll(&mut self) {
        match &mut self.clock {
            Clock::Virtual(now_ns) => *now_ns += 5 * MS,
            Clock::Real(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        for node in 0..self.nodes.len() {
            let now_ns = self.now_ns();
            self.nodes[node].poll(now_ns);
        }
    }

    pub fn run(&mut self, for_ns: u64) {
        let end_ns = self.now_ns() + for_ns;
        while self.now_ns() < end_ns {
            self.poll();
        }
    }

    /// Polls until it is so.
    pub fn wait(&mut self, within_ns: u64, what: &str, is_so: impl Fn(&Scene) -> bool) {
        let end_ns = self.now_ns() + within_ns;
        while !is_so(self) {
            let ended = self.now_ns() >= end_ns;
            assert!(!ended, "not {what} within {within_ns} ns; heard: {:?}", self.last_heard());
            self.poll();
        }
    }

    fn last_heard(&self) -> Vec<Vec<&(u64, StoreNews)>> {
        self.nodes.iter().map(|node| node.heard.iter().rev().take(5).collect()).collect()
    }

    /// When a node first heard something.
    pub fn heard(&self, node: usize, news: &StoreNews) -> Option<u64> {
        self.nodes[node].heard.iter().find(|(_, it)| it == news).map(|(at_ns, _)| *at_ns)
    }

    pub fn place(&self, node: usize) -> Place {
        Place { incarnation: self.nodes[node].incarnation, core: 1 }
    }

    pub fn decide(&mut self, node: usize, request: StoreRequest<Place>) -> StoreAnswer<Place> {
        let id = self.ask(node, StoreQuestion::Ownership { entity_type: carts(), request });
        let find = |scene: &Scene| {
            scene.nodes[node].heard.iter().find_map(|(_, news)| match news {
                StoreNews::Answer(of, answer) if *of == id => Some(Some(*answer)),
                StoreNews::Failed(of, _) if *of == id => Some(None),
                _ => None,
            })
        };
        self.wait(10 * SECOND, "answered", |scene| find(scene).is_some());
        // What surely was not done is as good as unknown to who tries again.
        find(self).flatten().unwrap_or(StoreAnswer::Unknown)
    }

    pub fn take_over(&mut self, node: usize, shard: u32, expected: Epoch) -> StoreAnswer<Place> {
        let to = self.place(node);
        self.decide(node, StoreRequest::TakeOver { shard, expected, to })
    }

    pub fn owns(&mut self, node: usize, shard: u32, expected: Epoch) -> Ownership<Place> {
        match self.take_over(node, shard, expected) {
            StoreAnswer::Changed(record) => record,
            other => panic!("not taken: {other:?}"),
        }
    }

    pub fn give(&mut self, node: usize, to: usize, record: Ownership<Place>) -> StoreAnswer<Place> {
        let to = self.place(to);
        self.decide(node, StoreRequest::GiveAway { shard: 0, expected: record.epoch, to })
    }
}

impl Node {
    fn poll(&mut self, now_ns: u64) {
        let Some(store) = self.store.as_mut() else { return };
        let mut news = Vec::new();
        store.poll(now_ns, &mut news);
        for news in news {
            if let StoreNews::LeaseKept { until_ns } = news {
                self.until_ns = until_ns;
            }
            self.heard.push((now_ns, news));
        }
    }
}

pub fn carts() -> Arc<str> {
    Arc::from("cart")
}
