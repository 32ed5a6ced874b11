//! Where a message for a shard goes: what is looked up for every message.

use crate::ownership::Epoch;

/// The way of a message that is sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route<H> {
    /// To an entity of this place.
    Here,
    /// To the owner, which is somewhere else, naming the epoch.
    There(H, Epoch),
    /// To the region, as [`Input::Arrived`](super::Input::Arrived): it parks the message.
    Park,
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Line<H> {
    /// For what is sent here.
    pub route: Route<H>,
    /// For what comes from other places: the epoch at which everything is delivered, or none.
    pub open_at: Epoch,
}
