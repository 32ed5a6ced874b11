//! Checks of drives and of the file system: what lies between a write and its being durable.

use super::setting::{Form, setting_where};
use super::{Case, Check, Explanation, Scope, Seen};
use crate::finding::Change;
use crate::interrupts::names;
use crate::want::{Takes, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "blk.scheduler",
        scope: Scope::Guest,
        takes: Takes::AnyWords,
        reads: &[DISKS, ROTATIONAL, SCHEDULER],
        effect: "each request passes a queue and a lock that a fast drive does not need",
        explanation: Explanation {
            what: "The scheduler orders requests before the drive sees them. Flash drives, and the hypervisor behind \
                a virtual one, order them better themselves; `none` passes requests on at once.",
            cost: "Nobody keeps one program's requests from delaying another's; mq-deadline bounds how long a read \
                may wait behind writes.",
            disagreement: "Distributions use none for NVMe and mq-deadline for others; for spinning disks \
                mq-deadline or bfq are right, so they are left out here. rpk and perftune.py set none or noop.",
            source: "Linux, Documentation/block/switching-sched.rst",
            measure: "mainspring-tune effect blk.scheduler with a scenario of the journal",
        },
        look: scheduler,
    },
    &Check {
        id: "blk.nomerges",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[DISKS, NOMERGES],
        effect: "the kernel looks for a neighbour of each request to merge it with, and finds none",
        explanation: Explanation {
            what: "Requests next to each other can be merged into one. A log that is written in large aligned pieces \
                has nothing to merge; 2 stops looking, 1 looks only where it is cheap.",
            cost: "Programs that write small neighbouring pieces make more requests.",
            disagreement: "rpk and perftune.py set 2 for all drives. The search is short: the effect is some hundred \
                nanoseconds a request at most, and hard to measure, so no profile but isolated-spin asks for it.",
            source: "Linux, Documentation/ABI/stable/sysfs-block (nomerges)",
            measure: "mainspring-tune effect blk.nomerges; expect no effect beyond the noise",
        },
        look: |case| {
            setting_where(case, NOMERGES, Form::Number, NO_DISK, |place| is_disk(case, place))
        },
    },
    &Check {
        id: "blk.write_cache",
        scope: Scope::Host,
        takes: Takes::Words(&["write through", "write back"]),
        reads: &[DISKS, WRITE_CACHE],
        effect: "a commit is durable only after the drive has flushed its cache: often a millisecond on flash",
        explanation: Explanation {
            what: "`write back` means that the drive acknowledges what is still in a volatile cache, so each commit \
                ends with a flush. Drives with capacitors (power-loss protection) report `write through`: \
                acknowledged is durable, and a commit takes tens of microseconds.",
            cost: "A drive with power-loss protection costs more. No change is planned: writing `write through` to \
                this file only stops the kernel from flushing, and on a drive with a volatile cache that loses what \
                was acknowledged.",
            disagreement: "rpk writes `write through` on the local drives of one cloud, whose host keeps the cache \
                safe. Elsewhere that is a lie to the kernel.",
            source: "Linux, Documentation/block/writeback_cache_control.rst; ABI/stable/sysfs-block (write_cache)",
            measure: "mainspring-perf run journal-append shows what a durable commit takes",
        },
        look: write_cache,
    },
    &Check {
        id: "blk.fua",
        scope: Scope::Host,
        takes: Takes::Words(&["yes", "no"]),
        reads: &[DISKS, FUA, WRITE_CACHE],
        effect: "a durable write is a write and then a flush of everything, two trips to the drive instead of one",
        explanation: Explanation {
            what: "A drive with forced unit access writes one request through its cache, so a commit is a single \
                write with that flag. Without it the kernel follows the write by a flush of the whole cache.",
            cost: "None. It is the drive's to have; the kernel does not use it on SATA unless libata.fua=1.",
            disagreement: "SATA drives have claimed it and not kept it, which is why the kernel does not trust \
                theirs by default.",
            source: "Linux, Documentation/block/writeback_cache_control.rst; ABI/stable/sysfs-block (fua)",
            measure: "mainspring-perf run journal-append",
        },
        look: forced_unit_access,
    },
    &Check {
        id: "blk.poll_queues",
        scope: Scope::Guest,
        takes: Takes::Words(&["on", "off"]),
        reads: &[DISKS, POLL],
        effect: "the end of each request is an interrupt; a ring that polls is refused",
        explanation: Explanation {
            what: "A ring set up for polling asks the drive whether a request is done instead of being interrupted, \
                which saves some microseconds a request. The driver must have been given queues for it.",
            cost: "Those queues carry nothing else, a CPU spins while a request is under way, and the ring can do \
                hardly anything but direct reads and writes.",
            disagreement: "Benchmarks of drives use it; databases rarely do. mainspring's journal waits on its \
                core's ring beside everything else, so only isolated-spin asks for it.",
            source: "io_uring_setup(2) (IORING_SETUP_IOPOLL); Linux, ABI/stable/sysfs-block (io_poll)",
            measure: "two boots and mainspring-perf pair between them, on the scenarios of the journal",
        },
        look: poll_queues,
    },
    &Check {
        id: "fs.direct_io",
        scope: Scope::Container,
        takes: Takes::AnyWords,
        reads: &[MOUNTS],
        effect: "the journal cannot go past the page cache, or its writes are copied and delayed there all the same",
        explanation: Explanation {
            what: "The journal writes with O_DIRECT, past the page cache. ext4 and xfs do so when places are aligned \
                and allocated; others take the flag and copy after all, or refuse it. The found value is the file \
                system under the folder that --data names.",
            cost: "None: it is a matter of where the data lie.",
            disagreement: "ScyllaDB and Redpanda insist on xfs, whose writes behind the end of a file do not wait \
                for others. mainspring allocates and writes its segments beforehand, so that ext4 serves as well. \
                Overlays of containers pass the flag on to what is below: use a volume.",
            source: "open(2) (O_DIRECT); statx(2) (STATX_DIOALIGN)",
            measure: "the journal says at its start which method the device does faster",
        },
        look: direct_io,
    },
];

