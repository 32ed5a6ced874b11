//! Checks of the network: when frames are announced, who processes them, and how TCP behaves after a pause.

use super::setting::{Form, preferred_of, setting};
use super::{Case, Check, Explanation, NO_HOUSEKEEPING, Scope, Seen, mask};
use crate::cpu_set::CpuSet;
use crate::facts::COALESCE;
use crate::finding::Change;
use crate::interrupts::network_devices;
use crate::want::{Takes, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "net.coalescing",
        scope: Scope::Guest,
        takes: Takes::AtMost(Unit::Microseconds),
        reads: &[DEVICES_TO_ASK],
        effect: "a frame that has arrived waits in the device for others, up to this long",
        explanation: Explanation {
            what: "The device holds its interrupt back for some microseconds, so that one interrupt announces \
                several frames. With the adaptive mode the driver changes the delay with the traffic.",
            cost: "More interrupts, and so less throughput for small frames; at 0 a busy device may interrupt a \
                hundred thousand times a second.",
            disagreement: "Drivers ship adaptive or some 50 us for throughput; guides for trading say 0. The profile \
                latency allows 8 us, below what a wake-up costs. With busy polling (NAPI) the delay does not matter, \
                because nobody waits for the interrupt.",
            source: "ethtool(8) (--coalesce); Linux, Documentation/networking/napi.rst (Software IRQ coalescing)",
            measure: "mainspring-tune effect net.coalescing, with a scenario between two machines",
        },
        look: coalescing,
    },
    &Check {
        id: "net.queues",
        scope: Scope::Guest,
        takes: Takes::Words(&["housekeeping"]),
        reads: &[DEVICES, QUEUES],
        effect: "more queues than CPUs that serve them: frames are spread thinly and interrupts come more often",
        explanation: Explanation {
            what: "A device spreads what arrives over its receive queues, each with its own interrupt. When \
                interrupts are kept to the CPUs for housekeeping, more queues than those only mean fewer frames in \
                each interrupt.",
            cost: "Fewer queues carry less; a queue is good for some million frames a second. Changing the number \
                restarts the device: connections stall for a moment.",
            disagreement: "Drivers ship one queue for each CPU. tuned's realtime profile sets as many as there are \
                CPUs for housekeeping. Where shards read their own queues, one queue for each shard is right \
                instead.",
            source: "ethtool(8) (--set-channels); Linux, Documentation/networking/scaling.rst (RSS)",
            measure: "the rows of the device in /proc/interrupts under load, per second",
        },
        look: queues,
    },
    &Check {
        id: "net.rps_xps",
        scope: Scope::Guest,
        takes: Takes::Words(&["housekeeping"]),
        reads: &[DEVICES, RECEIVE_STEERING, SEND_STEERING],
        effect: "the kernel hands frames to shards' CPUs for processing, or shards share a send queue by chance",
        explanation: Explanation {
            what: "Receive packet steering (rps_cpus) lets other CPUs process what a queue received: these must not \
                be shards. Transmit packet steering (xps_cpus) maps CPUs to send queues: if it is used, every shard \
                should have a queue.",
            cost: "Without receive steering a device of one queue is served by one CPU.",
            disagreement: "rpk and perftune.py switch receive steering on for devices with fewer queues than CPUs, \
                for throughput. With it on the CPUs for housekeeping both can be had.",
            source: "Linux, Documentation/networking/scaling.rst (RPS, XPS)",
            measure: "the row NET_RX of /proc/softirqs on the shards' CPUs",
        },
        look: steering,
    },
    &Check {
        id: "net.congestion",
        scope: Scope::Container,
        takes: Takes::AnyWords,
        reads: &[CONGESTION, CONGESTION_OFFERED],
        effect: "TCP may react to a lost frame by sending at a fraction of the rate for many round trips",
        explanation: Explanation {
            what: "How TCP finds its rate. cubic, the default, cuts its window by 30 % on a loss; bbr follows the \
                measured bandwidth; dctcp needs switches that mark frames (ECN).",
            cost: "bbr takes more than its share of a link from cubic flows; dctcp against others starves or is \
                starved.",
            disagreement: "Clouds recommend bbr for long distances; within a rack, where nothing is lost, all behave \
                the same. So any of the three is fine here, and only old ones (reno, vegas) are reported.",
            source: "Linux, Documentation/networking/ip-sysctl.rst (tcp_congestion_control); RFC 9438; RFC 8257",
            measure: "ss -ti shows the algorithm and the window of each connection",
        },
        look: congestion,
    },
    &Check {
        id: "net.slow_start",
        scope: Scope::Container,
        takes: Takes::Exactly(Unit::None),
        reads: &[SLOW_START],
        effect: "after a pause a burst is sent ten frames at a time, a round trip each",
        explanation: Explanation {
            what: "With 1 a connection that was idle for longer than a retransmission timeout, some 200 ms, forgets \
                what it knew of the path and begins slowly again. A link between nodes is idle often and then \
                bursts.",
            cost: "A burst into a path that has become narrow in the meantime loses frames.",
            disagreement: "RFC 2861 wants 1, and it is the default; large web services set 0 for connections that \
                are reused. Within a data centre the path rarely changes.",
            source: "Linux, Documentation/networking/ip-sysctl.rst (tcp_slow_start_after_idle); RFC 2861",
            measure: "time of a burst of 256 KiB after a second of silence, between two machines",
        },
        look: |case| setting(case, SLOW_START, Form::Number, "the kernel has no TCP"),
    },
    &Check {
        id: "net.buffers",
        scope: Scope::Container,
        takes: Takes::AtLeast(Unit::Bytes),
        reads: &[RECEIVE_BUFFER, SEND_BUFFER],
        effect: "a connection cannot have more than this under way, so a long fast path stays half empty",
        explanation: Explanation {
            what: "How far the kernel may let a connection's buffers grow (the third number of tcp_rmem and \
                tcp_wmem). They should hold what is under way: bandwidth times round trip, which for 100 Gbit/s and \
                100 us is 1.25 MB.",
            cost: "Memory for each connection that is really behind; a slow reader holds more of it.",
            disagreement: "Guides for long distances say 64 MiB and more; large buffers let queues, and with them \
                latency, grow. The kernel's defaults of 6 and 4 MiB are enough within a data centre.",
            source: "Linux, Documentation/networking/ip-sysctl.rst (tcp_rmem, tcp_wmem); tcp(7)",
            measure: "ss -tmi: a window that stands at its bound while the sender waits",
        },
        look: buffers,
    },
    &Check {
        id: "net.busy_poll",
        scope: Scope::Guest,
        takes: Takes::Exactly(Unit::None),
        reads: &[BUSY_POLL],
        effect: "every poll and select of every program spins, the housekeeping's too",
        explanation: Explanation {
            what: "The global switch makes poll, select and epoll of all programs spin so many microseconds on the \
                device's queue before they sleep.",
            cost: "CPU time of everybody who waits for the network.",
            disagreement: "tuned's network-latency sets 50 for all. io_uring can register busy polling for one ring \
                (io_uring_register_napi), so that only who wants it pays.",
            source: "Linux, Documentation/networking/napi.rst (Busy polling); sysctl/net.rst (busy_poll)",
            measure: "mainspring-tune effect net.busy_poll, with a scenario between two machines",
        },
        look: |case| {
            setting(case, BUSY_POLL, Form::Number, "the kernel was built without busy polling")
        },
    },
];

