//! Why a node does not want a connection.

use std::fmt;

use super::message::Kind;

/// The longest text of a refusal.
pub const REFUSAL_TEXT_LIMIT_BYTES: usize = 256;

/// Why a connection is not wanted. Both sides log it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// A message that is none, or not the one that is due.
    Malformed,
    /// No version of the protocol that both speak.
    Version,
    /// The nodes belong to different systems.
    System,
    /// Both sides have one node id: a node has dialled itself, or two were given the same id.
    SelfConnect,
    /// The initiator dialled an earlier or a later life of the responder.
    OtherIncarnation,
    /// A later life of the peer is known already.
    OlderIncarnation,
    /// The peer's incarnation is quarantined until one of the two nodes is restarted.
    Quarantined,
    /// Another node has the same incarnation. One of the two must be restarted, and draws another.
    DuplicateIncarnation,
    /// Archives are laid out differently.
    Format,
    /// The peer does not hold the key.
    ProofWrong,
    /// This node has a key, the peer has none.
    KeyWanted,
    /// This node has no key, the peer has one.
    KeyNotWanted,
    /// The handshake took too long.
    TooSlow,
    /// As many connections as the node's limit allows.
    TooManyConnections,
    /// The two nodes dialled each other at once; the other connection stays.
    Duplicate,
    /// As many nodes are known as the limit allows.
    TooManyNodes,
    /// The node shuts down.
    Shutdown,
    /// A reason that this version does not know.
    Other(u8),
}

/// The reasons with a name, their numbers, and what they tell a person.
const CODES: [(RefusalReason, u8, &str); 17] = [
    (RefusalReason::Malformed, 1, "a message that is none, or not the one that is due"),
    (RefusalReason::Version, 2, "no common version of the protocol; upgrade the older node"),
    (RefusalReason::System, 3, "another system; check the address and the system's name"),
    (
        RefusalReason::SelfConnect,
        4,
        "one node id on both sides; a node dialled itself, or two share an id",
    ),
    (RefusalReason::OtherIncarnation, 5, "the node that was dialled has been restarted"),
    (RefusalReason::OlderIncarnation, 6, "a later life of this node is known already"),
    (RefusalReason::Quarantined, 7, "quarantined until one of the two nodes is restarted"),
    (
        RefusalReason::DuplicateIncarnation,
        8,
        "another node has the same incarnation; restart one of the two, it draws another",
    ),
    (RefusalReason::Format, 9, "archives are laid out differently; build both with one format"),
    (RefusalReason::ProofWrong, 10, "the keys differ; give both nodes the same key file"),
    (RefusalReason::KeyWanted, 11, "the node that was refused has no key; give it the key file"),
    (RefusalReason::KeyNotWanted, 12, "the node that refused has no key; give it the key file"),
    (RefusalReason::TooSlow, 13, "the handshake took too long"),
    (RefusalReason::TooManyConnections, 14, "as many connections as the limit allows"),
    (RefusalReason::Duplicate, 15, "both nodes dialled, the other connection stays"),
    (RefusalReason::TooManyNodes, 16, "as many nodes are known as the limit allows"),
    (RefusalReason::Shutdown, 17, "the node shuts down"),
];

impl RefusalReason {
    /// The reason's number on the wire.
    pub fn code(self) -> u8 {
        match self {
            RefusalReason::Other(code) => code,
            named => CODES.iter().find(|(reason, ..)| *reason == named).map_or(0, |row| row.1),
        }
    }

    /// The reason with that number. Numbers that this version does not know are kept: it is a refusal anyway.
    pub fn from_code(code: u8) -> RefusalReason {
        let named = CODES.iter().find(|row| row.1 == code).map(|row| row.0);
        named.unwrap_or(RefusalReason::Other(code))
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.iter().find(|(reason, ..)| reason == self) {
            Some((_, _, text)) => f.write_str(text),
            None => write!(f, "reason {}, which this version does not know", self.code()),
        }
    }
}

/// The message that refuses a connection, also one whose handshake was not begun. `text` may add details and is cut
/// at [`REFUSAL_TEXT_LIMIT_BYTES`].
pub fn refusal(reason: RefusalReason, text: &str) -> Vec<u8> {
    let cut = text.floor_char_boundary(REFUSAL_TEXT_LIMIT_BYTES);
    let mut body = vec![reason.code()];
    body.extend_from_slice(&text.as_bytes()[..cut]);
    Kind::Refused.message(&body)
}
