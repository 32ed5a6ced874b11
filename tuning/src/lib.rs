//! What a Linux machine looks like to a program that pins its threads: packages, NUMA nodes, shared caches, physical
//! cores and their hardware threads, and which CPUs this process may use.
//!
//! Promises: everything is read through a [`SysRoot`], so that a directory of files stands for any machine in a test.
//! An entry that is missing or malformed costs precision, never the run: it is replaced by a named assumption, listed
//! in [`Topology::notes`]. The same files give the same answer.
//!
//! The same way an audit holds what a profile wants against what the machine says: [`Facts`] are read once, and
//! everything after that is a pure function of them.
//!
//! Refuses: to change anything by itself. A [`Plan`] is data; only with the feature `command` is there an `apply` that
//! makes it, and an `undo` that takes it back.
//!
//! ```
//! use mainspring_tuning::{SysRoot, Topology};
//!
//! let topology = Topology::read(&SysRoot::real())?;
//! let placement = topology.suggest(2);
//! println!("of the CPUs {} two cores should take {:?}", topology.allowed_cpus(), placement.cpus());
//! # Ok::<(), mainspring_tuning::TopologyError>(())
//! ```
#![deny(unsafe_code)]

#[cfg(feature = "command")]
pub mod apply;
mod audit;
mod cgroup;
pub mod check;
#[cfg(feature = "command")]
pub mod command;
mod cpu_set;
#[cfg(feature = "command")]
pub mod effect;
mod facts;
#[cfg(feature = "figures")]
pub mod figures;
mod finding;
mod interrupts;
#[cfg(feature = "command")]
pub mod jitter;
mod note;
mod pattern;
mod placement;
pub mod plan;
#[cfg(feature = "command")]
mod profile;
#[cfg(feature = "command")]
pub mod render;
mod roles;
mod surroundings;
mod sys_root;
#[allow(unsafe_code)]
pub mod system;
mod topology;
mod want;
#[cfg(feature = "command")]
mod write;

pub use audit::{Audit, checks_of};
pub use cpu_set::{CPU_LIMIT, CpuListError, CpuSet};
pub use facts::{Facts, READING_LIMIT, Reading};
pub use finding::{Capability, Change, Finding, Verdict};
pub use interrupts::{Device, DeviceKind, Interrupt, devices};
pub use note::Note;
pub use placement::Placement;
pub use plan::{Action, Plan, Step};
#[cfg(feature = "command")]
pub use profile::{Profile, ProfileError};
pub use roles::Roles;
pub use surroundings::Surroundings;
pub use sys_root::{ENTRY_LIMIT, FILE_LIMIT_BYTES, Kept, ReadError, SysRoot};
pub use topology::{Cpu, NOTE_LIMIT, Topology, TopologyError};
pub use want::{ShardCpus, Takes, UNLIMITED, Unit, Want, Wanted};
