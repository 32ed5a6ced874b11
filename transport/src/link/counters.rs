//! What is counted of a link. Numbers only rise; they are of one link between two nodes, over all its connections.

use super::credit::Volume;

/// Counters of one link at one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Given to sockets: frames of users and pieces of large messages.
    pub sent: Volume,
    /// Come from sockets: the same.
    pub received: Volume,
    /// Reported as consumed by the peer.
    pub consumed: Volume,
    /// Sent on connections that ended before the peer reported it as consumed.
    pub maybe_lost: Volume,
    /// Refused because too much waited for the peer.
    pub refused: Volume,
    /// Dropped here as dead letters: nobody to give them to, a type that is read differently, or no link.
    pub dead_letters: Volume,
    /// Connections that came to stand.
    pub connections: u64,
    /// Connections that ended.
    pub disconnections: u64,
    /// Attempts that came to nothing.
    pub failed_dials: u64,
    /// Connections closed because another one had their place.
    pub duplicates: u64,
    /// Handshakes that this node refused.
    pub refused_handshakes: u64,
    /// Connections ended because the peer sent what no node sends.
    pub protocol_errors: u64,
    /// Control frames that were sent again.
    pub control_resent: u64,
    /// Control frames that came again.
    pub control_duplicates: u64,
    /// Large messages that were refused.
    pub refused_large_messages: u64,
}

impl LinkCounters {
    /// Both together, for a sum over cores or links.
    #[must_use]
    pub fn plus(self, other: LinkCounters) -> LinkCounters {
        let volume = |a: Volume, b: Volume| Volume {
            bytes: a.bytes.saturating_add(b.bytes),
            frames: a.frames.saturating_add(b.frames),
        };
        LinkCounters {
            sent: volume(self.sent, other.sent),
            received: volume(self.received, other.received),
            consumed: volume(self.consumed, other.consumed),
            maybe_lost: volume(self.maybe_lost, other.maybe_lost),
            refused: volume(self.refused, other.refused),
            dead_letters: volume(self.dead_letters, other.dead_letters),
            connections: self.connections + other.connections,
            disconnections: self.disconnections + other.disconnections,
            failed_dials: self.failed_dials + other.failed_dials,
            duplicates: self.duplicates + other.duplicates,
            refused_handshakes: self.refused_handshakes + other.refused_handshakes,
            protocol_errors: self.protocol_errors + other.protocol_errors,
            control_resent: self.control_resent + other.control_resent,
            control_duplicates: self.control_duplicates + other.control_duplicates,
            refused_large_messages: self.refused_large_messages + other.refused_large_messages,
        }
    }
}
