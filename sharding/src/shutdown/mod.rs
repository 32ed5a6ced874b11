//! The end of a node in order: phases with deadlines, tasks in each, and a report of what became of them.
//!
//! A node of a cluster cannot just stop: others send to it, its shards have to go elsewhere, and the cluster has to let
//! it go before its links close. [`Shutdown`] runs what has to happen by [`Phase`], in a fixed order. The tasks of a
//! phase run at the same time; the next phase begins when all of them have ended, or at the deadline of the phase.
//!
//! What it promises: it runs once, with the reason that came first; it ends by itself, at the latest when the
//! deadlines of all phases have passed; a task that fails, panics or does not end is named in the [`Report`], and all
//! later phases run nevertheless. What it refuses to do: to break off a task. Nothing can end a thread in order; what
//! has not ended at its deadline is left running, and the process ends over it.
//!
//! [`Sequence`] decides and is a state machine without thread and clock; `Shutdown` gives it both.
//!
//! Bounds: [`TASK_LIMIT`] tasks a phase, [`TASK_NAME_LIMIT_BYTES`] of a name; an `add` beyond them is refused.
//!
//! ```
//! use std::time::Duration;
//! use mainspring::prelude::*;
//! use mainspring_sharding::shutdown::{Phase, Reason, Shutdown, Settings};
//!
//! let node = Node::builder().cores(Cores::count(1)).start()?;
//! let shutdown = Shutdown::new(Settings::default());
//! shutdown.add(Phase::StopAccepting, "listener", |_| Ok(()))?;
//! shutdown.add(Phase::StopNode, "node", |stopping| Ok(node.shutdown(stopping.time_left())?))?;
//! // A program that is ended from outside does this instead: shutdown.begin_on_signals()?;
//! shutdown.begin(Reason::Asked("the example ends".to_owned()))?;
//! let report = shutdown.wait(Duration::from_secs(30)).expect("it ends within its deadlines");
//! assert!(report.is_clean(), "{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! After the coordinated shutdown of Akka (Pekko, `CoordinatedShutdown`), with phases that are fixed.

mod cluster_exit;
mod coordinated;
mod phase;
mod report;
mod sequence;
mod settings;
mod signals;

pub use coordinated::{BeginError, Shutdown, Stopping, TaskFailure};
pub use phase::Phase;
pub use report::{Outcome, PhaseReport, Reason, Report, TaskReport};
pub use sequence::{AddTaskError, Input, Output, Progress, Sequence, TaskKey};
pub use settings::{Settings, TASK_LIMIT, TASK_NAME_LIMIT_BYTES};

#[cfg(test)]
mod tests;
