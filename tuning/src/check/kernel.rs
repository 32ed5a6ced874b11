//! Checks of the kernel's own work: timers, watchdogs, statistics, deferred work, and what it allows.

use super::setting::{Form, setting};
use super::{Case, Check, Explanation, Scope, Seen};
use crate::cpu_set::CpuSet;
use crate::finding::Change;
use crate::want::{Takes, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "kernel.timer_migration",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[TIMER_MIGRATION],
        effect: "timers of other CPUs are moved to CPUs that are awake, and those are the shards'",
        explanation: Explanation {
            what: "With 1 the kernel moves the timers of idle CPUs to busy ones, so that the idle can sleep on. A \
                core that spins is never idle and so attracts them.",
            cost: "Idle CPUs wake more often and save less power.",
            disagreement: "tuned's network-latency sets 0, the default is 1. With nohz_full the kernel keeps timers \
                off those CPUs by itself.",
            source: "Linux, kernel/time/timer.c (timer_migration)",
            measure: "the row LOC of /proc/interrupts on the shards' CPUs, before and after, over ten seconds",
        },
        look: |case| {
            setting(case, TIMER_MIGRATION, Form::Number, "the kernel does not move timers")
        },
    },
    &Check {
        id: "kernel.nmi_watchdog",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[NMI_WATCHDOG],
        effect: "every CPU takes a non-maskable interrupt every few seconds and lends a counter to it",
        explanation: Explanation {
            what: "The hard lockup detector programs a performance counter on each CPU and lets it interrupt. No \
                isolation keeps it away.",
            cost: "A CPU that hangs in the kernel is no longer reported.",
            disagreement: "tuned's network-latency and cpu-partitioning set 0. Distributions ship 1, because for \
                most systems a report is worth more than some microseconds. Guests mostly have no counter for it and \
                cannot switch it on.",
            source: "Linux, Documentation/admin-guide/lockup-watchdogs.rst; sysctl/kernel.rst (nmi_watchdog)",
            measure: "the row NMI of /proc/interrupts on the shards' CPUs",
        },
        look: |case| setting(case, NMI_WATCHDOG, Form::Number, "the kernel has no such watchdog"),
    },
    &Check {
        id: "kernel.stat_interval",
        scope: Scope::Guest,
        takes: Takes::AtLeast(Unit::Seconds),
        reads: &[STAT_INTERVAL],
        effect: "a worker of the kernel wakes on each CPU every second to add up memory statistics",
        explanation: Explanation {
            what: "How often each CPU's counters of virtual memory are added to the global ones. It is done on the \
                CPU itself, by a worker that takes it for some microseconds.",
            cost: "Statistics of memory, as /proc/vmstat shows them, are up to so many seconds old.",
            disagreement: "tuned's network-latency sets 10; the default is 1. CPUs without changes are skipped, so a \
                shard that allocates nothing sees little of it either way.",
            source: "Linux, Documentation/admin-guide/sysctl/vm.rst (stat_interval)",
            measure: "mainspring-tune jitter: gaps once a second that come from another thread",
        },
        look: |case| {
            setting(case, STAT_INTERVAL, Form::Number, "the kernel keeps no such statistics")
        },
    },
    &Check {
        id: "kernel.workqueue_mask",
        scope: Scope::Guest,
        takes: Takes::Words(&["housekeeping"]),
        reads: &[WORKQUEUES],
        effect: "work that the kernel defers may be done on a shard's CPU",
        explanation: Explanation {
            what: "Deferred work that is bound to no CPU is done on any CPU of this mask. Without the shards in it, \
                writing back files, tearing down devices and the like happens elsewhere.",
            cost: "The CPUs that are left do all of it; too few of them slow down writing back.",
            disagreement: "tuned's cpu-partitioning sets it; guides that rely on isolcpus alone often forget it: \
                older kernels do not take isolated CPUs out of this mask by themselves.",
            source: "Linux, Documentation/core-api/workqueue.rst (Affinity Scopes, cpumask)",
            measure: "mainspring-tune jitter: the threads named kworker that run on the shards' CPUs",
        },
        look: workqueue_mask,
    },
    &Check {
        id: "kernel.rcu_nocbs",
        scope: Scope::Guest,
        takes: Takes::Words(&["shards"]),
        reads: &[CMDLINE, NOHZ_FULL],
        effect: "callbacks of read-copy-update run in soft interrupts on the shards' CPUs",
        explanation: Explanation {
            what: "The kernel frees much of its memory in callbacks, on the CPU that asked for it. With rcu_nocbs \
                threads do this, which can run on other CPUs.",
            cost: "A boot parameter; a wake-up for each batch of callbacks, and threads that need CPU time elsewhere.",
            disagreement: "tuned's cpu-partitioning sets it together with nohz_full, which implies it. For a core \
                that makes few system calls there are few callbacks to move.",
            source: "Linux, Documentation/admin-guide/kernel-parameters.txt (rcu_nocbs=); \
                Documentation/admin-guide/kernel-per-CPU-kthreads.rst",
            measure: "the row RCU of /proc/softirqs on the shards' CPUs",
        },
        look: rcu_nocbs,
    },
    &Check {
        id: "kernel.nohz_full",
        scope: Scope::Guest,
        takes: Takes::Words(&["shards", "none"]),
        reads: &[NOHZ_FULL],
        effect: "the scheduler's tick interrupts a busy shard 100 to 1000 times a second, a few microseconds each \
            time",
        explanation: Explanation {
            what: "On the CPUs of nohz_full the tick stops while a single thread runs there.",
            cost: "Every entry to the kernel and every return is dearer, because time has to be accounted there \
                instead of in the tick. A comparison on the kernel's mailing list (March 2026, Xeon 6338N, 6.12-rt) \
                found 300 to 350 ns more on average and a smaller worst case. A core that makes many system calls \
                pays more than it gains.",
            disagreement: "tuned's cpu-partitioning and realtime set it. The kernel's documentation wants a single \
                thread that makes no system calls. mainspring's cores enter the kernel for io_uring, so only the \
                profile isolated-spin wants it, and the answer should come from a measurement.",
            source: "Linux, Documentation/timers/no_hz.rst; Documentation/admin-guide/cpu-isolation.rst",
            measure: "two boots and mainspring-perf pair between them; the row LOC of /proc/interrupts shows whether \
                the tick really stops",
        },
        look: nohz_full,
    },
    &Check {
        id: "kernel.mitigations",
        scope: Scope::Guest,
        takes: Takes::Words(&["on", "off"]),
        reads: &[CMDLINE],
        effect: "off: any program on the machine may read what others keep secret",
        explanation: Explanation {
            what: "Processors leak data through what they execute ahead of time; the kernel closes the leaks at each \
                entry and at each switch. mitigations=off leaves them open and makes system calls and switches \
                cheaper. No profile here plans it: it is explained because it is often recommended.",
            cost: "Security. It can be weighed only where every program on the machine is trusted, the browser and \
                the neighbour's container included.",
            disagreement: "Some trading set-ups switch them off. The gain depends on the processor: newer ones have \
                most of the fixes in hardware. A core that spins and reads its messages from memory rarely enters \
                the kernel.",
            source: "Linux, Documentation/admin-guide/kernel-parameters.txt (mitigations=); \
                Documentation/admin-guide/hw-vuln/",
            measure: "two boots and mainspring-perf pair between them, on scenarios with many system calls",
        },
        look: mitigations,
    },
    &Check {
        id: "kernel.io_uring",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[IO_URING],
        effect: "a node does not start: its cores cannot have a ring",
        explanation: Explanation {
            what: "0 lets every process create io_uring instances, 1 only members of kernel.io_uring_group and \
                administrators, 2 nobody. Each core of a node needs one.",
            cost: "io_uring is a large part of the kernel, and it has had its share of security holes.",
            disagreement: "Hardened distributions and some clouds ship 2 for that reason; 1 with a group is the \
                compromise. A container's seccomp filter may forbid the calls even with 0 here.",
            source: "Linux, Documentation/admin-guide/sysctl/kernel.rst (io_uring_disabled)",
            measure: "a node that starts has its rings; otherwise its error says what forbade them",
        },
        look: io_uring,
    },
];

