//! Starting a node.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::configuration::{Configuration, ConfigurationError};
use super::cores::Cores;
use super::error::StartError;
use super::idle::IdleProfile;
use super::running::Node;
use crate::core::limits::Limits;
use crate::device::Extension;

/// Settings of a node that is to be started.
#[derive(Clone, Default)]
#[must_use = "the node is started by `start`"]
pub struct NodeBuilder {
    configuration: Configuration,
    extensions: Vec<Arc<dyn Extension>>,
}

impl fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extensions: Vec<_> = self.extensions.iter().map(|extension| extension.name()).collect();
        f.debug_struct("NodeBuilder")
            .field("configuration", &self.configuration)
            .field("extensions", &extensions)
            .finish()
    }
}

impl NodeBuilder {
    /// The node's name, for logs and metrics.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.configuration.name = name.into();
        self
    }

    /// Which CPUs, and so how many cores. By default as many as the machine's topology suggests.
    pub fn cores(mut self, cores: Cores) -> Self {
        self.configuration.cores = cores;
        self
    }

    /// What a core does when there is nothing to do.
    pub fn idle(mut self, idle: IdleProfile) -> Self {
        self.configuration.idle = idle;
        self
    }

    /// Changes the limits of each core.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.configuration.limits);
        self
    }

    /// Threads for blocking calls; they are not pinned.
    pub fn blocking_threads(mut self, threads: usize) -> Self {
        self.configuration.blocking_threads = threads;
        self
    }

    /// Whether the node logs at its start what the machine does that costs latency, a line each. It does by default.
    pub fn audit(mut self, audit: bool) -> Self {
        self.configuration.audit = audit;
        self
    }

    /// Something that puts devices onto the node's cores, such as a journal.
    pub fn with(mut self, extension: impl Extension) -> Self {
        self.extensions.push(Arc::new(extension));
        self
    }

    /// Takes all settings from a TOML file.
    ///
    /// # Errors
    /// [`ConfigurationError`], with file, line and what is wrong.
    pub fn file(mut self, path: impl AsRef<Path>) -> Result<Self, ConfigurationError> {
        self.configuration = Configuration::read(path)?;
        Ok(self)
    }

    /// Takes all settings from a configuration.
    pub fn configuration(mut self, configuration: Configuration) -> Self {
        self.configuration = configuration;
        self
    }

    /// Starts the cores. Returns when each is about to be swept for the first time.
    ///
    /// # Errors
    /// [`StartError`], with cause and remedy; nothing is left running.
    pub fn start(self) -> Result<Node, StartError> {
        Node::start(self.configuration, self.extensions)
    }
}
