//! Links over mutual TLS: whose certificates, what becomes of failures, and new certificates while the node runs.

use std::rc::Rc;
use std::sync::Arc;

use mainspring::net::Sockets;

use super::Transport;
use super::notice::Links;
use crate::link::events::LinkEvent;
use crate::tls::{Credentials, Incident, TlsError, TlsFiles, TlsSockets};

impl Transport {
    /// Links by TLS 1.3 alone: both ends show a certificate that an authority in `ca` has issued for the system's name
    /// (or [`TlsFiles::name`]), and everything after that is encrypted. No key is needed then; if there is one, it is
    /// proved as well, inside. The files are read when the node starts, which fails with
    /// [`TransportError::Tls`](super::TransportError::Tls) if they cannot be used.
    pub fn tls(mut self, files: TlsFiles) -> Self {
        self.tls = Some(files);
        self.settings.is_mutual_tls = true;
        self
    }

    /// Reads the files, for this node's links.
    pub(super) fn prepare_tls(&self) -> Result<(), TlsError> {
        if let Some(files) = &self.tls {
            let credentials = Credentials::of_node(files.clone(), &self.settings.system)?;
            self.links.use_credentials(Arc::new(credentials));
        }
        Ok(())
    }

    /// The sockets of a core, secured if that was asked for.
    pub(super) fn secured(&self, sockets: Rc<dyn Sockets>) -> Rc<dyn Sockets> {
        let Some(credentials) = self.links.credentials() else { return sockets };
        let links = self.links.clone();
        let report = move |incident| report(&links, incident);
        Rc::new(TlsSockets::over(sockets, credentials, self.settings.greetings_limit, report))
    }
}

impl Links {
    /// New connections use the certificates and the key that the files hold now; those that stand go on as they are.
    /// It reads files: not on a core's thread.
    ///
    /// # Errors
    /// [`TlsError`], which is logged too; what was in use stays in use.
    pub fn reload_certificates(&self) -> Result<(), TlsError> {
        let credentials = self.credentials().ok_or(TlsError::NotInUse)?;
        let reloaded = credentials.reload();
        match &reloaded {
            Ok(()) => tracing::info!("links use new certificates"),
            Err(error) => {
                tracing::error!(%error, "links go on with the certificates that they have");
            }
        }
        reloaded
    }
}

fn report(links: &Links, incident: Incident) {
    let Incident { peer, dialled, failure } = incident;
    let peer_text = peer.map(tracing::field::display);
    tracing::warn!(peer = peer_text, dialled, %failure, "a link is not secure");
    links.record(LinkEvent::TlsFailed { peer, dialled, failure });
}
