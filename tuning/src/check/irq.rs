//! Checks of interrupts: which CPUs devices may interrupt.

use super::{Case, Check, Explanation, NO_HOUSEKEEPING, Scope, Seen};
use crate::cpu_set::CpuSet;
use crate::finding::Change;
use crate::interrupts::{self, DeviceKind};
use crate::want::Takes;

pub(super) const CHECKS: &[&Check] = &[
    // First who would undo it, then what new interrupts begin with, then those that there are.
    &Check {
        id: "irq.balance",
        scope: Scope::Guest,
        takes: Takes::Words(&["not-on-shards"]),
        reads: &[
            RUNNING,
            SERVICE,
            SERVICE_V1,
            DEBIAN_SETTINGS,
            FEDORA_SETTINGS,
            ISOLATED,
            NOHZ_FULL,
        ],
        effect: "the daemon moves interrupts to the shards within seconds, whatever their masks were",
        explanation: Explanation {
            what: "irqbalance moves interrupts between CPUs by load, every ten seconds. It leaves out isolated CPUs \
                and those of nohz_full by itself, and the CPUs of IRQBALANCE_BANNED_CPULIST.",
            cost: "None: it goes on balancing over the other CPUs.",
            disagreement: "Many guides stop the daemon. Then devices that come later stay on the CPU they begin \
                with. Seastar's perftune.py and rpk ban single interrupts, tuned's cpu-partitioning the CPUs.",
            source: "irqbalance(1)",
            measure: "read the masks of irq.affinity again after half a minute",
        },
        look: balance,
    },
    &Check {
        id: "irq.default_affinity",
        scope: Scope::Guest,
        takes: Takes::Words(&["housekeeping"]),
        reads: &[DEFAULT],
        effect: "a device that is plugged in, or restarted, interrupts the shards again",
        explanation: Explanation {
            what: "The mask that an interrupt starts with when its driver sets it up, after a restart of the device \
                or of its driver too.",
            cost: "None beyond that of irq.affinity.",
            disagreement: "The boot parameter irqaffinity sets the same from the start, and managed interrupts heed \
                neither. Guides that set irq.affinity alone lose it when the link goes down and up.",
            source: "Linux, Documentation/core-api/irq/irq-affinity.rst; kernel-parameters.txt (irqaffinity=)",
            measure: "restart the network device and read the masks of its interrupts",
        },
        look: default_affinity,
    },
    &Check {
        id: "irq.affinity",
        scope: Scope::Guest,
        takes: Takes::Words(&["housekeeping"]),
        reads: &interrupts::READS,
        effect: "frames that arrive interrupt a shard, and the soft interrupt that follows takes its CPU for longer",
        explanation: Explanation {
            what: "Each interrupt may go to the CPUs of its mask. When a network device interrupts a shard, the \
                shard stops for the interrupt and for the processing of what arrived, which may be somebody else's. \
                Kept to the CPUs for housekeeping, on the device's NUMA node where there are any, they leave the \
                shards alone. Interrupts of NVMe queues are not looked at: the kernel gives each CPU its own queue \
                and interrupt, which is what a shard that waits for its own write wants.",
            cost: "What arrives is processed on another CPU and moves to the shard's cache afterwards, one line at a \
                time: some hundred nanoseconds more for each frame, against interruptions of microseconds.",
            disagreement: "Seastar's perftune.py keeps one CPU in sixteen for interrupts, rpk the like; receive-side \
                scaling's authors put each queue's interrupt on the CPU that consumes it, which is best when there \
                is nothing else to interrupt. irqbalance undoes either unless it is told (irq.balance).",
            source: "Linux, Documentation/core-api/irq/irq-affinity.rst; Documentation/networking/scaling.rst",
            measure: "the rows of the device in /proc/interrupts, before and after; mainspring-tune jitter on a shard",
        },
        look: affinity,
    },
];

const DEFAULT: &str = "/proc/irq/default_smp_affinity";
const RUNNING: &str = "/run/irqbalance/";
const SERVICE: &str = "/sys/fs/cgroup/system.slice/irqbalance.service/cgroup.procs";
const SERVICE_V1: &str = "/sys/fs/cgroup/systemd/system.slice/irqbalance.service/cgroup.procs";
const DEBIAN_SETTINGS: &str = "/etc/default/irqbalance";
const FEDORA_SETTINGS: &str = "/etc/sysconfig/irqbalance";
const BANNED: &str = "IRQBALANCE_BANNED_CPULIST";
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";
const NOHZ_FULL: &str = "/sys/devices/system/cpu/nohz_full";

