//! Who belongs to the cluster, as one node sees it.
//!
//! [`Membership`] is a state machine: it takes the time and an [`Input`] and pushes [`Output`]s; it has no thread, no
//! clock and no socket, and its randomness comes from a seed. The same inputs give the same outputs.
//!
//! 1. A node asks its seeds to be let in, and goes on asking; the first seed begins the cluster when no other seed has
//!    one. Who differs in a value that all have to agree on is refused, and the value is named.
//! 2. Nodes give each other their view ([`Gossip`]): members, who does not reach whom, who was removed, and who has
//!    seen exactly this. A vector clock says which of two views is newer; when neither is, they are merged.
//! 3. A view has *converged* when every member that is up or leaving has seen it and nobody is unreachable but those on
//!    the way out. Then the leader, the first by address, lets members in, lets them exit, and removes them.
//! 4. A removed member leaves a tombstone, and no old view brings it back. Its node comes back as another incarnation.
//! 5. Each member listens to the hearts of the next nine in a ring; a phi-accrual [`Detector`] says when a silence is
//!    too long, and the member marks the silent one as unreachable for all to see, until it answers again.
//!
//! What it promises: views of nodes that reach each other become the same; a member only takes the steps that
//! [`Status::may_become`] allows; clock entries are never more than members. What it refuses to do: to give up a member
//! by itself. That is a decision with a view of the whole ([`Input::Down`]).
//!
//! What it asks for: incarnations of an address rise. Messages may be lost, doubled, late and in another order.
//!
//! Bounds: [`MEMBER_LIMIT`], [`TOMBSTONE_LIMIT`] and the others beside them; a message that breaks one is dropped and
//! counted, or answered with a reason. One step sends at most a few messages for every member.
//!
//! After Akka's cluster membership (Pekko, module `cluster`), with digests when nothing is new, and a preference for
//! those who have not seen a view that is a real probability.

mod detector;
mod gossip;
mod heartbeat;
mod join;
mod leader;
mod machine;
mod member;
mod message;
mod reachability;
mod settings;
mod vector_clock;
mod views;

pub use detector::{Detector, DetectorSettings};
pub use gossip::{Gossip, GossipError};
pub use machine::{Counters, Membership};
pub(crate) use member::ArchivedStatus;
pub use member::{Member, MemberId, Status};
pub use message::{ClusterMessage, Event, Input, NackReason, Output, StopReason};
pub use reachability::{Reachability, Row, Standing};
pub use settings::{
    CONFIGURATION_LIMIT, MEMBER_LIMIT, NAME_LIMIT_BYTES, ROLE_LIMIT, SEED_LIMIT, Settings,
    SettingsError, TOMBSTONE_LIMIT,
};
pub use vector_clock::{ClockOrder, VectorClock};

#[cfg(test)]
mod proof;
