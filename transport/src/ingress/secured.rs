//! Servers by TLS: their certificates, what becomes of failures, and new certificates while the node runs.

use std::rc::Rc;
use std::sync::Arc;

use mainspring::net::Sockets;

use super::figures::{Counters, IngressHandle, add};
use super::{Ingress, IngressError};
use crate::tls::{Credentials, Incident, TlsError, TlsServer, TlsSockets};

impl Ingress {
    /// Clients reach the server by TLS 1.3 alone. A connection gets its actor when its handshake is over; where
    /// [`client_ca`](TlsServer::client_ca) is set, the client has shown a certificate of it by then.
    ///
    /// # Errors
    /// [`IngressError::Tls`], for files that cannot be used.
    pub fn tls(mut self, files: TlsServer) -> Result<Ingress, IngressError> {
        self.credentials = Some(Arc::new(Credentials::of_server(files)?));
        Ok(self)
    }
}

impl IngressHandle {
    /// New connections use the certificate and the key that the files hold now; those that are there go on as they
    /// are. It reads files: not on a core's thread.
    ///
    /// # Errors
    /// [`TlsError`], which is logged too; what was in use stays in use.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        let reloaded = self.credentials().ok_or(TlsError::NotInUse)?.reload();
        match &reloaded {
            Ok(()) => tracing::info!("a server uses new certificates"),
            Err(error) => {
                tracing::error!(%error, "a server goes on with the certificates that it has");
            }
        }
        reloaded
    }
}

/// The sockets of a core, secured if that was asked for.
pub(super) fn secured(
    sockets: Rc<dyn Sockets>,
    handle: &IngressHandle,
    handshakes_limit: usize,
    counters: &Arc<Counters>,
) -> Rc<dyn Sockets> {
    let Some(credentials) = handle.credentials() else { return sockets };
    let counters = Arc::clone(counters);
    let report = move |Incident { peer, failure, .. }: Incident| {
        add(&counters.insecure, 1);
        let peer = peer.map(tracing::field::display);
        // Whoever finds the port causes this as often as he likes.
        tracing::info!(peer, %failure, "a connection of a server is not secure");
    };
    Rc::new(TlsSockets::over(sockets, credentials, handshakes_limit, report))
}
