//! What a Linux machine looks like to a program that pins its threads: packages, NUMA nodes, shared caches, physical
//! cores and their hardware threads, and which CPUs this process may use.
//!
//! Promises: everything is read through a [`SysRoot`], so that a directory of files stands for any machine in a test.
//! An entry that is missing or malformed costs precision, never the run: it is replaced by a named assumption, listed
//! in [`Topology::notes`]. The same files give the same answer.
//!
//! Refuses: to change anything. This library only reads.
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

mod cgroup;
mod cpu_set;
mod note;
mod placement;
mod sys_root;
#[allow(unsafe_code)]
pub mod system;
mod topology;

pub use cpu_set::{CPU_LIMIT, CpuListError, CpuSet};
pub use note::Note;
pub use placement::Placement;
pub use sys_root::{FILE_LIMIT_BYTES, ReadError, SysRoot};
pub use topology::{Cpu, NOTE_LIMIT, Topology, TopologyError};
