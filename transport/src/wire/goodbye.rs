//! Why a node ends a connection.

use std::fmt;

/// The longest text of a goodbye.
pub const GOODBYE_TEXT_LIMIT_BYTES: usize = 256;

/// Why a connection ends: the last thing that its node says, logged by both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GoodbyeReason {
    /// The node shuts down.
    Shutdown,
    /// The peer sent what no peer may send.
    ProtocolError,
    /// The peer's incarnation is quarantined until one of the two nodes is restarted.
    Quarantined,
    /// The peer took too little for too long.
    SlowPeer,
    /// The two nodes dialled each other at once; the other connection stays.
    Duplicate,
    /// A newer connection for the same place has come.
    Replaced,
    /// The peer was not heard for too long.
    Silent,
    /// Nothing was left to send on a connection that is made on demand.
    Idle,
    /// A reason that this version does not know.
    Other(u8),
}

/// The reasons with a name, and their numbers.
const CODES: [(GoodbyeReason, u8, &str); 8] = [
    (GoodbyeReason::Shutdown, 1, "the node shuts down"),
    (GoodbyeReason::ProtocolError, 2, "what came in is not allowed"),
    (GoodbyeReason::Quarantined, 3, "quarantined until one of the two nodes is restarted"),
    (GoodbyeReason::SlowPeer, 4, "too little was taken for too long"),
    (GoodbyeReason::Duplicate, 5, "both nodes dialled, the other connection stays"),
    (GoodbyeReason::Replaced, 6, "replaced by a newer connection"),
    (GoodbyeReason::Silent, 7, "nothing was heard for too long"),
    (GoodbyeReason::Idle, 8, "nothing left to send"),
];

impl GoodbyeReason {
    /// The reason's number on the wire.
    pub fn code(self) -> u8 {
        match self {
            GoodbyeReason::Other(code) => code,
            named => CODES.iter().find(|(reason, ..)| *reason == named).map_or(0, |row| row.1),
        }
    }

    /// The reason with that number. Numbers that this version does not know are kept: the connection ends anyway.
    pub fn from_code(code: u8) -> GoodbyeReason {
        let named = CODES.iter().find(|row| row.1 == code).map(|row| row.0);
        named.unwrap_or(GoodbyeReason::Other(code))
    }
}

impl fmt::Display for GoodbyeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODES.iter().find(|(reason, ..)| reason == self) {
            Some((_, _, text)) => f.write_str(text),
            None => write!(f, "reason {}, which this version does not know", self.code()),
        }
    }
}
