//! Checks of the processor: how fast it runs, how deeply it sleeps, and whom it serves.

use super::setting::{Form, setting};
use super::{Case, Check, Explanation, Scope, Seen};
use crate::cpu_set::CpuSet;
use crate::finding::Change;
use crate::want::{Takes, Unit};
use std::collections::BTreeMap;

pub(super) const CHECKS: &[&Check] = &[
    // Before the governor: under `performance` the kernel refuses other preferences, so that both can be taken back in
    // reverse.
    &Check {
        id: "cpu.energy_preference",
        scope: Scope::Host,
        takes: Takes::AnyWords,
        reads: &[PREFERENCE],
        effect: "the processor itself trades response for power, whatever the governor says",
        explanation: Explanation {
            what: "With hardware-managed clocks (Intel HWP, AMD CPPC) the kernel only hints how much to favour speed \
                over power. `performance` is the hint that ramps up at once. Under the governor `performance` the \
                kernel gives this hint by itself and refuses others.",
            cost: "Power and heat, as with cpu.governor.",
            disagreement: "Distributions ship `balance_performance`, which is close on server parts under steady \
                load and clearly slower after pauses. tuned's latency-performance sets the older energy_perf_bias \
                instead.",
            source: "Linux, Documentation/admin-guide/pm/intel_pstate.rst (Energy vs Performance Hints) and \
                amd-pstate.rst",
            measure: "mainspring-tune effect cpu.energy_preference",
        },
        look: |case| {
            setting(
                case,
                PREFERENCE,
                Form::Word,
                "no preference to give: the processor does not manage its clock",
            )
        },
    },
    &Check {
        id: "cpu.governor",
        scope: Scope::Host,
        takes: Takes::AnyWords,
        reads: &[GOVERNOR],
        effect: "after a quiet moment the first messages run at a low clock until the governor notices",
        explanation: Explanation {
            what: "The governor of cpufreq chooses the clock of each CPU. `powersave` and `schedutil` follow the \
                load, and the load is known only after the fact: a burst that follows a pause begins slowly. \
                `performance` asks for the highest clock all the time. With intel_pstate and amd_pstate in active \
                mode the names mean less: the processor decides, and cpu.energy_preference tells it what to prefer.",
            cost: "Power and heat, also when nothing is to do. Where all cores share a power budget, idle cores that \
                are kept fast can take turbo headroom from the busy ones.",
            disagreement: "tuned's latency-performance and rpk set `performance`. Laptops and many clouds ship \
                `schedutil` or `powersave`, and for throughput there is little between them. A core that spins is \
                always loaded, so with the idle profile `busy` the governor matters least.",
            source: "Linux, Documentation/admin-guide/pm/cpufreq.rst, intel_pstate.rst and amd-pstate.rst",
            measure: "mainspring-tune effect cpu.governor; the difference shows in cross-core round trips of the \
                idle profile `hybrid`, little in those of `busy`",
        },
        look: |case| {
            setting(
                case,
                GOVERNOR,
                Form::Word,
                "no clock to choose: the firmware or the hypervisor decides",
            )
        },
    },
    &Check {
        id: "cpu.boost",
        scope: Scope::Host,
        takes: Takes::Words(&["on", "off"]),
        reads: &[BOOST, NO_TURBO],
        effect: "off: every instruction takes longer; on: the clock depends on what the other cores do",
        explanation: Explanation {
            what: "Boost (Turbo on Intel) lets a core run above its guaranteed clock while power and heat allow.",
            cost: "With boost the clock changes with the neighbours' load, so equal work takes unequal time; without \
                it all work is slower, often by a quarter or more.",
            disagreement: "tuned's latency-performance switches boost on, for speed; rpk's cpu tuner switches it \
                off, for evenness. The profiles here want it on: a lower median and a lower tail are worth more to \
                messages than a constant clock. For a benchmark that compares revisions, off is the better choice.",
            source: "Linux, Documentation/admin-guide/pm/cpufreq.rst (Frequency Boost Support); intel_pstate.rst \
                (no_turbo)",
            measure: "mainspring-tune effect cpu.boost; look at the spread between runs as well as at the median",
        },
        look: boost,
    },
    &Check {
        id: "cpu.idle_latency",
        scope: Scope::Host,
        takes: Takes::AtMost(Unit::Microseconds),
        reads: &[STATE_NAME, STATE_LATENCY, STATE_DISABLE],
        effect: "a core that slept is woken this much later, and its caches may be cold",
        explanation: Explanation {
            what: "An idle CPU enters a sleep state; the deeper it sleeps, the longer it takes to come back, from \
                about a microsecond to some hundred. The found value is the exit latency of the deepest state that \
                is enabled. It is paid by cores that sleep when there is nothing to do (idle profiles `hybrid` and \
                `eco`), and by the CPUs that take interrupts.",
            cost: "Power and heat. On parts with a shared power budget, cores that never sleep deeply leave less \
                turbo to the busy ones, so the limit should not be zero.",
            disagreement: "tuned's latency-performance asks for the first real state (C1) and not for polling. A \
                process can ask for the same while it runs by holding /dev/cpu_dma_latency open; the change planned \
                here disables the states by name, which is visible and can be undone. A core of the idle profile \
                `busy` never sleeps, so for it the state hardly matters.",
            source: "Linux, Documentation/admin-guide/pm/cpuidle.rst; Documentation/power/pm_qos_interface.rst",
            measure: "mainspring-tune effect cpu.idle_latency; ask at a low rate, so that the cores sleep between \
                messages",
        },
        look: idle_latency,
    },
    &Check {
        id: "cpu.idle_poll",
        scope: Scope::Guest,
        takes: Takes::Words(&["no", "yes"]),
        reads: &[CMDLINE],
        effect: "every idle CPU burns full power and takes turbo and shared execution units from the busy ones",
        explanation: Explanation {
            what: "The boot parameter idle=poll keeps idle CPUs in a loop instead of letting them sleep, so that \
                nothing ever wakes late. No profile here plans it: it is explained because it is often recommended.",
            cost: "Full power on all CPUs all the time, no turbo, and with SMT the loop halves the busy sibling.",
            disagreement: "Some trading set-ups use it. The kernel's own text does not recommend it. A bound on the \
                sleep state (cpu.idle_latency) has nearly the same wake-up time, and spinning only where shards run \
                is what the idle profile `busy` does.",
            source: "Linux, Documentation/admin-guide/kernel-parameters.txt (idle=)",
            measure: "two boots and mainspring-perf pair between them; mind the clock of the busy cores",
        },
        look: idle_poll,
    },
    &Check {
        id: "cpu.smt",
        scope: Scope::Host,
        takes: Takes::Words(&["off", "on"]),
        reads: &[SMT],
        effect: "whatever runs on the sibling takes execution units and cache from the shard",
        explanation: Explanation {
            what: "With SMT two or more CPUs are one physical core. Work on a shard's sibling, also the kernel's, \
                slows the shard down at moments of its own choosing. Off means that each core is one CPU.",
            cost: "Half of the CPUs, and their throughput for everything that is not latency-critical. It is planned \
                as a boot parameter: switched off while the machine runs, CPUs vanish under what is pinned to them.",
            disagreement: "rpk's help says that its cpu tuner switches SMT off; its code does not. tuned leaves it \
                alone. A placement that uses one thread of each core and leaves the sibling idle has most of the \
                benefit without the switch, and it is what mainspring does by default: so only isolated-spin wants \
                SMT off.",
            source: "Linux, Documentation/admin-guide/kernel-parameters.txt (nosmt); \
                ABI/testing/sysfs-devices-system-cpu",
            measure: "mainspring-tune effect cpu.smt while something runs on the siblings",
        },
        look: smt,
    },
    &Check {
        id: "cpu.isolation",
        scope: Scope::Container,
        takes: Takes::Words(&["shards"]),
        reads: &[ISOLATED, PARTITIONED, CONTROLLERS],
        effect: "the scheduler may put any thread on a shard's CPU, and the shard waits for a time slice",
        explanation: Explanation {
            what: "An isolated CPU is left out of load balancing: nothing runs there that was not put there. A \
                partition of control groups version 2 (cpuset.cpus.partition = isolated) does so at run time; the \
                boot parameter isolcpus=domain does it for good.",
            cost: "The CPUs are lost to everybody else, also when the shards are idle. At least one CPU must be left \
                over, better one in each NUMA node.",
            disagreement: "Older guides, and tuned's realtime profile, use isolcpus. The kernel's documentation \
                calls the partition the recommended way and isolcpus the less flexible one. Pinning alone \
                (mainspring's default) keeps the shard in place, but nobody else out.",
            source: "Linux, Documentation/admin-guide/cpu-isolation.rst; Documentation/admin-guide/cgroup-v2.rst \
                (cpuset)",
            measure: "mainspring-tune jitter on a shard's CPU: the time lost to other threads is what isolation \
                gives back",
        },
        look: isolation,
    },
];