const DEVICES: &str = "/sys/class/net/*/device/";
const DEVICES_TO_ASK: &str = "ethtool --show-coalesce /sys/class/net/*";
const QUEUES: &str = "/sys/class/net/*/queues/";
const RECEIVE_STEERING: &str = "/sys/class/net/*/queues/rx-#/rps_cpus";
const SEND_STEERING: &str = "/sys/class/net/*/queues/tx-#/xps_cpus";
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";
const CONGESTION_OFFERED: &str = "/proc/sys/net/ipv4/tcp_available_congestion_control";
const SLOW_START: &str = "/proc/sys/net/ipv4/tcp_slow_start_after_idle";
const RECEIVE_BUFFER: &str = "/proc/sys/net/ipv4/tcp_rmem";
const SEND_BUFFER: &str = "/proc/sys/net/ipv4/tcp_wmem";
const BUSY_POLL: &str = "/proc/sys/net/core/busy_poll";

const NO_DEVICE: &str = "no network device with hardware behind it";

fn coalescing(case: &Case) -> Seen {
    let limit_us = case.want.number().unwrap_or(0);
    let mut found = Vec::new();
    let mut changes = Vec::new();
    let mut unreadable = None;
    for (captures, path, reading) in case.facts.matching(&format!("{COALESCE}*")) {
        let device = captures.concat();
        let text = match reading {
            Ok(text) => text,
            Err(crate::ReadError::Missing) => continue,
            Err(error) => {
                unreadable.get_or_insert(format!("{path} {error}"));
                continue;
            }
        };
        let property = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let (Some(adaptive), Some(Ok(delay_us))) =
            (property("adaptive-rx"), property("rx-usecs").map(str::parse::<u64>))
        else {
            unreadable.get_or_insert(format!("{path} says nothing of adaptive-rx and rx-usecs"));
            continue;
        };
        let mode = if adaptive == "on" { "adaptive, " } else { "" };
        found.push(format!("{device}: {mode}{delay_us} us"));
        let mut set = |property, value: String, restore: String| {
            let (device, option) = (device.clone(), "--coalesce");
            changes.push(Change::Ethtool { device, option, property, value, restore });
        };
        if adaptive == "on" {
            set("adaptive-rx", "off".into(), "on".into());
        }
        if delay_us > limit_us {
            set("rx-usecs", limit_us.to_string(), delay_us.to_string());
        }
    }
    match unreadable {
        Some(why) if changes.is_empty() => Seen::unreadable(COALESCE.trim(), why),
        _ if found.is_empty() => {
            Seen::not_applicable(COALESCE.trim(), "no network device holds interrupts back")
        }
        _ => Seen::either(changes.is_empty(), found.join("; "), COALESCE.trim(), changes),
    }
}