fn affinity(case: &Case) -> Seen {
    let evidence = interrupts::ALLOWED.replace('#', "*");
    let roles = case.roles;
    if roles.housekeeping.is_empty() {
        return Seen::not_applicable(&evidence, NO_HOUSEKEEPING);
    }
    let nodes = case.facts.topology().nodes();
    let devices = interrupts::devices(case.facts);
    let mut found = Vec::new();
    let mut changes = Vec::new();
    for device in devices.iter().filter(|device| device.kind == DeviceKind::Network) {
        let near = device.node.and_then(|node| nodes.get(&node));
        let near = near.map(|cpus| cpus.intersection(&roles.housekeeping));
        let home = near.filter(|cpus| !cpus.is_empty()).unwrap_or(roles.housekeeping.clone());
        let mut on_shards = 0;
        for interrupt in &device.interrupts {
            let Some(allowed) = &interrupt.allowed else { continue };
            if !allowed.intersection(&roles.shards).is_empty() {
                on_shards += 1;
                changes.push(Change::Write {
                    path: interrupts::ALLOWED.replace('#', &interrupt.number.to_string()),
                    value: home.to_string(),
                    restore: allowed.to_string(),
                });
            }
        }
        if !device.interrupts.is_empty() {
            let all = device.interrupts.len();
            found.push(format!("{}: {on_shards} of {all} may go to shards", device.name));
        }
    }
    if found.is_empty() {
        return Seen::not_applicable(&evidence, "no network device tells its interrupts");
    }
    Seen::either(changes.is_empty(), found.join("; "), &evidence, changes)
}

fn default_affinity(case: &Case) -> Seen {
    if case.roles.housekeeping.is_empty() {
        return Seen::not_applicable(DEFAULT, NO_HOUSEKEEPING);
    }
    super::mask::spares_shards(case, DEFAULT)
}

fn balance(case: &Case) -> Seen {
    let text = |path| case.facts.reading(path).unwrap_or_default();
    let is_running =
        [RUNNING, SERVICE, SERVICE_V1].iter().any(|path| !text(path).trim().is_empty());
    if !is_running && case.facts.surroundings().is_container {
        return Seen::not_applicable(RUNNING, "a container does not see its host's daemons");
    }
    if !is_running {
        return Seen::ok("not running", RUNNING);
    }
    let settings = [DEBIAN_SETTINGS, FEDORA_SETTINGS];
    let there = settings.iter().find(|path| case.facts.reading(path).is_ok());
    let path = there.unwrap_or(&DEBIAN_SETTINGS);
    let mut lists = text(path).lines().filter_map(variable);
    let restore = lists.next_back();
    let spared: CpuSet = match restore.map(str::parse) {
        Some(Ok(banned)) => banned,
        Some(Err(error)) => return Seen::unreadable(path, format!("{BANNED} in {path}: {error}")),
        // Without the variable the daemon spares what the kernel isolates.
        None => [ISOLATED, NOHZ_FULL]
            .iter()
            .filter_map(|path| text(path).parse::<CpuSet>().ok())
            .fold(CpuSet::new(), |spared, cpus| spared.union(&cpus)),
    };
    let shown = if spared.is_empty() { "no CPU".to_owned() } else { spared.to_string() };
    let change = Change::Variable {
        path: (*path).to_owned(),
        name: BANNED,
        value: spared.union(&case.roles.shards).to_string(),
        restore: restore.map(str::to_owned),
        unit: "irqbalance.service",
    };
    let is_ok = case.roles.shards.is_subset(&spared);
    Seen::either(is_ok, format!("running, spares {shown}"), path, [change])
}

/// The list of a line that bans CPUs.
fn variable(line: &str) -> Option<&str> {
    let value = line.trim().strip_prefix(BANNED)?.trim_start().strip_prefix('=')?;
    Some(value.trim().trim_matches(['"', '\'']))
}
