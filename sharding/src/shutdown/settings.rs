//! How long each phase may take, and how many tasks it may have.

use std::time::Duration;

use super::phase::Phase;

/// Most tasks of one phase: each has a thread while the phase runs.
pub const TASK_LIMIT: usize = 64;

/// Longest name of a task.
pub const TASK_NAME_LIMIT_BYTES: usize = 128;

/// A deadline for each phase. The defaults add up to 27 seconds, less than the 30 after which Kubernetes and others
/// kill a process that they have asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    deadlines_ns: [u64; Phase::ALL.len()],
}

impl Default for Settings {
    /// 2 s to announce and 2 s to stop accepting, 5 s for requests, 10 s to leave, 3 s to be let go, 5 s for the node.
    fn default() -> Self {
        Settings { deadlines_ns: [2, 2, 5, 10, 3, 5].map(|seconds| seconds * 1_000_000_000) }
    }
}

impl Settings {
    /// Another deadline for a phase, from the beginning of the phase on. With zero its tasks are begun and not waited
    /// for.
    pub fn deadline(mut self, phase: Phase, deadline: Duration) -> Self {
        self.deadlines_ns[phase.index()] = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// The deadline of a phase, in nanoseconds from its beginning.
    pub fn deadline_ns(&self, phase: Phase) -> u64 {
        self.deadlines_ns[phase.index()]
    }

    /// The longest that all phases take together, in nanoseconds.
    pub fn total_ns(&self) -> u64 {
        self.deadlines_ns.iter().fold(0, |sum, deadline_ns| sum.saturating_add(*deadline_ns))
    }
}
