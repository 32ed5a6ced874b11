//! Every check on a machine that is as wanted and on one that is not; and what is said of files that make no sense.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mainspring_tuning::{
    Audit, Change, Facts, Finding, Kept, ShardCpus, SysRoot, Verdict, Want, Wanted, check,
    checks_of,
};

const FIRECRACKER: &str = "firecracker-2vcpu";
const SOCKETS: &str = "two-socket-smt";
const CHIPLETS: &str = "one-socket-chiplets";
const TUNED: &str = "arm64-tuned";
const CONTAINER: &str = "container-cpuset";

/// A recorded machine with some of its files replaced.
struct Machine {
    name: &'static str,
    edits: &'static [(&'static str, &'static str)],
}

const fn plain(name: &'static str) -> Machine {
    Machine { name, edits: &[] }
}

const fn edited(name: &'static str, edits: &'static [(&'static str, &'static str)]) -> Machine {
    Machine { name, edits }
}

/// What a check says of two machines.
struct Row {
    id: &'static str,
    want: Wish,
    as_wanted: Machine,
    found_as_wanted: &'static str,
    differing: Machine,
    found_differing: &'static str,
    /// The changes that would mend it, in words; the first of them, and how many there are.
    first_change: &'static str,
    changes: usize,
}

enum Wish {
    Word(&'static str),
    Number(u64),
}

use Wish::{Number, Word};

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { id: "cpu.governor", want: Word("performance"),
        as_wanted: plain(TUNED), found_as_wanted: "performance",
        differing: plain(SOCKETS), found_differing: "powersave",
        first_change: "write performance to /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", changes: 16 },
    Row { id: "cpu.energy_preference", want: Word("balance_performance"),
        as_wanted: plain(SOCKETS), found_as_wanted: "balance_performance",
        differing: edited(SOCKETS, &[("/sys/devices/system/cpu/cpu3/cpufreq/energy_performance_preference", "power")]),
        found_differing: "balance_performance on 0-2,4-15; power on 3",
        first_change: "write balance_performance to \
            /sys/devices/system/cpu/cpu3/cpufreq/energy_performance_preference", changes: 1 },
    Row { id: "cpu.boost", want: Word("on"),
        as_wanted: plain(CHIPLETS), found_as_wanted: "on",
        differing: edited(SOCKETS, &[("/sys/devices/system/cpu/intel_pstate/no_turbo", "1")]), found_differing: "off",
        first_change: "write 0 to /sys/devices/system/cpu/intel_pstate/no_turbo", changes: 1 },
    Row { id: "cpu.idle_latency", want: Number(10),
        as_wanted: plain(TUNED), found_as_wanted: "1 us (WFI) on 0-7",
        differing: plain(SOCKETS), found_differing: "133 us (C6) on 0-15",
        first_change: "write 1 to /sys/devices/system/cpu/cpu0/cpuidle/state3/disable", changes: 16 },
    Row { id: "cpu.idle_poll", want: Word("no"),
        as_wanted: plain(SOCKETS), found_as_wanted: "no",
        differing: edited(SOCKETS, &[("/proc/cmdline", "ro idle=poll")]), found_differing: "yes",
        first_change: "", changes: 0 },
    Row { id: "cpu.smt", want: Word("off"),
        as_wanted: edited(SOCKETS, &[("/sys/devices/system/cpu/smt/control", "forceoff")]),
        found_as_wanted: "off",
        differing: plain(SOCKETS), found_differing: "on",
        first_change: "boot with nosmt", changes: 1 },
    Row { id: "cpu.isolation", want: Word("shards"),
        as_wanted: plain(TUNED), found_as_wanted: "1-7",
        differing: plain(SOCKETS), found_differing: "none",
        first_change: "boot with isolcpus=managed_irq,domain,1-7,9-15", changes: 1 },
    Row { id: "irq.affinity", want: Word("housekeeping"),
        as_wanted: plain(TUNED), found_as_wanted: "eth0: 0 of 1 may go to shards",
        differing: plain(SOCKETS), found_differing: "eth0: 9 of 9 may go to shards",
        first_change: "write 0,8 to /proc/irq/40/smp_affinity_list", changes: 9 },
    // Siblings of shards may be in it, and CPUs that the machine could have.
    Row { id: "irq.default_affinity", want: Word("housekeeping"),
        as_wanted: edited(SOCKETS, &[("/proc/irq/default_smp_affinity", "1ff01")]), found_as_wanted: "0,8-15",
        differing: plain(SOCKETS), found_differing: "0-15",
        first_change: "write 0101 to /proc/irq/default_smp_affinity", changes: 1 },
    Row { id: "irq.balance", want: Word("not-on-shards"),
        as_wanted: plain(TUNED), found_as_wanted: "running, spares 1-7",
        differing: plain(CHIPLETS), found_differing: "running, spares 2-3",
        first_change: "set IRQBALANCE_BANNED_CPULIST=\"1-7\" in /etc/sysconfig/irqbalance and restart \
            irqbalance.service", changes: 1 },
    Row { id: "mem.thp", want: Word("madvise"),
        as_wanted: plain(FIRECRACKER), found_as_wanted: "madvise",
        differing: plain(SOCKETS), found_differing: "always",
        first_change: "write madvise to /sys/kernel/mm/transparent_hugepage/enabled", changes: 1 },
    Row { id: "mem.thp_defrag", want: Word("defer+madvise"),
        as_wanted: edited(SOCKETS, &[("/sys/kernel/mm/transparent_hugepage/defrag",
            "always defer [defer+madvise] madvise never")]), found_as_wanted: "defer+madvise",
        differing: plain(SOCKETS), found_differing: "madvise",
        first_change: "write defer+madvise to /sys/kernel/mm/transparent_hugepage/defrag", changes: 1 },
    Row { id: "mem.hugepages", want: Number(64),
        as_wanted: edited(SOCKETS, &[("/proc/sys/vm/nr_hugepages", "128")]), found_as_wanted: "128",
        differing: plain(SOCKETS), found_differing: "0",
        first_change: "write 64 to /proc/sys/vm/nr_hugepages", changes: 1 },
    Row { id: "mem.numa_balancing", want: Number(0),
        as_wanted: edited(SOCKETS, &[("/proc/sys/kernel/numa_balancing", "0")]), found_as_wanted: "0",
        differing: plain(SOCKETS), found_differing: "1",
        first_change: "write 0 to /proc/sys/kernel/numa_balancing", changes: 1 },
    Row { id: "mem.swappiness", want: Number(10),
        as_wanted: edited(SOCKETS, &[("/proc/sys/vm/swappiness", "1")]), found_as_wanted: "1",
        differing: plain(SOCKETS), found_differing: "60",
        first_change: "write 10 to /proc/sys/vm/swappiness", changes: 1 },
    Row { id: "mem.ksm", want: Number(0),
        as_wanted: plain(SOCKETS), found_as_wanted: "0",
        differing: edited(SOCKETS, &[("/sys/kernel/mm/ksm/run", "1")]), found_differing: "1",
        first_change: "write 0 to /sys/kernel/mm/ksm/run", changes: 1 },
    Row { id: "mem.locked_limit", want: Number(64 << 20),
        as_wanted: plain(TUNED), found_as_wanted: "unlimited",
        differing: plain(SOCKETS), found_differing: "8 MiB",
        first_change: "set LimitMEMLOCK=67108864", changes: 1 },
    Row { id: "kernel.timer_migration", want: Number(0),
        as_wanted: plain(TUNED), found_as_wanted: "0",
        differing: plain(FIRECRACKER), found_differing: "1",
        first_change: "write 0 to /proc/sys/kernel/timer_migration", changes: 1 },
    Row { id: "kernel.nmi_watchdog", want: Number(0),
        as_wanted: plain(FIRECRACKER), found_as_wanted: "0",
        differing: plain(SOCKETS), found_differing: "1",
        first_change: "write 0 to /proc/sys/kernel/nmi_watchdog", changes: 1 },
    Row { id: "kernel.stat_interval", want: Number(10),
        as_wanted: plain(TUNED), found_as_wanted: "10 s",
        differing: plain(FIRECRACKER), found_differing: "1 s",
        first_change: "write 10 to /proc/sys/vm/stat_interval", changes: 1 },
    Row { id: "kernel.workqueue_mask", want: Word("housekeeping"),
        as_wanted: plain(TUNED), found_as_wanted: "0",
        differing: plain(SOCKETS), found_differing: "0-15",
        first_change: "write 0101 to /sys/devices/virtual/workqueue/cpumask", changes: 1 },
    Row { id: "kernel.rcu_nocbs", want: Word("shards"),
        as_wanted: plain(TUNED), found_as_wanted: "1-7",
        differing: edited(SOCKETS, &[("/proc/cmdline", "ro rcu_nocbs=1-3")]), found_differing: "1-3",
        first_change: "boot with rcu_nocbs=1-7", changes: 1 },
    Row { id: "kernel.nohz_full", want: Word("shards"),
        as_wanted: plain(TUNED), found_as_wanted: "1-7",
        differing: plain(SOCKETS), found_differing: "none",
        first_change: "boot with nohz_full=1-7", changes: 1 },
    Row { id: "kernel.mitigations", want: Word("on"),
        as_wanted: plain(FIRECRACKER), found_as_wanted: "on",
        differing: edited(SOCKETS, &[("/proc/cmdline", "mitigations=auto mitigations=off")]), found_differing: "off",
        first_change: "boot with mitigations=auto", changes: 1 },
    Row { id: "kernel.io_uring", want: Number(0),
        as_wanted: plain(FIRECRACKER), found_as_wanted: "0",
        differing: edited(FIRECRACKER, &[("/proc/sys/kernel/io_uring_disabled", "2")]), found_differing: "2",
        first_change: "write 0 to /proc/sys/kernel/io_uring_disabled", changes: 1 },
    Row { id: "clock.source", want: Word("tsc"),
        as_wanted: plain(SOCKETS), found_as_wanted: "tsc",
        differing: edited(SOCKETS,
            &[("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet")]), found_differing: "hpet",
        first_change: "write tsc to /sys/devices/system/clocksource/clocksource0/current_clocksource", changes: 1 },
    Row { id: "net.coalescing", want: Number(8),
        as_wanted: plain(TUNED), found_as_wanted: "eth0: 8 us",
        differing: plain(SOCKETS), found_differing: "eth0: adaptive, 50 us",
        first_change: "run ethtool --coalesce eth0 adaptive-rx off", changes: 2 },
    Row { id: "net.queues", want: Word("housekeeping"),
        as_wanted: plain(TUNED), found_as_wanted: "eth0: 1 for 1 CPUs",
        differing: plain(SOCKETS), found_differing: "eth0: 8 for 2 CPUs",
        first_change: "run ethtool --set-channels eth0 combined 2", changes: 1 },
    Row { id: "net.rps_xps", want: Word("housekeeping"),
        as_wanted: plain(TUNED), found_as_wanted: "rps on 0, xps on 0-7",
        differing: plain(CHIPLETS), found_differing: "rps on 0-15, xps off",
        first_change: "write 0101 to /sys/class/net/enp1s0f0/queues/rx-0/rps_cpus", changes: 4 },
    Row { id: "net.congestion", want: Word("cubic"),
        as_wanted: plain(SOCKETS), found_as_wanted: "cubic",
        differing: edited(SOCKETS, &[("/proc/sys/net/ipv4/tcp_congestion_control", "reno")]), found_differing: "reno",
        first_change: "write cubic to /proc/sys/net/ipv4/tcp_congestion_control", changes: 1 },
    Row { id: "net.slow_start", want: Number(0),
        as_wanted: plain(TUNED), found_as_wanted: "0",
        differing: plain(SOCKETS), found_differing: "1",
        first_change: "write 0 to /proc/sys/net/ipv4/tcp_slow_start_after_idle", changes: 1 },
    Row { id: "net.buffers", want: Number(4 << 20),
        as_wanted: plain(SOCKETS), found_as_wanted: "receive 6 MiB, send 4 MiB",
        differing: edited(SOCKETS, &[("/proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t1048576")]),
        found_differing: "receive 6 MiB, send 1 MiB",
        first_change: "write 4096 16384 4194304 to /proc/sys/net/ipv4/tcp_wmem", changes: 1 },
    Row { id: "net.busy_poll", want: Number(0),
        as_wanted: plain(SOCKETS), found_as_wanted: "0",
        differing: edited(SOCKETS, &[("/proc/sys/net/core/busy_poll", "50")]), found_differing: "50",
        first_change: "write 0 to /proc/sys/net/core/busy_poll", changes: 1 },
    Row { id: "blk.scheduler", want: Word("none"),
        as_wanted: plain(CHIPLETS), found_as_wanted: "none on nvme0n1, nvme1n1",
        differing: plain(SOCKETS), found_differing: "mq-deadline on sda; none on nvme0n1",
        first_change: "write none to /sys/block/sda/queue/scheduler", changes: 1 },
    Row { id: "blk.nomerges", want: Number(2),
        as_wanted: plain(TUNED), found_as_wanted: "2 on nvme0n1",
        differing: plain(SOCKETS), found_differing: "0 on nvme0n1, sda",
        first_change: "write 2 to /sys/block/nvme0n1/queue/nomerges", changes: 2 },
    Row { id: "blk.write_cache", want: Word("write through"),
        as_wanted: plain(TUNED), found_as_wanted: "write through on nvme0n1",
        differing: plain(SOCKETS), found_differing: "write back on sda; write through on nvme0n1",
        first_change: "", changes: 0 },
    Row { id: "blk.fua", want: Word("yes"),
        as_wanted: plain(CHIPLETS), found_as_wanted: "nvme0n1: yes; nvme1n1: yes",
        differing: plain(SOCKETS), found_differing: "nvme0n1: not needed; sda: no",
        first_change: "", changes: 0 },
    Row { id: "blk.poll_queues", want: Word("on"),
        as_wanted: plain(TUNED), found_as_wanted: "nvme0n1: on",
        differing: plain(CHIPLETS), found_differing: "nvme0n1: off; nvme1n1: off",
        first_change: "boot with nvme.poll_queues=7", changes: 1 },
    Row { id: "fs.direct_io", want: Word("ext4"),
        as_wanted: plain(SOCKETS), found_as_wanted: "ext4 on /",
        differing: plain(CONTAINER), found_differing: "overlay on /",
        first_change: "", changes: 0 },
    Row { id: "limits.nofile", want: Number(65_536),
        as_wanted: plain(TUNED), found_as_wanted: "65536, hard limit 524288",
        differing: plain(SOCKETS), found_differing: "1024, hard limit 524288",
        first_change: "set LimitNOFILE=65536", changes: 1 },
    Row { id: "limits.rtprio", want: Number(1),
        as_wanted: edited(SOCKETS, &[("/proc/self/limits", "Max realtime priority     99   99\n")]),
        found_as_wanted: "99",
        differing: plain(SOCKETS), found_differing: "0",
        first_change: "set LimitRTPRIO=1", changes: 1 },
    Row { id: "limits.cpu_quota", want: Word("none"),
        as_wanted: plain(CHIPLETS), found_as_wanted: "none",
        differing: edited(CHIPLETS, &[
            ("/sys/fs/cgroup/system.slice/mainspring.service/cpu.max", "200000 100000"),
            ("/sys/fs/cgroup/system.slice/cpu.max", "50000 100000"),
        ]), found_differing: "0.500 CPUs",
        first_change: "", changes: 0 },
    Row { id: "virt.hypervisor", want: Word("none"),
        as_wanted: plain(SOCKETS), found_as_wanted: "none",
        differing: plain(FIRECRACKER), found_differing: "KVM",
        first_change: "", changes: 0 },
    Row { id: "virt.steal", want: Number(1_000),
        as_wanted: edited(FIRECRACKER, &[("/proc/stat", "cpu  500 0 100 399999 0 0 0 2 0 0\n")]),
        found_as_wanted: "0.0004 % since boot",
        differing: edited(FIRECRACKER, &[("/proc/stat", "cpu  500 0 100 9000 0 0 0 400 0 0\n")]),
        found_differing: "4.0000 % since boot",
        first_change: "", changes: 0 },
];

