//! Keys that the nodes of a system share, and proofs that a node holds one.
//!
//! A key is what BLAKE3's key derivation makes of the bytes of a key file (J. O'Connor, J.-P. Aumasson, S. Neves,
//! Z. Wilcox-O'Hearn: "BLAKE3, one function, fast everywhere", 2020, section 2.3). A proof is BLAKE3 keyed with it,
//! over the words of the prover's role and every byte of the handshake so far. The words differ between the two
//! roles, so a proof sent back to its maker proves nothing; both nonces are in the bytes, so an old one does neither.

use std::fmt;

use thiserror::Error;

use super::machine::Role;

/// The fewest bytes of a key file. 32 bytes from the operating system's random numbers are best: whoever is dialled
/// by a node can try to guess a weak key at leisure.
pub const KEY_FILE_MINIMUM_BYTES: usize = 16;

/// The most keys that a node accepts at once.
pub const KEYS_LIMIT: usize = 8;

/// Names what the derived key is for, as the derivation asks for; never to be changed.
const CONTEXT: &str = "mainspring-transport 2026-11-22 key of the links between nodes";

/// A key that nodes of one system share.
#[derive(Clone)]
pub struct Key([u8; 32]);

/// The keys of a node. It proves itself with the first, and accepts any.
///
/// To replace a key without a pause, every node is restarted three times: with the new key behind the old one, when
/// all have been with the new one before the old one, and when all have been again with the new one alone.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

/// Keys that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// A key file that is too short.
    #[error(
        "a key file of {bytes} bytes; at least {KEY_FILE_MINIMUM_BYTES}, better 32 random ones"
    )]
    TooShort {
        /// How many it has, without the end of its last line.
        bytes: usize,
    },
    /// More keys than are tried.
    #[error("{keys} keys; at most {KEYS_LIMIT} are accepted at once, so remove those no node uses")]
    TooMany {
        /// How many were given.
        keys: usize,
    },
}

impl Key {
    /// The key in the bytes of a key file. The end of the last line does not count, because editors add one.
    ///
    /// # Errors
    ///
    /// [`KeyError::TooShort`] under [`KEY_FILE_MINIMUM_BYTES`].
    pub fn from_file_bytes(bytes: &[u8]) -> Result<Key, KeyError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() < KEY_FILE_MINIMUM_BYTES {
            return Err(KeyError::TooShort { bytes: bytes.len() });
        }
        Ok(Key(blake3::derive_key(CONTEXT, bytes)))
    }

    /// What `role` proves with this key after these bytes of the handshake.
    pub(super) fn proof(&self, role: Role, transcript: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(role.words()).update(transcript);
        hasher.finalize()
    }

    /// Whether `proof` is what `role` proves with this key. Takes the same time whatever the bytes are.
    pub(super) fn accepts(&self, role: Role, transcript: &[u8], proof: [u8; 32]) -> bool {
        self.proof(role, transcript) == blake3::Hash::from_bytes(proof)
    }
}

/// The bytes of a key are nobody's business.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Keys {
    /// No key: nodes are not authenticated, and only nodes without a key are talked to.
    pub const NONE: Keys = Keys(Vec::new());

    /// These keys, the one to prove with first. An empty list is [`NONE`](Self::NONE).
    ///
    /// # Errors
    ///
    /// [`KeyError::TooMany`] above [`KEYS_LIMIT`].
    pub fn new(keys: Vec<Key>) -> Result<Keys, KeyError> {
        match keys.len() {
            keys if keys > KEYS_LIMIT => Err(KeyError::TooMany { keys }),
            _ => Ok(Keys(keys)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that this node proves with.
    pub(super) fn first(&self) -> Option<&Key> {
        self.0.first()
    }

    /// The key that `role` has proved to hold.
    pub(super) fn proved(&self, role: Role, transcript: &[u8], proof: [u8; 32]) -> Option<&Key> {
        self.0.iter().find(|key| key.accepts(role, transcript, proof))
    }
}
