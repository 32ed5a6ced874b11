//! Checks of what the processes themselves are allowed: resource limits and the time that their control group gets.

use super::{Case, Check, Explanation, Scope, Seen};
use crate::finding::Change;
use crate::want::{Takes, UNLIMITED, Unit};

pub(super) const CHECKS: &[&Check] = &[
    &Check {
        id: "limits.nofile",
        scope: Scope::Container,
        takes: Takes::AtLeast(Unit::None),
        reads: &[LIMITS],
        effect: "connections, rings and segment files are refused when the descriptors run out",
        explanation: Explanation {
            what: "How many file descriptors a process may have open. Each connection takes one, each core a few for \
                its rings and wake-ups, the journal one for each segment file that is in use.",
            cost: "None by itself: the kernel's table grows with what is really open.",
            disagreement: "Distributions ship a soft limit of 1024 for programs that use select(2), which cannot \
                handle more, and a hard limit of 524288. A process may raise its soft limit itself.",
            source: "getrlimit(2); systemd.exec(5) (LimitNOFILE=)",
            measure: "ls /proc/PID/fd | wc -l of the running node",
        },
        look: |case| limit(case, &OPEN_FILES),
    },
    &Check {
        id: "limits.rtprio",
        scope: Scope::Container,
        takes: Takes::AtLeast(Unit::None),
        reads: &[LIMITS],
        effect: "threads that ask for a real-time class are refused it",
        explanation: Explanation {
            what: "The highest real-time priority that an unprivileged process may take. A thread of a real-time \
                class runs before all others.",
            cost: "A spinning real-time thread starves whatever is bound to its CPU, the kernel's threads included, \
                until the kernel takes some time of each second from it for the others (by default up to 5 %): a gap \
                of up to 50 ms.",
            disagreement: "Audio programs and control loops need it. mainspring's cores spin and never ask for it: \
                an isolated CPU (cpu.isolation) gives them the same without the risk. No profile here wants it.",
            source: "sched(7); getrlimit(2) (RLIMIT_RTPRIO); Linux, Documentation/scheduler/sched-rt-group.rst",
            measure: "chrt --pid PID shows the class of a thread",
        },
        look: |case| limit(case, &REAL_TIME_PRIORITY),
    },
    &Check {
        id: "limits.cpu_quota",
        scope: Scope::Container,
        takes: Takes::Words(&["none"]),
        reads: &[],
        effect: "when the quota is used up, all threads of the group stop until the period ends, often for 50 ms and \
            more",
        explanation: Explanation {
            what: "A control group may get so much CPU time in each period (cpu.max; in version 1 cpu.cfs_quota_us). \
                It is how container platforms enforce a CPU limit. Cores that spin use all they get, so they meet \
                any quota below one CPU for each.",
            cost: "Without a quota the group can take what the machine has; whole CPUs by a cpuset bound it too, \
                without stopping anybody.",
            disagreement: "Platforms set limits by default for the sake of the neighbours. On Kubernetes the static \
                CPU manager gives whole CPUs to a pod whose request is its limit.",
            source: "Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max); Documentation/scheduler/sched-bwc.rst",
            measure: "nr_throttled and throttled_usec in the group's cpu.stat count how often and how long",
        },
        look: cpu_quota,
    },
];

pub(super) const LIMITS: &str = "/proc/self/limits";

/// A resource limit by its names.
pub(super) struct Resource {
    /// In `/proc/self/limits`.
    label: &'static str,
    /// In `limits.conf`.
    item: &'static str,
    /// In a systemd unit.
    directive: &'static str,
}

pub(super) const LOCKED_MEMORY: Resource =
    Resource { label: "Max locked memory", item: "memlock", directive: "LimitMEMLOCK" };
const OPEN_FILES: Resource =
    Resource { label: "Max open files", item: "nofile", directive: "LimitNOFILE" };
const REAL_TIME_PRIORITY: Resource =
    Resource { label: "Max realtime priority", item: "rtprio", directive: "LimitRTPRIO" };