const TIMER_MIGRATION: &str = "/proc/sys/kernel/timer_migration";
const NMI_WATCHDOG: &str = "/proc/sys/kernel/nmi_watchdog";
const STAT_INTERVAL: &str = "/proc/sys/vm/stat_interval";
const WORKQUEUES: &str = "/sys/devices/virtual/workqueue/cpumask";
const CMDLINE: &str = "/proc/cmdline";
const NOHZ_FULL: &str = "/sys/devices/system/cpu/nohz_full";
const IO_URING: &str = "/proc/sys/kernel/io_uring_disabled";

fn workqueue_mask(case: &Case) -> Seen {
    if case.roles.housekeeping.is_empty() {
        return Seen::not_applicable(WORKQUEUES, super::NO_HOUSEKEEPING);
    }
    super::mask::spares_shards(case, WORKQUEUES)
}

fn rcu_nocbs(case: &Case) -> Seen {
    if case.facts.reading(CMDLINE).is_err() {
        return Seen::unreadable(CMDLINE, format!("{CMDLINE} cannot be read"));
    }
    if case.roles.housekeeping.is_empty() {
        return Seen::not_applicable(CMDLINE, super::NO_HOUSEKEEPING);
    }
    let named = match case.boot_parameter("rcu_nocbs") {
        Some("all") => Ok(case.facts.topology().online()),
        Some(list) => list.parse(),
        None => Ok(CpuSet::new()),
    };
    let Ok(named) = named else {
        return Seen::unreadable(
            CMDLINE,
            "rcu_nocbs= of the kernel's command line is no list of CPUs",
        );
    };
    let covered = named.union(&ticking_off(case));
    let value = case.roles.shards.to_string();
    let change = Change::Boot { parameter: "rcu_nocbs", value };
    Seen::either(case.roles.shards.is_subset(&covered), or_none(&covered), CMDLINE, [change])
}

