//! What the two nodes tell each other.

use mainspring::prelude::*;

/// Who answers balls, by this name.
pub const WALL: &str = "wall";

/// Who takes the stream, by this name.
pub const DRAIN: &str = "drain";

/// Handed to and fro.
#[message]
pub struct Ball {
    /// Counts up.
    pub number: u64,
    /// Who gets it back.
    pub from: ActorRef<Ball>,
    /// As large as was asked for.
    pub payload: Vec<u8>,
}

/// One of a stream.
#[message]
pub struct Item {
    /// Counts up from 0 in each stream.
    pub number: u64,
    /// Who is told how far the stream has come.
    pub from: ActorRef<Progress>,
    /// Whether it is to be told now.
    pub wants_progress: bool,
    /// As large as was asked for.
    pub payload: Vec<u8>,
}

/// How far a stream has come.
#[message]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many items were taken, in order.
    pub taken: u64,
    /// So many were not the one that was to come next.
    pub out_of_order: u64,
}
