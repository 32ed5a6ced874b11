//! A machine is told by its files, whatever of them there is.

use super::*;
use std::fs;
use std::path::PathBuf;

/// A made-up machine that is gone when the test is over.
struct Made(PathBuf);

impl Made {
    fn new(test: &str, files: &[(&str, &str)]) -> Made {
        let name = format!("mainspring-machine-{}-{test}", std::process::id());
        let made = Made(std::env::temp_dir().join(name));
        for (path, text) in files {
            let path = made.0.join(path);
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        made
    }

    fn read(&self, cpus: &[usize]) -> Machine {
        Machine::read(&SysRoot::recorded(&self.0), cpus)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_machine_is_told_by_its_files() {
    let machine = Made::new(
        "whole",
        &[
            (
                "proc/cpuinfo",
                "processor : 0\nmodel name\t: A CPU\nmicrocode : 0x1\n\
                 flags : fpu constant_tsc nonstop_tsc hypervisor\n",
            ),
            ("proc/self/status", "Cpus_allowed_list:\t0-1\n"),
            ("proc/cmdline", "quiet isolcpus=2-3 rcu_nocbs=2-3 nohz_full=2-3\n"),
            ("proc/meminfo", "MemFree: 1 kB\nMemTotal:    2048 kB\n"),
            ("proc/sys/kernel/osrelease", "6.1.2\n"),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/devices/system/cpu/online", "0-3\n"),
            ("sys/devices/system/cpu/isolated", "2-3\n"),
            ("sys/devices/system/cpu/nohz_full", "(null)\n"),
            ("sys/devices/system/cpu/smt/active", "1\n"),
            ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
            ("sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n"),
            ("sys/devices/system/cpu/intel_pstate/no_turbo", "1\n"),
            ("sys/devices/system/cpu/vulnerabilities/meltdown", "Mitigation: PTI\n"),
            ("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "1048576\n"),
        ],
    )
    .read(&[0]);
    assert_eq!(machine.cpu.model.as_deref(), Some("A CPU"));
    assert_eq!((machine.cpu.threads, machine.cpu.smt), (4, Some(true)));
    assert_eq!(machine.cpu.allowed.as_deref(), Some("0-1"));
    assert_eq!((machine.cpu.hypervisor, machine.cpu.steady_counter), (Some(true), Some(true)));
    assert_eq!(machine.kernel.release.as_deref(), Some("6.1.2"));
    assert_eq!(machine.kernel.clock_source.as_deref(), Some("tsc"));
    assert_eq!(machine.frequency.governors, BTreeSet::from(["performance".to_owned()]));
    assert_eq!(machine.frequency.boost, Some(false));
    assert_eq!(machine.isolation.isolated.as_deref(), Some("2-3"));
    assert_eq!(machine.isolation.nohz_full, None);
    assert_eq!(machine.isolation.rcu_nocbs.as_deref(), Some("2-3"));
    assert_eq!(machine.memory.total_bytes, Some(2048 * 1024));
    assert_eq!(machine.memory.transparent_huge_pages.as_deref(), Some("madvise"));
    assert_eq!((machine.cgroup.cpus, machine.cgroup.memory_bytes), (Some(1.5), Some(1 << 20)));
    assert_eq!(machine.mitigations.get("meltdown").map(String::as_str), Some("Mitigation: PTI"));
}

#[test]
fn a_machine_that_tells_nothing_is_no_error() {
    let machine = Made::new("empty", &[]).read(&[0, 99]);
    assert_eq!(machine, Machine::default());
    let json = serde_json::to_value(machine).expect("it can be written");
    assert_eq!(json["isolation"], serde_json::json!({}));
}

#[test]
fn limits_of_the_first_version_of_control_groups_are_read_too() {
    let machine = Made::new(
        "version-1",
        &[
            ("proc/self/cgroup", "3:memory:/x\n2:cpu,cpuacct:/outside/of/this/container\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "4096\n"),
        ],
    )
    .read(&[0]);
    assert_eq!((machine.cgroup.cpus, machine.cgroup.memory_bytes), (Some(0.5), Some(4096)));
}
