//! The service on a node: the journal, the entities of the keys, and the connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mainspring::node::StartError;
use mainspring::prelude::*;
use mainspring_journal::Journal;
use mainspring_sharding::allocation::AllocationSettings;
use mainspring_sharding::cluster::ClusterHandle;
use mainspring_sharding::rebalance::{Balance, RebalanceSettings};
use mainspring_sharding::{DeclareError, Entities, EntityTarget, EntityType, Sharding};
use mainspring_transport::Links;
use mainspring_transport::ingress::{Ingress, IngressError, IngressHandle, IngressLimits};

use super::cluster::{self, ClusterRefused};
use super::connection::ClientConnection;
use super::entity::SessionEntity;
use super::info::{Course, Server};
use super::operation::Request;
use super::options::{CoresRefused, Options};
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
/// How often a process of a cluster balances shards. What moves is lost anyway, early or late.
const BALANCE_EVERY_NS: u64 = 1_000_000_000;
/// How long a core may take to say what it has.
const FIGURES_WITHIN: Duration = Duration::from_millis(500);

/// Why the service does not work.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Cores(#[from] CoresRefused),
    #[error("the sessions cannot be declared: {0}")]
    Declare(#[from] DeclareError),
    #[error("{0}")]
    Listen(#[from] IngressError),
    #[error("{0}")]
    Cluster(#[from] ClusterRefused),
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
    view: View,
}

/// What can be seen of a service, from any thread.
#[derive(Clone)]
pub struct View {
    cores: u16,
    sessions: Entities<Request>,
    server: Arc<Server>,
    ingress: IngressHandle,
    member: Option<Member>,
}

/// The process as a member of a cluster.
#[derive(Clone)]
struct Member {
    links: Links,
    cluster: ClusterHandle,
}

impl Service {
    /// Opens the journal and listens. No session is in memory yet.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub fn start(options: &Options) -> Result<Service, ServiceError> {
        let (cores, is_durable) = (options.core_count()?, options.is_durable());
        let parts = cluster::parts(options)?;
        let sharding = match (&parts, is_durable) {
            (Some(_), _) => cluster::sharding(options)?,
            (None, true) => Sharding::stored_in(&options.data),
            (None, false) => Sharding::new(),
        };
        let sessions = sharding.entities(session_type(options), move |id| {
            SessionEntity::new(id.bytes(), is_durable)
        })?;
        let entity_type = match sessions.entity("any") {
            Ok(entity) => EntityTarget::<Request>::entity_type(&entity),
            Err(_) => 0,
        };
        let server = Arc::new(Server::new(entity_type, cores, is_durable));
        let limits = IngressLimits {
            receive_bytes: MOST_REQUEST_BYTES,
            output_bytes: OUTPUT_BYTES,
            ..IngressLimits::default()
        };
        let serving = Arc::clone(&server);
        let listening = Ingress::tcp(&options.listen)?
            .limits(limits)
            .serve(move |peer| ClientConnection::new(Arc::clone(&serving), peer.to_string()));
        let ingress = listening.handle();
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
        let mut member = None;
        if let Some(cluster::Parts { transport, cluster }) = parts {
            member = Some(Member { links: transport.links(), cluster: cluster.handle() });
            builder = builder.with(transport).with(cluster);
        }
        let node = builder.with(sharding).with(listening).start()?;
        let address = ingress.wait_listening(LISTEN_WITHIN).ok_or(ServiceError::Deaf)?;
        server.listens(ingress.clone(), address.port());
        let view = View { cores, sessions, server, ingress, member };
        view.note_cluster(&node.client());
        Ok(Service { node, address, view })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way to its cores.
    pub fn client(&self) -> Client {
        self.node.client()
    }

    /// What can be seen of it.
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Lets connections finish, closes the journal and stops the node.
    ///
    /// # Errors
    /// [`ServiceError::Stop`].
    pub fn stop(self, patience: Duration) -> Result<(), ServiceError> {
        drop(self.view);
        Ok(self.node.shutdown(patience)?)
    }
}

impl View {
    /// The cluster that the process is to be in.
    pub fn cluster(&self) -> Option<&ClusterHandle> {
        self.member.as_ref().map(|member| &member.cluster)
    }

    /// Where other processes join.
    pub fn links_address(&self) -> Option<SocketAddr> {
        self.member.as_ref().and_then(|member| member.links.wait_listening(LISTEN_WITHIN))
    }

    /// Notes for clients who is in the cluster, and what of the keys is here.
    pub fn note_cluster(&self, client: &Client) {
        let Some(Member { cluster, .. }) = &self.member else { return };
        let mut text = cluster::info(cluster);
        for core in 0..self.cores {
            let figures = self.sessions.figures(client, core, FIGURES_WITHIN);
            let Some(Ok(figures)) = figures.ok().map(|asked| asked.wait()) else { continue };
            let refused = figures.refused_over + figures.refused_moving + figures.refused_sends;
            text.push_str(&format!(
                "core{core}:shards={},sessions={},given_away={},parked={},refused={refused}\r\n",
                figures.shards, figures.entities, figures.given_away, figures.parked
            ));
        }
        self.server.set_cluster(text);
    }

    /// From now on the process leaves its cluster, or is out of it.
    pub fn set_course(&self, course: Course) {
        self.server.set_course(course);
    }

    /// Connections that are still open.
    pub fn open_connections(&self) -> u64 {
        self.ingress.figures().open
    }
}

fn session_type(options: &Options) -> EntityType {
    let pace = AllocationSettings { round_ns: BALANCE_EVERY_NS, ..AllocationSettings::default() };
    let session = EntityType::new("session")
        .shards(SHARDS)
        .allocation(pace)
        .at_most(options.active)
        // Shards stay on the core that has their log.
        .rebalance(RebalanceSettings { balance: Balance::Off, ..RebalanceSettings::default() });
    match options.is_durable() {
        true => session.passivate_after(IDLE),
        false => session,
    }
}
