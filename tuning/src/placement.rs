//! Which CPUs to take for pinned threads that are busy and talk to each other.
//!
//! Promises: only allowed CPUs, each at most once, and a longer placement begins with the shorter one.

use crate::topology::{Cpu, Topology};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The CPUs for a number of pinned threads, best first.
///
/// Physical cores come first, node by node, beginning with the NUMA node that has most allowed CPUs, and within a node
/// one last-level cache after the other: threads that share a node, and then a cache, reach each other fastest. When
/// the physical cores are used up, their further hardware threads follow in the same order: two busy threads on one
/// physical core halve each other, which costs more than a distant node.
///
/// With four or more allowed CPUs, CPU 0's physical core comes last among the physical cores, and its further hardware
/// threads last of all: the kernel does its own work on CPU 0, so a thread there is interrupted most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    cpus: Vec<u32>,
    requested: usize,
    nodes: usize,
    shared_cores: usize,
}

impl Placement {
    /// The CPUs, best first: as many as were requested, or all that are allowed if those are fewer.
    pub fn cpus(&self) -> &[u32] {
        &self.cpus
    }

    /// How many of the requested threads found no CPU of their own.
    pub fn missing(&self) -> usize {
        self.requested - self.cpus.len()
    }

    /// Over how many NUMA nodes the CPUs are spread.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// How many physical cores carry more than one of the threads.
    pub fn shared_cores(&self) -> usize {
        self.shared_cores
    }
}

/// From this number of allowed CPUs on, CPU 0's core is spared as long as possible.
const SPARING_CPUS_MIN: usize = 4;

pub(crate) fn suggest(topology: &Topology, cores: usize) -> Placement {
    let mut order = ranked(topology);
    order.truncate(cores);
    let nodes: BTreeSet<u32> = order.iter().map(|cpu| cpu.node).collect();
    let mut threads_of_core = BTreeMap::<u32, usize>::new();
    for cpu in &order {
        *threads_of_core.entry(cpu.core).or_default() += 1;
    }
    Placement {
        cpus: order.iter().map(|cpu| cpu.number).collect(),
        requested: cores,
        nodes: nodes.len(),
        shared_cores: threads_of_core.values().filter(|threads| **threads > 1).count(),
    }
}

pub(crate) fn suggested_cores(topology: &Topology) -> usize {
    let spared = spared_core(topology);
    let cores: BTreeSet<u32> = ranked(topology).iter().map(|cpu| cpu.core).collect();
    cores.iter().filter(|core| Some(**core) != spared).count().max(1)
}

/// All allowed CPUs, best first.
fn ranked(topology: &Topology) -> Vec<Cpu> {
    let allowed = |cpu: &&Cpu| topology.allowed_cpus().contains(cpu.number);
    let cpus: Vec<Cpu> = topology.cpus().iter().filter(allowed).copied().collect();
    let mut cpus_of_node = BTreeMap::<u32, usize>::new();
    for cpu in &cpus {
        *cpus_of_node.entry(cpu.node).or_default() += 1;
    }
    let spared = spared_core(topology);
    let mut threads_of_core = BTreeMap::<u32, usize>::new();
    let mut ranked = Vec::with_capacity(cpus.len());
    for cpu in cpus {
        // The CPU's place among the allowed hardware threads of its core.
        let thread = threads_of_core.entry(cpu.core).or_default();
        *thread += 1;
        let is_spared = Some(cpu.core) == spared;
        let node_cpus = Reverse(cpus_of_node.get(&cpu.node).copied());
        ranked.push(((*thread, is_spared, node_cpus, cpu.node, cpu.cache, cpu.number), cpu));
    }
    ranked.sort_unstable_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, cpu)| cpu).collect()
}

/// The physical core that holds CPU 0, when there are enough CPUs to spare it.
fn spared_core(topology: &Topology) -> Option<u32> {
    if topology.allowed_cpus().len() < SPARING_CPUS_MIN {
        return None;
    }
    topology.cpu(0).map(|cpu| cpu.core)
}
