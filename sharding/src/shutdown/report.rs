//! Why a node ended, and what became of the tasks of each phase.

use std::fmt;

use super::phase::Phase;

/// Why a shutdown was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// SIGTERM: whoever runs the process wants it to end.
    Terminated,
    /// SIGINT: somebody at a terminal does.
    Interrupted,
    /// The node has left the cluster, by the wish of another node or of an operator.
    LeftCluster,
    /// The cluster has given the node up.
    Downed,
    /// The program asked for it, and says why.
    Asked(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Terminated => f.write_str("SIGTERM"),
            Reason::Interrupted => f.write_str("SIGINT"),
            Reason::LeftCluster => f.write_str("left the cluster"),
            Reason::Downed => f.write_str("given up by the cluster"),
            Reason::Asked(why) => f.write_str(why),
        }
    }
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was for.
    Done,
    /// It said why it could not.
    Failed(String),
    /// It panicked, with this text if it was one.
    Panicked(String),
    /// It had not ended at the deadline of its phase, and was left alone.
    NotEnded,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Done => f.write_str("done"),
            Outcome::Failed(why) => write!(f, "failed: {why}"),
            Outcome::Panicked(text) => write!(f, "panicked: {text}"),
            Outcome::NotEnded => f.write_str("not ended at the deadline of its phase"),
        }
    }
}

/// What became of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReport {
    /// The name that it was added by.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How long that took, in nanoseconds.
    pub took_ns: u64,
}

/// What became of a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseReport {
    /// Which one.
    pub phase: Phase,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
    /// Its tasks, in the order in which they were added.
    pub tasks: Vec<TaskReport>,
}

/// What became of a shutdown. Shown, it is a line for the whole, one for each phase that had tasks, and one for each
/// task that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why it was begun: the reason that came first.
    pub reason: Reason,
    /// How long it took, in nanoseconds.
    pub took_ns: u64,
    /// All phases, in order.
    pub phases: Vec<PhaseReport>,
}

impl Report {
    /// Whether every task was done.
    pub fn is_clean(&self) -> bool {
        self.failed() == 0
    }

    /// How many tasks were not done.
    pub fn failed(&self) -> usize {
        self.phases.iter().map(PhaseReport::failed).sum()
    }
}

impl PhaseReport {
    /// How many of its tasks were not done.
    pub fn failed(&self) -> usize {
        self.tasks.iter().filter(|task| task.outcome != Outcome::Done).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, took_ms) = (&self.reason, self.took_ns / 1_000_000);
        write!(f, "shut down in {took_ms} ms ({reason}), {} tasks not done", self.failed())?;
        for phase in self.phases.iter().filter(|phase| !phase.tasks.is_empty()) {
            write!(f, "\n  {phase}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PhaseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (took_ms, tasks) = (self.took_ns / 1_000_000, self.tasks.len());
        write!(f, "{}: {took_ms} ms, {} of {tasks} done", self.phase, tasks - self.failed())?;
        for task in self.tasks.iter().filter(|task| task.outcome != Outcome::Done) {
            write!(f, "\n    {}: {}", task.name, task.outcome)?;
        }
        Ok(())
    }
}
