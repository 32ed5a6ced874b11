//! Clusters on the simulator: nodes with links and membership, in one thread and in virtual time.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use mainspring::device::Seat;
use mainspring::testkit::Simulation;
use mainspring_transport::testkit::SimulatedLinks;

use crate::cluster::{Cluster, ClusterHandle, MemberView};
use crate::downing::Strategy;
use crate::membership::{Status, StopReason};

/// What the clocks of the nodes say when the simulation begins.
const BEGINS: Duration = Duration::from_secs(1_800_000_000);
/// The first so many nodes are seeds.
const SEEDS: usize = 3;
/// Between two looks at a cluster that is to agree.
const LOOK: Duration = Duration::from_millis(20);

type Change = Box<dyn FnMut(usize, Cluster) -> Cluster>;
pub(super) type Install = Box<dyn FnMut(usize, &ClusterHandle, &mut Seat<'_>)>;

/// A simulated cluster, before it begins.
pub struct SimulatedClusterPlan {
    pub(super) sim: Simulation,
    change: Change,
    pub(super) install: Install,
}

/// A [`Simulation`] whose nodes are a cluster. It is used as one: `sim.at(0)`, `sim.run_for(..)`; and as
/// [`SimulatedLinks`], with partitions and stalls.
///
/// Node `n` listens at [`SimulatedLinks::address_of`]; the first three are seeds, and keep-majority decides, unless the
/// plan says otherwise.
pub struct SimulatedCluster {
    links: SimulatedLinks,
    nodes: Vec<Node>,
    change: Change,
    install: Install,
}

struct Node {
    handle: ClusterHandle,
    runs: bool,
    /// How far its clock has gone back.
    clock_back: Duration,
}

impl SimulatedClusterPlan {
    /// The nodes of a simulation that has not begun.
    pub fn of(sim: Simulation) -> SimulatedClusterPlan {
        SimulatedClusterPlan {
            sim,
            change: Box::new(|_, cluster| cluster),
            install: Box::new(|_, _, _| {}),
        }
    }

    /// Changes what is said of each node's cluster, before it begins and again when the node restarts.
    pub fn cluster(mut self, change: impl FnMut(usize, Cluster) -> Cluster + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    /// Puts more onto each core of each node, behind its cluster, and again when the node restarts.
    pub fn install(
        mut self,
        install: impl FnMut(usize, &ClusterHandle, &mut Seat<'_>) + 'static,
    ) -> Self {
        self.install = Box::new(install);
        self
    }

    /// All nodes begin.
    ///
    /// # Panics
    /// In the test whose settings make no sense.
    pub fn begin(self) -> SimulatedCluster {
        self.begin_but([])
    }

    /// All nodes begin but these; [`start`](SimulatedCluster::start) begins them.
    ///
    /// # Panics
    /// As [`begin`](Self::begin).
    pub fn begin_but(self, later: impl AsRef<[usize]>) -> SimulatedCluster {
        let links = SimulatedLinks::apart(self.sim, |_, transport| transport);
        let node =
            |_| Node { handle: ClusterHandle::default(), runs: false, clock_back: Duration::ZERO };
        let nodes = (0..links.node_count()).map(node).collect();
        let (change, install) = (self.change, self.install);
        let mut cluster = SimulatedCluster { links, nodes, change, install };
        let first = (0..cluster.nodes.len()).filter(|node| !later.as_ref().contains(node));
        first.for_each(|node| cluster.start(node));
        cluster
    }
}

impl SimulatedCluster {
    /// So many nodes of one core that begin at once, by this seed.
    ///
    /// # Panics
    /// As [`SimulatedClusterPlan::begin`].
    pub fn seeded(seed: u64, nodes: usize) -> SimulatedCluster {
        SimulatedClusterPlan::of(Simulation::seeded(seed).nodes(nodes)).begin()
    }

    /// The cluster as a node sees it.
    pub fn handle(&self, node: usize) -> &ClusterHandle {
        &self.nodes[node].handle
    }

    /// How far a node has come, as another one sees it.
    pub fn status(&self, viewer: usize, node: usize) -> Option<Status> {
        self.member(viewer, node).map(|member| member.status)
    }

    /// A node as another one sees it: the latest life that it knows.
    pub fn member(&self, viewer: usize, node: usize) -> Option<MemberView> {
        let address = SimulatedLinks::address_of(node).to_string();
        let members = self.handle(viewer).members().into_iter();
        members.filter(|member| member.address == address).max_by_key(|member| member.incarnation)
    }

    /// Why a node is no member any more.
    pub fn stopped(&self, node: usize) -> Option<StopReason> {
        self.handle(node).stopping()
    }

    /// Begins a node that was left out.
    ///
    /// # Panics
    /// As [`SimulatedClusterPlan::begin`].
    pub fn start(&mut self, node: usize) {
        let since_1970 = BEGINS + self.links.now() - self.nodes[node].clock_back;
        let seeds = (0..self.nodes.len().min(SEEDS)).map(SimulatedLinks::address_of);
        let seeds: Vec<String> = seeds.map(|seed| seed.to_string()).collect();
        let cluster = Cluster::new(self.links.links(node));
        let seeded = cluster.seeds(seeds).unwrap_or_else(|error| panic!("node {node}: {error}"));
        let cluster = seeded.resolver(Strategy::KeepMajority { role: None });
        // Incarnations are those of a process, and another run of the seed is to make the same choices.
        let life = self.links.now().as_nanos() as u64;
        let mut random = fastrand::Rng::with_seed(self.links.seed() ^ life ^ ((node as u64) << 48));
        let choices = random.u64(1..);
        let cluster = cluster.membership(|settings| settings.random_seed = choices);
        let cluster = (self.change)(node, cluster);
        let handle = cluster.handle();
        for core in 0..self.links.core_count() {
            let install = &mut self.install;
            self.links.at(node).core(core).install(|seat| {
                let installed = cluster.install_simulated(seat, since_1970);
                installed.unwrap_or_else(|error| panic!("node {node}: {error}"));
                install(node, &handle, seat);
            });
        }
        (self.nodes[node].handle, self.nodes[node].runs) = (handle, true);
    }

    /// A node ends at once, as a process that is killed. Its address answers, and nobody of the cluster is there.
    pub fn crash(&mut self, node: usize) {
        self.links.restart(node);
        (self.nodes[node].handle, self.nodes[node].runs) = (ClusterHandle::default(), false);
    }

    /// A node ends at once, as a process that is killed, and begins another life.
    ///
    /// # Panics
    /// As [`SimulatedClusterPlan::begin`].
    pub fn restart(&mut self, node: usize) {
        self.crash(node);
        self.start(node);
    }

    /// The clock of a node goes back; the node looks at it when it begins.
    pub fn set_clock_back(&mut self, node: usize, back: Duration) {
        self.nodes[node].clock_back = back.min(BEGINS);
    }

    /// Whether all nodes that run and have not stopped see the same: each other up and reached, and nobody else.
    pub fn has_one_view(&self) -> bool {
        self.difference().is_none()
    }

    /// All nodes that run and have not stopped come to one view within so much virtual time.
    ///
    /// # Panics
    /// When they do not; the message says what they see.
    #[track_caller]
    pub fn assert_one_view_within(&mut self, time: Duration) {
        let end = self.links.now() + time;
        while let Some(difference) = self.difference() {
            assert!(self.links.now() < end, "no one view within {time:?}: {difference}");
            self.links.run_for(LOOK);
        }
    }

    /// A node stops within so much virtual time, for this reason.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_stops_within(&mut self, node: usize, time: Duration, reason: StopReason) {
        let end = self.links.now() + time;
        while self.stopped(node).is_none() {
            assert!(self.links.now() < end, "node {node} has not stopped within {time:?}");
            self.links.run_for(LOOK);
        }
        assert_eq!(self.stopped(node), Some(reason), "node {node}");
    }

    /// What speaks against one view.
    fn difference(&self) -> Option<String> {
        let runs = |node: &usize| self.nodes[*node].runs && self.stopped(*node).is_none();
        let running: Vec<usize> = (0..self.nodes.len()).filter(runs).collect();
        let mut wanted: Vec<String> = Vec::new();
        for node in &running {
            wanted.push(SimulatedLinks::address_of(*node).to_string());
        }
        wanted.sort_unstable();
        let mut numbers: BTreeMap<String, Option<u64>> = BTreeMap::new();
        for node in running {
            let members = self.handle(node).members();
            let mut seen: Vec<&str> = members.iter().map(|it| it.address.as_str()).collect();
            seen.sort_unstable();
            if let Some(other) = members.iter().find(|member| !member.is_up()) {
                return Some(format!("node {node} sees {other:?}"));
            }
            if seen != wanted {
                return Some(format!("node {node} sees {seen:?} instead of {wanted:?}"));
            }
            for member in members {
                let number = numbers.entry(member.address.clone()).or_insert(member.up_number);
                if *number != member.up_number {
                    return Some(format!("node {node} numbers {member:?}, others as {number:?}"));
                }
            }
        }
        None
    }
}

impl Deref for SimulatedCluster {
    type Target = SimulatedLinks;

    fn deref(&self) -> &SimulatedLinks {
        &self.links
    }
}

impl DerefMut for SimulatedCluster {
    fn deref_mut(&mut self) -> &mut SimulatedLinks {
        &mut self.links
    }
}
