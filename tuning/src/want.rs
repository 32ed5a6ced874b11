//! What a profile wants of a machine, as data: a value for each check that it cares for.

use crate::cpu_set::CpuSet;
use std::collections::BTreeMap;
use std::fmt;

/// What is wanted of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// One of these words; the first is the one to set.
    Words(Vec<String>),
    /// This number: exactly, at most or at least, as the check has it.
    Number(u64),
}

/// Stands for a number without a bound, such as an unlimited resource.
pub const UNLIMITED: u64 = u64::MAX;

/// Which values a check can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One or more of these words.
    Words(&'static [&'static str]),
    /// Any word, or more of them: what there is depends on the kernel.
    AnyWords,
    /// A number that must be met exactly.
    Exactly(Unit),
    /// The largest number that is allowed.
    AtMost(Unit),
    /// The smallest number that is allowed.
    AtLeast(Unit),
}

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things, or a switch.
    None,
    /// Microseconds.
    Microseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Millionths of the time.
    PartsPerMillion,
}

/// Which CPUs are to carry shards: pinned threads that are always busy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ShardCpus {
    /// As many as the machine should carry, where they suit best: see [`crate::Topology::suggested_cores`].
    #[default]
    Suggested,
    /// So many, where they suit best.
    Count(usize),
    /// These.
    These(CpuSet),
}

/// What a profile wants: which CPUs carry shards, and a value for each check by its id. Checks without a value are left
/// alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which CPUs carry shards.
    pub shards: ShardCpus,
    /// The folder where data will lie, as an absolute path.
    pub data_folder: String,
    wants: BTreeMap<&'static str, Want>,
}

impl Default for Wanted {
    fn default() -> Wanted {
        let data_folder = "/".to_owned();
        Wanted { shards: ShardCpus::default(), data_folder, wants: BTreeMap::new() }
    }
}

impl Wanted {
    /// Wants nothing yet.
    pub fn new() -> Wanted {
        Wanted::default()
    }

    /// What a node wants of any machine, to be told when it starts: the few checks whose findings cost milliseconds,
    /// and for cores that sleep those of waking up. These CPUs carry its cores.
    pub fn of_a_node(cpus: CpuSet, sleeps: bool) -> Wanted {
        let words =
            |words: &[&str]| Want::Words(words.iter().map(|word| word.to_string()).collect());
        let clocks = ["tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "xen"];
        let wanted = Wanted { shards: ShardCpus::These(cpus), ..Wanted::new() }
            .with("cpu.idle_poll", words(&["no"]))
            .with("mem.thp", words(&["madvise", "never"]))
            .with("clock.source", words(&clocks))
            .with("limits.cpu_quota", words(&["none"]))
            .with("virt.steal", Want::Number(NODE_STEAL_PPM));
        if !sleeps {
            return wanted;
        }
        wanted
            .with("cpu.governor", words(&["performance"]))
            .with("cpu.idle_latency", Want::Number(NODE_WAKE_UP_US))
    }

    /// Wants this of the check, instead of what was wanted of it before.
    #[must_use]
    pub fn with(mut self, id: &'static str, want: Want) -> Wanted {
        self.wants.insert(id, want);
        self
    }

    /// What is wanted of the check.
    pub fn of(&self, id: &str) -> Option<&Want> {
        self.wants.get(id)
    }

    /// The ids of the checks of which something is wanted, in ascending order.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.wants.keys().copied()
    }
}

impl Want {
    /// This word.
    pub fn word(word: &str) -> Want {
        Want::Words(vec![word.to_owned()])
    }

    /// The number, when it is one.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Want::Number(number) => Some(*number),
            Want::Words(_) => None,
        }
    }

    /// The words, when it is words.
    pub(crate) fn words(&self) -> &[String] {
        match self {
            Want::Number(_) => &[],
            Want::Words(words) => words,
        }
    }

    /// Whether the word is among those that are wanted.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.words().iter().any(|wanted| wanted == word)
    }
}