const GOVERNOR: &str = "/sys/devices/system/cpu/cpu#/cpufreq/scaling_governor";
const PREFERENCE: &str = "/sys/devices/system/cpu/cpu#/cpufreq/energy_performance_preference";
const BOOST: &str = "/sys/devices/system/cpu/cpufreq/boost";
const NO_TURBO: &str = "/sys/devices/system/cpu/intel_pstate/no_turbo";
const STATE_NAME: &str = "/sys/devices/system/cpu/cpu#/cpuidle/state#/name";
const STATE_LATENCY: &str = "/sys/devices/system/cpu/cpu#/cpuidle/state#/latency";
const STATE_DISABLE: &str = "/sys/devices/system/cpu/cpu#/cpuidle/state#/disable";
const CMDLINE: &str = "/proc/cmdline";
const SMT: &str = "/sys/devices/system/cpu/smt/control";
const ISOLATED: &str = "/sys/devices/system/cpu/isolated";
const PARTITIONED: &str = "/sys/fs/cgroup/cpuset.cpus.isolated";
const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.controllers";

/// The two drivers say it the other way round.
fn boost(case: &Case) -> Seen {
    for (path, on) in [(BOOST, "1"), (NO_TURBO, "0")] {
        let Ok(text) = case.facts.reading(path) else { continue };
        let text = text.trim();
        if !matches!(text, "0" | "1") {
            return Seen::unreadable(path, format!("{path} is malformed: {text:?}"));
        }
        let (found, other) = if text == on { ("on", "off") } else { ("off", "on") };
        let value = if text == "1" { "0" } else { "1" };
        let change = Change::Write {
            path: path.to_owned(),
            value: value.to_owned(),
            restore: text.to_owned(),
        };
        let changes = case.want.has(other).then_some(change);
        return Seen::either(case.want.has(found), found, path, changes);
    }
    Seen::not_applicable(BOOST, "no boost to switch: the firmware or the hypervisor decides")
}

