//! Checks of memory: what the kernel does to pages behind a program's back, and how much of it may be locked.

use super::setting::{Form, setting};
use super::{Check, Explanation, Scope, Seen, limits};
use crate::want::{Takes, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "mem.thp",
        scope: Scope::Guest,
        takes: Takes::Words(&["always", "madvise", "never"]),
        reads: &[THP],
        effect: "`always`: a page fault may stop a thread while the kernel clears 2 MiB or compacts memory",
        explanation: Explanation {
            what: "Transparent huge pages back memory with 2 MiB pages: fewer TLB misses, but a fault clears 512 \
                times as much memory and may first have to make room. `madvise` gives them to programs that ask, and \
                to nobody else.",
            cost: "With `madvise` programs that never ask lose the fewer TLB misses they had without knowing.",
            disagreement: "rpk sets `always`, tuned's network-latency sets `never`, most databases' manuals say \
                `never`, allocators such as TCMalloc want `always`. They measure different programs. `madvise` lets \
                each decide for itself and is the default of most distributions.",
            source: "Linux, Documentation/admin-guide/mm/transhuge.rst",
            measure: "mainspring-tune effect mem.thp; faults show in the tail, TLB misses in the median",
        },
        look: |case| {
            setting(case, THP, Form::Bracketed, "the kernel has no transparent huge pages")
        },
    },
    &Check {
        id: "mem.thp_defrag",
        scope: Scope::Guest,
        takes: Takes::Words(&["always", "defer", "defer+madvise", "madvise", "never"]),
        reads: &[THP_DEFRAG],
        effect: "`always`: a thread that faults waits while the kernel moves other pages out of the way",
        explanation: Explanation {
            what: "Says who makes room for a huge page when there is none: the thread that faults, at once, or the \
                kernel's own threads, later. With `always` every thread may be stopped for milliseconds.",
            cost: "With less direct compaction fewer faults get a huge page.",
            disagreement: "`defer+madvise` compacts at once only for those who asked; `madvise`, the default, does \
                so for them and leaves the others alone. Either is fine as long as mem.thp is not `always`.",
            source: "Linux, Documentation/admin-guide/mm/transhuge.rst (defrag)",
            measure: "compact_stall in /proc/vmstat counts the threads that had to wait",
        },
        look: |case| {
            setting(case, THP_DEFRAG, Form::Bracketed, "the kernel has no transparent huge pages")
        },
    },
    &Check {
        id: "mem.hugepages",
        scope: Scope::Guest,
        takes: Takes::AtLeast(Unit::None),
        reads: &[HUGE_PAGES],
        effect: "programs that ask for reserved huge pages get none",
        explanation: Explanation {
            what: "Reserves pages of the default huge size, usually 2 MiB, for programs that ask by hugetlbfs or \
                MAP_HUGETLB. They are always there and never swapped.",
            cost: "The memory is gone for everything else, used or not.",
            disagreement: "mainspring does not ask for reserved pages, so no profile here wants any; a program \
                beside it may (DPDK, databases). Later than at boot the kernel may find fewer free pages than it is \
                asked for.",
            source: "Linux, Documentation/admin-guide/mm/hugetlbpage.rst",
            measure: "HugePages_Free in /proc/meminfo says whether anybody uses them",
        },
        look: |case| {
            setting(case, HUGE_PAGES, Form::Number, "the kernel has no reserved huge pages")
        },
    },
    &Check {
        id: "mem.numa_balancing",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[NUMA_BALANCING],
        effect: "the kernel unmaps pages to see who touches them; each first touch is a fault on a shard's path",
        explanation: Explanation {
            what: "Automatic NUMA balancing takes pages away for a moment to learn which node uses them, and moves \
                them. Threads that are pinned to a node from the start have nothing to gain from it.",
            cost: "Programs that are not pinned keep using memory of a distant node.",
            disagreement: "tuned's network-latency and ScyllaDB's set-up switch it off, distributions ship it on, \
                for programs that know nothing of nodes. If such programs share the machine, weigh theirs against \
                yours.",
            source: "Linux, Documentation/admin-guide/sysctl/kernel.rst (numa_balancing)",
            measure: "numa_hint_faults in /proc/vmstat counts the faults; mainspring-tune effect mem.numa_balancing",
        },
        look: |case| {
            if case.facts.topology().nodes().len() < 2 {
                return Seen::not_applicable(
                    NUMA_BALANCING,
                    "one NUMA node: there is nothing to balance",
                );
            }
            setting(case, NUMA_BALANCING, Form::Number, "the kernel does not balance NUMA nodes")
        },
    },
    &Check {
        id: "mem.swappiness",
        scope: Scope::Guest,
        takes: Takes::AtMost(Unit::None),
        reads: &[SWAPPINESS, SWAPS],
        effect: "under memory pressure pages of a program are written out rather than pages of files dropped",
        explanation: Explanation {
            what: "Weighs writing out a program's pages against dropping cached file pages when memory is short. A \
                shard that touches a page that was written out waits for the disk.",
            cost: "With a low value the file cache shrinks first, so reading files gets slower under pressure.",
            disagreement: "rpk sets 1, tuned 10, the kernel's default is 60. Zero does not mean never, and without \
                swap it means nothing. Locked memory is never written out, whatever the value.",
            source: "Linux, Documentation/admin-guide/sysctl/vm.rst (swappiness)",
            measure: "pswpin in /proc/vmstat: as long as it stands still, this setting did nothing",
        },
        look: |case| {
            let devices = case.facts.reading(SWAPS).map(|text| text.lines().skip(1).count());
            if devices == Ok(0) {
                return Seen::not_applicable(SWAPS, "no swap is in use");
            }
            setting(case, SWAPPINESS, Form::Number, "the kernel has no swap")
        },
    },
    &Check {
        id: "mem.ksm",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[KSM],
        effect: "a kernel thread compares pages, and writing to one that was merged faults and copies it",
        explanation: Explanation {
            what: "Kernel same-page merging scans memory for equal pages and keeps one copy. It concerns programs \
                that ask for it, above all virtual machines; the scanning thread runs for all.",
            cost: "Hosts of many equal guests need more memory without it.",
            disagreement: "tuned's cpu-partitioning switches it off; hosts of virtual machines switch it on for good \
                reason. Value 2 stops it and gives back what was merged.",
            source: "Linux, Documentation/admin-guide/mm/ksm.rst",
            measure: "/sys/kernel/mm/ksm/pages_sharing says whether it found anything",
        },
        look: |case| setting(case, KSM, Form::Number, "the kernel does not merge pages"),
    },
    &Check {
        id: "mem.locked_limit",
        scope: Scope::Container,
        takes: Takes::AtLeast(Unit::Bytes),
        reads: &[limits::LIMITS],
        effect: "rings and registered buffers are refused, or memory that should never be swapped may be",
        explanation: Explanation {
            what: "How much memory a process may lock (RLIMIT_MEMLOCK). Buffers registered with io_uring count, and \
                before Linux 5.12 its rings too; so does everything that mlock keeps from being swapped.",
            cost: "Locked memory cannot be given to anybody else. The limit is a guard against a program that locks \
                too much by mistake.",
            disagreement: "Databases' guides say unlimited; distributions ship 8 MiB, systemd 8 MiB, older ones 64 \
                KiB. A node needs 512 KiB for each ring's start; with registered buffers it is the sum of what is \
                configured.",
            source: "getrlimit(2); io_uring_register(2); systemd.exec(5) (LimitMEMLOCK=)",
            measure: "Max locked memory in /proc/PID/limits of the running node; VmLck in its status is what it uses",
        },
        look: |case| limits::limit(case, &limits::LOCKED_MEMORY),
    },
];

const THP: &str = "/sys/kernel/mm/transparent_hugepage/enabled";
const THP_DEFRAG: &str = "/sys/kernel/mm/transparent_hugepage/defrag";
const HUGE_PAGES: &str = "/proc/sys/vm/nr_hugepages";
const NUMA_BALANCING: &str = "/proc/sys/kernel/numa_balancing";
const SWAPPINESS: &str = "/proc/sys/vm/swappiness";
const SWAPS: &str = "/proc/swaps";
const KSM: &str = "/sys/kernel/mm/ksm/run";
