//! How much CPU time and memory the control group of this process leaves to it.
//!
//! A group's limits hold for all groups below it, so the tightest from the group up to the root is the one in force.
//! In a container the path of the group is often that of the machine outside; where it is not found, the root of the
//! mounted hierarchy is the container's own group.

use mainspring_tuning::SysRoot;
use serde::Serialize;

/// Limits in force. None: no limit, or it cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CgroupLimits {
    /// CPU time in each time, as a number of CPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

impl CgroupLimits {
    /// Reads both versions of control groups.
    pub fn read(root: &SysRoot) -> CgroupLimits {
        let groups = root.read("/proc/self/cgroup").unwrap_or_default();
        let mut limits = CgroupLimits::default();
        let unified = group_of(&groups, "");
        for folder in folders("/sys/fs/cgroup", unified) {
            let read = |name: &str| root.read(format!("{folder}/{name}")).ok();
            limits.take_cpus(read("cpu.max").and_then(|text| cpus_of_pair(&text)));
            limits.take_memory(read("memory.max").and_then(|text| text.trim().parse().ok()));
        }
        for folder in folders("/sys/fs/cgroup/cpu", group_of(&groups, "cpu")) {
            let read = |name: &str| root.read(format!("{folder}/{name}")).ok();
            let quota = read("cpu.cfs_quota_us").zip(read("cpu.cfs_period_us"));
            let pair = quota.map(|(quota, period)| format!("{} {}", quota.trim(), period.trim()));
            limits.take_cpus(pair.and_then(|pair| cpus_of_pair(&pair)));
        }
        for folder in folders("/sys/fs/cgroup/memory", group_of(&groups, "memory")) {
            let text = root.read(format!("{folder}/memory.limit_in_bytes")).ok();
            let bytes = text.and_then(|text| text.trim().parse().ok());
            limits.take_memory(bytes.filter(|bytes| *bytes < UNLIMITED_BYTES));
        }
        limits
    }

    fn take_cpus(&mut self, found: Option<f64>) {
        if let Some(found) = found {
            self.cpus = Some(self.cpus.map_or(found, |known| known.min(found)));
        }
    }

    fn take_memory(&mut self, found: Option<u64>) {
        if let Some(found) = found {
            self.memory_bytes = Some(self.memory_bytes.map_or(found, |known| known.min(found)));
        }
    }
}

/// Version 1 writes a number near 2^63 where there is no limit.
const UNLIMITED_BYTES: u64 = 1 << 60;

/// Groups nested more deeply are not looked at.
const MOST_LEVELS: usize = 32;

/// The path of the group for a controller of version 1, or of version 2 for no controller.
fn group_of<'a>(groups: &'a str, controller: &str) -> &'a str {
    let lines = groups.lines().map(|line| line.splitn(3, ':').collect::<Vec<_>>());
    let is_it = |fields: &Vec<&str>| {
        fields.len() == 3 && fields[1].split(',').any(|name| name == controller)
    };
    lines.into_iter().find(is_it).map_or("", |fields| fields[2])
}

/// The folders of a group and of those above it, up to the root of the hierarchy.
fn folders(root: &str, group: &str) -> Vec<String> {
    let mut folders = vec![root.to_owned()];
    let parts = group.split('/').filter(|part| !part.is_empty() && *part != "..");
    for part in parts.take(MOST_LEVELS) {
        folders.push(format!("{}/{part}", folders[folders.len() - 1]));
    }
    folders
}

/// Quota and period in microseconds; no quota is written as `max` or as a negative number.
fn cpus_of_pair(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_a_number_of_cpus() {
        assert_eq!(cpus_of_pair("150000 100000\n"), Some(1.5));
        assert_eq!(cpus_of_pair("max 100000"), None);
        assert_eq!(cpus_of_pair("-1 100000"), None);
        assert_eq!(cpus_of_pair("1 0"), None);
    }

    #[test]
    fn a_group_is_found_in_either_version() {
        let groups = "4:cpu,cpuacct:/a\n3:memory:/b/c\n0::/d\nodd\n";
        assert_eq!(group_of(groups, "cpu"), "/a");
        assert_eq!(group_of(groups, "memory"), "/b/c");
        assert_eq!(group_of(groups, ""), "/d");
        assert_eq!(group_of(groups, "io"), "");
        assert_eq!(folders("/r", "/b/c"), ["/r", "/r/b", "/r/b/c"]);
    }
}