impl Takes {
    /// Whether the value is one that the check can be asked for.
    pub fn accepts(self, want: &Want) -> bool {
        match (self, want) {
            (Takes::Words(known), Want::Words(words)) => {
                !words.is_empty() && words.iter().all(|word| known.contains(&word.as_str()))
            }
            (Takes::AnyWords, Want::Words(words)) => {
                !words.is_empty() && words.iter().all(|word| is_plain(word))
            }
            (Takes::Exactly(_) | Takes::AtMost(_) | Takes::AtLeast(_), Want::Number(_)) => true,
            _ => false,
        }
    }

    /// What is wanted, for people.
    pub fn describe(self, want: &Want) -> String {
        match (self, want) {
            (Takes::AtMost(unit), Want::Number(number)) => {
                format!("at most {}", unit.describe(*number))
            }
            (Takes::AtLeast(unit), Want::Number(number)) if *number < UNLIMITED => {
                format!("at least {}", unit.describe(*number))
            }
            (Takes::AtLeast(unit), Want::Number(number)) => unit.describe(*number),
            (Takes::Exactly(unit), Want::Number(number)) => unit.describe(*number),
            (_, Want::Number(number)) => number.to_string(),
            (_, Want::Words(words)) => words.join(" or "),
        }
    }

    /// Whether the number that was found is as wanted.
    pub(crate) fn is_met(self, want: u64, found: u64) -> bool {
        match self {
            Takes::AtMost(_) => found <= want,
            Takes::AtLeast(_) => found >= want,
            Takes::Exactly(_) | Takes::Words(_) | Takes::AnyWords => found == want,
        }
    }

    /// What the numbers of the check count.
    pub(crate) fn unit(self) -> Unit {
        match self {
            Takes::Exactly(unit) | Takes::AtMost(unit) | Takes::AtLeast(unit) => unit,
            Takes::Words(_) | Takes::AnyWords => Unit::None,
        }
    }
}

/// What a profile may say, for the one line that refuses another value.
impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Takes::Words(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
                write!(f, "one of {}, or a list of them", words.join(", "))
            }
            Takes::AnyWords => f.write_str("a word, or a list of words"),
            Takes::Exactly(unit) => write!(f, "a number{}", unit.suffix()),
            Takes::AtMost(unit) => write!(f, "the largest number allowed{}", unit.suffix()),
            Takes::AtLeast(unit) => write!(f, "the smallest number allowed{}", unit.suffix()),
        }
    }
}

impl Unit {
    /// The number with its unit, for people.
    pub fn describe(self, number: u64) -> String {
        if number == UNLIMITED {
            return "unlimited".to_owned();
        }
        match self {
            Unit::None => number.to_string(),
            Unit::Microseconds => format!("{number} us"),
            Unit::Seconds => format!("{number} s"),
            Unit::Bytes => bytes(number),
            Unit::PartsPerMillion => {
                format!("{}.{:04} %", number / 10_000, number % 10_000)
            }
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Unit::None => "",
            Unit::Microseconds => ", in microseconds",
            Unit::Seconds => ", in seconds",
            Unit::Bytes => ", in bytes, or \"unlimited\"",
            Unit::PartsPerMillion => ", in millionths of the time",
        }
    }
}

/// How much of the time a hypervisor may take before a node mentions it.
const NODE_STEAL_PPM: u64 = 1000;
/// How long a CPU may take to wake up before a node mentions it: longer than a hybrid core spins.
const NODE_WAKE_UP_US: u64 = 50;

/// In the largest binary unit that divides it.
fn bytes(number: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let whole = |(shift, _): &&(u32, &str)| number > 0 && number.trailing_zeros() >= *shift;
    match units.iter().find(whole) {
        Some((shift, name)) => format!("{} {name}", number >> shift),
        None => format!("{number} bytes"),
    }
}

/// A word that can be written to a file of the kernel as it stands.
fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= WORD_LIMIT_BYTES
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte))
}

const WORD_LIMIT_BYTES: usize = 64;
