//! What the machine did during a run, read from `/proc`: the evidence on which a [`crate::verdict`] stands.
//!
//! Reading is apart from parsing, and parsing is a pure function of a text, so it is tested without a machine.

use std::fs;
use std::io;
use std::time::Instant;

use crate::raw::usage::{self, Usage};

/// Evidence that cannot be read. The run goes on; its verdict says so.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// A file of `/proc` cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of `/proc` does not hold what it should.
    #[error("{path}: {missing} is missing")]
    Unexpected {
        /// The file.
        path: &'static str,
        /// What was looked for.
        missing: String,
    },
    /// The kernel does not say what this process has used.
    #[error("the use of this process cannot be read: {0}")]
    Usage(io::Error),
}

/// The machine at one moment. Two of them make the [`Evidence`] of what lies between.
#[derive(Clone, Debug)]
pub struct Snapshot {
    at: Instant,
    ticks: CpuTicks,
    usage: Usage,
}

impl Snapshot {
    /// Reads the state of some CPUs, and of this process.
    pub fn of(cpus: &[usize]) -> Result<Snapshot, EvidenceError> {
        let text = read(STAT)?;
        let mut ticks = CpuTicks::default();
        for cpu in cpus {
            let row = CpuTicks::parse(&text, *cpu).ok_or_else(|| EvidenceError::Unexpected {
                path: STAT,
                missing: format!("the row of CPU {cpu}"),
            })?;
            ticks.add(row);
        }
        let usage = usage::of_this_process().map_err(EvidenceError::Usage)?;
        Ok(Snapshot { at: Instant::now(), ticks, usage })
    }

    /// What happened from this moment to a later one, on `cpus` CPUs.
    pub fn until(&self, later: &Snapshot, cpus: usize) -> Evidence {
        let wall_ns = later.at.saturating_duration_since(self.at).as_nanos() as f64;
        let total = later.ticks.total().saturating_sub(self.ticks.total()) as f64;
        let share = |ticks: u64| if total > 0.0 { ticks as f64 / total } else { 0.0 };
        let busy_cpus = share(later.ticks.busy.saturating_sub(self.ticks.busy)) * cpus as f64;
        let own_ns = later.usage.cpu_ns.saturating_sub(self.usage.cpu_ns) as f64;
        let own_cpus = if wall_ns > 0.0 { own_ns / wall_ns } else { 0.0 };
        Evidence {
            wall_seconds: wall_ns / 1e9,
            involuntary_switches: later
                .usage
                .involuntary_switches
                .saturating_sub(self.usage.involuntary_switches),
            steal_share: share(later.ticks.steal.saturating_sub(self.ticks.steal)),
            cpus_used_by_others: (busy_cpus - own_cpus).max(0.0),
        }
    }
}

/// What happened between two moments.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// How long it was.
    pub wall_seconds: f64,
    /// How often a thread of ours lost its CPU against its will.
    pub involuntary_switches: u64,
    /// Which part of the time of our CPUs the hypervisor gave to others, 0 to 1.
    pub steal_share: f64,
    /// How many of our CPUs other processes of this machine have used on average.
    pub cpus_used_by_others: f64,
}

/// What happened between two moments that could be read, on `cpus` CPUs.
///
/// # Errors
/// Those of the moment that could not be read.
pub fn between(
    before: Result<Snapshot, EvidenceError>,
    after: Result<Snapshot, EvidenceError>,
    cpus: usize,
) -> Result<Evidence, EvidenceError> {
    Ok(before?.until(&after?, cpus))
}

/// Memory of this process that is in RAM.
pub fn resident_bytes() -> Result<u64, EvidenceError> {
    let missing = || EvidenceError::Unexpected { path: STATUS, missing: "VmRSS in kB".into() };
    parse_resident_bytes(&read(STATUS)?).ok_or_else(missing)
}

const STAT: &str = "/proc/stat";
const STATUS: &str = "/proc/self/status";

fn read(path: &'static str) -> Result<String, EvidenceError> {
    fs::read_to_string(path).map_err(|source| EvidenceError::Unreadable { path, source })
}

fn parse_resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Time of one or more CPUs, in the kernel's ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct CpuTicks {
    busy: u64,
    idle: u64,
    steal: u64,
}

impl CpuTicks {
    /// The row of one CPU: user, nice, system, idle, iowait, irq, softirq, steal and more, which is in user already.
    fn parse(stat: &str, cpu: usize) -> Option<CpuTicks> {
        let name = format!("cpu{cpu}");
        let row = stat.lines().find(|line| line.split(' ').next() == Some(name.as_str()))?;
        let columns: Vec<u64> =
            row.split_ascii_whitespace().skip(1).map_while(|column| column.parse().ok()).collect();
        let [user, nice, system, idle, iowait, irq, softirq, steal, ..] = columns[..] else {
            return None;
        };
        Some(CpuTicks { busy: user + nice + system + irq + softirq, idle: idle + iowait, steal })
    }

    fn add(&mut self, other: CpuTicks) {
        self.busy += other.busy;
        self.idle += other.idle;
        self.steal += other.steal;
    }

    fn total(&self) -> u64 {
        self.busy + self.idle + self.steal
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const STAT_TEXT: &str = "cpu  30 0 30 300 0 0 0 3 0 0\n\
        cpu1 10 1 20 100 5 2 3 4 0 0\n\
        cpu10 1 1 1 1 1 1 1 1 0 0\nintr 5\n";

    #[test]
    fn the_row_of_one_cpu_is_told_from_its_neighbours() {
        let row = CpuTicks::parse(STAT_TEXT, 1).expect("the row is there");
        assert_eq!(row, CpuTicks { busy: 36, idle: 105, steal: 4 });
        assert_eq!(CpuTicks::parse(STAT_TEXT, 10).expect("the row is there").busy, 5);
        assert_eq!(CpuTicks::parse(STAT_TEXT, 2), None);
        assert_eq!(CpuTicks::parse("cpu1 10 x", 1), None);
    }

    #[test]
    fn resident_memory_is_given_in_bytes() {
        assert_eq!(parse_resident_bytes("VmPeak: 9 kB\nVmRSS:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(parse_resident_bytes("VmRSS:\t    12 MB\n"), None);
        assert!(resident_bytes().expect("this process has memory") > 0);
    }

    #[test]
    fn what_others_use_is_what_is_busy_and_not_ours() {
        let at = Instant::now();
        let before = Snapshot { at, ticks: CpuTicks::default(), usage: Usage::default() };
        let after = Snapshot {
            at: at + Duration::from_secs(1),
            ticks: CpuTicks { busy: 150, idle: 40, steal: 10 },
            usage: Usage { cpu_ns: 1_000_000_000, involuntary_switches: 7 },
        };
        let evidence = before.until(&after, 2);
        assert_eq!(evidence.involuntary_switches, 7);
        assert!((evidence.steal_share - 0.05).abs() < 1e-9);
        assert!((evidence.cpus_used_by_others - 0.5).abs() < 1e-9);
    }

    #[test]
    fn this_machine_can_be_read() {
        let cpus = crate::raw::affinity::allowed_cpus().expect("readable");
        let before = Snapshot::of(&cpus).expect("readable");
        let after = Snapshot::of(&cpus).expect("readable");
        assert!(before.until(&after, cpus.len()).wall_seconds >= 0.0);
        assert!(matches!(Snapshot::of(&[99_999]), Err(EvidenceError::Unexpected { .. })));
    }
}
