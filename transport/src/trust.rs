//! Who is believed about references: nodes that hold the system's key.
//!
//! A message from another node may hold references to this node's actors. Most of them the runtime compares with the
//! actors themselves; for the rest it has to believe the sender, and this is where that is decided.

use mainspring::peer::Belief;

use crate::handshake::Peer;

/// How far a peer's references are believed.
pub(crate) fn belief_in(peer: &Peer) -> Belief {
    if !peer.authenticated {
        return Belief::NONE;
    }
    // SAFETY: whoever proved that it holds the system's key is a node of the system: it runs this runtime, whose safe
    // code makes no references and passes on only those that it was given.
    unsafe { Belief::in_references() }
}
