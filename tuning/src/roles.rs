//! Which CPUs carry shards and which do everything else.
//!
//! Promises: no CPU has both roles. The other hardware threads of a physical core that carries a shard have neither: a
//! busy sibling would halve the shard.

use crate::cpu_set::CpuSet;
use crate::topology::Topology;
use crate::want::ShardCpus;

/// The CPUs by what they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// They carry shards: pinned threads that are always busy.
    pub shards: CpuSet,
    /// They take interrupts, the kernel's own work and everybody else's. May be empty on a small machine.
    pub housekeeping: CpuSet,
    /// Hardware threads beside those of the shards, best left idle.
    pub siblings: CpuSet,
}

impl Roles {
    /// Assigns the online CPUs. Shards stay within the CPUs that this process may use.
    pub fn of(topology: &Topology, wanted: &ShardCpus) -> Roles {
        let allowed = topology.allowed_cpus();
        let count = match wanted {
            ShardCpus::Suggested => topology.suggested_cores(),
            ShardCpus::Count(count) => *count,
            ShardCpus::These(_) => 0,
        };
        let shards: CpuSet = match wanted {
            ShardCpus::These(cpus) => cpus.intersection(allowed),
            _ => topology.suggest(count).cpus().iter().copied().collect(),
        };
        let on_shard_cores: CpuSet = topology
            .cores()
            .values()
            .filter(|threads| !threads.intersection(&shards).is_empty())
            .flat_map(|threads| threads.iter().collect::<Vec<_>>())
            .collect();
        Roles {
            housekeeping: topology.online().difference(&on_shard_cores),
            siblings: on_shard_cores.difference(&shards),
            shards,
        }
    }

    /// NUMA nodes with a shard but without a CPU for housekeeping: their interrupts have to go to another node.
    pub fn nodes_without_housekeeping(&self, topology: &Topology) -> Vec<u32> {
        let has = |cpus: &CpuSet, role: &CpuSet| !cpus.intersection(role).is_empty();
        let nodes = topology.nodes().into_iter();
        nodes
            .filter(|(_, cpus)| has(cpus, &self.shards) && !has(cpus, &self.housekeeping))
            .map(|(node, _)| node)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys_root::SysRoot;

    fn roles(machine: &str, wanted: ShardCpus) -> (String, String, String) {
        let machines = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines");
        let topology = Topology::read(&SysRoot::recorded(machines.join(machine))).unwrap();
        let roles = Roles::of(&topology, &wanted);
        (roles.shards.to_string(), roles.housekeeping.to_string(), roles.siblings.to_string())
    }

    fn three(shards: &str, housekeeping: &str, siblings: &str) -> (String, String, String) {
        (shards.to_owned(), housekeeping.to_owned(), siblings.to_owned())
    }

    #[test]
    fn a_shard_has_a_physical_core_to_itself() {
        let suggested = roles("two-socket-smt", ShardCpus::Suggested);
        assert_eq!(suggested, three("1-7", "0,8", "9-15"));
        assert_eq!(
            roles("two-socket-smt", ShardCpus::Count(2)),
            three("1-2", "0,3-8,11-15", "9-10")
        );
        let both_threads = ShardCpus::These("3,11".parse().unwrap());
        assert_eq!(roles("two-socket-smt", both_threads), three("3,11", "0-2,4-10,12-15", ""));
    }

    #[test]
    fn shards_stay_within_what_the_process_may_use() {
        let beyond = ShardCpus::These("0-3".parse().unwrap());
        assert_eq!(roles("container-cpuset", beyond), three("2-3", "0-1,4-5", "6-7"));
        assert_eq!(roles("firecracker-2vcpu", ShardCpus::Count(9)), three("0-1", "", ""));
    }
}
