//! TCP servers on a node: each connection is an actor on the core that accepted it.
//!
//! [`Ingress::tcp`] says where to listen, [`Ingress::serve`] what serves a connection; the result is an extension of
//! the node. Every core listens on the address (`SO_REUSEPORT`) and keeps the connections that the kernel gives it.
//!
//! Promises:
//! - An actor sees the bytes of its connection in order, each until it takes it, as a view of the receive buffer.
//! - What a turn writes is sent when the turn has returned, and not at all when it failed. All that the turns of a
//!   sweep wrote to one connection goes in one send.
//! - Memory is bounded for each connection: while its actor cannot take bytes, or too much waits for its peer, nothing
//!   is read from it. Other connections go on.
//! - What goes wrong in a connection costs that connection.
//! - When the node shuts down, no connection is accepted any more, and those that there are get their time to finish.
//!
//! Refuses: names instead of addresses, and moving a connection to another core.

mod connection;
mod device;
mod figures;
mod line;
#[cfg(feature = "tls")]
mod secured;
mod settings;
mod warden;
mod writer;

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use mainspring::device::{Extension, NodePlan, Seat};
use mainspring::net::Network;

pub use self::connection::{Connection, ConnectionEnd, Received};
use self::device::{Factory, IngressDevice, Parts};
pub use self::figures::{IngressFigures, IngressHandle};
pub use self::settings::{
    DEFAULT_CONNECTIONS, DEFAULT_HANDSHAKES, DEFAULT_OUTPUT_BYTES, IngressLimits,
    LEAST_OUTPUT_BYTES,
};
use self::warden::{Ends, Warden};
pub use self::writer::{ConnectionWriter, Output, WriteRefused};

/// A server that does not know yet what it serves. See the [module](self).
#[derive(Debug, Clone)]
pub struct Ingress {
    address: SocketAddr,
    limits: IngressLimits,
    #[cfg(feature = "tls")]
    credentials: Option<Arc<crate::tls::Credentials>>,
}

impl Ingress {
    /// A server for this address, such as `127.0.0.1:6380`. Port 0 is one that the system chooses:
    /// [`IngressHandle::wait_listening`] says which.
    ///
    /// # Errors
    /// [`IngressError::Address`].
    pub fn tcp(address: &str) -> Result<Ingress, IngressError> {
        match address.parse() {
            Ok(address) => Ok(Ingress {
                address,
                limits: IngressLimits::default(),
                #[cfg(feature = "tls")]
                credentials: None,
            }),
            Err(_) => Err(IngressError::Address { address: address.to_owned() }),
        }
    }

    /// What connections may use, and for how long.
    pub fn limits(mut self, limits: IngressLimits) -> Ingress {
        self.limits = limits;
        self
    }

    /// Has `factory` make the actor of each connection from its peer's address, on the core of the connection. If it
    /// panics, the connection is reset.
    pub fn serve<C, F>(self, factory: F) -> Server<C>
    where
        C: Connection,
        F: Fn(SocketAddr) -> C + Send + Sync + 'static,
    {
        let handle = IngressHandle::default();
        #[cfg(feature = "tls")]
        if let Some(credentials) = self.credentials {
            handle.use_credentials(credentials);
        }
        Server { address: self.address, limits: self.limits, factory: Arc::new(factory), handle }
    }
}

/// A server, as an extension of one node.
pub struct Server<C> {
    address: SocketAddr,
    limits: IngressLimits,
    factory: Factory<C>,
    handle: IngressHandle,
}

impl<C> Server<C> {
    /// Where it listens and what it has counted, for any thread.
    pub fn handle(&self) -> IngressHandle {
        self.handle.clone()
    }
}

impl<C: Connection> Extension for Server<C> {
    fn name(&self) -> &'static str {
        "ingress"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let address = self.address;
        self.limits.check().map_err(|reason| IngressError::Limits { address, reason })?;
        // The cores listen; this finds out early what is in the way.
        TcpListener::bind(address).map_err(|source| IngressError::Listen { address, source })?;
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        let Some(network) = seat.shared::<Network>() else {
            return tracing::error!("this core has no network; it serves nobody");
        };
        let ends = Ends::default();
        let warden = match seat.spawn(Warden { ends: ends.clone() }) {
            Ok(warden) => warden,
            Err(error) => return tracing::error!(%error, "this core serves nobody"),
        };
        let handle = self.handle.clone();
        let counters = handle.attend(seat.cores(), seat.alarm());
        let sockets = network.sockets();
        #[cfg(feature = "tls")]
        let sockets = secured::secured(sockets, &handle, self.limits.handshakes, &counters);
        let parts = Parts {
            sockets,
            address: self.address,
            limits: self.limits,
            factory: Arc::clone(&self.factory),
            warden,
            ends,
            handle,
            counters,
        };
        seat.add_device(Box::new(IngressDevice::new(seat.core(), parts)));
    }
}

/// A server cannot be had like that.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngressError {
    /// Not an address.
    #[error(
        "cannot serve on {address:?}: write an IP address and a port, such as 127.0.0.1:6380 or [::]:6380"
    )]
    Address {
        /// What was given.
        address: String,
    },
    /// Limits that make no sense.
    #[error("cannot serve on {address}: {reason}")]
    Limits {
        /// The address.
        address: SocketAddr,
        /// What is wrong with them.
        reason: String,
    },
    /// Certificates that cannot be used.
    #[cfg(feature = "tls")]
    #[error("cannot serve by TLS: {0}")]
    Tls(#[from] crate::tls::TlsError),
    /// The address cannot be listened on.
    #[error(
        "cannot serve on {address}: {source}. Check that the address is this machine's and that nobody else \
         listens there"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
