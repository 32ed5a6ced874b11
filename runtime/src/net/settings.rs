//! What may be set for a socket and for a listener.

use std::time::Duration;

/// Connections that wait in the kernel until they are accepted, unless told otherwise. The kernel takes no more than
/// its own limit (`net.core.somaxconn`).
pub const DEFAULT_BACKLOG: u32 = 1024;

/// How many bytes of a stream may be wanted together, unless told otherwise.
pub const DEFAULT_RECEIVE_BYTES: usize = 64 << 10;

/// The least that [`SocketOptions::receive_bytes`] may be.
pub const LEAST_RECEIVE_BYTES: usize = 4 << 10;

/// The most that [`SocketOptions::receive_bytes`] may be.
pub const MOST_RECEIVE_BYTES: usize = 64 << 20;

/// Settings of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SocketOptions {
    /// How many received bytes may be wanted together, and about how many wait for a handler that does not take them.
    /// A socket begins with far less memory and gets this much when it is used.
    pub receive_bytes: usize,
    /// Sends small segments at once (`TCP_NODELAY`).
    pub no_delay: bool,
    /// The kernel's memory for bytes on their way out (`SO_SNDBUF`), if not the kernel's choice.
    pub send_buffer_bytes: Option<usize>,
    /// The kernel's memory for bytes that came in (`SO_RCVBUF`), if not the kernel's choice.
    pub receive_buffer_bytes: Option<usize>,
    /// After so long without the peer acknowledging what was sent, the connection fails (`TCP_USER_TIMEOUT`).
    pub user_timeout: Option<Duration>,
}

impl Default for SocketOptions {
    fn default() -> Self {
        SocketOptions {
            receive_bytes: DEFAULT_RECEIVE_BYTES,
            no_delay: true,
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            user_timeout: None,
        }
    }
}

impl SocketOptions {
    /// Whether a socket can have these options.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check(&self) -> Result<(), String> {
        let range = LEAST_RECEIVE_BYTES..=MOST_RECEIVE_BYTES;
        if range.contains(&self.receive_bytes) {
            return Ok(());
        }
        Err(format!(
            "receive_bytes is {}: a socket takes from {LEAST_RECEIVE_BYTES} to {MOST_RECEIVE_BYTES} bytes",
            self.receive_bytes
        ))
    }
}

/// Settings of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenOptions {
    /// Connections that wait in the kernel until they are accepted.
    pub backlog: u32,
    /// Others may listen on the same address too, and the kernel spreads connections over all of them
    /// (`SO_REUSEPORT`). So every core of a node can have a listener of its own.
    pub reuse_port: bool,
    /// Settings of the connections.
    pub accepted: SocketOptions,
}

impl Default for ListenOptions {
    fn default() -> Self {
        let accepted = SocketOptions::default();
        ListenOptions { backlog: DEFAULT_BACKLOG, reuse_port: false, accepted }
    }
}
