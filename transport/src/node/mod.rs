//! The links of a node: an extension that joins it to others.
//!
//! ```no_run
//! use mainspring::prelude::*;
//! use mainspring_transport::Transport;
//!
//! let transport = Transport::new()
//!     .listen("10.0.0.1:7355")?
//!     .connect("10.0.0.2:7355")?
//!     .key_file("cluster.key")?;
//! let links = transport.links();
//! let node = Node::builder().name("one").with(transport).start()?;
//! let others = links.wait_for_nodes(1, std::time::Duration::from_secs(5));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Promises: what an actor sends to an actor of another node arrives there at most once and in order, as on its own
//! node; who watches an actor of another node is told once that it is gone, that its node is, or that it cannot be
//! reached any more; a node that does not hold the system's key, or that cannot be what it says, is not let in.
//!
//! A node's name and the address that it listens on tell it from others over its restarts; two nodes of one system with
//! the same name and address would take each other for restarts, and are refused. A node that listens nowhere, or on a
//! port that the system chooses, is somebody new at every start.

mod bulk;
mod connection;
mod exchange;
mod figures;
mod greeting;
mod hub;
mod link_device;
mod notice;
mod polling;
#[cfg(feature = "tls")]
mod secured;
mod settings;

use std::error::Error;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainspring::device::{Extension, NodePlan, Seat};
use mainspring::net::Network;

use self::exchange::Exchange;
pub use self::figures::LinkFigures;
use self::hub::Hub;
use self::link_device::LinkDevice;
use self::notice::Notices;
pub use self::notice::{CONTACTS_LIMIT, ConnectError, EVENTS_LIMIT, LinkedNode, Links};
pub use self::settings::{
    BULK_LIMIT_BYTES, DEFAULT_BULK_BUDGET_BYTES, DEFAULT_BULK_MESSAGE_BYTES, DEFAULT_GREETINGS,
    DEFAULT_OUTBOX_BYTES, DEFAULT_WINDOW_BYTES, TransportError,
};
use self::settings::{Settings, address_of, key_in};
use crate::handshake::{FEATURE_BULK, Key, Keys, LocalNode};

/// See the module's header.
pub struct Transport {
    settings: Settings,
    keys: Vec<Key>,
    links: Links,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::TlsFiles>,
    prepared: OnceLock<Prepared>,
}

/// What is known when the node starts.
#[derive(Clone)]
struct Prepared {
    local: LocalNode,
    settings: Settings,
    exchange: Arc<Exchange>,
}

impl Default for Transport {
    fn default() -> Transport {
        Transport::new()
    }
}

impl Transport {
    /// Links to nobody: say where to listen, whom to connect to, or both.
    pub fn new() -> Transport {
        Transport {
            settings: Settings::default(),
            keys: Vec::new(),
            links: Links::default(),
            #[cfg(feature = "tls")]
            tls: None,
            prepared: OnceLock::new(),
        }
    }

    /// Nodes of different systems do not link. `mainspring` unless told otherwise.
    pub fn system(mut self, name: impl Into<String>) -> Self {
        self.settings.system = name.into();
        self
    }

    /// Other nodes may connect here. An address that other machines reach needs a key, or TLS.
    ///
    /// # Errors
    /// [`TransportError::Address`].
    pub fn listen(mut self, address: &str) -> Result<Self, TransportError> {
        self.settings.listen = Some(address_of(address, "listen on")?);
        Ok(self)
    }

    /// Connects to the node that listens there, and again whenever that is lost. One side of a pair is enough.
    ///
    /// # Errors
    /// [`TransportError::Address`].
    pub fn connect(mut self, address: &str) -> Result<Self, TransportError> {
        self.settings.contacts.push(address_of(address, "connect to")?);
        Ok(self)
    }

    /// Nodes prove to each other that they hold the key in this file: at least 16 bytes, better 32 random ones. The
    /// node proves itself with the first key and accepts all, so that a key can be replaced one node at a time.
    ///
    /// # Errors
    /// [`TransportError::KeyFile`], [`TransportError::Key`].
    pub fn key_file(mut self, path: impl AsRef<Path>) -> Result<Self, TransportError> {
        self.keys.push(key_in(path.as_ref())?);
        Ok(self)
    }

    /// As [`key_file`](Self::key_file), with a key that the program has got otherwise.
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Allows an address that other machines reach without key or TLS, where the network itself keeps strangers out.
    /// Such nodes are not believed about references to this node's actors on other cores.
    pub fn insecure(mut self, insecure: bool) -> Self {
        self.settings.insecure = insecure;
        self
    }

    /// Puts a checksum on each message, for networks whose own is not enough. Both nodes then do.
    pub fn checksums(mut self, checksums: bool) -> Self {
        self.settings.checksums = checksums;
        self
    }

    /// Tells the node from all others over its restarts. Without it, its system, name and address do; see the module.
    pub fn node_id(mut self, node_id: u128) -> Self {
        self.settings.node_id = Some(node_id);
        self
    }

    /// The largest message that this node takes from others, in bytes with 16 of prefix: at most 256 KiB.
    pub fn max_frame_bytes(mut self, bytes: u32) -> Self {
        self.settings.max_frame_bytes = bytes;
        self
    }

    /// Bytes that another node may have under way to this one on each connection.
    pub fn window_bytes(mut self, bytes: u64) -> Self {
        self.settings.window_bytes = bytes;
        self
    }

    /// Bytes that may wait for another node on each core. Beyond it a sender is told that the way is full.
    pub fn outbox_bytes(mut self, bytes: usize) -> Self {
        self.settings.outbox_bytes = bytes;
        self
    }