fn queues(case: &Case) -> Seen {
    let housekeeping = case.roles.housekeeping.len();
    if housekeeping == 0 {
        return Seen::not_applicable(QUEUES, NO_HOUSEKEEPING);
    }
    let mut found = Vec::new();
    let mut changes = Vec::new();
    for device in network_devices(case.facts) {
        let path = QUEUES.replace('*', &device);
        let Ok(names) = case.facts.reading(&path) else { continue };
        let queues = names.lines().filter(|name| name.starts_with("rx-")).count();
        found.push(format!("{device}: {queues}"));
        if queues > housekeeping {
            changes.push(Change::Ethtool {
                device,
                option: "--set-channels",
                property: "combined",
                value: housekeeping.to_string(),
                restore: queues.to_string(),
            });
        }
    }
    if found.is_empty() {
        return Seen::not_applicable(QUEUES, NO_DEVICE);
    }
    let found = format!("{} for {housekeeping} CPUs", found.join("; "));
    Seen::either(changes.is_empty(), found, QUEUES, changes)
}

fn steering(case: &Case) -> Seen {
    let evidence = RECEIVE_STEERING.replace('#', "*");
    let shards = &case.roles.shards;
    if case.roles.housekeeping.is_empty() {
        return Seen::not_applicable(&evidence, NO_HOUSEKEEPING);
    }
    let devices = network_devices(case.facts);
    let mut changes = Vec::new();
    let mut received = CpuSet::new();
    let mut queues = 0;
    for (captures, path, reading) in case.facts.matching(RECEIVE_STEERING) {
        let Ok(text) = reading.as_deref().map(str::trim) else { continue };
        if !captures.first().is_some_and(|device| devices.contains(device)) {
            continue;
        }
        let Ok(cpus) = CpuSet::from_mask(text) else {
            return Seen::unreadable(&evidence, format!("{path} is malformed: {text:?}"));
        };
        queues += 1;
        received = received.union(&cpus);
        if !cpus.intersection(shards).is_empty() {
            changes.push(Change::Write {
                path: path.to_owned(),
                value: cpus.intersection(&case.roles.housekeeping).to_mask(mask::bits(text)),
                restore: text.to_owned(),
            });
        }
    }
    if queues == 0 {
        return Seen::not_applicable(&evidence, NO_DEVICE);
    }
    let sent = send_steering(case, &devices);
    let or_off =
        |cpus: &CpuSet| if cpus.is_empty() { "off".to_owned() } else { format!("on {cpus}") };
    let found = format!("rps {}, xps {}", or_off(&received), or_off(&sent));
    let is_ok = changes.is_empty() && (sent.is_empty() || shards.is_subset(&sent));
    Seen::either(is_ok, found, &evidence, changes).and_from(&SEND_STEERING.replace('#', "*"))
}

