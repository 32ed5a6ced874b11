//! Frames that come from another node, or go to one: the same frame, with 16 bytes before the archive.
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–7 | `fingerprint` | of the message's schema, as the sender has it |
//! | 8–9 | `core` | the core of the receiver; from [`CLIENT_CORE_BASE`](crate::address::CLIENT_CORE_BASE) on a client |
//! | 10–11 | `sender` | the core that sent it, for people who look at a capture |
//! | 12–15 | `word` | on the wire a checksum or 0; inside a node see below |
//!
//! The header's length counts the prefix, and its flags have [`FLAG_FOREIGN`], so such a frame is never dispatched the
//! short way: whoever runs its turn compares the fingerprint and checks every byte of the archive first.
//!
//! Inside the node that received it the word says whether its sender is believed about references; in a client's
//! frame on its way out it is the node that it is for.

use super::validation::{Malformed, References, check};
use crate::message::LocalMessage;

/// In a header's flags: the payload begins with a [`ForeignPrefix`] and was not written by this node.
pub const FLAG_FOREIGN: u8 = 0x10;

/// Bytes of a [`ForeignPrefix`].
pub const FOREIGN_PREFIX_BYTES: usize = 16;

/// See the module's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignPrefix {
    /// The schema's fingerprint.
    pub fingerprint: u64,
    /// The receiver's core.
    pub core: u16,
    /// The sender's core.
    pub sender: u16,
    /// Depends on where the frame is.
    pub word: u32,
}

impl ForeignPrefix {
    /// As bytes, little-endian.
    #[inline]
    pub const fn to_bytes(self) -> [u8; FOREIGN_PREFIX_BYTES] {
        let second = self.core as u64 | (self.sender as u64) << 16 | (self.word as u64) << 32;
        (self.fingerprint as u128 | (second as u128) << 64).to_le_bytes()
    }

    /// From the start of a payload, and the archive behind it; `None` when it is too short for both.
    #[inline]
    pub fn split(payload: &[u8]) -> Option<(ForeignPrefix, &[u8])> {
        let (prefix, archive) = payload.split_first_chunk::<FOREIGN_PREFIX_BYTES>()?;
        if archive.is_empty() {
            return None;
        }
        let whole = u128::from_le_bytes(*prefix);
        let second = (whole >> 64) as u64;
        let prefix = ForeignPrefix {
            fingerprint: whole as u64,
            core: second as u16,
            sender: (second >> 16) as u16,
            word: (second >> 32) as u32,
        };
        Some((prefix, archive))
    }
}

/// Whether a node is believed when it says that a reference was given to it.
///
/// References to actors of other nodes need no belief: those nodes check what comes. A reference to an actor of this
/// very core is compared with the actor. What is left are references to this node's other cores and clients, and to
/// actors that are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief(bool);

impl Belief {
    /// A message with a reference that cannot be compared is refused.
    pub const NONE: Belief = Belief(false);

    /// What cannot be compared is believed.
    ///
    /// # Safety
    /// The node must be known to run this runtime and to pass on only references that it was given, for the type of
    /// message that they were given for: a forged one would let safe code pass one type off as another. That it holds
    /// the system's key is what vouches for it.
    pub const unsafe fn in_references() -> Belief {
        Belief(true)
    }

    pub(crate) const fn new(believed: bool) -> Belief {
        Belief(believed)
    }

    /// Whether it is believed.
    pub const fn is_believed(self) -> bool {
        self.0
    }
}

/// What is known of a type of message where its name is no longer in the code: at an actor, a port or a question that
/// gets bytes from another node.
pub(crate) struct MessageInfo {
    pub name: &'static str,
    pub fingerprint: u64,
    check: fn(&[u8], &dyn References) -> Result<(), Malformed>,
}

impl MessageInfo {
    pub const fn of<M: LocalMessage>() -> &'static MessageInfo {
        InfoOf::<M>::INFO
    }

    /// Whether the bytes may be read as such a message.
    pub fn check(&self, archive: &[u8], references: &dyn References) -> Result<(), Malformed> {
        (self.check)(archive, references)
    }
}

impl std::fmt::Debug for MessageInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

struct InfoOf<M>(std::marker::PhantomData<M>);

impl<M: LocalMessage> InfoOf<M> {
    const INFO: &'static MessageInfo = &MessageInfo {
        name: M::NAME,
        fingerprint: M::FINGERPRINT,
        // SAFETY: nothing is read here; who reads later has asked `references` about what the bytes cannot show.
        check: |archive, references| unsafe { check::<M>(archive, references) }.map(drop),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read_as_it_was_written() {
        let prefix = ForeignPrefix { fingerprint: u64::MAX - 1, core: 7, sender: 0x8001, word: 9 };
        let mut payload = prefix.to_bytes().to_vec();
        assert_eq!(ForeignPrefix::split(&payload), None, "a message is never empty");
        payload.push(3);
        assert_eq!(ForeignPrefix::split(&payload), Some((prefix, &[3][..])));
        assert_eq!(ForeignPrefix::split(&payload[..15]), None);
    }
}