fn idle_latency(case: &Case) -> Seen {
    let limit_us = case.want.number().unwrap_or(0);
    let evidence = STATE_LATENCY.replace('#', "*");
    let mut deepest_of = BTreeMap::<u32, (u64, String)>::new();
    let mut changes = Vec::new();
    for (captures, path, reading) in case.facts.matching(STATE_LATENCY) {
        let [cpu, state] = captures.as_slice() else { continue };
        let directory = format!("/sys/devices/system/cpu/cpu{cpu}/cpuidle/state{state}");
        let disable = format!("{directory}/disable");
        let numbers =
            (cpu.parse::<u32>(), reading.as_deref().map(|text| text.trim().parse::<u64>()));
        let (Ok(cpu), Ok(Ok(latency_us))) = numbers else {
            return Seen::unreadable(&evidence, format!("{path} cannot be read or is no number"));
        };
        if case.facts.reading(&disable).is_ok_and(|text| text.trim() != "0") {
            continue;
        }
        let name = case.facts.reading(&format!("{directory}/name")).unwrap_or("?").trim();
        let deepest = deepest_of.entry(cpu).or_default();
        *deepest = deepest.clone().max((latency_us, name.to_owned()));
        if latency_us > limit_us {
            let (value, restore) = ("1".to_owned(), "0".to_owned());
            changes.push(Change::Write { path: disable, value, restore });
        }
    }
    let mut cpus_of = BTreeMap::<(u64, String), CpuSet>::new();
    for (cpu, deepest) in deepest_of {
        cpus_of.entry(deepest).or_default().insert(cpu);
    }
    if cpus_of.is_empty() {
        return Seen::not_applicable(
            &evidence,
            "no sleep states: the hypervisor or the firmware decides",
        );
    }
    let groups = cpus_of.iter().map(|((us, name), cpus)| format!("{us} us ({name}) on {cpus}"));
    let found = groups.collect::<Vec<_>>().join("; ");
    Seen::either(changes.is_empty(), found, &evidence, changes)
}

