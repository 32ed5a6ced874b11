//! What a program says about its node's links.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::handshake::{Key, KeyError, Keys};
use crate::link::chunks::ChunkSettings;
use crate::link::credit::WINDOW_FLOOR_BYTES;
use crate::link::dialing::DialSettings;
use crate::link::liveness::LivenessSettings;
use crate::link::slow_peer::SlowPeerSettings;
use crate::wire::ORDINARY_LIMIT_BYTES;

/// Bytes that a peer may have under way on one connection, unless told otherwise.
pub const DEFAULT_WINDOW_BYTES: u64 = 1 << 20;

/// Bytes that may wait for a peer on each core, unless told otherwise.
pub const DEFAULT_OUTBOX_BYTES: usize = 4 << 20;

/// The largest message on the bulk lane, unless told otherwise.
pub const DEFAULT_BULK_MESSAGE_BYTES: usize = 16 << 20;

/// What [`bulk_message_bytes`](super::Transport::bulk_message_bytes) may be at most: twice as much fits the ring from
/// one core to another.
pub const BULK_LIMIT_BYTES: usize = 32 << 20;

/// Bytes of large messages that may wait for a peer, and as many from it, unless told otherwise.
pub const DEFAULT_BULK_BUDGET_BYTES: usize = 32 << 20;

/// Connections that are being greeted at a time, unless told otherwise.
pub const DEFAULT_GREETINGS: usize = 1_024;

/// Why a node's links cannot be as they were asked for. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// An address that is none.
    #[error("{text:?} is no address to {purpose}: {source}; write it as 10.0.0.1:7355")]
    Address {
        /// What was written.
        text: String,
        /// What it was for.
        purpose: &'static str,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Anybody could speak to the node.
    #[error(
        "{address} can be reached from other machines, and neither a key nor TLS is set: whoever connects would be \
         trusted. Set key_file or tls (feature tls), or use 127.0.0.1, or set insecure(true) where the network itself \
         keeps others out"
    )]
    Insecure {
        /// The address to listen on, or to connect to.
        address: SocketAddr,
    },
    /// A key file could not be read.
    #[error("the key file {path} cannot be read: {source}", path = path.display())]
    KeyFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What is in a key file is no key.
    #[error("the key file {path}: {source}", path = path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// Certificates that cannot be used.
    #[cfg(feature = "tls")]
    #[error("links cannot use TLS: {0}")]
    Tls(#[from] crate::tls::TlsError),
    /// Too many keys.
    #[error(transparent)]
    Keys(KeyError),
    /// Names and numbers that a node cannot show to others.
    #[error(transparent)]
    Node(#[from] crate::handshake::LocalNodeError),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; is another program, or another node, listening there?"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A limit that makes no sense.
    #[error("{name} is {found}: {wanted}")]
    Limit {
        /// Which setting.
        name: &'static str,
        /// What was set.
        found: u64,
        /// What it may be.
        wanted: String,
    },
}

/// See [`Transport`](super::Transport) for what each means.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub system: String,
    pub listen: Option<SocketAddr>,
    pub contacts: Vec<SocketAddr>,
    pub keys: Keys,
    pub insecure: bool,
    /// Whoever is linked has shown a certificate of the system.
    pub is_mutual_tls: bool,
    pub checksums: bool,
    pub node_id: Option<u128>,
    pub max_frame_bytes: u32,
    pub window_bytes: u64,
    pub outbox_bytes: usize,
    pub greetings_limit: usize,
    pub dialing: DialSettings,
    pub liveness: LivenessSettings,
    pub slow_peer: SlowPeerSettings,
    pub chunks: ChunkSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            system: "mainspring".to_owned(),
            listen: None,
            contacts: Vec::new(),
            keys: Keys::NONE,
            insecure: false,
            is_mutual_tls: false,
            checksums: false,
            node_id: None,
            max_frame_bytes: ORDINARY_LIMIT_BYTES,
            window_bytes: DEFAULT_WINDOW_BYTES,
            outbox_bytes: DEFAULT_OUTBOX_BYTES,
            greetings_limit: DEFAULT_GREETINGS,
            dialing: DialSettings::default(),
            liveness: LivenessSettings::default(),
            slow_peer: SlowPeerSettings::default(),
            chunks: ChunkSettings {
                message_limit_bytes: DEFAULT_BULK_MESSAGE_BYTES,
                budget_bytes: DEFAULT_BULK_BUDGET_BYTES,
                ..ChunkSettings::default()
            },
        }
    }
}

impl Settings {
    pub fn check(&self) -> Result<(), TransportError> {
        let limit =
            |name, found, wanted: String| Err(TransportError::Limit { name, found, wanted });
        let frame_bytes = u64::from(self.max_frame_bytes);
        if self.max_frame_bytes > ORDINARY_LIMIT_BYTES {
            return limit(
                "max_frame_bytes",
                frame_bytes,
                format!("at most {ORDINARY_LIMIT_BYTES}"),
            );
        }
        if self.window_bytes < WINDOW_FLOOR_BYTES {
            let wanted = format!("at least {WINDOW_FLOOR_BYTES}");
            return limit("window_bytes", self.window_bytes, wanted);
        }
        if (self.outbox_bytes as u64) < 2 * frame_bytes {
            let wanted = format!("room for two frames, {} bytes", 2 * frame_bytes);
            return limit("outbox_bytes", self.outbox_bytes as u64, wanted);
        }
        let ChunkSettings { message_limit_bytes, budget_bytes, .. } = self.chunks;
        if !(1..=BULK_LIMIT_BYTES).contains(&message_limit_bytes) {
            let wanted = format!("from 1 to {BULK_LIMIT_BYTES}");
            return limit("bulk_message_bytes", message_limit_bytes as u64, wanted);
        }
        if budget_bytes == 0 {
            return limit("bulk_budget_bytes", 0, "at least 1".to_owned());
        }
        if self.greetings_limit == 0 {
            return limit("greetings_limit", 0, "at least 1".to_owned());
        }
        if !self.is_local_only() {
            return Ok(());
        }
        let mut addresses = self.listen.iter().chain(&self.contacts);
        match addresses.find(|address| !address.ip().is_loopback()) {
            Some(address) => Err(TransportError::Insecure { address: *address }),
            None => Ok(()),
        }
    }

    /// Whoever is linked is trusted without proof, and nobody has allowed that: only this machine may be reached.
    pub fn is_local_only(&self) -> bool {
        self.keys.is_empty() && !self.is_mutual_tls && !self.insecure
    }
}

/// The first address of a text.
pub(super) fn address_of(text: &str, purpose: &'static str) -> Result<SocketAddr, TransportError> {
    let refused = |source| TransportError::Address { text: text.to_owned(), purpose, source };
    let mut addresses = text.to_socket_addrs().map_err(refused)?;
    addresses.next().ok_or_else(|| refused(std::io::ErrorKind::AddrNotAvailable.into()))
}

/// The key in a file.
pub(super) fn key_in(path: &Path) -> Result<Key, TransportError> {
    let path = path.to_owned();
    match std::fs::read(&path) {
        Ok(bytes) => {
            Key::from_file_bytes(&bytes).map_err(|source| TransportError::Key { path, source })
        }
        Err(source) => Err(TransportError::KeyFile { path, source }),
    }
}