#[test]
fn every_check_knows_a_machine_that_is_as_wanted() {
    for row in ROWS {
        let finding = row.look_at(&row.as_wanted, "ok");
        assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        assert_eq!(finding.found, row.found_as_wanted, "{}", row.id);
        assert_eq!(finding.changes, [], "{}", row.id);
        assert!(!finding.evidence.is_empty(), "{}", row.id);
    }
}

#[test]
fn every_check_knows_a_machine_that_differs_and_what_would_mend_it() {
    for row in ROWS {
        let finding = row.look_at(&row.differing, "differs");
        assert!(finding.verdict.differs(), "{finding:?}");
        assert_eq!(finding.found, row.found_differing, "{}", row.id);
        let first = finding.changes.first().map(Change::to_string).unwrap_or_default();
        assert_eq!((first.as_str(), finding.changes.len()), (row.first_change, row.changes));
        assert_eq!(
            finding.verdict == Verdict::NeedsReboot,
            row.first_change.starts_with("boot with"),
            "{finding:?}"
        );
    }
}

#[test]
fn every_check_has_its_row_here_and_says_all_that_an_operator_asks() {
    let ids: Vec<_> = check::all().iter().map(|check| check.id).collect();
    let tested: BTreeSet<_> = ROWS.iter().map(|row| row.id).collect();
    assert_eq!(tested.into_iter().collect::<Vec<_>>(), {
        let mut ids = ids.clone();
        ids.sort_unstable();
        ids
    });
    for check in check::all() {
        for (heading, text) in check.explanation.parts() {
            assert!(text.len() > 12, "{}: {heading}", check.id);
        }
        assert!(!check.effect.ends_with('.') && check.effect.len() > 12, "{}", check.id);
    }
}

