//! A clerk of whom the cluster has one, and who sees how many of it run.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainspring::device::Extension;
use mainspring::prelude::*;
use mainspring::testkit::Simulation;
use mainspring_sharding::node::RegionFigures;
use mainspring_sharding::ownership::shared_memory::SharedMemory;
use mainspring_sharding::testkit::{SimulatedCluster, SimulatedClusterPlan};
use mainspring_sharding::{Sharding, Singleton, SingletonProxy};

#[message]
#[derive(Clone)]
pub enum Letter {
    /// How many letters it has had.
    Stamp { reply_to: Option<ActorRef<Stamped>> },
    /// So large that few of them find room.
    Parcel { bytes: Vec<u8> },
    /// It stops of itself.
    GoHome,
    /// It fails.
    Stumble,
}

#[message]
#[derive(Debug, PartialEq)]
pub struct Stamped {
    pub node: u64,
    pub letters: u64,
}

/// What was seen of clerks.
#[derive(Default)]
pub struct Register {
    /// The nodes on which one runs.
    pub running: Vec<usize>,
    /// The most that ran at a time.
    pub most: usize,
    /// On which node one was started, and when.
    pub starts: Vec<(usize, u64)>,
    pub letters: u64,
}

struct Clerk {
    node: usize,
    letters: u64,
    register: Arc<Mutex<Register>>,
}

impl Actor for Clerk {
    type Message = Letter;

    fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
        self.register.lock().expect("a test").starts.push((self.node, ctx.now_ns()));
        Next::Same
    }

    fn receive(&mut self, ctx: &mut Context<Self>, letter: &Archived<Letter>) -> Next<Self> {
        match letter {
            ArchivedLetter::Stamp { reply_to } => {
                self.letters += 1;
                self.register.lock().expect("a test").letters += 1;
                if let Some(reply_to) = reply_to.as_ref() {
                    let stamped = Stamped { node: self.node as u64, letters: self.letters };
                    ctx.tell(*reply_to, &stamped);
                }
                Next::Same
            }
            ArchivedLetter::Parcel { .. } => Next::Same,
            ArchivedLetter::GoHome => Next::Stop,
            ArchivedLetter::Stumble => panic!("the clerk stumbles"),
        }
    }
}

impl Drop for Clerk {
    fn drop(&mut self) {
        let running = &mut self.register.lock().expect("a test").running;
        running.retain(|node| *node != self.node);
    }
}

/// See the module's header.
pub struct Office {
    pub sim: SimulatedCluster,
    pub store: SharedMemory,
    pub register: Arc<Mutex<Register>>,
    proxies: Rc<RefCell<Vec<Option<SingletonProxy<Letter>>>>>,
    shardings: Rc<RefCell<Vec<Option<Sharding>>>>,
}

impl Office {
    /// All nodes but these begin; those of `clerks` have the role.
    pub fn new(sim: Simulation, clerks: &[usize], later: &[usize], singleton: Singleton) -> Office {
        let store = SharedMemory::seeded(sim.seed());
        let register = Arc::new(Mutex::new(Register::default()));
        let proxies = Rc::new(RefCell::new(vec![None; sim.node_count()]));
        let shardings = Rc::new(RefCell::new(vec![None::<Sharding>; sim.node_count()]));
        let plan = {
            let (store, register) = (store.clone(), Arc::clone(&register));
            let (proxies, shardings) = (Rc::clone(&proxies), Rc::clone(&shardings));
            let clerks = clerks.to_vec();
            let plan = SimulatedClusterPlan::of(sim).cluster(move |node, cluster| {
                if clerks.contains(&node) { cluster.role("clerks") } else { cluster }
            });
            plan.install(move |node, _, seat| {
                if seat.core() == 0 {
                    let sharding = Sharding::new().in_cluster(store.opener(node));
                    let register = Arc::clone(&register);
                    let make = move || {
                        let seen = &mut *register.lock().expect("a test");
                        seen.running.push(node);
                        seen.most = seen.most.max(seen.running.len());
                        Clerk { node, letters: 0, register: Arc::clone(&register) }
                    };
                    let proxy = sharding.singleton(singleton.clone().role("clerks"), make);
                    proxies.borrow_mut()[node] = Some(proxy.expect("a singleton"));
                    shardings.borrow_mut()[node] = Some(sharding);
                }
                if let Some(sharding) = &shardings.borrow()[node] {
                    sharding.install(seat);
                }
            })
        };
        Office { sim: plan.begin_but(later), store, register, proxies, shardings }
    }

    pub fn proxy(&self, node: usize) -> SingletonProxy<Letter> {
        self.proxies.borrow()[node].clone().expect("the node has begun")
    }

    pub fn sharding(&self, node: usize) -> Sharding {
        self.shardings.borrow()[node].clone().expect("the node has begun")
    }

    pub fn send(&mut self, node: usize, letter: &Letter) {
        let (region, message) = self.proxy(node).addressed(letter).expect("a region");
        self.sim.at(node).core(region.core()).tell(region, &message);
    }

    /// Which clerk answers a letter that a node sends, and how many it has had.
    #[track_caller]
    pub fn stamp(&mut self, node: usize) -> (usize, u64) {
        let probe = self.sim.at(node).probe::<Stamped>();
        self.send(node, &Letter::Stamp { reply_to: Some(probe.actor()) });
        let stamped = probe.next();
        (stamped.node as usize, stamped.letters)
    }

    /// What the region of the core has counted that letters from outside come to on a node.
    pub fn figures(&mut self, node: usize) -> RegionFigures {
        let probe = self.sim.at(node).probe::<RegionFigures>();
        let proxy = self.proxy(node);
        let region = proxy.entities().region(0).expect("the node has begun");
        let message = proxy.entities().ask_figures(probe.actor());
        self.sim.at(node).core(0).tell(region, &message);
        probe.next()
    }

    pub fn running(&self) -> Vec<usize> {
        self.register.lock().expect("a test").running.clone()
    }

    pub fn most(&self) -> usize {
        self.register.lock().expect("a test").most
    }

    pub fn starts(&self) -> Vec<(usize, u64)> {
        self.register.lock().expect("a test").starts.clone()
    }

    /// It comes to run on this node, and nowhere else.
    #[track_caller]
    pub fn assert_runs_within(&mut self, node: usize, time: Duration) {
        let end = self.sim.now() + time;
        while self.running() != [node] {
            assert!(self.sim.now() < end, "it runs on {:?}, not on {node}", self.running());
            self.sim.run_for(Duration::from_millis(20));
        }
    }
}
