//! The check of the clock.

use super::setting::preferred_of;
use super::{Case, Check, Explanation, Scope, Seen};
use crate::finding::Change;
use crate::want::Takes;

pub(super) const CHECKS: &[&Check] = &[&Check {
    id: "clock.source",
    scope: Scope::Guest,
    takes: Takes::AnyWords,
    reads: &[CURRENT, AVAILABLE],
    effect: "reading the time may become a system call or a trip to the hypervisor, a hundred times as dear",
    explanation: Explanation {
        what: "Every timestamp comes from the clock source. `tsc` (on Arm `arch_sys_counter`) is read without \
            leaving the program, in some 20 ns; `hpet` and `acpi_pm` are devices, read by a system call that takes a \
            microsecond.",
        cost: "None where the kernel itself trusts the TSC. The kernel gives it up when it drifts; forcing it then \
            gives clocks that disagree between CPUs.",
        disagreement: "Seastar's perftune.py sets tsc on hardware and kvm-clock in KVM guests, rpk always tsc. In a \
            guest kvm-clock survives a move to another host, and it is nearly as cheap; on hosts with an invariant, \
            scaled TSC tsc is right there too. When tsc is not offered, find out why before forcing it (dmesg, \
            tsc=reliable).",
        source: "Linux, Documentation/timers/timekeeping.rst; Documentation/admin-guide/kernel-parameters.txt (tsc=)",
        measure: "mainspring-tune jitter prints the time between two readings of its clock",
    },
    look: source,
}];

const CURRENT: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
const AVAILABLE: &str = "/sys/devices/system/clocksource/clocksource0/available_clocksource";

fn source(case: &Case) -> Seen {
    let current = match case.facts.reading(CURRENT) {
        Ok(text) => text.trim(),
        Err(error) => return Seen::unreadable(CURRENT, format!("{CURRENT} {error}")),
    };
    let available = case.facts.reading(AVAILABLE).unwrap_or_default().trim();
    let change = preferred_of(case.want, available).map(|value| Change::Write {
        path: CURRENT.to_owned(),
        value,
        restore: current.to_owned(),
    });
    if case.want.has(current) {
        return Seen::ok(current, CURRENT);
    }
    let found = match &change {
        Some(_) => current.to_owned(),
        None => format!("{current}; offered are {available}"),
    };
    Seen::differs(found, CURRENT, change).and_from(AVAILABLE)
}