    /// Connections that may be in their handshake at a time; more are refused. 1,024 unless told otherwise. Each has 5
    /// seconds, and may come from anybody.
    pub fn greetings(mut self, limit: usize) -> Self {
        self.settings.greetings_limit = limit;
        self
    }

    /// The largest message of a [bulk](macro@mainspring::message) type, as an archive, that this node sends or takes:
    /// 16 MiB unless told otherwise, [`BULK_LIMIT_BYTES`] at most.
    pub fn bulk_message_bytes(mut self, bytes: usize) -> Self {
        self.settings.chunks.message_limit_bytes = bytes;
        self
    }

    /// Bytes of messages of [bulk](macro@mainspring::message) types that may wait for each other node, on all cores
    /// together, before a sender is told that the way is full; and as many may lie here that come from it and are not
    /// whole.
    pub fn bulk_budget_bytes(mut self, bytes: usize) -> Self {
        self.settings.chunks.budget_bytes = bytes;
        self
    }

    /// How often a sign of life is sent, and after how long without one a node counts as gone.
    pub fn heartbeats(mut self, every: Duration, gone_after: Duration) -> Self {
        self.settings.liveness.heartbeat_every_ns = nanoseconds(every).max(1_000_000);
        self.settings.liveness.unreachable_after_ns = nanoseconds(gone_after);
        self
    }

    /// A peer is called slow when more than `high_water_bytes` wait for it for so long, and is disconnected when that
    /// goes on for as long again.
    pub fn slow_peers(mut self, high_water_bytes: usize, after: Duration) -> Self {
        self.settings.slow_peer.high_water_bytes = high_water_bytes;
        self.settings.slow_peer.slow_after_ns = nanoseconds(after);
        self.settings.slow_peer.disconnect_after_ns = nanoseconds(after);
        self
    }

    /// Who is linked, for any thread.
    pub fn links(&self) -> Links {
        self.links.clone()
    }

    fn plan(&self, node: &NodePlan) -> Result<Prepared, TransportError> {
        let mut settings = self.settings.clone();
        settings.keys = Keys::new(self.keys.clone()).map_err(TransportError::Keys)?;
        settings.check()?;
        #[cfg(feature = "tls")]
        self.prepare_tls()?;
        let of_its_own = settings.listen.filter(|address| address.port() != 0);
        let address = of_its_own
            .map_or_else(|| format!("{:08x}", node.incarnation), |address| address.to_string());
        let named = node_id_of(&settings.system, &node.name, &address);
        let since_1970 = since_1970();
        let node_id = settings.node_id.unwrap_or(named);
        let local = LocalNode {
            started_at_ns: nanoseconds(since_1970),
            max_frame_bytes: settings.max_frame_bytes,
            initial_credit_bytes: settings.window_bytes,
            checksums: settings.checksums,
            features: FEATURE_BULK,
            ..LocalNode::new(&settings.system, &node.name, node_id, node.incarnation, node.cores)
        };
        local.check()?;
        let exchange = Arc::new(Exchange::new(node.cores));
        let is_local_only = settings.is_local_only();
        self.links.prepare(&settings.contacts, settings.listen, is_local_only);
        Ok(Prepared { local, settings, exchange })
    }

    /// Puts the links onto a core of a simulated node, which has no start of its own. All cores of the node get the
    /// same `Transport`.
    ///
    /// # Errors
    /// [`TransportError`]; nothing was put anywhere.
    pub fn install_simulated(
        &self,
        seat: &mut Seat<'_>,
        name: &str,
        started_at_ns: u64,
    ) -> Result<(), TransportError> {
        if self.prepared.get().is_none() {
            let (incarnation, cores) = (seat.incarnation(), seat.cores());
            let mut prepared = self.plan(&NodePlan::new(name, incarnation, cores))?;
            prepared.local.started_at_ns = started_at_ns;
            let _ = self.prepared.set(prepared);
        }
        self.install(seat);
        Ok(())
    }
}

impl Extension for Transport {
    fn name(&self) -> &'static str {
        "transport"
    }

    fn prepare(&self, node: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let prepared = self.plan(node)?;
        if let Some(address) = prepared.settings.listen {
            // The core listens; this finds out early what is in the way.
            TcpListener::bind(address)
                .map_err(|source| TransportError::Listen { address, source })?;
        }
        let _ = self.prepared.set(prepared);
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        let Some(Prepared { local, settings, exchange }) = self.prepared.get().cloned() else {
            return tracing::error!("a transport was not prepared");
        };
        let Some(network) = seat.shared::<Network>() else {
            return tracing::error!("this core has no network; its node stays alone");
        };
        exchange.attend(seat.core(), seat.alarm());
        let hub = (seat.core() == 0).then(|| {
            self.links.wake_by(seat.alarm());
            let notices = Notices::new(self.links.clone());
            Hub::new(settings.clone(), local.clone(), notices, 0)
        });
        let counters = self.links.attend();
        let sockets = network.sockets();
        #[cfg(feature = "tls")]
        let sockets = self.secured(sockets);
        let device = LinkDevice::new(seat.core(), sockets, exchange, settings, hub, counters);
        seat.add_device(Box::new(device));
    }
}

/// The wall clock, which says which of two lives of a node is the later one.
#[allow(clippy::disallowed_methods, reason = "read once, when a node starts")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The same for all lives of a node that keeps its name and address, if it has one of its own.
fn node_id_of(system: &str, name: &str, address: &str) -> u128 {
    let mut hasher = blake3::Hasher::new_derive_key("mainspring 2026 node id");
    for part in [system, name, address] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let mut id = [0; 16];
    hasher.finalize_xof().fill(&mut id);
    u128::from_le_bytes(id)
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
