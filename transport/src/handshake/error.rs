//! How a handshake fails.

use thiserror::Error;

use super::refusal::{RefusalReason, refusal};

/// A handshake that failed. The connection is to be closed after [`answer`](Self::answer) was sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// Whoever is there is no mainspring node. It is told nothing.
    #[error("what came is no handshake; something else than a mainspring node is at the other end")]
    Garbage,
    /// This node does not want the connection.
    #[error("refused the peer: {reason} ({detail})")]
    Refused {
        /// Why.
        reason: RefusalReason,
        /// What exactly was found.
        detail: String,
    },
    /// The peer does not want the connection.
    #[error("the peer refused: {reason} (it says {text:?})")]
    RefusedByPeer {
        /// Why.
        reason: RefusalReason,
        /// The peer's own words.
        text: String,
    },
}

impl HandshakeError {
    /// What to send before the connection is closed, so that the peer can log the reason too.
    pub fn answer(&self) -> Option<Vec<u8>> {
        match self {
            HandshakeError::Refused { reason, detail } => Some(refusal(*reason, detail)),
            HandshakeError::Garbage | HandshakeError::RefusedByPeer { .. } => None,
        }
    }

    /// The reason, if it was a refusal by either side.
    pub fn reason(&self) -> Option<RefusalReason> {
        match self {
            HandshakeError::Refused { reason, .. }
            | HandshakeError::RefusedByPeer { reason, .. } => Some(*reason),
            HandshakeError::Garbage => None,
        }
    }

    pub(super) fn refused(reason: RefusalReason, detail: impl Into<String>) -> HandshakeError {
        HandshakeError::Refused { reason, detail: detail.into() }
    }
}
