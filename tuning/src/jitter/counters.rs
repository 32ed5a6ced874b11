//! What the kernel counts for one CPU and one thread, and how much of it rose between two readings.
//!
//! Promises: a text that is missing or malformed counts nothing; it never stops the meter. Counters that went back
//! (a CPU that was offline meanwhile) have not risen.

use std::collections::BTreeMap;

/// The kernel's texts at one moment. What could not be read is absent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// `/proc/stat`.
    pub stat: Option<&'a str>,
    /// `/proc/interrupts`.
    pub interrupts: Option<&'a str>,
    /// `/proc/softirqs`.
    pub soft_interrupts: Option<&'a str>,
    /// The CPU's `cpufreq/scaling_cur_freq`, in kHz.
    pub frequency: Option<&'a str>,
    /// `cpu.stat` of each control group that this process is in.
    pub quotas: &'a [String],
}

/// What was counted up to one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters {
    /// How often the kernel took the CPU away from the thread for another one.
    pub switches: u64,
    /// Time the hypervisor gave to others, in ticks of [`STEAL_TICK_NS`].
    pub steal_ticks: u64,
    /// How often a quota of CPU time held this process back.
    pub throttled: u64,
    /// Interrupts by number and name.
    pub interrupts: BTreeMap<String, u64>,
    /// Soft interrupts by name.
    pub soft_interrupts: BTreeMap<String, u64>,
    /// The CPU's frequency, where it is told.
    pub frequency_khz: Option<u64>,
}

/// What rose from one moment to another.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rises {
    /// See [`Counters::switches`].
    pub switches: u64,
    /// See [`Counters::steal_ticks`].
    pub steal_ticks: u64,
    /// See [`Counters::throttled`].
    pub throttled: u64,
    /// Those that rose, and by how much.
    pub interrupts: BTreeMap<String, u64>,
    /// Those that rose, and by how much.
    pub soft_interrupts: BTreeMap<String, u64>,
    /// Whether the frequency is another.
    pub is_frequency_changed: bool,
}

/// The unit of the times in `/proc/stat`: `USER_HZ` is 100 on every architecture for which this crate is built.
pub const STEAL_TICK_NS: u64 = 10_000_000;

impl Counters {
    /// Reads the texts for one CPU; `switches` are those of the thread that measures it.
    pub fn parse(cpu: u32, texts: &Texts, switches: u64) -> Counters {
        let throttled = texts.quotas.iter().filter_map(|text| throttled(text)).sum();
        Counters {
            switches,
            steal_ticks: texts.stat.and_then(|text| steal_ticks(text, cpu)).unwrap_or(0),
            throttled,
            interrupts: texts.interrupts.map(|text| column(text, cpu)).unwrap_or_default(),
            soft_interrupts: texts
                .soft_interrupts
                .map(|text| column(text, cpu))
                .unwrap_or_default(),
            frequency_khz: texts.frequency.and_then(|text| text.trim().parse().ok()),
        }
    }

    /// What rose since an earlier reading.
    pub fn since(&self, earlier: &Counters) -> Rises {
        let frequencies = (self.frequency_khz, earlier.frequency_khz);
        Rises {
            switches: self.switches.saturating_sub(earlier.switches),
            steal_ticks: self.steal_ticks.saturating_sub(earlier.steal_ticks),
            throttled: self.throttled.saturating_sub(earlier.throttled),
            interrupts: risen(&self.interrupts, &earlier.interrupts),
            soft_interrupts: risen(&self.soft_interrupts, &earlier.soft_interrupts),
            is_frequency_changed: matches!(frequencies, (Some(now), Some(then)) if now != then),
        }
    }
}

fn risen(now: &BTreeMap<String, u64>, then: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let rise = |name: &String, count: u64| {
        count.saturating_sub(then.get(name).copied().unwrap_or_default())
    };
    let rises = now.iter().map(|(name, count)| (name.clone(), rise(name, *count)));
    rises.filter(|(_, rise)| *rise > 0).collect()
}

/// The eighth time of the CPU's line (proc_stat(5)).
fn steal_ticks(stat: &str, cpu: u32) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let line = stat.lines().find(|line| line.split_whitespace().next() == Some(name.as_str()))?;
    line.split_whitespace().nth(STEAL_COLUMN)?.parse().ok()
}

