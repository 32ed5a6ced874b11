//! The service on a node: the journal, the entities of the keys, and the connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainspring::node::{NodeError, StartError};
use mainspring::prelude::*;
use mainspring_journal::Journal;
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::{DeclareError, EntityTarget, EntityType, Sharding};
use mainspring_transport::ingress::{Ingress, IngressError, IngressLimits};
use mainspring_transport::{Transport, TransportError};

use super::connection::ClientConnection;
use super::entity::SessionEntity;
use super::info::Server;
use super::operation::Request;
use super::options::{CoresRefused, Durability, Options};
use super::pair::{Pair, PairPort};
use super::request::MOST_REQUEST_BYTES;

/// Over which the sessions are spread: in the journal, and between the cores.
const SHARDS: u32 = 1_024;
/// A session that nobody asks for leaves memory.
const IDLE: Duration = Duration::from_secs(300);
/// Of what waits for one client.
const OUTPUT_BYTES: usize = 4 << 20;
/// Of what one actor may have waiting: the answers to a full window of requests.
const STASH_BYTES: usize = 64 << 20;
/// How long the cores may take to listen.
const LISTEN_WITHIN: Duration = Duration::from_secs(10);
/// How long the node may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Why the service does not work.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Cores(#[from] CoresRefused),
    #[error("the sessions cannot be declared: {0}")]
    Declare(#[from] DeclareError),
    #[error("{0}")]
    Listen(#[from] IngressError),
    #[error("no pair can be formed: {0}")]
    Pair(#[from] TransportError),
    #[error("the port of the pair was not made: {0}")]
    Spawn(#[from] NodeError),
    #[error("the node did not start: {0}")]
    Start(#[from] StartError),
    #[error("the cores did not listen within {} s: see what they have logged", LISTEN_WITHIN.as_secs())]
    Deaf,
    #[error("the node did not stop in order: {0}")]
    Stop(#[from] mainspring::Error),
}

/// The service, as it runs.
pub struct Service {
    node: Node,
    address: SocketAddr,
    peer_address: Option<SocketAddr>,
}

impl Service {
    /// Opens the journal and listens. No session is in memory yet.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn start(options: &Options) -> Result<Service, ServiceError> {
        let cores = options.core_count()?;
        let is_durable = options.durability == Durability::Always;
        let sharding = match is_durable {
            true => Sharding::stored_in(&options.data),
            false => Sharding::new(),
        };
        let sessions = sharding.entities(session_type(options), move |id| {
            SessionEntity::new(id.bytes(), is_durable)
        })?;
        let entity_type = match sessions.entity("any") {
            Ok(entity) => EntityTarget::<Request>::entity_type(&entity),
            Err(_) => 0,
        };
        let pair = options.side().map(|side| Arc::new(Pair::new(side)));
        let server = Server::new(entity_type, cores, options.durability, pair.clone());
        let server = Arc::new(server);
        let limits = IngressLimits {
            receive_bytes: MOST_REQUEST_BYTES,
            output_bytes: OUTPUT_BYTES,
            ..IngressLimits::default()
        };
        let serving = Arc::clone(&server);
        let ingress = Ingress::tcp(&options.listen)?
            .limits(limits)
            .serve(move |peer| ClientConnection::new(Arc::clone(&serving), peer.to_string()));
        let handle = ingress.handle();
        let mut builder = Node::builder()
            .name("sessions")
            .cores(options.cores.clone())
            .idle(options.idle)
            .limits(|limits| limits.stash_bytes = STASH_BYTES);
        if is_durable {
            let journal = Journal::at(options.data.join("journal"))
                .system("sessions")
                .shard_count(SHARDS)
                .allow_buffered(options.allow_buffered);
            builder = builder.with(journal);
        }
        let transport = transport(options)?;
        let links = transport.as_ref().map(Transport::links);
        if let Some(transport) = transport {
            builder = builder.with(transport);
        }
        let node = builder.with(sharding).with(ingress).start()?;
        let mut peer_address = None;
        if let (Some(links), Some(pair)) = (links, pair) {
            if options.peer_listen.is_some() {
                let address = links.wait_listening(LISTEN_WITHIN);
                peer_address = Some(address.ok_or(ServiceError::Deaf)?);
            }
            node.spawn(move || PairPort::new(entity_type, Arc::clone(&pair), links.clone()))?;
        }
        let address = handle.wait_listening(LISTEN_WITHIN).ok_or(ServiceError::Deaf)?;
        server.listens(handle, address.port());
        Ok(Service { node, address, peer_address })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the other process joins, if it may.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer_address
    }

    /// Lets connections finish, closes the journal and stops the node.
    ///
    /// # Errors
    /// [`ServiceError::Stop`].
    pub fn stop(self) -> Result<(), ServiceError> {
        Ok(self.node.shutdown(STOP_WITHIN)?)
    }
}

/// The link to the other process, if there is to be one.
fn transport(options: &Options) -> Result<Option<Transport>, TransportError> {
    let transport = Transport::new().system("sessions");
    let transport = match (&options.peer_listen, &options.join) {
        (Some(address), _) => transport.listen(address)?,
        (None, Some(address)) => transport.connect(address)?,
        (None, None) => return Ok(None),
    };
    Ok(Some(match &options.key_file {
        Some(path) => transport.key_file(path)?,
        None => transport,
    }))
}

fn session_type(options: &Options) -> EntityType {
    let session = EntityType::new("session")
        .shards(SHARDS)
        .at_most(options.active)
        // Shards stay on the core that has their log.
        .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() });
    match options.durability {
        Durability::Always => session.passivate_after(IDLE),
        Durability::None => session,
    }
}