const DISKS: &str = "/sys/block/*/device/";
const ROTATIONAL: &str = "/sys/block/*/queue/rotational";
const SCHEDULER: &str = "/sys/block/*/queue/scheduler";
const NOMERGES: &str = "/sys/block/*/queue/nomerges";
const WRITE_CACHE: &str = "/sys/block/*/queue/write_cache";
const FUA: &str = "/sys/block/*/queue/fua";
const POLL: &str = "/sys/block/*/queue/io_poll";
const MOUNTS: &str = "/proc/self/mountinfo";

const NO_DISK: &str = "no drive with hardware behind it";

/// Whether something stands behind the block device, as nothing does behind a loop device.
fn is_disk(case: &Case, place: &[String]) -> bool {
    let name = place.first().map_or("", String::as_str);
    case.facts.reading(&DISKS.replace('*', name)).is_ok()
}

fn scheduler(case: &Case) -> Seen {
    let is_ours = |place: &[String]| {
        let name = place.first().map_or("", String::as_str);
        let spins =
            case.facts.reading(&ROTATIONAL.replace('*', name)).is_ok_and(|text| text.trim() == "1");
        // What a hypervisor says of rotation is mostly a guess.
        is_disk(case, place) && (!spins || case.facts.surroundings().guest_of.is_some())
    };
    setting_where(case, SCHEDULER, Form::Bracketed, "no drive that does not spin", is_ours)
}

/// What would only silence the kernel is not offered as a change.
fn write_cache(case: &Case) -> Seen {
    let seen = setting_where(case, WRITE_CACHE, Form::Word, NO_DISK, |place| is_disk(case, place));
    seen.without_changes()
}

fn forced_unit_access(case: &Case) -> Seen {
    let mut found = Vec::new();
    let mut differs = false;
    for name in names(case.facts, DISKS) {
        let reading =
            |pattern: &str| case.facts.reading(&pattern.replace('*', &name)).map(str::trim);
        let Ok(fua) = reading(FUA) else { continue };
        if reading(WRITE_CACHE) == Ok("write through") {
            found.push(format!("{name}: not needed"));
            continue;
        }
        let has = if fua == "1" { "yes" } else { "no" };
        differs |= !case.want.has(has);
        found.push(format!("{name}: {has}"));
    }
    if found.is_empty() {
        return Seen::not_applicable(FUA, NO_DISK);
    }
    Seen::either(!differs, found.join("; "), FUA, None)
}

fn poll_queues(case: &Case) -> Seen {
    let mut found = Vec::new();
    let mut changes = Vec::new();
    let mut differs = false;
    for name in names(case.facts, DISKS) {
        let Ok(poll) = case.facts.reading(&POLL.replace('*', &name)).map(str::trim) else {
            continue;
        };
        let state = if poll == "1" { "on" } else { "off" };
        found.push(format!("{name}: {state}"));
        if case.want.has(state) {
            continue;
        }
        differs = true;
        let drivers = [("nvme", "nvme.poll_queues"), ("vd", "virtio_blk.poll_queues")];
        let driver = drivers.iter().find(|(prefix, _)| name.starts_with(prefix));
        let queues = if state == "on" { 0 } else { case.roles.shards.len() };
        let change =
            driver.map(|(_, parameter)| Change::Boot { parameter, value: queues.to_string() });
        changes.extend(change.filter(|change| !changes.contains(change)));
    }
    if found.is_empty() {
        return Seen::not_applicable(POLL, NO_DISK);
    }
    Seen::either(!differs, found.join("; "), POLL, changes)
}

/// The file system of the mount that is nearest above the data.
fn direct_io(case: &Case) -> Seen {
    let mounts = match case.facts.reading(MOUNTS) {
        Ok(text) => text,
        Err(error) => return Seen::unreadable(MOUNTS, format!("{MOUNTS} {error}")),
    };
    let data = std::path::Path::new(case.data_folder);
    // Of mounts on the same directory the last one is seen.
    let nearest = mounts
        .lines()
        .filter_map(crate::cgroup::Mount::parse)
        .filter(|mount| data.starts_with(&mount.directory))
        .max_by_key(|mount| mount.directory.len());
    let Some(mount) = nearest else {
        return Seen::unreadable(
            MOUNTS,
            format!("{MOUNTS} names no mount of {}", case.data_folder),
        );
    };
    let found = format!("{} on {}", mount.kind, mount.directory);
    Seen::either(case.want.has(&mount.kind), found, MOUNTS, None)
}
