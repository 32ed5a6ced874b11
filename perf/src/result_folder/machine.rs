//! A machine as its kernel describes it: what makes one machine's figures differ from another's.
//!
//! Promises: everything is read below a [`SysRoot`], so a folder stands for any machine in a test. What is missing or
//! cannot be read is left out; nothing here fails.

use std::collections::{BTreeMap, BTreeSet};

use mainspring_tuning::{SysRoot, Topology};
use serde::Serialize;

use super::cgroup_limits::CgroupLimits;

/// One machine at the time of reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Machine {
    /// The processors.
    pub cpu: Cpu,
    /// The kernel.
    pub kernel: Kernel,
    /// How fast the CPUs of the run may go.
    pub frequency: Frequency,
    /// What keeps others off the CPUs.
    pub isolation: Isolation,
    /// Main memory.
    pub memory: Memory,
    /// The limits of the control group.
    pub cgroup: CgroupLimits,
    /// What is done against flaws of the processor, by flaw.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mitigations: BTreeMap<String, String>,
}

/// The processors.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cpu {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The revision of its microcode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microcode: Option<String>,
    /// Packages with a CPU that is online.
    pub packages: usize,
    /// Physical cores.
    pub cores: usize,
    /// Hardware threads.
    pub threads: usize,
    /// NUMA nodes.
    pub numa_nodes: usize,
    /// The hardware threads that this process may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<String>,
    /// Whether cores have several hardware threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smt: Option<bool>,
    /// Whether the machine is a virtual one, as the processor says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<bool>,
    /// Whether the time stamp counter runs at one speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steady_counter: Option<bool>,
}

/// The kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kernel {
    /// Its release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// How it was built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it was started with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<String>,
    /// What it takes the time from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_source: Option<String>,
    /// Its load averages before the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_average: Option<String>,
}

/// How fast the CPUs of the run may go.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Frequency {
    /// The governors of the run's CPUs, each once.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub governors: BTreeSet<String>,
    /// The drivers of the run's CPUs, each once.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub drivers: BTreeSet<String>,
    /// Whether CPUs may go faster than their base frequency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boost: Option<bool>,
    /// What decides how deeply idle CPUs sleep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_driver: Option<String>,
}

/// What keeps others off the CPUs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Isolation {
    /// CPUs that the scheduler leaves alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolated: Option<String>,
    /// CPUs without a timer tick while one thread runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nohz_full: Option<String>,
    /// CPUs whose deferred kernel work others do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rcu_nocbs: Option<String>,
}

/// Main memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Memory {
    /// All of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    /// Who gets transparent huge pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transparent_huge_pages: Option<String>,
}

impl Machine {
    /// Reads a machine, for a run on these CPUs.
    pub fn read(root: &SysRoot, cpus: &[usize]) -> Machine {
        let reader = Reader { root };
        let command_line = reader.line("/proc/cmdline");
        Machine {
            cpu: reader.cpu(),
            frequency: reader.frequency(cpus),
            isolation: reader.isolation(command_line.as_deref().unwrap_or("")),
            memory: reader.memory(),
            cgroup: CgroupLimits::read(root),
            mitigations: reader.mitigations(),
            kernel: Kernel {
                release: reader.line("/proc/sys/kernel/osrelease"),
                version: reader.line("/proc/sys/kernel/version"),
                command_line,
                clock_source: reader
                    .line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
                load_average: reader.line("/proc/loadavg"),
            },
        }
    }
}

/// Flaws that a kernel may report on. Those that it does not know are left out.
const FLAWS: [&str; 18] = [
    "gather_data_sampling",
    "indirect_target_selection",
    "itlb_multihit",
    "l1tf",
    "mds",
    "meltdown",
    "mmio_stale_data",
    "old_microcode",
    "reg_file_data_sampling",
    "retbleed",
    "spec_rstack_overflow",
    "spec_store_bypass",
    "spectre_v1",
    "spectre_v2",
    "srbds",
    "tsa",
    "tsx_async_abort",
    "vmscape",
];

struct Reader<'a> {
    root: &'a SysRoot,
}

