//! The threads that spin: one pinned to each CPU, for as long as was asked or until somebody stops them.
//!
//! Promises: between two readings of the clock the thread does nothing but compare them. Files are read after a gap,
//! and the clock is read anew after that.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use super::counters::{Counters, Texts};
use super::meter::{Meter, Next};
use crate::cgroup;
use crate::cpu_set::CpuSet;
use crate::sys_root::SysRoot;
use crate::system;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The CPUs, a thread each. The calling thread must be allowed on all of them.
    pub cpus: CpuSet,
    /// For how long.
    pub duration: Duration,
    /// Readings of the clock that are so far apart, in nanoseconds, have a gap between them.
    pub threshold_ns: u64,
}

/// How far apart two readings of the clock are when nothing comes between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolution {
    /// The CPU.
    pub cpu: u32,
    /// Half of the readings were no further apart, in nanoseconds.
    pub median_ns: u64,
    /// 99 % of the readings were no further apart, in nanoseconds.
    pub p99_ns: u64,
}

/// What was measured on one CPU.
#[derive(Debug)]
pub struct Measured {
    /// The CPU.
    pub cpu: u32,
    /// Its gaps.
    pub meter: Meter,
}

/// Nothing was measured.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JitterError {
    /// The affinity mask or the cpuset leaves out some of the CPUs.
    #[error("CPUs {refused} may not be used by this process; choose among {allowed}")]
    NotAllowed {
        /// The CPUs that were asked for in vain.
        refused: CpuSet,
        /// What this process may use.
        allowed: CpuSet,
    },
    /// No CPU was named.
    #[error("the list of CPUs is empty; name at least one")]
    NoCpu,
    /// The kernel refused to tell or to set where a thread runs.
    #[error("a thread cannot be pinned to CPU {cpu}: {source}; choose other CPUs")]
    Pin {
        /// The CPU.
        cpu: u32,
        /// The kernel's reason.
        source: io::Error,
    },
    /// The mask of this process cannot be read.
    #[error("the CPUs that this process may use cannot be read: {0}")]
    Mask(io::Error),
    /// A thread could not be started.
    #[error("the thread for CPU {cpu} cannot be started: {source}; name fewer CPUs")]
    Thread {
        /// The CPU.
        cpu: u32,
        /// The kernel's reason.
        source: io::Error,
    },
    /// A thread ended before its time.
    #[error("the thread on CPU {cpu} was lost")]
    Lost {
        /// The CPU.
        cpu: u32,
    },
}

/// Measures on each CPU how far apart two readings of the clock are. Takes some milliseconds.
///
/// # Errors
/// [`JitterError`] when a CPU may not be used.
pub fn resolutions(cpus: &CpuSet) -> Result<Vec<Resolution>, JitterError> {
    on_each(cpus, |cpu| {
        let clock = Instant::now();
        let mut last = clock.elapsed();
        let mut differences: Vec<u64> = Vec::with_capacity(READINGS);
        while differences.len() < READINGS {
            let now = clock.elapsed();
            differences.push((now - last).as_nanos() as u64);
            last = now;
        }
        differences.sort_unstable();
        let at = |percent: usize| differences[READINGS * percent / 100];
        Resolution { cpu, median_ns: at(50), p99_ns: at(99) }
    })
}

/// Measures all CPUs at the same time. `stop` ends it early; what was measured until then is returned.
///
/// # Errors
/// [`JitterError`] when nothing was measured.
pub fn measure(settings: &Settings, stop: &AtomicBool) -> Result<Vec<Measured>, JitterError> {
    let eye = Eye::open();
    on_each(&settings.cpus, |cpu| Measured { cpu, meter: spin(cpu, settings, &eye, stop) })
}

fn spin(cpu: u32, settings: &Settings, eye: &Eye, stop: &AtomicBool) -> Meter {
    let mut meter = Meter::new();
    let clock = Instant::now();
    let now_ns = || clock.elapsed().as_nanos() as u64;
    let end_ns = settings.duration.as_nanos() as u64;
    let mut began_ns = look(&mut meter, 0, eye, cpu, now_ns);
    let mut last_ns = began_ns;
    while last_ns < end_ns && !stop.load(Ordering::Relaxed) {
        let at_ns = now_ns();
        let gap_ns = at_ns - last_ns;
        last_ns = at_ns;
        if gap_ns >= settings.threshold_ns {
            meter.spun(at_ns - began_ns);
            if meter.gap(gap_ns) == Next::Look {
                last_ns = look(&mut meter, at_ns, eye, cpu, now_ns);
            }
            began_ns = last_ns;
        }
    }
    meter.spun(last_ns - began_ns);
    meter
}

/// Looks until the meter has seen enough, and returns when that was.
fn look(meter: &mut Meter, began_ns: u64, eye: &Eye, cpu: u32, now_ns: impl Fn() -> u64) -> u64 {
    let mut last_ns = began_ns;
    loop {
        let counters = eye.look(cpu);
        let at_ns = now_ns();
        let next = meter.looked(counters, at_ns - last_ns);
        last_ns = at_ns;
        if next == Next::Spin {
            return last_ns;
        }
    }
}

