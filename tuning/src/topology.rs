//! The CPUs of a machine, how they are joined, and which of them this process may use.
//!
//! Promises: every online CPU has a package, a NUMA node, a last-level cache domain and a physical core, also where the
//! machine does not say; what was assumed is in the notes. The allowed CPUs are those that are online, in the calling
//! thread's affinity mask and in its control group's cpuset, and there is at least one.
//!
//! Invariants: CPUs are in ascending order of their numbers; a core and a cache domain are named by their lowest CPU.

use crate::cgroup;
use crate::cpu_set::{CPU_LIMIT, CpuSet};
use crate::note::{Note, Problem};
use crate::placement::{self, Placement};
use crate::sys_root::{ReadError, STATUS_PATH, SysRoot};
use std::collections::BTreeMap;
use thiserror::Error;

/// The most notes that are kept; further ones are counted.
pub const NOTE_LIMIT: usize = 32;

/// One CPU, as the kernel counts them: a hardware thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpu {
    /// The kernel's number.
    pub number: u32,
    /// The processor package (socket).
    pub package: u32,
    /// The NUMA node.
    pub node: u32,
    /// The CPUs that share a last-level cache, named by the lowest of them.
    pub cache: u32,
    /// The hardware threads of one physical core, named by the lowest of them.
    pub core: u32,
}

/// The CPUs of a machine at the time of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    cpus: Vec<Cpu>,
    affinity: CpuSet,
    cpuset: Option<CpuSet>,
    allowed: CpuSet,
    notes: Vec<Note>,
    notes_dropped: usize,
}

/// The machine says too little to place anything on it. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// Neither the list of online CPUs nor the affinity mask could be read.
    #[error(
        "cannot tell which CPUs there are: {online_path} {online}, and the affinity mask {affinity}; \
         mount /sys and /proc, or allow the call sched_getaffinity"
    )]
    NoCpus {
        /// Where the online CPUs are listed.
        online_path: &'static str,
        /// Why that list could not be used.
        online: String,
        /// Why the affinity mask could not be used.
        affinity: String,
    },
    /// No CPU is online, in the affinity mask and in the cpuset.
    #[error(
        "no CPU is left for this process: online are {online}, the affinity mask allows {affinity}, \
         the control group's cpuset {}; widen the mask (taskset) or the cpuset",
        .cpuset.as_ref().map_or("all".into(), CpuSet::to_string)
    )]
    NothingAllowed {
        /// The online CPUs.
        online: CpuSet,
        /// The affinity mask.
        affinity: CpuSet,
        /// The control group's cpuset, when there is one.
        cpuset: Option<CpuSet>,
    },
}

impl Topology {
    /// Reads the topology. The affinity mask is the calling thread's: read before pinning it.
    ///
    /// # Errors
    /// [`TopologyError`] when no CPU at all can be found or used. Anything less becomes a note.
    pub fn read(root: &SysRoot) -> Result<Topology, TopologyError> {
        let mut reader = Reader { root, notes: Vec::new(), notes_dropped: 0 };
        let (online, affinity) = reader.online_and_affinity()?;
        let cpuset = reader.cpuset();
        let mut allowed = online.intersection(&affinity);
        if let Some(cpuset) = &cpuset {
            allowed = allowed.intersection(cpuset);
        }
        if allowed.is_empty() {
            return Err(TopologyError::NothingAllowed { online, affinity, cpuset });
        }
        let cpus = reader.cpus(&online);
        let Reader { notes, notes_dropped, .. } = reader;
        Ok(Topology { cpus, affinity, cpuset, allowed, notes, notes_dropped })
    }

    /// The online CPUs, in ascending order.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The online CPU with this number.
    pub fn cpu(&self, number: u32) -> Option<&Cpu> {
        let index = self.cpus.binary_search_by_key(&number, |cpu| cpu.number).ok()?;
        self.cpus.get(index)
    }

    /// The numbers of the online CPUs.
    pub fn online(&self) -> CpuSet {
        self.cpus.iter().map(|cpu| cpu.number).collect()
    }

    /// The CPUs on which the reading thread might run.
    pub fn affinity(&self) -> &CpuSet {
        &self.affinity
    }

    /// The CPUs that the control group leaves to this process; `None` when no cpuset is in force.
    pub fn cpuset(&self) -> Option<&CpuSet> {
        self.cpuset.as_ref()
    }

    /// The CPUs that this process may use: online, in the affinity mask and in the cpuset. Never empty.
    pub fn allowed_cpus(&self) -> &CpuSet {
        &self.allowed
    }

    /// The online CPUs of each package.
    pub fn packages(&self) -> BTreeMap<u32, CpuSet> {
        self.grouped_by(|cpu| cpu.package)
    }

