//! Where the program runs: on a machine of its own, in a virtual machine, in a container; and what it may do there.
//!
//! Promises: a virtual machine and a container are facts, never errors. What cannot be told is taken for absent.

use crate::facts::Reading;
use crate::finding::Capability;
use std::collections::BTreeMap;

/// Where the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The hypervisor, when the system is its guest.
    pub guest_of: Option<String>,
    /// Whether the process is in a container: in a PID or control group namespace that is not the system's first.
    pub is_container: bool,
    /// The kernel's release, such as `6.12.1`; empty when it does not say.
    pub kernel: String,
    /// The capabilities in effect, as a mask.
    pub capabilities: u64,
}

/// What has to be read to tell.
pub(crate) const READS: [&str; 11] = [
    CPUINFO,
    PID_NAMESPACE,
    CGROUP_NAMESPACE,
    VENDOR,
    PRODUCT,
    HYPERVISOR,
    "/proc/device-tree/hypervisor/compatible",
    CLOCKS,
    STATUS,
    RELEASE,
    "/proc/cmdline",
];

impl Surroundings {
    /// Concludes from what was read.
    pub(crate) fn of(readings: &BTreeMap<String, Reading>) -> Surroundings {
        let text = |path: &str| readings.get(path).and_then(|reading| reading.as_deref().ok());
        let outside = |path: &str, first: &str| text(path).is_some_and(|link| link.trim() != first);
        Surroundings {
            guest_of: is_guest(&text).then(|| hypervisor(&text)),
            is_container: outside(PID_NAMESPACE, FIRST_PID_NAMESPACE)
                || outside(CGROUP_NAMESPACE, FIRST_CGROUP_NAMESPACE),
            kernel: text(RELEASE).unwrap_or_default().trim().to_owned(),
            capabilities: text(STATUS).and_then(capabilities).unwrap_or(0),
        }
    }

    /// Whether the process has the capability.
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities >> capability.bit() & 1 == 1
    }

    /// The kernel, for people.
    pub fn describe_kernel(&self) -> String {
        if self.kernel.is_empty() {
            return "Linux of an unknown release".to_owned();
        }
        format!("Linux {}", self.kernel)
    }

    /// The surroundings in a few words.
    pub fn describe(&self) -> String {
        let machine = match &self.guest_of {
            Some(hypervisor) => format!("guest of {hypervisor}"),
            None => "physical machine".to_owned(),
        };
        if self.is_container { format!("container on a {machine}") } else { machine }
    }
}

const CPUINFO: &str = "/proc/cpuinfo";
const PID_NAMESPACE: &str = "/proc/self/ns/pid";
const CGROUP_NAMESPACE: &str = "/proc/self/ns/cgroup";
const VENDOR: &str = "/sys/class/dmi/id/sys_vendor";
const PRODUCT: &str = "/sys/class/dmi/id/product_name";
const HYPERVISOR: &str = "/sys/hypervisor/type";
const CLOCKS: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
const STATUS: &str = "/proc/self/status";
const RELEASE: &str = "/proc/sys/kernel/osrelease";

/// The first namespaces have fixed numbers: `include/linux/proc_ns.h`.
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
const FIRST_CGROUP_NAMESPACE: &str = "cgroup:[4026531835]";

/// How virtual machines name their maker, for the processors that have no flag for it.
const VIRTUAL_VENDORS: [&str; 7] =
    ["QEMU", "Amazon EC2", "Google", "VMware", "Xen", "KVM", "Alibaba Cloud"];

/// A cloud's machine without a hypervisor says so in its name.
const BARE_METAL: &str = "metal";

fn is_guest<'a>(text: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let cpu = text(CPUINFO).unwrap_or_default();
    if let Some(flags) = cpu.lines().find(|line| line.starts_with("flags")) {
        return flags.split_whitespace().any(|flag| flag == "hypervisor");
    }
    let vendor = text(VENDOR).unwrap_or_default().trim();
    let is_metal = text(PRODUCT).is_some_and(|product| product.contains(BARE_METAL));
    text(HYPERVISOR).is_some()
        || text("/proc/device-tree/hypervisor/compatible").is_some()
        || !is_metal && VIRTUAL_VENDORS.iter().any(|virtual_one| vendor.starts_with(virtual_one))
}