/// Reads the kernel's counters.
struct Eye {
    root: SysRoot,
    quotas: Vec<String>,
}

impl Eye {
    fn open() -> Eye {
        let root = SysRoot::real();
        let directories = cgroup::directories(&root, "cpu");
        let files = directories.iter().map(|directory| format!("{directory}/cpu.stat"));
        // Groups without a quota have no such counter: there is nothing to look at.
        let counts =
            |file: &String| root.read(file).is_ok_and(|text| text.contains("nr_throttled "));
        let quotas = files.filter(counts).collect();
        Eye { root, quotas }
    }

    fn look(&self, cpu: u32) -> Counters {
        let read = |path: &str| self.root.read(path).ok();
        // First: a switch while the files are read belongs to this look, and makes it one that is not calm.
        let switches = system::involuntary_switches().unwrap_or_default();
        let (stat, interrupts) = (read("/proc/stat"), read("/proc/interrupts"));
        let soft_interrupts = read("/proc/softirqs");
        let frequency = read(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"));
        let quotas: Vec<String> = self.quotas.iter().filter_map(|file| read(file)).collect();
        let texts = Texts {
            stat: stat.as_deref(),
            interrupts: interrupts.as_deref(),
            soft_interrupts: soft_interrupts.as_deref(),
            frequency: frequency.as_deref(),
            quotas: &quotas,
        };
        Counters::parse(cpu, &texts, switches)
    }
}

/// Does the work on a thread of its own on each CPU, all at the same time.
fn on_each<T: Send>(cpus: &CpuSet, work: impl Fn(u32) -> T + Sync) -> Result<Vec<T>, JitterError> {
    if cpus.is_empty() {
        return Err(JitterError::NoCpu);
    }
    let allowed = system::affinity().map_err(JitterError::Mask)?;
    if !cpus.is_subset(&allowed) {
        return Err(JitterError::NotAllowed { refused: cpus.difference(&allowed), allowed });
    }
    let pinned = |cpu: u32| {
        system::pin_to(cpu).map_err(|source| JitterError::Pin { cpu, source })?;
        Ok(work(cpu))
    };
    thread::scope(|scope| {
        let mut threads = Vec::with_capacity(cpus.len());
        let mut refusal = None;
        for cpu in cpus.iter() {
            let pinned = &pinned;
            let name = format!("jitter-{cpu}");
            match thread::Builder::new().name(name).spawn_scoped(scope, move || pinned(cpu)) {
                Ok(thread) => threads.push((cpu, thread)),
                Err(source) => refusal = Some(JitterError::Thread { cpu, source }),
            }
        }
        let results: Result<Vec<T>, JitterError> = threads
            .into_iter()
            .map(|(cpu, thread)| thread.join().map_err(|_| JitterError::Lost { cpu })?)
            .collect();
        refusal.map_or(results, Err)
    })
}

/// How many readings a resolution is the median of.
const READINGS: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn one_cpu() -> CpuSet {
        system::affinity().expect("a mask").iter().take(1).collect()
    }

    #[test]
    fn every_gap_that_was_measured_is_over_the_threshold_and_within_the_time() {
        let settings =
            Settings { cpus: one_cpu(), duration: Duration::from_millis(60), threshold_ns: 1_000 };
        let measured = measure(&settings, &AtomicBool::new(false)).expect("allowed");
        let [Measured { cpu, meter }] = &measured[..] else { panic!("not one CPU") };
        assert_eq!(Some(*cpu), settings.cpus.first());
        assert!(meter.spun_ns() + meter.looking_ns() >= 60_000_000, "no time is left out");
        assert!(meter.lost_ns() <= meter.spun_ns());
        assert!(meter.gaps_ns().is_empty() || meter.gaps_ns().min() >= 999);
        let counted: u64 = meter.by_cause().values().map(|lost| lost.gaps).sum();
        assert_eq!(counted, meter.gaps_ns().len());
    }

    #[test]
    fn a_meter_that_is_stopped_returns_at_once_what_it_has() {
        let hour = Duration::from_secs(3_600);
        let settings = Settings { cpus: one_cpu(), duration: hour, threshold_ns: 1_000 };
        let measured = measure(&settings, &AtomicBool::new(true)).expect("allowed");
        assert_eq!(measured.len(), 1);
    }

    #[test]
    fn the_resolution_is_more_than_nothing_and_ordered() {
        for resolution in resolutions(&one_cpu()).expect("allowed") {
            assert!(resolution.p99_ns >= resolution.median_ns, "{resolution:?}");
            assert!(resolution.p99_ns > 0);
        }
    }

    #[test]
    fn cpus_that_may_not_be_used_are_refused_by_number() {
        let far: CpuSet = [8_190, 8_191].into_iter().collect();
        let refusal = resolutions(&far).expect_err("no machine has these").to_string();
        assert!(refusal.starts_with("CPUs 8190-8191 may not be used"), "{refusal}");
        assert!(matches!(resolutions(&CpuSet::new()), Err(JitterError::NoCpu)));
    }
}