    /// The online CPUs of each NUMA node that has any.
    pub fn nodes(&self) -> BTreeMap<u32, CpuSet> {
        self.grouped_by(|cpu| cpu.node)
    }

    /// The online CPUs of each last-level cache, by the lowest of them.
    pub fn caches(&self) -> BTreeMap<u32, CpuSet> {
        self.grouped_by(|cpu| cpu.cache)
    }

    /// The online hardware threads of each physical core, by the lowest of them.
    pub fn cores(&self) -> BTreeMap<u32, CpuSet> {
        self.grouped_by(|cpu| cpu.core)
    }

    /// Where to run `cores` pinned threads that are busy and talk to each other. See [`Placement`] for the order.
    pub fn suggest(&self, cores: usize) -> Placement {
        placement::suggest(self, cores)
    }

    /// How many pinned threads this machine should carry when nobody says: one for each allowed physical core, but with
    /// four or more allowed CPUs none on CPU 0's, which is left to the kernel and to everybody else. At least 1.
    pub fn suggested_cores(&self) -> usize {
        placement::suggested_cores(self)
    }

    /// What had to be assumed, at most [`NOTE_LIMIT`] entries.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// How many notes there were beyond [`NOTE_LIMIT`].
    pub fn notes_dropped(&self) -> usize {
        self.notes_dropped
    }

    fn grouped_by(&self, key: impl Fn(&Cpu) -> u32) -> BTreeMap<u32, CpuSet> {
        let mut groups = BTreeMap::<u32, CpuSet>::new();
        for cpu in &self.cpus {
            groups.entry(key(cpu)).or_default().insert(cpu.number);
        }
        groups
    }
}

const ONLINE_PATH: &str = "/sys/devices/system/cpu/online";
const NODES_PATH: &str = "/sys/devices/system/node/online";

/// A CPU has fewer caches than this.
const CACHE_INDEX_LIMIT: u32 = 10;

/// Reads entries, and notes those that cannot be used.
struct Reader<'a> {
    root: &'a SysRoot,
    notes: Vec<Note>,
    notes_dropped: usize,
}