/// Where the device's own node has CPUs for housekeeping, its interrupts stay there.
#[test]
fn interrupts_go_to_the_node_of_their_device() {
    let mut wanted = Wanted::new().with("irq.affinity", Want::word("housekeeping"));
    wanted.shards = ShardCpus::These("1-2,5-6".parse().unwrap());
    let audit = audit(&SysRoot::recorded(recorded(SOCKETS)), &wanted);
    assert_eq!(audit.roles.housekeeping.to_string(), "0,3-4,7-8,11-12,15");
    let first = audit.findings[0].changes.first().map(Change::to_string);
    assert_eq!(first.as_deref(), Some("write 0,3,8,11 to /proc/irq/40/smp_affinity_list"));
}

/// A change and what takes it back are never the same, and both are what the file takes.
#[test]
fn a_choice_in_brackets_is_restored_by_its_word_alone() {
    let row = ROWS.iter().find(|row| row.id == "mem.thp").unwrap();
    let finding = row.look_at(&row.differing, "restore");
    let [Change::Write { value, restore, .. }] = finding.changes.as_slice() else {
        panic!("{finding:?}")
    };
    assert_eq!((value.as_str(), restore.as_str()), ("madvise", "always"));
}

/// One file at a time is damaged: the finding says so, or it stays; nothing panics, and the rest is as it was.
#[test]
fn files_that_make_no_sense_are_findings_and_never_errors() {
    let wanted = all_wanted();
    let mut unreadable = BTreeSet::new();
    for name in [FIRECRACKER, CHIPLETS] {
        let copy = Copy::whole(name);
        let root = SysRoot::recorded(&copy.folder).keeping();
        let intact = audit(&root, &wanted);
        for path in files_worth_damaging(&root) {
            let place = copy.folder.join(path.strip_prefix("/").unwrap());
            let bytes = fs::read(&place).unwrap();
            for damage in [
                "",
                "-1 garbage
",
                "99999999999999999999
",
            ] {
                fs::write(&place, damage).unwrap();
                let Some(audit) = try_audit(&SysRoot::recorded(&copy.folder), &wanted) else {
                    continue;
                };
                assert_eq!(audit.findings.len(), intact.findings.len(), "{}", path.display());
                let unread = |finding: &&Finding| matches!(finding.verdict, Verdict::Unreadable(_));
                unreadable.extend(audit.findings.iter().filter(unread).map(|finding| finding.id));
            }
            fs::write(&place, bytes).unwrap();
        }
    }
    for id in ["mem.hugepages", "cpu.idle_latency", "blk.scheduler", "limits.nofile", "virt.steal"]
    {
        assert!(unreadable.contains(id), "{id} was never unreadable: {unreadable:?}");
    }
}