pub(super) fn limit(case: &Case, resource: &Resource) -> Seen {
    let text = match case.facts.reading(LIMITS) {
        Ok(text) => text,
        Err(error) => return Seen::unreadable(LIMITS, format!("{LIMITS} {error}")),
    };
    let line = text.lines().find_map(|line| line.strip_prefix(resource.label));
    let mut numbers = line.unwrap_or_default().split_whitespace().map(|word| match word {
        "unlimited" => Some(UNLIMITED),
        number => number.parse::<u64>().ok(),
    });
    let (Some(Some(soft)), Some(Some(hard))) = (numbers.next(), numbers.next()) else {
        return Seen::unreadable(LIMITS, format!("{LIMITS} has no line of {:?}", resource.label));
    };
    let want = case.want.number().unwrap_or(UNLIMITED);
    let unit = case.takes.unit();
    let found = match soft == hard {
        true => unit.describe(soft),
        false => format!("{}, hard limit {}", unit.describe(soft), unit.describe(hard)),
    };
    let change = Change::Limit {
        item: resource.item,
        directive: resource.directive,
        value: (want != UNLIMITED).then_some(want),
        is_hard: hard < want,
    };
    Seen::either(case.takes.is_met(want, soft), found, LIMITS, [change])
}

/// The tightest quota of the group and of those above it is the one in force.
fn cpu_quota(case: &Case) -> Seen {
    let mut tightest: Option<(u64, String)> = None;
    let mut evidence = None;
    for directory in case.facts.cpu_groups() {
        let path = format!("{directory}/cpu.max");
        let (path, pair) = match case.facts.reading(&path) {
            Ok(text) => (path, text.to_owned()),
            Err(_) => {
                let path = format!("{directory}/cpu.cfs_quota_us");
                let period = format!("{directory}/cpu.cfs_period_us");
                let quota = case.facts.reading(&path).map(str::trim);
                let Ok((quota, period)) =
                    quota.and_then(|quota| Ok((quota, case.facts.reading(&period)?)))
                else {
                    continue;
                };
                (path, format!("{quota} {period}"))
            }
        };
        match thousandths(&pair) {
            Ok(Some(quota)) if tightest.as_ref().is_none_or(|(known, _)| quota < *known) => {
                tightest = Some((quota, path.clone()));
            }
            Ok(_) => {}
            Err(()) => {
                return Seen::unreadable(&path, format!("{path} is malformed: {:?}", pair.trim()));
            }
        }
        evidence.get_or_insert(path);
    }
    match (tightest, evidence) {
        (Some((quota, path)), _) => {
            let found = format!("{}.{:03} CPUs", quota / 1000, quota % 1000);
            Seen::differs(found, &path, None)
        }
        (None, Some(path)) => Seen::ok("none", &path),
        (None, None) => Seen::not_applicable("", "no control group shares out CPU time"),
    }
}

/// A quota as thousandths of a CPU, from `QUOTA PERIOD`; `max` and -1 stand for none.
fn thousandths(pair: &str) -> Result<Option<u64>, ()> {
    let mut words = pair.split_whitespace();
    let quota = words.next().ok_or(())?;
    if matches!(quota, "max" | "-1") {
        return Ok(None);
    }
    let quota: u64 = quota.parse().map_err(|_| ())?;
    let period: u64 = words.next().and_then(|word| word.parse().ok()).ok_or(())?;
    quota.checked_mul(1000).and_then(|quota| quota.checked_div(period)).map(Some).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::thousandths;

    #[test]
    fn a_quota_is_read_in_either_version() {
        assert_eq!(thousandths("max 100000\n"), Ok(None));
        assert_eq!(thousandths("-1 100000\n"), Ok(None));
        assert_eq!(thousandths("150000 100000\n"), Ok(Some(1500)));
        assert_eq!(thousandths("50000 0\n"), Err(()));
        assert_eq!(thousandths("x 100000\n"), Err(()));
        assert_eq!(thousandths(""), Err(()));
    }
}