impl Reader<'_> {
    /// The first line of a file, unless it is empty.
    fn line(&self, path: &str) -> Option<String> {
        let text = self.root.read(path).ok()?;
        let line = text.lines().next()?.trim();
        (!line.is_empty()).then(|| line.to_owned())
    }

    fn flag(&self, path: &str) -> Option<bool> {
        match self.line(path)?.as_str() {
            "0" => Some(false),
            "1" => Some(true),
            _ => None,
        }
    }

    fn cpu(&self) -> Cpu {
        let info = self.root.read("/proc/cpuinfo").unwrap_or_default();
        let flags = info_value(&info, "flags");
        let has = |name| flags.map(|flags| flags.split(' ').any(|flag| flag == name));
        let mut cpu = Cpu {
            model: info_value(&info, "model name").map(str::to_owned),
            microcode: info_value(&info, "microcode").map(str::to_owned),
            smt: self.flag("/sys/devices/system/cpu/smt/active"),
            hypervisor: has("hypervisor"),
            steady_counter: has("constant_tsc").zip(has("nonstop_tsc")).map(|(a, b)| a && b),
            ..Cpu::default()
        };
        if let Ok(topology) = Topology::read(self.root) {
            cpu.packages = topology.packages().len();
            cpu.cores = topology.cores().len();
            cpu.threads = topology.cpus().len();
            cpu.numa_nodes = topology.nodes().len();
            cpu.allowed = Some(topology.allowed_cpus().to_string());
        }
        cpu
    }

    fn frequency(&self, cpus: &[usize]) -> Frequency {
        let of_all = |name: &str| {
            let path = |cpu| format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/{name}");
            cpus.iter().filter_map(|cpu| self.line(&path(*cpu))).collect()
        };
        let forbidden = self.flag("/sys/devices/system/cpu/intel_pstate/no_turbo");
        Frequency {
            governors: of_all("scaling_governor"),
            drivers: of_all("scaling_driver"),
            boost: forbidden
                .map(|forbidden| !forbidden)
                .or_else(|| self.flag("/sys/devices/system/cpu/cpufreq/boost")),
            idle_driver: self.line("/sys/devices/system/cpu/cpuidle/current_driver"),
        }
    }

    fn isolation(&self, command_line: &str) -> Isolation {
        let started_with = |name: &str| {
            let is_it = |word: &&str| word.split('=').next() == Some(name);
            let word = command_line.split_whitespace().find(is_it)?;
            Some(word.split_once('=').map_or("all", |(_, value)| value).to_owned())
        };
        let known = |path, name| self.line(path).or_else(|| started_with(name));
        Isolation {
            isolated: known("/sys/devices/system/cpu/isolated", "isolcpus"),
            nohz_full: known("/sys/devices/system/cpu/nohz_full", "nohz_full")
                .filter(|cpus| cpus != "(null)"),
            rcu_nocbs: started_with("rcu_nocbs"),
        }
    }

    fn memory(&self) -> Memory {
        let total_bytes = self.root.read("/proc/meminfo").ok().and_then(|text| total_bytes(&text));
        let pages = self.line("/sys/kernel/mm/transparent_hugepage/enabled");
        let transparent_huge_pages = pages.and_then(|text| chosen(&text));
        Memory { total_bytes, transparent_huge_pages }
    }

    fn mitigations(&self) -> BTreeMap<String, String> {
        let known = |flaw: &&str| {
            let text = self.line(&format!("/sys/devices/system/cpu/vulnerabilities/{flaw}"))?;
            Some(((*flaw).to_owned(), text))
        };
        FLAWS.iter().filter_map(known).collect()
    }
}

/// The first value of a key in `/proc/cpuinfo`.
fn info_value<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    let values = info.lines().filter_map(|line| line.split_once(':'));
    values.filter(|(found, _)| found.trim() == key).map(|(_, value)| value.trim()).next()
}

fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The word in brackets: the one of several that is in force.
fn chosen(text: &str) -> Option<String> {
    text.split_whitespace()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
        .map(str::to_owned)
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