const STEAL_COLUMN: usize = 8;

fn throttled(cpu_stat: &str) -> Option<u64> {
    cpu_stat.lines().find_map(|line| line.strip_prefix("nr_throttled "))?.trim().parse().ok()
}

/// The column of one CPU of `/proc/interrupts` or `/proc/softirqs`, by the rows' names. The head names the CPUs that
/// are online, so a column is not a CPU's number.
fn column(text: &str, cpu: u32) -> BTreeMap<String, u64> {
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
    let name = format!("CPU{cpu}");
    let Some(place) = head.iter().position(|column| *column == name) else {
        return BTreeMap::new();
    };
    lines.filter_map(|line| row(line, place, head.len())).collect()
}

fn row(line: &str, place: usize, columns: usize) -> Option<(String, u64)> {
    let (id, rest) = line.split_once(':')?;
    let id = id.trim();
    let count = rest.split_whitespace().nth(place)?.parse().ok()?;
    let words: Vec<&str> = rest.split_whitespace().skip(columns).collect();
    let name = match (id.parse::<u32>(), words.last()) {
        // Chip, number and trigger stand before the name of a device's interrupt.
        (Ok(_), Some(last)) => format!("{id} {last}"),
        _ => format!("{id} {}", words.join(" ")).trim_end().to_owned(),
    };
    Some((name, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "           CPU0       CPU2       \n \
        33:          0        882 PCI-MSIX-0000:00:05.0   1-edge      virtio4-input\n\
        LOC:    1423947    1769425   Local timer interrupts\n\
        ERR:          0\n";
    const SOFT: &str = "                    CPU0       CPU2\n      NET_RX:     372133     395734\n";
    const STAT: &str =
        "cpu  1 2 3 4 5 6 7 90 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu2 1 2 3 4 5 6 7 82 0 0\n";

    #[test]
    fn a_cpu_has_its_column_also_when_a_cpu_before_it_is_offline() {
        let quotas = ["nr_periods 3\nnr_throttled 2\nthrottled_usec 9\n".to_owned()];
        let texts = Texts {
            stat: Some(STAT),
            interrupts: Some(INTERRUPTS),
            soft_interrupts: Some(SOFT),
            frequency: Some("2400000\n"),
            quotas: &quotas,
        };
        let counters = Counters::parse(2, &texts, 7);
        assert_eq!((counters.switches, counters.steal_ticks, counters.throttled), (7, 82, 2));
        let interrupts: Vec<_> =
            counters.interrupts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let expected = [("33 virtio4-input", 882), ("LOC Local timer interrupts", 1_769_425)];
        assert_eq!(interrupts, expected);
        assert_eq!(counters.soft_interrupts["NET_RX"], 395_734);
        assert_eq!(counters.frequency_khz, Some(2_400_000));
    }

    #[test]
    fn texts_that_make_no_sense_count_nothing() {
        let nonsense = "cpu0\nCPU0 : x\n\u{0}:\n";
        let texts = Texts {
            stat: Some(nonsense),
            interrupts: Some(nonsense),
            soft_interrupts: Some(""),
            frequency: Some("<unknown>"),
            quotas: &["nr_throttled many".to_owned()],
        };
        assert_eq!(Counters::parse(0, &texts, 0), Counters::default());
        assert_eq!(Counters::parse(0, &Texts::default(), 0), Counters::default());
    }

    #[test]
    fn only_what_rose_is_a_rise() {
        let counters = |switches, virtio, timer, khz| Counters {
            switches,
            interrupts: [("33 virtio4-input".into(), virtio), ("LOC x".into(), timer)].into(),
            frequency_khz: khz,
            ..Counters::default()
        };
        let rises = counters(3, 5, 8, Some(2)).since(&counters(4, 5, 6, Some(1)));
        assert_eq!((rises.switches, rises.is_frequency_changed), (0, true));
        assert_eq!(rises.interrupts, [("LOC x".to_owned(), 2)].into());
        let rises = counters(4, 5, 8, None).since(&counters(3, 9, 8, Some(1)));
        let expected = Rises { switches: 1, ..Rises::default() };
        assert_eq!(rises, expected);
    }
}