/// The CPUs that have a send queue.
fn send_steering(case: &Case, devices: &[String]) -> CpuSet {
    let queues = case.facts.matching(SEND_STEERING).into_iter();
    let ours = queues
        .filter(|(captures, ..)| captures.first().is_some_and(|device| devices.contains(device)));
    let masks =
        ours.filter_map(|(.., reading)| CpuSet::from_mask(reading.as_deref().ok()?.trim()).ok());
    masks.fold(CpuSet::new(), |all, cpus| all.union(&cpus))
}

fn congestion(case: &Case) -> Seen {
    let current = match case.facts.reading(CONGESTION) {
        Ok(text) => text.trim(),
        Err(crate::ReadError::Missing) => {
            return Seen::not_applicable(CONGESTION, "the kernel has no TCP");
        }
        Err(error) => return Seen::unreadable(CONGESTION, format!("{CONGESTION} {error}")),
    };
    let offered = case.facts.reading(CONGESTION_OFFERED).unwrap_or_default();
    let change = preferred_of(case.want, offered).map(|value| Change::Write {
        path: CONGESTION.to_owned(),
        value,
        restore: current.to_owned(),
    });
    Seen::either(case.want.has(current), current, CONGESTION, change)
}

fn buffers(case: &Case) -> Seen {
    let want = case.want.number().unwrap_or(0);
    let mut found = Vec::new();
    let mut changes = Vec::new();
    for (path, name) in [(RECEIVE_BUFFER, "receive"), (SEND_BUFFER, "send")] {
        let text = match case.facts.reading(path) {
            Ok(text) => text.split_whitespace().collect::<Vec<_>>(),
            Err(crate::ReadError::Missing) => {
                return Seen::not_applicable(path, "the kernel has no TCP");
            }
            Err(error) => return Seen::unreadable(path, format!("{path} {error}")),
        };
        let [least, start, most] = text.as_slice() else {
            return Seen::unreadable(
                path,
                format!("{path} is malformed: it has not three numbers"),
            );
        };
        let Ok(most) = most.parse::<u64>() else {
            return Seen::unreadable(
                path,
                format!("{path} is malformed: {most:?} is not a number"),
            );
        };
        found.push(format!("{name} {}", Unit::Bytes.describe(most)));
        if most < want {
            changes.push(Change::Write {
                path: path.to_owned(),
                value: format!("{least} {start} {want}"),
                restore: text.join(" "),
            });
        }
    }
    Seen::either(changes.is_empty(), found.join(", "), RECEIVE_BUFFER, changes)
        .and_from(SEND_BUFFER)
}
