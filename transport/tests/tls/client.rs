//! A peer by blocking sockets, for what no node does.

use std::error::Error;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};

use crate::authority::Issued;

/// A connection that blocks.
pub type Client = StreamOwned<ClientConnection, TcpStream>;

/// Connects with these versions and this certificate, to a peer with one of `authority` for `name`. Nothing has been
/// sent yet.
pub fn connect(
    to: SocketAddr,
    authority: &Path,
    name: &str,
    own: Option<&Issued>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Client, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority)?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_root_certificates(roots);
    let config = match own {
        Some(own) => builder.with_client_auth_cert(
            vec![CertificateDer::from_pem_file(&own.certificate)?],
            PrivateKeyDer::from_pem_file(&own.key)?,
        )?,
        None => builder.with_no_client_auth(),
    };
    let name = ServerName::try_from(name.to_owned())?;
    let stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream))
}

/// Reads until the end, and says how that came about.
pub fn last_words(client: &mut Client) -> String {
    let mut bytes = Vec::new();
    match client.read_to_end(&mut bytes) {
        Ok(_) => "the end".to_owned(),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => "cut off".to_owned(),
        Err(error) => error.to_string(),
    }
}
