//! TLS 1.3 below links and servers: a layer between a device and its sockets.
//!
//! | module | what |
//! |---|---|
//! | `session` | one connection as a machine: ciphertext in, plaintext out |
//! | `plaintext` | decrypted bytes where a handler can read them |
//! | `sockets` | sockets that are secured, over any others |
//! | `files`, `credentials` | certificates and keys, and their replacement |
//! | `name_check` | whose certificate a node accepts |
//!
//! Promises: a device above sees a connection when its handshake is over and both ends are who they must be, and then
//! the bytes that the peer wrote, none else. Certificates are checked at every connection: no session is resumed, and
//! nothing is sent before the handshake is over. How long a handshake may take, and how many there may be at a time, is
//! limited.
//!
//! Refuses: TLS 1.2 and older; certificates for another name or from another authority; a stream that ends without its
//! sender's word.

#[cfg(test)]
#[path = "../../tests/tls/authority.rs"]
mod authority;
mod below;
mod credentials;
mod error;
mod failure;
mod files;
mod line;
mod name_check;
mod plaintext;
mod session;
mod sockets;

pub(crate) use self::credentials::Credentials;
pub use self::error::TlsError;
pub use self::failure::TlsFailure;
pub use self::files::{FILE_LIMIT_BYTES, TlsFiles, TlsServer};
pub use self::sockets::{HANDSHAKE_DEADLINE_NS, LINGER_NS};
pub(crate) use self::sockets::{Incident, TlsSockets};
