//! The devices that interrupt: network devices and NVMe drives, their interrupts, and the CPUs that these go to.
//!
//! Promises: a pure function of what was read. A device that does not tell its interrupts has none here.

use crate::cpu_set::CpuSet;
use crate::facts::Facts;
use std::collections::{BTreeMap, BTreeSet};

/// A device with interrupts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, such as `eth0`.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// The NUMA node that it is attached to.
    pub node: Option<u32>,
    /// Its interrupts, by their numbers.
    pub interrupts: Vec<Interrupt>,
}

/// What a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceKind {
    /// A network device.
    Network,
    /// A drive, or its controller.
    Drive,
}

/// An interrupt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupt {
    /// The kernel's number.
    pub number: u32,
    /// What the driver calls it.
    pub name: String,
    /// The CPUs that it may go to; `None` when that is not told.
    pub allowed: Option<CpuSet>,
    /// The CPUs that it goes to; `None` when that is not told.
    pub effective: Option<CpuSet>,
}

/// What has to be read to tell.
pub(crate) const READS: [&str; 12] = [
    "/sys/class/net/*/device/",
    "/sys/class/net/*/device/msi_irqs/",
    "/sys/class/net/*/device/numa_node",
    "/sys/class/nvme/*/device/msi_irqs/",
    "/sys/class/nvme/*/device/numa_node",
    "/sys/bus/virtio/devices/*/net/",
    "/sys/bus/virtio/devices/*/block/",
    "/sys/block/*/device/",
    ACTIONS,
    ALLOWED,
    EFFECTIVE,
    "/proc/irq/default_smp_affinity",
];

const ACTIONS: &str = "/sys/kernel/irq/#/actions";
pub(crate) const ALLOWED: &str = "/proc/irq/#/smp_affinity_list";
const EFFECTIVE: &str = "/proc/irq/#/effective_affinity_list";

/// The devices whose interrupts are known, network devices first.
pub fn devices(facts: &Facts) -> Vec<Device> {
    let interrupts = interrupts(facts);
    let virtio = virtio_names(facts);
    let mut devices = Vec::new();
    let families = [
        (DeviceKind::Network, "net", network_devices(facts)),
        (DeviceKind::Drive, "nvme", drives(facts)),
    ];
    for (kind, class, names) in families {
        for name in names {
            let directory = format!("/sys/class/{class}/{name}/device");
            let own: BTreeSet<u32> = facts
                .reading(&format!("{directory}/msi_irqs/"))
                .unwrap_or_default()
                .lines()
                .filter_map(|number| number.parse().ok())
                .collect();
            let prefix = virtio.get(&name).map(|device| format!("{device}-"));
            let is_its = |interrupt: &&Interrupt| {
                own.contains(&interrupt.number)
                    || prefix.as_ref().is_some_and(|prefix| interrupt.name.starts_with(prefix))
                    || is_named_after(&interrupt.name, &name)
            };
            let node = facts.reading(&format!("{directory}/numa_node")).ok();
            devices.push(Device {
                kind,
                node: node.and_then(|text| text.trim().parse().ok()),
                interrupts: interrupts.iter().filter(is_its).cloned().collect(),
                name,
            });
        }
    }
    devices
}

/// The network devices that hardware, or a hypervisor, stands behind.
pub(crate) fn network_devices(facts: &Facts) -> Vec<String> {
    names(facts, "/sys/class/net/*/device/")
}

/// The controllers of NVMe drives, and the drives of a hypervisor.
fn drives(facts: &Facts) -> Vec<String> {
    let mut drives = names(facts, "/sys/class/nvme/*/device/msi_irqs/");
    let of_virtio = facts.matching("/sys/bus/virtio/devices/*/block/");
    drives.extend(
        of_virtio
            .iter()
            .filter_map(|(.., names)| names.as_deref().ok()?.lines().next().map(str::to_owned)),
    );
    drives
}

/// The names for which the directory is there.
pub(crate) fn names(facts: &Facts, pattern: &str) -> Vec<String> {
    let found = facts.matching(pattern).into_iter().filter(|(.., reading)| reading.is_ok());
    found.filter_map(|(captures, ..)| captures.into_iter().next()).collect()
}

/// The virtio device behind each device, by which its interrupts are called.
fn virtio_names(facts: &Facts) -> BTreeMap<String, String> {
    let mut virtio = BTreeMap::new();
    for pattern in ["/sys/bus/virtio/devices/*/net/", "/sys/bus/virtio/devices/*/block/"] {
        for (captures, _, names) in facts.matching(pattern) {
            let names = names.as_deref().unwrap_or_default();
            virtio.extend(names.lines().map(|name| (name.to_owned(), captures.join(""))));
        }
    }
    virtio
}

/// Drivers call an interrupt `eth0`, `eth0-rx-1`, `eth0:3`, or, of a drive, `nvme0q3`.
fn is_named_after(interrupt: &str, device: &str) -> bool {
    interrupt
        .strip_prefix(device)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':', 'q', '@']))
}

fn interrupts(facts: &Facts) -> Vec<Interrupt> {
    let cpus = |pattern: &str, number: &str| {
        let text = facts.reading(&pattern.replace('#', number)).ok()?;
        text.parse::<CpuSet>().ok()
    };
    let mut found = Vec::new();
    for (captures, _, actions) in facts.matching(ACTIONS) {
        let [number] = captures.as_slice() else { continue };
        let Ok(name) = actions.as_deref().map(str::trim) else { continue };
        if let (Ok(value), false) = (number.parse(), name.is_empty()) {
            found.push(Interrupt {
                number: value,
                name: name.to_owned(),
                allowed: cpus(ALLOWED, number),
                effective: cpus(EFFECTIVE, number),
            });
        }
    }
    found
}
