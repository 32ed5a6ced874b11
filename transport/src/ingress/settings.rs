//! Limits of a server's connections.

use std::time::Duration;

use mainspring::net::{DEFAULT_RECEIVE_BYTES, SocketOptions};

/// Connections that a core has at a time, unless told otherwise.
pub const DEFAULT_CONNECTIONS: usize = 10_000;

/// Bytes that wait for one peer, unless told otherwise.
pub const DEFAULT_OUTPUT_BYTES: usize = 1 << 20;

/// Connections of a core that are in their TLS handshake at a time, unless told otherwise.
pub const DEFAULT_HANDSHAKES: usize = 1_024;

/// The least that [`IngressLimits::output_bytes`] may be.
pub const LEAST_OUTPUT_BYTES: usize = 4 << 10;

/// What the connections of a server may use, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IngressLimits {
    /// Connections that a core has at a time. One more is reset at once and counted as refused.
    pub connections: usize,
    /// Connections of a core that may be in their TLS handshake at a time, where TLS was asked for. One more is reset.
    /// Each has 4 seconds.
    pub handshakes: usize,
    /// Received bytes that a connection can be shown together.
    pub receive_bytes: usize,
    /// Bytes that wait for one peer. Above half of it nothing more is read from that peer, until a quarter is left; a
    /// write beyond it is refused.
    pub output_bytes: usize,
    /// A connection ends when no byte came and none went for so long. Not while its actor is busy.
    pub idle: Option<Duration>,
    /// How long a connection stays without progress after its actor has stopped, for the peer to read the rest.
    pub linger: Duration,
    /// How long connections have to end when the node shuts down; the deadline of the shutdown holds as well.
    pub drain: Duration,
}

impl Default for IngressLimits {
    fn default() -> Self {
        IngressLimits {
            connections: DEFAULT_CONNECTIONS,
            handshakes: DEFAULT_HANDSHAKES,
            receive_bytes: DEFAULT_RECEIVE_BYTES,
            output_bytes: DEFAULT_OUTPUT_BYTES,
            idle: None,
            linger: Duration::from_secs(5),
            drain: Duration::from_secs(5),
        }
    }
}

impl IngressLimits {
    /// Whether a server can have these limits.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        if self.connections == 0 {
            return Err("connections is 0: a server without connections serves nobody".to_owned());
        }
        if self.handshakes == 0 {
            return Err("handshakes is 0: nobody would ever be let in by TLS".to_owned());
        }
        if self.output_bytes < LEAST_OUTPUT_BYTES {
            return Err(format!(
                "output_bytes is {}: it must be {LEAST_OUTPUT_BYTES} or more",
                self.output_bytes
            ));
        }
        if self.idle.is_some_and(|idle| idle.is_zero()) {
            return Err(
                "idle is 0: every connection would end at once; leave it out instead".to_owned()
            );
        }
        self.socket_options().check()
    }

    pub(super) fn socket_options(&self) -> SocketOptions {
        SocketOptions { receive_bytes: self.receive_bytes, ..SocketOptions::default() }
    }
}
