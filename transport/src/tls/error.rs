//! Why certificates cannot be used.

use std::path::PathBuf;

use super::failure::TlsFailure;

/// The files of a node or a server are not what it needs. Where others are in use, they stay in use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is far larger than certificates are.
    #[error("{path}: more than {limit_bytes} bytes, which is no file of certificates", path = path.display())]
    Large {
        /// Which file.
        path: PathBuf,
        /// What it may have.
        limit_bytes: u64,
    },
    /// A file is not PEM.
    #[error("{path}: {what}; PEM is wanted, as openssl writes it", path = path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// There is no certificate in a file.
    #[error(
        "{path}: no certificate in it; it begins with -----BEGIN CERTIFICATE-----",
        path = path.display()
    )]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// There is no key in a file.
    #[error(
        "{path}: no private key in it; it begins with -----BEGIN PRIVATE KEY----- and has no password",
        path = path.display()
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// Certificates of authorities that are none.
    #[error("{path}: {what}; certificates of authorities are wanted", path = path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A key that does not work with its certificate.
    #[error(
        "{key}: {what}; the key of {certificate} is wanted",
        key = key.display(), certificate = certificate.display()
    )]
    Key {
        /// The file of the key.
        key: PathBuf,
        /// The file of its certificate.
        certificate: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Peers would refuse the node's own certificate.
    #[error(
        "{path}: {failure}; it must be valid now, issued by {ca}, for the DNS name {name}, for server and client",
        path = path.display(), ca = ca.display()
    )]
    Own {
        /// The file of the certificate.
        path: PathBuf,
        /// What is wrong with it.
        failure: TlsFailure,
        /// The file of the authorities.
        ca: PathBuf,
        /// The name that nodes of the system have.
        name: String,
    },
    /// A name that no certificate can be for.
    #[error(
        "{name:?} is no DNS name, which certificates are for; name the system so, or set TlsFiles::name"
    )]
    Name {
        /// What was given.
        name: String,
    },
    /// There is nothing to reload.
    #[error("no TLS is in use here")]
    NotInUse,
    /// The library refuses its settings.
    #[error("TLS cannot be had: {what}")]
    Library {
        /// What it says.
        what: String,
    },
}
