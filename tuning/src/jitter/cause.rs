//! Who had the CPU during a gap.
//!
//! Promises: a pure function of the gap's length and of what rose meanwhile. A cause that cannot take as long as the
//! gap did is not blamed.

use std::fmt;

use super::counters::{Rises, STEAL_TICK_NS};

/// Who had the CPU.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// A quota of CPU time held the process back.
    Quota,
    /// Another thread of this system, on the same CPU.
    AnotherThread,
    /// The host gave the CPU to another guest, or to itself.
    Host,
    /// The handler of this interrupt, and what it left to soft interrupts.
    Interrupt(String),
    /// Work that the kernel had put off: this soft interrupt.
    SoftInterrupt(String),
    /// The CPU stopped to change its frequency.
    Frequency,
    /// Nothing that is counted.
    Unknown,
    /// The counters were not read, so as not to spend more time on reading them than on measuring.
    NotLookedAt,
}

/// Who had the CPU during a gap of this length, in nanoseconds, in which these counters rose.
///
/// In this order:
/// 1. A quota that throttled.
/// 2. An involuntary switch is another thread, unless the time certainly stolen makes up half of the gap: after a pause
///    the scheduler often has somebody else run first.
/// 3. Stolen time is the host.
/// 4. Interrupts and soft interrupts, if that many can have taken as long: a timer that fires late, because the CPU
///    stood still, has not made it stand still. Of several the most telling is named: a device's before one between
///    CPUs, the timer last.
/// 5. Unknown: firmware (system management interrupts), or a hypervisor that does not account for what it steals.
pub fn cause_of(gap_ns: u64, rises: &Rises) -> Cause {
    if rises.throttled > 0 {
        return Cause::Quota;
    }
    // The last tick may have been nearly full before the gap.
    let certainly_stolen_ns = rises.steal_ticks.saturating_sub(1).saturating_mul(STEAL_TICK_NS);
    if rises.switches > 0 && certainly_stolen_ns < gap_ns / 2 {
        return Cause::AnotherThread;
    }
    if rises.steal_ticks > 0 {
        return Cause::Host;
    }
    let counts = rises.interrupts.values().chain(rises.soft_interrupts.values());
    let handlers = counts.fold(0_u64, |sum, count| sum.saturating_add(*count));
    if gap_ns > handlers.saturating_mul(HANDLER_LIMIT_NS) {
        return if rises.is_frequency_changed { Cause::Frequency } else { Cause::Unknown };
    }
    let rank = |name: &str| (kind(name), name.to_owned());
    let interrupt = rises.interrupts.keys().min_by_key(|name| rank(name));
    match interrupt {
        Some(name) if rises.is_frequency_changed && kind(name) == Kind::Timer => Cause::Frequency,
        Some(name) => Cause::Interrupt(name.clone()),
        None => match most_risen(rises) {
            Some(name) => Cause::SoftInterrupt(name),
            None => Cause::Unknown,
        },
    }
}

/// The longest that a handler is believed to take: as long as the kernel lets soft interrupts go on before it hands
/// them to a thread (`MAX_SOFTIRQ_TIME`, kernel/softirq.c).
pub const HANDLER_LIMIT_NS: u64 = 2_000_000;

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Device,
    BetweenCpus,
    Timer,
}

fn kind(name: &str) -> Kind {
    if name.to_ascii_lowercase().contains("timer") {
        Kind::Timer
    } else if name.starts_with(|first: char| first.is_ascii_digit()) {
        Kind::Device
    } else {
        Kind::BetweenCpus
    }
}

fn most_risen(rises: &Rises) -> Option<String> {
    let names = rises.soft_interrupts.iter();
    names.max_by_key(|(_, rise)| **rise).map(|(name, _)| name.clone())
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Cause::Quota => write!(formatter, "a quota of CPU time (limits.cpu_quota)"),
            Cause::AnotherThread => write!(formatter, "another thread on this CPU"),
            Cause::Host => write!(formatter, "the host (steal)"),
            Cause::Interrupt(name) => write!(formatter, "interrupt {name}"),
            Cause::SoftInterrupt(name) => write!(formatter, "soft interrupt {name}"),
            Cause::Frequency => write!(formatter, "a change of frequency"),
            Cause::Unknown => {
                write!(formatter, "unknown: firmware (SMI), or a host that does not account steal")
            }
            Cause::NotLookedAt => write!(formatter, "not looked at, to keep measuring"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupts(names: &[&str]) -> Rises {
        let interrupts = names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        Rises { interrupts, ..Rises::default() }
    }

    #[test]
    fn a_switch_is_another_thread_and_never_the_host_for_a_tick_that_was_nearly_full() {
        let rises = Rises { switches: 1, steal_ticks: 1, ..interrupts(&["LOC Local timer"]) };
        assert_eq!(cause_of(4_000_000, &rises), Cause::AnotherThread);
        assert_eq!(cause_of(12_000_000, &rises), Cause::AnotherThread);
    }

    #[test]
    fn time_stolen_beyond_doubt_is_the_hosts_also_when_somebody_ran_after_it() {
        let rises = Rises { switches: 1, steal_ticks: 5, ..Rises::default() };
        assert_eq!(cause_of(48_000_000, &rises), Cause::Host);
        assert_eq!(cause_of(100_000_000, &rises), Cause::AnotherThread);
    }

    #[test]
    fn steal_alone_is_the_host() {
        let rises = Rises { steal_ticks: 1, ..interrupts(&["LOC Local timer"]) };
        assert_eq!(cause_of(3_000_000, &rises), Cause::Host);
    }

    #[test]
    fn the_most_telling_interrupt_is_named() {
        let named = |names: &[&str]| cause_of(5_000, &interrupts(names)).to_string();
        let timer = "LOC Local timer interrupts";
        assert_eq!(named(&[timer]), "interrupt LOC Local timer interrupts");
        assert_eq!(named(&["27 arch_timer", "9 eth0"]), "interrupt 9 eth0");
        assert_eq!(named(&[timer, "RES Rescheduling interrupts", "33 virtio4-input"]), {
            "interrupt 33 virtio4-input"
        });
        assert_eq!(named(&[timer, "TLB TLB shootdowns"]), "interrupt TLB TLB shootdowns");
    }

    #[test]
    fn soft_interrupts_are_blamed_when_no_interrupt_rose() {
        let soft_interrupts = [("RCU".to_owned(), 1), ("NET_RX".to_owned(), 3)].into();
        let rises = Rises { soft_interrupts, ..Rises::default() };
        assert_eq!(cause_of(5_000, &rises), Cause::SoftInterrupt("NET_RX".into()));
    }

    #[test]
    fn a_timer_that_fires_after_a_long_pause_has_not_made_it() {
        let rises = interrupts(&["LOC Local timer interrupts"]);
        assert_eq!(cause_of(HANDLER_LIMIT_NS + 1, &rises), Cause::Unknown);
        assert_eq!(cause_of(3_000, &Rises::default()), Cause::Unknown);
    }

    #[test]
    fn a_frequency_that_changed_beside_the_tick_is_the_cause_and_a_quota_comes_first() {
        let rises = Rises { is_frequency_changed: true, ..interrupts(&["LOC Local timer"]) };
        assert_eq!(cause_of(15_000, &rises), Cause::Frequency);
        let rises = Rises { throttled: 1, switches: 1, ..rises };
        assert_eq!(cause_of(50_000_000, &rises), Cause::Quota);
    }
}
