//! A node for one load, and the wait for its end.
//!
//! Invariant: the waiting thread sleeps; nothing but the node's cores works for the load.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use mainspring::node::NodeBuilder;
use mainspring::prelude::{Cores, IdleProfile, Node};

use super::course::LoadCourse;
use crate::scenario::ScenarioError;
use crate::scenario::stage::SHUTDOWN_LIMIT;

/// The most that a core of a load does from its own queue before it looks at its rings again. The default of 1,024 is
/// for work that has to be done anyway; a generator that tells itself to go on always has more to do, and would look
/// for answers, and let go of what it has sent, only once in 1,024 readings of the clock.
pub const LOCAL_BUDGET: u64 = 4;

/// A load as a scenario gets it: on what, with what, and how it is to be driven.
#[derive(Debug)]
pub struct Load<'a> {
    /// The CPUs to run on, at least as many as the scenario needs.
    pub cpus: &'a [usize],
    /// What idle cores do.
    pub idle: IdleProfile,
    /// Bytes that travel with each message, beside what the scenario's messages hold anyway.
    pub payload_bytes: usize,
    /// For the actors or threads that drive the load.
    pub course: LoadCourse,
    /// Told once when the load is over.
    pub(super) done: Receiver<()>,
    /// The longest that the load may take.
    pub(super) limit: Duration,
}

impl Load<'_> {
    /// Starts a node with so many cores on the first CPUs. All its settings are the defaults, apart from the CPUs,
    /// the idle profile and [`LOCAL_BUDGET`].
    ///
    /// # Errors
    /// [`ScenarioError::TooFewCpus`], or what the runtime says.
    pub fn start_node(&self, cores: usize) -> Result<Node, ScenarioError> {
        self.start_node_with(cores, |builder| builder)
    }

    /// As [`Load::start_node`], with what `add` adds to the node.
    ///
    /// # Errors
    /// As [`Load::start_node`].
    pub fn start_node_with(
        &self,
        cores: usize,
        add: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Result<Node, ScenarioError> {
        let Some(cpus) = self.cpus.get(..cores) else {
            return Err(ScenarioError::TooFewCpus { given: self.cpus.len(), needed: cores });
        };
        let builder = Node::builder()
            .name("perf")
            .cores(Cores::list(cpus.iter().map(|cpu| *cpu as u32).collect::<Vec<u32>>()))
            .idle(self.idle)
            .limits(|limits| limits.local_budget = LOCAL_BUDGET);
        add(builder).start().map_err(|source| ScenarioError::Runtime {
            doing: "start a node",
            source: source.into(),
        })
    }

    /// Waits until the generator has come to the end of the load.
    ///
    /// # Errors
    /// [`ScenarioError::Stalled`] when it does not.
    pub fn wait(&self) -> Result<(), ScenarioError> {
        match self.done.recv_timeout(self.limit) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                Err(ScenarioError::Stalled { limit_seconds: self.limit.as_secs() })
            }
            Err(RecvTimeoutError::Disconnected) => Err(ScenarioError::ThreadLost),
        }
    }

    /// Waits until the load is over, then stops all actors and ends the node.
    ///
    /// # Errors
    /// As [`Load::wait`]; also when the node cannot be shut down.
    pub fn finish(&self, node: Node) -> Result<(), ScenarioError> {
        let waited = self.wait();
        let ended = node.shutdown(SHUTDOWN_LIMIT);
        waited?;
        ended.map_err(|source| ScenarioError::Runtime { doing: "shut the node down", source })
    }
}
