//! What the machine said when it was asked: the text of every file that the checks want to see, or why it could not be
//! read, by path.
//!
//! Promises: each file is read once; nothing is changed; what cannot be read is a fact too, never an error. At most
//! [`READING_LIMIT`] files are read, whatever the machine has.
//!
//! Invariant: everything after the probe is a pure function of the facts.

use crate::cgroup;
use crate::check::Check;
use crate::pattern;
use crate::surroundings::{self, Surroundings};
use crate::sys_root::{ReadError, SysRoot};
use crate::topology::{Topology, TopologyError};
use std::collections::BTreeMap;

/// The most files that a probe reads.
pub const READING_LIMIT: usize = 1 << 16;

/// A machine, as it was when it was probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    topology: Topology,
    surroundings: Surroundings,
    readings: BTreeMap<String, Reading>,
    cpu_groups: Vec<String>,
    readings_dropped: usize,
}

/// The text of a file, or why there is none.
pub type Reading = Result<String, ReadError>;

impl Facts {
    /// Reads what these checks want to see, the topology, and where the program runs.
    ///
    /// # Errors
    /// [`TopologyError`] when no CPU at all can be found or used.
    pub fn probe(root: &SysRoot, checks: &[&Check]) -> Result<Facts, TopologyError> {
        let topology = Topology::read(root)?;
        let mut probe =
            Probe { root, readings: BTreeMap::new(), lists: BTreeMap::new(), dropped: 0 };
        for pattern in surroundings::READS {
            probe.read_all(pattern);
        }
        for pattern in checks.iter().flat_map(|check| check.reads) {
            probe.read_all(pattern);
        }
        let cpu_groups = cgroup::directories(root, "cpu");
        for (directory, name) in
            cpu_groups.iter().flat_map(|directory| CPU_GROUP_FILES.map(|name| (directory, name)))
        {
            probe.read(format!("{directory}/{name}"));
        }
        let surroundings = Surroundings::of(&probe.readings);
        let Probe { readings, dropped: readings_dropped, .. } = probe;
        Ok(Facts { topology, surroundings, readings, cpu_groups, readings_dropped })
    }

    /// The CPUs.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// Where the program runs: on the machine itself, in a guest, in a container.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// What the file at this path said. A file that nobody asked for is missing.
    pub fn reading(&self, path: &str) -> Result<&str, ReadError> {
        match self.readings.get(path) {
            Some(Ok(text)) => Ok(text),
            Some(Err(error)) => Err(error.clone()),
            None => Err(ReadError::Missing),
        }
    }

    /// The files whose paths fit the pattern, with what its open parts stand for. Numbers are in numeric order.
    pub(crate) fn matching(&self, pattern: &str) -> Vec<(Vec<String>, &str, &Reading)> {
        let fixed = pattern.split(['#', '*']).next().unwrap_or(pattern);
        let mut found: Vec<_> = self
            .readings
            .range(fixed.to_owned()..)
            .take_while(|(path, _)| path.starts_with(fixed))
            .filter_map(|(path, reading)| {
                Some((pattern::captures(pattern, path)?, path.as_str(), reading))
            })
            .collect();
        found.sort_by_cached_key(|(captures, ..)| {
            captures.iter().map(|text| (text.parse::<u64>().ok(), text.clone())).collect::<Vec<_>>()
        });
        found
    }

    /// The directories of the control groups that share out CPU time to this process, its own first.
    pub(crate) fn cpu_groups(&self) -> &[String] {
        &self.cpu_groups
    }

    /// How many files were read, or tried.
    pub fn readings(&self) -> usize {
        self.readings.len()
    }

    /// How many files were left out beyond [`READING_LIMIT`].
    pub fn readings_dropped(&self) -> usize {
        self.readings_dropped
    }
}

/// How a control group limits CPU time, in version 2 and in version 1.
const CPU_GROUP_FILES: [&str; 3] = ["cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us"];

/// Files that are a line or more for each CPU, of which the beginning tells enough.
const LONG_FILES: [&str; 2] = ["/proc/cpuinfo", "/proc/stat"];
const LONG_FILE_BYTES: u64 = 16 * 1024;

/// Where symbolic links stand instead of files.
const LINKS: &str = "/proc/self/ns/";

/// Stands for the properties that a network device tells through a system call.
pub(crate) const COALESCE: &str = "ethtool --show-coalesce ";

/// Reads, and keeps what was read.
struct Probe<'a> {
    root: &'a SysRoot,
    readings: BTreeMap<String, Reading>,
    lists: BTreeMap<String, Vec<String>>,
    dropped: usize,
}

impl Probe<'_> {
    /// Reads every file that fits.
    fn read_all(&mut self, pattern: &str) {
        if let Some(devices) = pattern.strip_prefix(COALESCE) {
            for device in self.places(devices) {
                self.read_coalescing(&device);
            }
            return;
        }
        for path in self.places(pattern) {
            self.read(path);
        }
    }

    /// The paths that fit, where every open part stands for a name that is there. What follows the last open part need
    /// not exist.
    fn places(&mut self, pattern: &str) -> Vec<String> {
        let mut places = vec![String::new()];
        for (index, part) in pattern.split('/').enumerate() {
            let mut next = Vec::new();
            for place in places {
                let directory = if index == 0 { place } else { format!("{place}/") };
                if !pattern::is_open(part) {
                    next.push(format!("{directory}{part}"));
                    continue;
                }
                let fits = |name: &&String| pattern::part_capture(part, name).is_some();
                let names = self.names(&directory).iter().filter(fits);
                next.extend(names.map(|name| format!("{directory}{name}")));
            }
            places = next;
        }
        places
    }

    fn names(&mut self, directory: &str) -> &[String] {
        let list = || self.root.list(directory).unwrap_or_default();
        self.lists.entry(directory.to_owned()).or_insert_with(list)
    }

    fn read(&mut self, path: String) {
        if self.readings.contains_key(&path) {
            return;
        }
        let root = self.root;
        let reading = if path.ends_with('/') {
            root.list(&path).map(|names| names.join("\n"))
        } else if path.starts_with(LINKS) {
            root.link(&path)
        } else if LONG_FILES.contains(&path.as_str()) {
            root.read_beginning(&path, LONG_FILE_BYTES)
        } else {
            root.read(&path)
        };
        self.keep(path, reading);
    }

    /// Asks the device in whose directory the path ends.
    fn read_coalescing(&mut self, path: &str) {
        let Some(device) = path.rsplit('/').next() else { return };
        // Devices that no hardware stands behind have no interrupts to hold back.
        if self.root.list(format!("{path}/device")).is_ok() {
            self.keep(format!("{COALESCE}{device}"), self.root.coalescing(device));
        }
    }

    fn keep(&mut self, path: String, reading: Reading) {
        if self.readings.len() < READING_LIMIT {
            self.readings.insert(path, reading);
        } else {
            self.dropped += 1;
        }
    }
}