/// What the hypervisor calls itself, or what its clock gives away.
fn hypervisor<'a>(text: &impl Fn(&str) -> Option<&'a str>) -> String {
    let named = |path| text(path).map(str::trim).filter(|name| !name.is_empty());
    let clocks = text(CLOCKS).unwrap_or_default();
    let by_clock = [("kvm-clock", "KVM"), ("hyperv", "Hyper-V"), ("xen", "Xen")];
    let kind = by_clock.iter().find(|(clock, _)| clocks.contains(clock)).map(|(_, name)| *name);
    match (named(VENDOR).or(named(HYPERVISOR)), kind) {
        (Some(name), Some(kind)) if !name.eq_ignore_ascii_case(kind) => format!("{kind} ({name})"),
        (Some(name), _) => name.to_owned(),
        (None, Some(kind)) => kind.to_owned(),
        (None, None) => "a hypervisor".to_owned(),
    }
}

fn capabilities(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Surroundings {
        let readings =
            files.iter().map(|(path, text)| ((*path).to_owned(), Ok((*text).to_owned())));
        Surroundings::of(&readings.collect())
    }

    #[test]
    fn the_flag_of_the_processor_decides_where_there_is_one() {
        let guest = of(&[
            (CPUINFO, "flags : fpu hypervisor"),
            (CLOCKS, "kvm-clock tsc"),
            (VENDOR, "QEMU\n"),
        ]);
        assert_eq!(guest.guest_of.as_deref(), Some("KVM (QEMU)"));
        let metal = of(&[(CPUINFO, "flags : fpu"), (VENDOR, "Amazon EC2"), (PRODUCT, "m5.metal")]);
        assert_eq!(metal.guest_of, None);
        assert_eq!(of(&[(CPUINFO, "flags : hypervisor")]).describe(), "guest of a hypervisor");
    }

    #[test]
    fn without_the_flag_the_maker_of_the_machine_tells() {
        let arm = (CPUINFO, "Features : fp asimd");
        let guest = of(&[arm, (VENDOR, "Amazon EC2\n"), (PRODUCT, "c7g.large\n")]);
        assert_eq!(guest.guest_of.as_deref(), Some("Amazon EC2"));
        assert_eq!(of(&[arm, (VENDOR, "Amazon EC2\n"), (PRODUCT, "c7g.metal\n")]).guest_of, None);
        assert_eq!(of(&[arm, (VENDOR, "Ampere(R)\n")]).guest_of, None);
        assert_eq!(of(&[arm, (HYPERVISOR, "xen\n")]).guest_of.as_deref(), Some("xen"));
    }

    #[test]
    fn a_container_is_told_by_its_namespaces() {
        let first =
            [(PID_NAMESPACE, FIRST_PID_NAMESPACE), (CGROUP_NAMESPACE, FIRST_CGROUP_NAMESPACE)];
        assert!(!of(&first).is_container);
        assert!(of(&[first[0], (CGROUP_NAMESPACE, "cgroup:[4026532843]")]).is_container);
        assert!(of(&[(PID_NAMESPACE, "pid:[4026532841]")]).is_container);
        assert!(!of(&[]).is_container, "what cannot be told is taken for absent");
    }

    #[test]
    fn capabilities_are_read_from_their_mask() {
        let docker = of(&[(STATUS, "Name:\tx\nCapEff:\t00000000a80425fb\n")]);
        assert!(!docker.has(Capability::SysAdmin) && !docker.has(Capability::NetAdmin));
        let all = of(&[(STATUS, "CapEff:\t000001ffffffffff\n")]);
        assert!(all.has(Capability::SysAdmin) && all.has(Capability::SysResource));
        assert_eq!(of(&[(STATUS, "CapEff:\tgarbage\n")]).capabilities, 0);
    }
}
