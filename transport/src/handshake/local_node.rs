//! What a node says of itself in its handshakes.

use thiserror::Error;

use mainspring::address::CLIENT_CORE_BASE;

use super::hello::{NAME_LIMIT_BYTES, is_name};
use super::version::VersionRange;
use crate::wire::{Lane, ORDINARY_LIMIT_BYTES};

/// The least that a node may take as the payload of one frame: a control frame must fit.
pub const FRAME_LIMIT_MINIMUM_BYTES: u32 = 4_096;

/// A feature: the node takes large messages on the bulk lane, and makes the connection for them when it is asked to.
pub const FEATURE_BULK: u64 = 1 << 1;

/// A node, as it presents itself. Equal for all connections of one life of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalNode {
    /// Nodes of different systems do not talk to each other. 1 to 64 bytes.
    pub system: String,
    /// The node's name, for logs. 1 to 64 bytes.
    pub name: String,
    /// Tells the node from all others, over all its lives.
    pub node_id: u128,
    /// This life of the node, as its references to actors have it; not 0.
    pub incarnation: u32,
    /// When this life began, in nanoseconds since 1970: of two lives of one node the later one counts.
    pub started_at_ns: u64,
    /// Cores of the node.
    pub cores: u16,
    /// The longest payload of a frame that the node takes on the ordinary lane.
    pub max_frame_bytes: u32,
    /// Bytes that a peer may send on a connection before it has credit for more.
    pub initial_credit_bytes: u64,
    /// Whether messages must carry checksums, both ways.
    pub checksums: bool,
    /// Versions that the node speaks.
    pub versions: VersionRange,
    /// What the node can do beyond its version, one bit each: [`FEATURE_BULK`].
    pub features: u64,
}

/// What an initiator wants of the connection that it dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled {
    /// What the connection is for.
    pub lane: Lane,
    /// Which of the lane's connections it is.
    pub index: u16,
    /// The life of the node that is to answer; 0 for any.
    pub expected_incarnation: u32,
}

/// A node that cannot present itself so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LocalNodeError {
    /// A name that is empty, too long or not printable.
    #[error(
        "the {what} {name:?} is not of 1 to {NAME_LIMIT_BYTES} bytes without control characters"
    )]
    Name {
        /// Which of the two.
        what: &'static str,
        /// What it is.
        name: String,
    },
    /// An incarnation of 0.
    #[error("the incarnation is 0, which stands for any; draw another")]
    Incarnation,
    /// A number of cores that no node has.
    #[error("{cores} cores; a node has from 1 to {}", CLIENT_CORE_BASE - 1)]
    Cores {
        /// What was given.
        cores: u16,
    },
    /// Frames that are too short for the connection's own.
    #[error("max_frame_bytes is {max_frame_bytes}; at least {FRAME_LIMIT_MINIMUM_BYTES}")]
    FrameLimit {
        /// What was given.
        max_frame_bytes: u32,
    },
    /// A range of versions that is empty.
    #[error("versions {versions} are none")]
    Versions {
        /// What was given.
        versions: VersionRange,
    },
}

impl LocalNode {
    /// A node with the usual limits.
    pub fn new(system: &str, name: &str, node_id: u128, incarnation: u32, cores: u16) -> LocalNode {
        LocalNode {
            system: system.to_owned(),
            name: name.to_owned(),
            node_id,
            incarnation,
            started_at_ns: 0,
            cores,
            max_frame_bytes: ORDINARY_LIMIT_BYTES,
            initial_credit_bytes: u64::from(ORDINARY_LIMIT_BYTES),
            checksums: false,
            versions: VersionRange::CURRENT,
            features: 0,
        }
    }

    /// Whether peers will understand it.
    ///
    /// # Errors
    ///
    /// [`LocalNodeError`] says which field cannot be so.
    pub fn check(&self) -> Result<(), LocalNodeError> {
        for (what, name) in [("system's name", &self.system), ("node's name", &self.name)] {
            if !is_name(name) {
                return Err(LocalNodeError::Name { what, name: name.clone() });
            }
        }
        let LocalNode { cores, max_frame_bytes, versions, .. } = *self;
        if self.incarnation == 0 {
            return Err(LocalNodeError::Incarnation);
        }
        if !is_number_of_cores(cores) {
            return Err(LocalNodeError::Cores { cores });
        }
        if max_frame_bytes < FRAME_LIMIT_MINIMUM_BYTES {
            return Err(LocalNodeError::FrameLimit { max_frame_bytes });
        }
        if versions.oldest > versions.newest {
            return Err(LocalNodeError::Versions { versions });
        }
        Ok(())
    }
}

pub(super) fn is_number_of_cores(cores: u16) -> bool {
    (1..CLIENT_CORE_BASE).contains(&cores)
}

#[test]
fn a_node_that_no_peer_would_understand_is_refused() {
    let good = LocalNode::new("bank", "n1", 1, 2, 3);
    assert_eq!(good.check(), Ok(()));
    let versions = VersionRange {
        oldest: super::version::Version { major: 1, minor: 1 },
        newest: super::version::CURRENT_VERSION,
    };
    for bad in [
        LocalNode { system: String::new(), ..good.clone() },
        LocalNode { system: "x".repeat(NAME_LIMIT_BYTES + 1), ..good.clone() },
        LocalNode { name: "a\nb".into(), ..good.clone() },
        LocalNode { incarnation: 0, ..good.clone() },
        LocalNode { cores: 0, ..good.clone() },
        LocalNode { cores: CLIENT_CORE_BASE, ..good.clone() },
        LocalNode { max_frame_bytes: FRAME_LIMIT_MINIMUM_BYTES - 1, ..good.clone() },
        LocalNode { versions, ..good.clone() },
    ] {
        let error = bad.check().expect_err("no peer would understand it");
        assert_eq!(error.to_string().lines().count(), 1);
    }
}