impl Row {
    fn look_at(&self, machine: &Machine, test: &str) -> Finding {
        let want = match self.want {
            Word(word) => Want::word(word),
            Number(number) => Want::Number(number),
        };
        let check = check::by_id(self.id).unwrap_or_else(|| panic!("no check {}", self.id));
        assert!(check.takes.accepts(&want), "{}", self.id);
        let wanted = Wanted::new().with(check.id, want);
        let copy = Copy::of(machine, &format!("{test}-{}", self.id));
        audit(&SysRoot::recorded(&copy.folder), &wanted).findings.remove(0)
    }
}

fn audit(root: &SysRoot, wanted: &Wanted) -> Audit {
    try_audit(root, wanted).expect("it tells its CPUs")
}

/// Nothing when not even the CPUs can be told.
fn try_audit(root: &SysRoot, wanted: &Wanted) -> Option<Audit> {
    let facts = Facts::probe(root, &checks_of(wanted)).ok()?;
    Some(Audit::of(&facts, wanted))
}

/// What the rows want, all at once.
fn all_wanted() -> Wanted {
    ROWS.iter().fold(Wanted::new(), |wanted, row| {
        let want = match row.want {
            Word(word) => Want::word(word),
            Number(number) => Want::Number(number),
        };
        wanted.with(row.id, want)
    })
}

