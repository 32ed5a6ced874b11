//! The first bytes of a connection: who is there, whether both speak the same, and whether both hold the key.
//!
//! ```text
//! with a key      initiator                      responder
//!                 Hello             ──────►
//!                                   ◄──────      Hello
//!                 Proof             ──────►
//!                                   ◄──────      Proof
//!                 Welcome           ──────►                     both are open
//!
//! without         Hello             ──────►
//!                                   ◄──────      Hello
//!                 Welcome           ──────►                     both are open
//! ```
//!
//! The initiator is who dialled. In place of any of these messages may come Refused, with a reason, and the connection
//! is closed. `docs/wire.md` has every byte.
//!
//! Promised: a message takes at most [`MESSAGE_LIMIT_BYTES`] and the whole handshake at most [`DEADLINE_NS`], however
//! slowly bytes come; nothing else is read before it is over; both sides know why it failed, unless the other is no
//! mainspring node at all, which is told nothing. Where this node has a key, nothing but the greeting is said to a
//! peer that has not proved that it has one too, and nothing that this node knows of others is looked at for it.
//!
//! Not here: secrecy, and protection of what comes after the handshake. Whoever can change bytes on their way can
//! change those. Randomness comes from the caller: 32 fresh bytes for each handshake, from the operating system.

mod error;
mod hello;
mod key;
#[cfg(test)]
mod key_tests;
mod local_node;
mod machine;
#[cfg(test)]
mod machine_tests;
mod message;
mod peer;
mod refusal;
#[cfg(test)]
mod refusal_tests;
mod version;

pub use self::error::HandshakeError;
pub use self::hello::{FORMAT_FINGERPRINT, Hello, NAME_LIMIT_BYTES, NONCE_BYTES};
pub use self::key::{KEY_FILE_MINIMUM_BYTES, KEYS_LIMIT, Key, KeyError, Keys};
pub use self::local_node::{
    Dialled, FEATURE_BULK, FRAME_LIMIT_MINIMUM_BYTES, LocalNode, LocalNodeError,
};
pub use self::machine::{DEADLINE_NS, Handshake, Progress, Role};
pub use self::message::MESSAGE_LIMIT_BYTES;
pub use self::peer::Peer;
pub use self::refusal::{REFUSAL_TEXT_LIMIT_BYTES, RefusalReason, refusal};
pub use self::version::{CURRENT_VERSION, Version, VersionRange};
