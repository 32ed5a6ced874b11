//! Certificates and keys, from files.
//!
//! Promises: what is made of files here works with itself: the key is that of the certificate, and a node's own
//! certificate is one that the node would accept. What is wrong is said with the file's name.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use super::error::TlsError;
use super::failure::TlsFailure;
use super::name_check::NameCheck;

/// A file of certificates or keys has no more bytes than this.
pub const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// The files of a node that links by mutual TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that issue those of the system's nodes: your own, and no other.
    pub ca: PathBuf,
    /// The node's certificate, and those between it and the authority, in this order.
    pub certificate: PathBuf,
    /// The key of the certificate, without a password.
    pub key: PathBuf,
    /// The DNS name that the certificates of all nodes are for. The system's name unless told otherwise.
    pub name: Option<String>,
}

impl TlsFiles {
    /// These files, with certificates for the system's name.
    pub fn new(
        ca: impl Into<PathBuf>,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> TlsFiles {
        let (ca, certificate, key) = (ca.into(), certificate.into(), key.into());
        TlsFiles { ca, certificate, key, name: None }
    }

    /// Nodes have certificates for this DNS name instead of the system's.
    pub fn name(mut self, name: impl Into<String>) -> TlsFiles {
        self.name = Some(name.into());
        self
    }
}

/// The files of a server that its clients reach by TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsServer {
    /// The server's certificate, and those between it and its authority, in this order.
    pub certificate: PathBuf,
    /// The key of the certificate, without a password.
    pub key: PathBuf,
    /// Certificates of the authorities that issue those of clients. Without it clients show none.
    pub client_ca: Option<PathBuf>,
}

impl TlsServer {
    /// These files; clients show no certificates.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> TlsServer {
        TlsServer { certificate: certificate.into(), key: key.into(), client_ca: None }
    }

    /// Every client must show a certificate that one of the authorities in this file has issued.
    pub fn client_ca(mut self, path: impl Into<PathBuf>) -> TlsServer {
        self.client_ca = Some(path.into());
        self
    }
}

/// What a node or a server needs for new connections.
pub(super) struct Material {
    pub server: Arc<ServerConfig>,
    /// Those that dial, too: with the name that is wanted of who answers.
    pub client: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// What is in the files of a node of this system.
///
/// # Errors
/// [`TlsError`].
pub(super) fn of_node(files: &TlsFiles, system: &str) -> Result<Material, TlsError> {
    let name = files.name.as_deref().unwrap_or(system).to_owned();
    let server_name = match ServerName::try_from(name.clone()) {
        Ok(server_name @ ServerName::DnsName(_)) => server_name,
        _ => return Err(TlsError::Name { name }),
    };
    let provider = Arc::new(ring::default_provider());
    let (chain, key) = (certificates_in(&files.certificate)?, key_in(&files.key)?);
    let roots = Arc::new(authorities_in(&files.ca)?);
    let authority = |what: String| TlsError::Authority { path: files.ca.clone(), what };

    let servers = WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), provider.clone());
    let servers = servers.build().map_err(|error| authority(error.to_string()))?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    let clients = clients.build().map_err(|error| authority(error.to_string()))?;
    let clients = Arc::new(NameCheck::new(clients, server_name.clone()));
    check_own(&chain, &*servers, &*clients, &server_name).map_err(|failure| {
        let (path, ca) = (files.certificate.clone(), files.ca.clone());
        TlsError::Own { path, failure, ca, name }
    })?;

    let server = server_config(&provider, Some(clients), chain.clone(), key.clone_key());
    let server = server.map_err(|error| not_the_key(&files.certificate, &files.key, &error))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| TlsError::Library { what: error.to_string() })?;
    let mut client = builder
        .with_webpki_verifier(servers)
        .with_client_auth_cert(chain, key)
        .map_err(|error| not_the_key(&files.certificate, &files.key, &error))?;
    client.resumption = Resumption::disabled();
    // The system's name is nobody's business on the way.
    client.enable_sni = false;
    Ok(Material { server, client: Some((Arc::new(client), server_name)) })
}

/// What is in the files of a server.
///
/// # Errors
/// [`TlsError`].
pub(super) fn of_server(files: &TlsServer) -> Result<Material, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let (chain, key) = (certificates_in(&files.certificate)?, key_in(&files.key)?);
    let clients = match &files.client_ca {
        Some(path) => {
            let roots = Arc::new(authorities_in(path)?);
            let clients = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
            let clients = clients.build().map_err(|error| TlsError::Authority {
                path: path.clone(),
                what: error.to_string(),
            })?;
            Some(clients)
        }
        None => None,
    };
    let server = server_config(&provider, clients, chain, key)
        .map_err(|error| not_the_key(&files.certificate, &files.key, &error))?;
    Ok(Material { server, client: None })
}

/// TLS 1.3 alone, and every connection with a handshake of its own: nothing of an earlier one is used again.
fn server_config(
    provider: &Arc<CryptoProvider>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Error> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13])?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut server = builder.with_single_cert(chain, key)?;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(Arc::new(server))
}

/// Whether peers with the same files would accept a certificate, now, on both sides.
fn check_own(
    chain: &[CertificateDer<'static>],
    servers: &dyn rustls::client::danger::ServerCertVerifier,
    clients: &dyn ClientCertVerifier,
    name: &ServerName<'_>,
) -> Result<(), TlsFailure> {
    let Some((own, between)) = chain.split_first() else { return Err(TlsFailure::NoCertificate) };
    let now = UnixTime::now();
    servers
        .verify_server_cert(own, between, name, &[], now)
        .map_err(|error| TlsFailure::of(&error, false))?;
    clients.verify_client_cert(own, between, now).map_err(|error| TlsFailure::of(&error, false))?;
    Ok(())
}

fn not_the_key(certificate: &Path, key: &Path, error: &Error) -> TlsError {
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    TlsError::Key { key, certificate, what: error.to_string() }
}

fn authorities_in(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_in(path)? {
        roots.add(certificate).map_err(|error| {
            let what = error.to_string();
            TlsError::Authority { path: path.to_owned(), what }
        })?;
    }
    Ok(roots)
}

fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes_in(path)?;
    let certificates: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(TlsError::NoCertificate { path: path.to_owned() })
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(TlsError::Pem { path: path.to_owned(), what: pem_fault(&error) }),
    }
}

fn key_in(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&bytes_in(path)?).map_err(|error| match error {
        PemError::NoItemsFound => TlsError::NoKey { path: path.to_owned() },
        error => TlsError::Pem { path: path.to_owned(), what: pem_fault(&error) },
    })
}

/// Never with bytes of the file: it may be that of a key.
fn pem_fault(error: &PemError) -> String {
    let what = match error {
        PemError::MissingSectionEnd { .. } => "a section has no end",
        PemError::IllegalSectionStart { .. } => "a line that begins a section is broken",
        PemError::Base64Decode(_) => "what is between two lines of dashes is not base64",
        _ => "it cannot be read",
    };
    what.to_owned()
}

fn bytes_in(path: &Path) -> Result<Vec<u8>, TlsError> {
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> =
        read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    match bytes.len() as u64 > FILE_LIMIT_BYTES {
        true => Err(TlsError::Large { path: path.to_owned(), limit_bytes: FILE_LIMIT_BYTES }),
        false => Ok(bytes),
    }
}
