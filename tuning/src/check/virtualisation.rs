//! Checks of what lies below a virtual machine.

use super::{Case, Check, Explanation, Scope, Seen};
use crate::want::{Takes, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "virt.hypervisor",
        scope: Scope::Container,
        takes: Takes::Words(&["any", "none"]),
        reads: &["/proc/cpuinfo", "/sys/class/dmi/id/sys_vendor"],
        effect: "timers, interrupts and wake-ups go through the hypervisor, some microseconds each",
        explanation: Explanation {
            what: "In a virtual machine each wake-up of a sleeping CPU, each timer and most interrupts leave the \
                guest for the hypervisor. Memory and ordinary instructions run at full speed, so cores that spin \
                notice little; cores that sleep notice much.",
            cost: "Machines without a hypervisor are larger, dearer and slower to come by.",
            disagreement: "Clouds with hardware of their own (Nitro and the like) hand devices and interrupts to the \
                guest and are close to hardware; nested or over-committed guests are far from it. The word says less \
                than virt.steal and mainspring-tune jitter do.",
            source: "Linux, Documentation/virt/kvm/halt-polling.rst",
            measure: "mainspring-tune jitter; and cross-core round trips with the idle profiles `busy` and `eco`",
        },
        look: hypervisor,
    },
    &Check {
        id: "virt.steal",
        scope: Scope::Container,
        takes: Takes::AtMost(Unit::PartsPerMillion),
        reads: &[STAT],
        effect: "the hypervisor runs somebody else while a shard has work: a gap of milliseconds each time",
        explanation: Explanation {
            what: "Steal is time in which a CPU had work but the hypervisor ran something else on the real one. The \
                found value is its share since boot, over all CPUs. Nothing inside the guest changes it.",
            cost: "CPUs of one's own (a dedicated host, or an instance type that is not shared) cost more.",
            disagreement: "Some hypervisors do not report it, and then 0 means nothing: gaps without a cause, as \
                mainspring-tune jitter shows them, are the better witness.",
            source: "Linux, Documentation/filesystems/proc.rst (stat, steal)",
            measure: "mainspring-tune jitter, which sets steal beside the gaps that it finds",
        },
        look: steal,
    },
];

const CPUINFO: &str = "/proc/cpuinfo";
const STAT: &str = "/proc/stat";

fn hypervisor(case: &Case) -> Seen {
    let guest_of = &case.facts.surroundings().guest_of;
    let is_ok = case.want.has("any") || guest_of.is_none();
    let found = guest_of.clone().unwrap_or_else(|| "none".to_owned());
    Seen::either(is_ok, found, CPUINFO, None)
}

fn steal(case: &Case) -> Seen {
    if case.facts.surroundings().guest_of.is_none() {
        return Seen::not_applicable(STAT, "no hypervisor that could take time");
    }
    let text = match case.facts.reading(STAT) {
        Ok(text) => text,
        Err(error) => return Seen::unreadable(STAT, format!("{STAT} {error}")),
    };
    let line = text.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // User, nice, system, idle, iowait, irq, softirq, steal; the guests' times that follow are in the first two.
    let Some(&[.., steal]) = ticks.get(..8) else {
        return Seen::unreadable(STAT, format!("{STAT} has no line of all CPUs with 8 times"));
    };
    let all: u128 = ticks.iter().take(8).map(|ticks| u128::from(*ticks)).sum();
    let share = u64::try_from(u128::from(steal) * 1_000_000 / all.max(1)).unwrap_or(u64::MAX);
    let is_ok = case.want.number().is_some_and(|want| share <= want);
    let found = format!("{} since boot", case.takes.unit().describe(share));
    Seen::either(is_ok, found, STAT, None)
}