/// The files that were read, of the CPUs the first alone: the others are like it.
fn files_worth_damaging(root: &SysRoot) -> Vec<PathBuf> {
    let kept = root.kept().into_iter().filter(|(_, kept)| matches!(kept, Kept::File(_)));
    let paths = kept.map(|(path, _)| path);
    let is_other = |path: &PathBuf| {
        let text = path.display().to_string();
        text.contains("/cpu/cpu") && !text.contains("/cpu/cpu0/")
    };
    paths.filter(|path| !is_other(path) && !path.starts_with("/proc/self/ns")).collect()
}

/// A machine that a test may change, removed when dropped.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    /// With the edits; what they leave alone is linked.
    fn of(machine: &Machine, test: &str) -> Copy {
        let copy = Copy::new(machine.name, test);
        let edits: Vec<_> =
            machine.edits.iter().map(|(path, _)| path.trim_start_matches('/')).collect();
        shadow(&recorded(machine.name), &copy.folder, &edits);
        for (path, text) in machine.edits {
            fs::write(copy.folder.join(path.trim_start_matches('/')), text).unwrap();
        }
        copy
    }

    /// With files of its own all through.
    fn whole(name: &str) -> Copy {
        let copy = Copy::new(name, "whole");
        copy_folder(&recorded(name), &copy.folder);
        copy
    }

    fn new(name: &str, test: &str) -> Copy {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{name}"));
        let _ = fs::remove_dir_all(&folder);
        Copy { folder }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machines").join(name)
}

/// Makes the folder with links to all that is in the source, except the files of these paths, which are left out.
fn shadow(source: &Path, target: &Path, left_out: &[&str]) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let below: Vec<_> =
            left_out.iter().filter_map(|path| path.strip_prefix(&format!("{name}/"))).collect();
        if !below.is_empty() {
            shadow(&source.join(&name), &target.join(&name), &below);
        } else if !left_out.contains(&name.as_str()) {
            std::os::unix::fs::symlink(source.join(&name), target.join(&name)).unwrap();
        }
    }
}

fn copy_folder(source: &Path, target: &Path) {
    fs::create_dir_all(target).unwrap();
    for entry in fs::read_dir(source).unwrap() {
        let entry = entry.unwrap();
        let target = target.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
