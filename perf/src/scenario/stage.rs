//! A node for one round: started on the round's CPUs as a user would start it, and shut down before the round
//! returns.
//!
//! A scenario starts a [`Stage`], puts its actors on it and gives the one that drives the messages the stage's
//! [`Course`]. That actor sets out by a timer of [`Course::pause`], begins and ends the measured section in turns
//! of its own, and so wakes the thread that waits in [`Stage::finish`].
//!
//! Invariant: nothing outside the node's cores runs between begin and end. The waiting thread sleeps all the time;
//! the pause gives it time to fall asleep, so that its own system calls are not counted as the messages'.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use hdrhistogram::Histogram;
use mainspring::node::NodeBuilder;
use mainspring::prelude::{Cores, IdleProfile, Node};

use super::{Round, ScenarioError};
use crate::section::{Purpose, Section};

/// The longest that a round may take before it is given up.
pub const ROUND_LIMIT: Duration = Duration::from_secs(300);

/// The longest that a node may take to stop its actors and end.
pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(120);

/// A running node, and the way by which its actors say that the round is done.
pub struct Stage {
    node: Node,
    done: Receiver<Option<Histogram<u64>>>,
}

/// The measured part of a round, in the hands of the actors that begin and end it.
#[derive(Clone, Debug)]
pub struct Course {
    section: Arc<Section>,
    done: SyncSender<Option<Histogram<u64>>>,
}

impl Stage {
    /// Starts a node with so many cores on the first CPUs of the round. All its settings are the defaults, apart from
    /// the CPUs and the idle profile.
    pub fn start(round: &Round<'_>, cores: usize) -> Result<(Stage, Course), ScenarioError> {
        Stage::start_with(round, cores, |builder| builder)
    }

    /// As [`Stage::start`], with what `add` adds to the node.
    pub fn start_with(
        round: &Round<'_>,
        cores: usize,
        add: impl FnOnce(NodeBuilder) -> NodeBuilder,
    ) -> Result<(Stage, Course), ScenarioError> {
        let cpus = (0..cores).map(|place| round.cpu(place).map(|cpu| cpu as u32));
        let cpus: Vec<u32> = cpus.collect::<Result<_, _>>()?;
        let builder = Node::builder()
            .name("perf")
            .cores(Cores::list(cpus))
            .idle(round.idle.unwrap_or(IdleProfile::Busy));
        let node = add(builder).start().map_err(|source| ScenarioError::Runtime {
            doing: "start a node",
            source: source.into(),
        })?;
        let (sender, done) = sync_channel(1);
        Ok((Stage { node, done }, Course { section: Arc::clone(round.section), done: sender }))
    }

    /// The node, to put actors on.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Waits until the section has ended, then stops all actors and ends the node. The latencies are those that
    /// [`Course::end`] was given.
    pub fn finish(self) -> Result<Option<Histogram<u64>>, ScenarioError> {
        let done = self.done.recv_timeout(ROUND_LIMIT);
        let ended = self.node.shutdown(SHUTDOWN_LIMIT);
        let latencies =
            done.map_err(|_| ScenarioError::Stalled { limit_seconds: ROUND_LIMIT.as_secs() })?;
        ended.map_err(|source| ScenarioError::Runtime { doing: "shut the node down", source })?;
        Ok(latencies)
    }
}

impl Course {
    /// What the round is run for.
    pub fn purpose(&self) -> Purpose {
        self.section.purpose()
    }

    /// How long to wait before the first message, so that the thread that waits for the round is asleep by then.
    pub fn pause(&self) -> Duration {
        self.purpose().pause()
    }

    /// The first measured message comes next.
    pub fn begin(&self) {
        self.section.begin();
    }

    /// The last measured message has been handled.
    pub fn end(&self, latencies: Option<Histogram<u64>>) {
        self.section.end();
        // The other side waits until this; it cannot be gone unless the round has been given up.
        _ = self.done.try_send(latencies);
    }
}

/// Says what was done when the node refused it.
pub fn runtime(doing: &'static str) -> impl FnOnce(mainspring::node::NodeError) -> ScenarioError {
    move |source| ScenarioError::Runtime { doing, source: source.into() }
}