impl Reader<'_> {
    /// Either stands in for the other when it cannot be used.
    fn online_and_affinity(&mut self) -> Result<(CpuSet, CpuSet), TopologyError> {
        let online = self.list(ONLINE_PATH).and_then(|cpus| non_empty(cpus, "no CPU is online"));
        let affinity = self.root.affinity().and_then(|cpus| non_empty(cpus, "no CPU is allowed"));
        match (online, affinity) {
            (Ok(online), Ok(affinity)) => Ok((online, affinity)),
            (Ok(online), Err(problem)) => {
                self.note(
                    "cpu.affinity",
                    STATUS_PATH,
                    problem,
                    "all online CPUs are taken for allowed",
                );
                Ok((online.clone(), online))
            }
            (Err(problem), Ok(affinity)) => {
                self.note(
                    "cpu.online",
                    ONLINE_PATH,
                    problem,
                    "the affinity mask is taken for the online CPUs",
                );
                Ok((affinity.clone(), affinity))
            }
            (Err(online), Err(affinity)) => Err(TopologyError::NoCpus {
                online_path: ONLINE_PATH,
                online: online.to_string(),
                affinity: affinity.to_string(),
            }),
        }
    }

    fn cpuset(&mut self) -> Option<CpuSet> {
        cgroup::cpuset(self.root).unwrap_or_else(|cgroup::CpusetProblem { path, problem }| {
            self.note(
                "cgroup.cpuset",
                &path,
                problem,
                "the affinity mask alone decides what is allowed",
            );
            None
        })
    }

    fn cpus(&mut self, online: &CpuSet) -> Vec<Cpu> {
        let nodes = self.nodes();
        let mut cpus: Vec<Cpu> = Vec::with_capacity(online.len());
        for number in online.iter() {
            let package = self.package(number);
            let in_package = |cpu: &&Cpu| cpu.package == package;
            let first_of_package = cpus.iter().find(in_package).map_or(number, |cpu| cpu.number);
            let node = self.node_of(number, &nodes);
            let cache = self.cache(number).unwrap_or(first_of_package);
            let core = self.core(number);
            cpus.push(Cpu { number, package, node, cache, core });
        }
        cpus
    }

    /// The node of each CPU that some node lists.
    fn nodes(&mut self) -> BTreeMap<u32, u32> {
        let mut node_of = BTreeMap::new();
        let nodes = match self.list(NODES_PATH) {
            Ok(nodes) => nodes,
            Err(problem) => {
                self.note(
                    "node.online",
                    NODES_PATH,
                    problem,
                    "all CPUs are taken for one NUMA node",
                );
                return node_of;
            }
        };
        for node in nodes.iter() {
            let path = format!("/sys/devices/system/node/node{node}/cpulist");
            match self.list(&path) {
                Ok(cpus) => self.claim(&mut node_of, node, &cpus, &path),
                Err(problem) => {
                    self.note("node.cpus", &path, problem, "the node is taken to have no CPU")
                }
            }
        }
        node_of
    }

    fn claim(&mut self, node_of: &mut BTreeMap<u32, u32>, node: u32, cpus: &CpuSet, path: &str) {
        for cpu in cpus.iter() {
            let owner = *node_of.entry(cpu).or_insert(node);
            if owner != node {
                let problem = Problem::Contradiction(format!("CPU {cpu} is in node {owner} too"));
                self.note("node.cpus", path, problem, "the CPU is taken to be in the lower node");
            }
        }
    }

    fn node_of(&mut self, cpu: u32, nodes: &BTreeMap<u32, u32>) -> u32 {
        // Without any list there is one node, which was noted once.
        nodes.get(&cpu).copied().unwrap_or_else(|| {
            if !nodes.is_empty() {
                let problem = Problem::Contradiction(format!("CPU {cpu} is in no node"));
                self.note("node.cpus", NODES_PATH, problem, "the CPU is taken to be in node 0");
            }
            0
        })
    }

    fn package(&mut self, cpu: u32) -> u32 {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id");
        self.number(&path).unwrap_or_else(|problem| {
            self.note("cpu.package", &path, problem, "the CPU is taken to be in package 0");
            0
        })
    }

    fn core(&mut self, cpu: u32) -> u32 {
        let directory = format!("/sys/devices/system/cpu/cpu{cpu}/topology");
        // The second name is the one that kernels before 5.3 have.
        let names = ["core_cpus_list", "thread_siblings_list"];
        let path = format!("{directory}/{}", names[0]);
        let siblings = names
            .iter()
            .map(|name| self.list(&format!("{directory}/{name}")))
            .find(|list| !matches!(list, Err(Problem::Read(ReadError::Missing))))
            .unwrap_or(Err(Problem::Read(ReadError::Missing)));
        siblings.and_then(|siblings| lowest_with(cpu, &siblings)).unwrap_or_else(|problem| {
            self.note(
                "cpu.siblings",
                &path,
                problem,
                "the CPU is taken for a physical core of its own",
            );
            cpu
        })
    }

    /// The last-level cache: the one of the highest level.
    fn cache(&mut self, cpu: u32) -> Option<u32> {
        let directory = format!("/sys/devices/system/cpu/cpu{cpu}/cache");
        let mut last = None;
        for index in 0..CACHE_INDEX_LIMIT {
            let path = format!("{directory}/index{index}");
            let level_path = format!("{path}/level");
            match self.number(&level_path) {
                Ok(level) => last = last.max(Some((level, path))),
                Err(Problem::Read(ReadError::Missing)) => {}
                Err(problem) => {
                    self.note("cpu.cache", &level_path, problem, "the cache is left out");
                }
            }
        }
        let path = last.map_or(directory, |(_, path)| format!("{path}/shared_cpu_list"));
        let shared = self.list(&path).and_then(|shared| lowest_with(cpu, &shared));
        match shared {
            Ok(lowest) => Some(lowest),
            Err(problem) => {
                self.note(
                    "cpu.cache",
                    &path,
                    problem,
                    "the package is taken to share one last-level cache",
                );
                None
            }
        }
    }

    fn list(&self, path: &str) -> Result<CpuSet, Problem> {
        Ok(self.root.read(path)?.parse()?)
    }

    fn number(&self, path: &str) -> Result<u32, Problem> {
        let text = self.root.read(path)?;
        let text = text.trim();
        match text.parse::<u32>() {
            Ok(number) if number < CPU_LIMIT => Ok(number),
            _ => Err(Problem::Number { text: text.chars().take(NUMBER_SHOWN_CHARS).collect() }),
        }
    }

    fn note(&mut self, name: &'static str, path: &str, problem: Problem, assumed: &'static str) {
        if self.notes.len() == NOTE_LIMIT {
            self.notes_dropped += 1;
            return;
        }
        let (path, problem) = (path.to_owned(), problem.to_string());
        self.notes.push(Note { name, path, problem, assumed });
    }
}

/// How much of a malformed number is shown.
const NUMBER_SHOWN_CHARS: usize = 24;

fn non_empty(cpus: CpuSet, otherwise: &str) -> Result<CpuSet, Problem> {
    if cpus.is_empty() { Err(Problem::Contradiction(otherwise.to_owned())) } else { Ok(cpus) }
}

/// The lowest CPU of a group to which `cpu` is said to belong.
fn lowest_with(cpu: u32, group: &CpuSet) -> Result<u32, Problem> {
    match group.first() {
        Some(first) if group.contains(cpu) => Ok(first),
        _ => Err(Problem::Contradiction(format!("CPU {cpu} is not in its own list `{group}`"))),
    }
}