fn idle_poll(case: &Case) -> Seen {
    let Ok(_) = case.facts.reading(CMDLINE) else {
        return Seen::unreadable(CMDLINE, format!("{CMDLINE} cannot be read"));
    };
    let is_polling = case.boot_parameter("idle") == Some("poll");
    let found = if is_polling { "yes" } else { "no" };
    let add = Change::Boot { parameter: "idle", value: "poll".to_owned() };
    let changes = (!is_polling && case.want.has("yes")).then_some(add);
    Seen::either(case.want.has(found), found, CMDLINE, changes)
}

fn smt(case: &Case) -> Seen {
    let found = match case.facts.reading(SMT).map(str::trim) {
        Ok("notsupported" | "notimplemented") => {
            return Seen::not_applicable(SMT, "each core is one CPU here");
        }
        // What cannot be switched on again is as good as off.
        Ok("off" | "forceoff") => "off",
        Ok("on") => "on",
        Ok(other) => return Seen::unreadable(SMT, format!("{SMT} is malformed: {other:?}")),
        Err(crate::ReadError::Missing) => {
            return Seen::not_applicable(SMT, "the kernel has no switch for SMT");
        }
        Err(error) => return Seen::unreadable(SMT, format!("{SMT} {error}")),
    };
    // Switching it on takes leaving out a parameter, which nobody here put in.
    let change = Change::Boot { parameter: "nosmt", value: String::new() };
    Seen::either(case.want.has(found), found, SMT, (found == "on").then_some(change))
}

fn isolation(case: &Case) -> Seen {
    let roles = case.roles;
    if roles.housekeeping.is_empty() {
        return Seen::not_applicable(ISOLATED, super::NO_HOUSEKEEPING);
    }
    let mut isolated = CpuSet::new();
    for path in [ISOLATED, PARTITIONED] {
        let Ok(text) = case.facts.reading(path) else { continue };
        match text.parse::<CpuSet>() {
            Ok(cpus) => isolated = isolated.union(&cpus),
            Err(error) => return Seen::unreadable(path, format!("{path} is malformed: {error}")),
        }
    }
    let found = if isolated.is_empty() { "none".to_owned() } else { isolated.to_string() };
    let cpus = roles.shards.union(&roles.siblings);
    let has_partitions = case
        .facts
        .reading(CONTROLLERS)
        .is_ok_and(|controllers| controllers.split_whitespace().any(|name| name == "cpuset"));
    let change = if has_partitions {
        Change::Partition { cpus }
    } else {
        Change::Boot { parameter: "isolcpus", value: format!("managed_irq,domain,{cpus}") }
    };
    let is_ok = roles.shards.is_subset(&isolated);
    Seen::either(is_ok, found, ISOLATED, [change]).and_from(PARTITIONED)
}
