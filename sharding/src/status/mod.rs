//! The cluster over HTTP: who is a member, where shards are, whether this node is ready; and a few actions.
//!
//! [`StatusServer`] shows what its node knows, as JSON and as a page for people, and takes actions from whoever sends
//! its token. It is given to a node, or started by itself:
//!
//! ```no_run
//! use mainspring::prelude::*;
//! use mainspring_sharding::Cluster;
//! use mainspring_sharding::status::StatusServer;
//! use mainspring_transport::Transport;
//!
//! let transport = Transport::new().listen("10.0.0.1:7355")?.key_file("cluster.key")?;
//! let cluster = Cluster::new(transport.links()).seeds(["10.0.0.1:7355"])?;
//! let status = StatusServer::new(cluster.handle()).listen("127.0.0.1:7380")?;
//! let status = status.token_file("status.token")?;
//! let node = Node::builder().with(transport).with(cluster).with(status).start()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | request | what |
//! |---|---|
//! | `GET /` | a page for people |
//! | `GET /node`, `/members`, `/shards`, `/shards/TYPE` | as JSON |
//! | `GET /health/ready` | 200 if this node may get requests, otherwise 503 and why |
//! | `GET /health/alive` | 200 as long as the process serves |
//! | `POST /members/INCARNATION/leave`, `/down` | the member leaves, or is given up |
//! | `POST /shards/TYPE/SHARD/move?to=INCARNATION/CORE` | the shard moves to that core of that member |
//! | `POST /rebalance`, `/shards/TYPE/rebalance` | shards are balanced now |
//!
//! It promises: nothing is changed by who does not send the token; a server that has none only shows; bytes that are
//! no request, or too many of them, are refused with a reason; no core waits for it, nor it for a core. It refuses to
//! speak TLS: without a proxy that does, whoever hears the network hears the token. An action is answered with 202 when
//! it is handed on, which does not say that it succeeds.
//!
//! Bounds: [`CONNECTIONS_LIMIT`] connections at a time, each for five seconds and one request; 8 KiB of head, 4 KiB of
//! body.

mod connection;
pub(crate) mod documents;
mod entities_view;
mod page;
mod refusal;
pub(crate) mod request;
mod response;
pub(crate) mod route;
mod server;
mod service;
#[cfg(test)]
mod tests;
pub(crate) mod token;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use mainspring::device::{Extension, NodePlan, Seat};

use crate::cluster::ClusterHandle;
use crate::node::Sharding;
use entities_view::EntitiesView;
pub use server::{CONNECTIONS_LIMIT, RunningStatusServer};
use service::Service;
use token::Token;
pub use token::{TOKEN_LEAST_BYTES, TOKEN_LIMIT_BYTES};

/// Where a status server listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:7380";

/// The core on which a server that came with a node is kept.
const HOME_CORE: u16 = 0;

/// Why there is no status server. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatusError {
    /// No address.
    #[error("{text:?} is no address to listen on: {source}; write it as {DEFAULT_ADDRESS}")]
    Address {
        /// What was written.
        text: String,
        /// What is wrong.
        source: io::Error,
    },
    /// The address cannot be had.
    #[error("the status server cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What is wrong.
        source: io::Error,
    },
    /// The file of the token cannot be read.
    #[error("the token file {} cannot be read: {source}", .path.display())]
    TokenFile {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// What is in the file is no token.
    #[error(
        "{} holds no token: {TOKEN_LEAST_BYTES} to {TOKEN_LIMIT_BYTES} letters, digits and signs, nothing else",
        .path.display()
    )]
    Token {
        /// Which file.
        path: PathBuf,
    },
    /// The system has no thread, or no socket more.
    #[error("the status server has not started: {0}")]
    Start(io::Error),
}

/// See the [module](self).
pub struct StatusServer {
    cluster: ClusterHandle,
    entities: Option<Arc<dyn EntitiesView>>,
    token: Option<Token>,
    /// None for the default.
    address: Option<SocketAddr>,
    /// That of the node it was given to, until a core of the node keeps it.
    running: Mutex<Option<RunningStatusServer>>,
}

impl fmt::Debug for StatusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusServer")
            .field("address", &self.address)
            .field("takes_actions", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

impl StatusServer {
    /// A server of this cluster's node, on [`DEFAULT_ADDRESS`], that only shows, and knows no entities.
    pub fn new(cluster: ClusterHandle) -> StatusServer {
        let running = Mutex::new(None);
        StatusServer { cluster, entities: None, token: None, address: None, running }
    }

    /// Where to listen. Everybody who reaches the address can read what is shown; see the module about the token.
    ///
    /// # Errors
    /// [`StatusError::Address`].
    pub fn listen(mut self, address: &str) -> Result<Self, StatusError> {
        self.address = Some(address_of(address)?);
        Ok(self)
    }

    /// Takes actions from whoever sends what is in this file: [`TOKEN_LEAST_BYTES`] to [`TOKEN_LIMIT_BYTES`] of ASCII
    /// without spaces. The file is read once, now.
    ///
    /// # Errors
    /// [`StatusError::TokenFile`], [`StatusError::Token`].
    pub fn token_file(mut self, path: impl AsRef<Path>) -> Result<Self, StatusError> {
        self.token = Some(token::token_in(path.as_ref())?);
        Ok(self)
    }

    /// Shows the entities of the node too, and has their shards moved; the node is ready only when they are.
    pub fn entities(mut self, sharding: Sharding) -> Self {
        self.entities = Some(Arc::new(sharding));
        self
    }

    /// Starts to serve, until what this returns is dropped. A server that is given to a node starts with the node.
    ///
    /// # Errors
    /// [`StatusError::Listen`], [`StatusError::Start`].
    pub fn start(self) -> Result<RunningStatusServer, StatusError> {
        self.begin(None)
    }

    fn begin(&self, node: Option<(String, u16)>) -> Result<RunningStatusServer, StatusError> {
        let address = match self.address {
            Some(address) => address,
            None => address_of(DEFAULT_ADDRESS)?,
        };
        let listener =
            TcpListener::bind(address).map_err(|source| StatusError::Listen { address, source })?;
        let (cluster, entities) = (self.cluster.clone(), self.entities.clone());
        let takes_actions = self.token.is_some();
        let service = Service { cluster, entities, token: self.token.clone(), node };
        let running = RunningStatusServer::start(listener, service).map_err(StatusError::Start)?;
        let address = running.address();
        tracing::info!(%address, takes_actions, "the status of this node is served over HTTP");
        Ok(running)
    }

    fn keep(&self, running: Option<RunningStatusServer>) -> Option<RunningStatusServer> {
        let mut kept = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, running)
    }
}

impl Extension for StatusServer {
    fn name(&self) -> &'static str {
        "status server"
    }

    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let running = self.begin(Some((node.name.clone(), node.cores)))?;
        self.keep(Some(running));
        Ok(())
    }

    /// The core keeps it: it ends when the core does.
    fn install(&self, seat: &mut Seat<'_>) {
        if seat.core() == HOME_CORE
            && let Some(running) = self.keep(None)
        {
            seat.share(Rc::new(running));
        }
    }
}

/// The address that a text names.
pub(crate) fn address_of(text: &str) -> Result<SocketAddr, StatusError> {
    let refused = |source| StatusError::Address { text: text.to_owned(), source };
    let mut addresses = text.to_socket_addrs().map_err(refused)?;
    let none = || refused(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    addresses.next().ok_or_else(none)
}
