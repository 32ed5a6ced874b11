//! How many cores a node has, and on which CPUs: a choice, and what it comes to on a machine.
//!
//! Promises: a choice resolves to at least one core; only CPUs that the process may use are taken; what a choice
//! costs is said in a [`Warning`], never hidden. Choices are read and written as text: `all`, `suggested`,
//! `0-3,6`, `n:4`.
//!
//! Refuses: a listed CPU that is offline or not allowed, and more than [`CORES_MAX`] cores. It touches no machine:
//! the topology is an argument.
//!
//! ```
//! use mainspring::node::cores::Cores;
//! use mainspring_tuning::{SysRoot, Topology};
//!
//! let topology = Topology::read(&SysRoot::real())?;
//! let one = Cores::count(1).resolve(&topology)?;
//! assert_eq!(one.cpus.len(), 1);
//! assert_eq!("n:1".parse::<Cores>()?, Cores::count(1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use mainspring_tuning::{CpuListError, CpuSet, Topology};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// The most cores of a node: every pair of them has its own rings.
pub const CORES_MAX: usize = 1024;

/// Which CPUs the cores of a node run on. The default is [`Cores::suggested`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cores {
    choice: Choice,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Choice {
    #[default]
    Suggested,
    All,
    List(Vec<u32>),
    Count(usize),
}

/// What a choice comes to on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedCores {
    /// The CPU of each core, by the core's number.
    pub cpus: Vec<u32>,
    /// What the choice costs, when it costs something.
    pub warning: Option<Warning>,
}

/// A choice that works, at a price.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// More cores than CPUs.
    Oversubscribed {
        /// The cores.
        cores: usize,
        /// The CPUs for them.
        cpus: usize,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning::Oversubscribed { cores, cpus } = self;
        write!(
            f,
            "{cores} cores share {cpus} CPUs: cores on the same CPU preempt each other, so that a message can wait for \
             the scheduler's time slice (milliseconds); start fewer cores or allow more CPUs"
        )
    }
}

/// A choice that does not work on this machine. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CoresError {
    /// No core was asked for.
    #[error(
        "a node needs at least one core, and the choice `{choice}` names none; name a CPU, or use `all`"
    )]
    NoCore {
        /// The choice.
        choice: Cores,
    },
    /// More cores than a node can have.
    #[error("{requested} cores were asked for, and a node has at most {CORES_MAX}; ask for fewer")]
    TooMany {
        /// How many were asked for.
        requested: usize,
    },
    /// A listed CPU is not online.
    #[error("CPU {cpu} is not online; online are {online}")]
    Offline {
        /// The CPU.
        cpu: u32,
        /// The CPUs that are online.
        online: CpuSet,
    },
    /// A listed CPU is online, but not for this process.
    #[error(
        "CPU {cpu} is not allowed for this process, which may use {allowed} (affinity mask {affinity}{}); \
         choose among these, or widen the mask (taskset) or the cpuset",
        .cpuset.as_ref().map_or(String::new(), |cpuset| format!(", cpuset {cpuset}"))
    )]
    NotAllowed {
        /// The CPU.
        cpu: u32,
        /// The CPUs that the process may use.
        allowed: CpuSet,
        /// The affinity mask.
        affinity: CpuSet,
        /// The control group's cpuset, when there is one.
        cpuset: Option<CpuSet>,
    },
}

/// A text is not a choice of cores.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseCoresError {
    /// It is none of the words, and not a list either.
    #[error(
        "`{text}` is not a choice of cores (`all`, `suggested`, `n:4`, or CPUs such as `0-3,6`): {source}"
    )]
    List {
        /// The text.
        text: String,
        /// What is wrong with it as a list.
        source: CpuListError,
    },
    /// What follows `n:` is not a number of cores.
    #[error("`{text}` is not a choice of cores: after `n:` comes a number from 1 to {CORES_MAX}")]
    Count {
        /// The text.
        text: String,
    },
    /// Nothing at all.
    #[error("a choice of cores is empty; write `all`, `suggested`, `n:4`, or CPUs such as `0-3,6`")]
    Empty,
}

impl Cores {
    /// One core on each CPU that the process may use.
    pub fn all() -> Cores {
        Cores { choice: Choice::All }
    }

    /// One core on each of these CPUs, in this order. A CPU named twice carries two cores, with a warning.
    pub fn list(cpus: impl IntoIterator<Item = u32>) -> Cores {
        Cores { choice: Choice::List(cpus.into_iter().collect()) }
    }