/// The CPUs on which the tick stops. The kernel says `(null)` where it could be stopped but is not.
fn ticking_off(case: &Case) -> CpuSet {
    let text = case.facts.reading(NOHZ_FULL).unwrap_or_default();
    text.trim().trim_matches(['(', ')']).parse().unwrap_or_default()
}

fn or_none(cpus: &CpuSet) -> String {
    if cpus.is_empty() { "none".to_owned() } else { cpus.to_string() }
}

fn nohz_full(case: &Case) -> Seen {
    if case.facts.reading(NOHZ_FULL).is_err() {
        return Seen::not_applicable(NOHZ_FULL, "the kernel was built without NO_HZ_FULL");
    }
    let found = ticking_off(case);
    if case.want.has("none") {
        return Seen::either(found.is_empty(), or_none(&found), NOHZ_FULL, None);
    }
    if case.roles.housekeeping.is_empty() {
        return Seen::not_applicable(NOHZ_FULL, super::NO_HOUSEKEEPING);
    }
    let change = Change::Boot { parameter: "nohz_full", value: case.roles.shards.to_string() };
    Seen::either(case.roles.shards.is_subset(&found), or_none(&found), NOHZ_FULL, [change])
}

fn mitigations(case: &Case) -> Seen {
    if case.facts.reading(CMDLINE).is_err() {
        return Seen::unreadable(CMDLINE, format!("{CMDLINE} cannot be read"));
    }
    let is_off = case.boot_parameter("mitigations") == Some("off");
    let found = if is_off { "off" } else { "on" };
    let value = if is_off { "auto" } else { "off" };
    let change = Change::Boot { parameter: "mitigations", value: value.to_owned() };
    Seen::either(case.want.has(found), found, CMDLINE, [change])
}

fn io_uring(case: &Case) -> Seen {
    // Kernels before 6.6 have no switch, and everybody may.
    match case.facts.reading(IO_URING) {
        Err(crate::sys_root::ReadError::Missing) if case.want.number() == Some(0) => {
            Seen::ok("no switch", IO_URING)
        }
        _ => setting(case, IO_URING, Form::Number, "the kernel has no switch for io_uring"),
    }
}
