//! Why a message was not routed, and why a router has not got its routees.

use mainspring::prelude::*;

/// Why a message was not routed to whom it was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// There is nobody who could take it. Nothing was sent.
    #[error("the router has no routees; give it some, or send again when the listing has any")]
    NoRoutees,
    /// The routee that was chosen was not told. Nothing was sent.
    #[error("the routee {routee} was not told: {reason}")]
    NotTold {
        /// Which one.
        routee: Address,
        /// Why.
        reason: TellError,
    },
    /// Of all routees, some were told and some were not.
    #[error("{not_told} of {routees} routees were not told, the last of them because {reason}")]
    NotAllTold {
        /// How many were not.
        not_told: usize,
        /// How many there are.
        routees: usize,
        /// Why the last of them was not.
        reason: TellError,
    },
}

/// More routees than a router may have. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{routees} routees are more than a router may have, which is {limit}; use several routers")]
pub struct TooManyRoutees {
    /// How many there would be.
    pub routees: usize,
    /// How many there may be.
    pub limit: usize,
}

/// Why a pool was not started. The children that were made are stopped again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// More than a router may have.
    #[error(transparent)]
    TooMany(#[from] TooManyRoutees),
    /// The core has no room for them.
    #[error("a pool was not started: {0}")]
    Spawn(#[from] SpawnError),
}