    /// So many cores, on the CPUs that suit them best: see [`mainspring_tuning::Placement`]. When there are fewer
    /// CPUs, cores share them, with a warning.
    pub fn count(cores: usize) -> Cores {
        Cores { choice: Choice::Count(cores) }
    }

    /// One core on each physical core that the process may use, but on machines with four or more CPUs none on CPU
    /// 0's, which is left to the kernel.
    pub fn suggested() -> Cores {
        Cores { choice: Choice::Suggested }
    }

    /// The CPU of each core on the given machine.
    ///
    /// # Errors
    /// [`CoresError`] when the choice names no core, too many, or a CPU that the process may not use.
    pub fn resolve(&self, topology: &Topology) -> Result<ResolvedCores, CoresError> {
        match &self.choice {
            Choice::Suggested => self.placed(topology, topology.suggested_cores().min(CORES_MAX)),
            Choice::Count(cores) => self.placed(topology, *cores),
            Choice::All => self.checked(topology, topology.allowed_cpus().iter().collect()),
            Choice::List(cpus) => self.checked(topology, cpus.clone()),
        }
    }

    fn placed(&self, topology: &Topology, cores: usize) -> Result<ResolvedCores, CoresError> {
        self.check_number(cores)?;
        let placement = topology.suggest(cores);
        let cpus = placement.cpus().iter().copied().cycle().take(cores).collect();
        Ok(ResolvedCores::new(cpus))
    }

    fn checked(&self, topology: &Topology, cpus: Vec<u32>) -> Result<ResolvedCores, CoresError> {
        self.check_number(cpus.len())?;
        for &cpu in &cpus {
            if topology.cpu(cpu).is_none() {
                return Err(CoresError::Offline { cpu, online: topology.online() });
            }
            if !topology.allowed_cpus().contains(cpu) {
                return Err(CoresError::NotAllowed {
                    cpu,
                    allowed: topology.allowed_cpus().clone(),
                    affinity: topology.affinity().clone(),
                    cpuset: topology.cpuset().cloned(),
                });
            }
        }
        Ok(ResolvedCores::new(cpus))
    }

    fn check_number(&self, requested: usize) -> Result<(), CoresError> {
        match requested {
            0 => Err(CoresError::NoCore { choice: self.clone() }),
            1..=CORES_MAX => Ok(()),
            _ => Err(CoresError::TooMany { requested }),
        }
    }
}

impl ResolvedCores {
    fn new(cpus: Vec<u32>) -> ResolvedCores {
        let (cores, different) = (cpus.len(), cpus.iter().collect::<BTreeSet<_>>().len());
        let shared = different < cores;
        let warning = shared.then_some(Warning::Oversubscribed { cores, cpus: different });
        ResolvedCores { cpus, warning }
    }
}

impl FromStr for Cores {
    type Err = ParseCoresError;

    /// Reads `all`, `suggested`, `n:` with a number of cores, or a list of CPUs such as `0-3,6`.
    fn from_str(text: &str) -> Result<Cores, ParseCoresError> {
        match text.trim() {
            "" => Err(ParseCoresError::Empty),
            "all" => Ok(Cores::all()),
            "suggested" => Ok(Cores::suggested()),
            trimmed => match trimmed.strip_prefix("n:") {
                Some(number) => match number.parse() {
                    Ok(cores) if (1..=CORES_MAX).contains(&cores) => Ok(Cores::count(cores)),
                    _ => Err(ParseCoresError::Count { text: text.to_owned() }),
                },
                None => {
                    let list = text.parse::<CpuSet>();
                    let cpus = list.map_err(|source| ParseCoresError::List {
                        text: text.to_owned(),
                        source,
                    })?;
                    Ok(Cores::list(cpus.iter()))
                }
            },
        }
    }
}

impl fmt::Display for Cores {
    /// Writes what [`FromStr`] reads. A list is written in its own order, which reading it puts in ascending order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.choice {
            Choice::Suggested => f.write_str("suggested"),
            Choice::All => f.write_str("all"),
            Choice::Count(cores) => write!(f, "n:{cores}"),
            Choice::List(cpus) => {
                let mut separator = "";
                for cpu in cpus {
                    write!(f, "{separator}{cpu}")?;
                    separator = ",";
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "cores_tests.rs"]
mod tests;
