//! What a node knows of its peer when the handshake is over.

use super::hello::Hello;
use super::local_node::LocalNode;
use super::machine::Role;
use super::version::Version;
use crate::wire::{Decoder, Lane};

/// The other end of an open connection, and what both have agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What this node was: whether it dialled or was dialled.
    pub role: Role,
    /// Tells the peer from all other nodes, over all its lives.
    pub node_id: u128,
    /// Its name, for logs.
    pub name: String,
    /// This life of it.
    pub incarnation: u32,
    /// When its life began, in nanoseconds since 1970, by its own clock.
    pub started_at_ns: u64,
    /// How many cores it has.
    pub cores: u16,
    /// What the connection is for.
    pub lane: Lane,
    /// Which of the lane's connections it is.
    pub index: u16,
    /// Whether it has proved that it holds a key of this node, or a certificate of the system.
    pub authenticated: bool,
    /// The version that both speak.
    pub version: Version,
    /// What both can do beyond that version, one bit each.
    pub features: u64,
    /// Whether messages carry checksums, both ways.
    pub checksums: bool,
    /// The longest payload that it takes on this connection.
    pub max_frame_bytes: u32,
    /// The longest payload that it takes on ordinary connections, whichever this is.
    pub ordinary_frame_bytes: u32,
    /// Bytes that may be sent to it at first.
    pub initial_credit_bytes: u64,
    /// The longest payload that this node takes on this connection.
    pub own_max_frame_bytes: u32,
}

impl Peer {
    pub(super) fn of(hello: Hello, local: &LocalNode, role: Role, version: Version) -> Peer {
        let on_this_lane = |ordinary_bytes: u32| match hello.lane {
            Lane::Ordinary => ordinary_bytes,
            lane => lane.limit_bytes(),
        };
        Peer {
            role,
            node_id: hello.node_id,
            incarnation: hello.incarnation,
            started_at_ns: hello.started_at_ns,
            cores: hello.cores,
            lane: hello.lane,
            index: hello.index,
            authenticated: hello.has_key,
            version,
            features: hello.features & local.features,
            checksums: hello.checksums || local.checksums,
            max_frame_bytes: on_this_lane(hello.max_frame_bytes),
            ordinary_frame_bytes: hello.max_frame_bytes,
            initial_credit_bytes: hello.initial_credit_bytes,
            own_max_frame_bytes: on_this_lane(local.max_frame_bytes),
            name: hello.name,
        }
    }

    /// The decoder for what comes from this peer on this connection.
    pub fn decoder(&self) -> Decoder {
        Decoder::new(self.lane).with_limit(self.own_max_frame_bytes).with_checksums(self.checksums)
    }
}
