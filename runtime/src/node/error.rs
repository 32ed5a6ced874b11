//! What can go wrong between a node and the threads outside its cores.

use super::configuration::ConfigurationError;
use super::cores::CoresError;
use super::shutdown::ShutdownError;
use crate::context::SpawnError;
use crate::core::names::LookupError;
use crate::core::send::TellError;
use crate::driver::HostError;

/// Anything that a node's methods return as an error, for programs whose `main` passes it on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The node did not start.
    #[error(transparent)]
    Start(Box<StartError>),
    /// The configuration cannot be used.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The node refused something.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A message was not sent.
    #[error(transparent)]
    Tell(#[from] TellError),
    /// A client's question got no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The shutdown left something behind.
    #[error(transparent)]
    Shutdown(#[from] ShutdownError),
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        Error::Start(Box::new(error))
    }
}

// Every `Result` of a program's `main` path carries one.
const _: () = assert!(size_of::<Error>() <= 80);

/// Why a node did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The topology of the machine could not be read.
    #[error("the machine's topology could not be read: {0}")]
    Topology(#[from] mainspring_tuning::TopologyError),
    /// The wanted CPUs cannot be had.
    #[error(transparent)]
    Cores(#[from] CoresError),
    /// A limit has a value that cannot work.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// A core could not be started.
    #[error("core {core} did not start: {source}")]
    Core {
        /// Which one.
        core: u16,
        /// Why.
        source: HostError,
    },
    /// Something that was to run on the node's cores is not ready.
    #[error("{extension}: {source}")]
    Extension {
        /// Its name.
        extension: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file descriptor for waking a core could not be had.
    #[error("no eventfd for core {core}: {source}; raise the limit of open files (ulimit -n)")]
    Waker {
        /// Which core.
        core: u16,
        /// What the kernel said.
        source: std::io::Error,
    },
}

/// Why a node did not do what was asked. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// The node is shutting down or gone.
    #[error("the node is shutting down")]
    ShuttingDown,
    /// The node has no such core.
    #[error("the node has no core {core}; its cores are 0 to {last}")]
    NoCore {
        /// The core that was asked for.
        core: u16,
        /// The last core there is.
        last: u16,
    },
    /// The core has as many actors as its limit allows.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// A name gave no actor.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The core did not answer in time; whether the request is done later is not known.
    #[error(
        "core {core} did not answer within {waited_ms} ms: a turn holds it up; \
         whether the request is done later is not known"
    )]
    Silent {
        /// Which core.
        core: u16,
        /// How long was waited, in milliseconds.
        waited_ms: u64,
    },
    /// What was to run on the core panicked, and was taken back.
    #[error("the work panicked on core {core} and was taken back")]
    Panicked {
        /// Which core.
        core: u16,
    },
    /// As much work from other threads waits for the core as its limit allows.
    #[error("core {core} has too much waiting work from other threads; try again later")]
    Busy {
        /// Which core.
        core: u16,
    },
    /// The call would wait for the core that makes it. Inside a turn use the context.
    #[error("called on a core's own thread, which must not wait; inside a turn use the context")]
    OnCoreThread,
}

/// Why a client's question got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No answer came before the deadline. Whether the request was handled is not known.
    #[error("no answer before the deadline; whether the request was handled is not known")]
    Timeout,
    /// The request was not sent.
    #[error("the request was not sent: {0}")]
    NotSent(#[from] TellError),
    /// As many questions of this client as its limit allows wait for answers. Nothing was sent.
    #[error("the request was not sent: {limit} questions of this client wait for answers already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The answer could not be read.
    #[error("the answer could not be read back into a value")]
    Unreadable,
}
