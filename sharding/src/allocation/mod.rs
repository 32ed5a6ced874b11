//! Which shard is to go to which core of which node.
//!
//! An [`Allocator`] is shown who is a member and where the shards of a type are ([`Survey`]), and answers with
//! [`Assignment`]s, which the caller has made: by a takeover where the owner is surely gone, else by the hand-off
//! machine. In this order:
//!
//! 1. shards that nobody owns, or whose owner is surely gone, are placed, also while others move;
//! 2. moves that somebody asked for ([`move_shard`](Allocator::move_shard));
//! 3. shards leave nodes that leave, nodes and cores that are drained, and nodes without the role;
//! 4. nodes, and then the cores of each, are brought to the same number of shards.
//!
//! A shard goes to a node that does not leave; of these to one of the highest application version ([`AppVersion`]), so
//! that a rolling upgrade moves it once; of these to the one with the fewest shards, there to the core with the fewest.
//! With [`on_oldest`](AllocationSettings::on_oldest) the age decides before the number of shards, and 4 is left out.
//! A place gets nothing if its node lacks the role, is not reached, is not up (a leaving node is the last resort of 1),
//! or is drained.
//!
//! Balancing is what Apache Pekko calls "least shard allocation" in its newer form (`LeastShardAllocationStrategy`):
//! with S shards on R nodes the optimum is ⌈S/R⌉; what a node has above it goes to those that have less, and while some
//! node has at least two less than the optimum, those that have the optimum give one each. Pekko does the second in the
//! next round. Here both are one: from the fullest to the emptiest until they differ by one at most, which is the same
//! number of moves. So without a limit of moves one round is enough, and with a limit of m a round that has x to move
//! takes ⌈x/m⌉. Nodes count alike, however many cores they have.
//!
//! Promises: never more assignments under way than the settings say; a round of 4 has no more moves than the settings
//! say, and there is none before its time, while anything moves, or while members join, cannot be reached, are going
//! down, or run different versions; a plan for a balanced cluster is empty; the same calls give the same assignments.
//! It refuses nothing that a survey may hold: a shard of a node that it does not know stays where it is until somebody
//! says that this node is surely gone.
//!
//! ```
//! use std::collections::BTreeSet;
//! use mainspring_sharding::allocation::{AllocationSettings, Allocator, NodeStanding, NodeStatus, Survey};
//! use mainspring_sharding::ownership::Place;
//!
//! let node = |incarnation| NodeStanding {
//!     incarnation,
//!     cores: 1,
//!     status: NodeStatus::Up,
//!     has_role: true,
//!     app_version: "1.4.0",
//!     is_reachable: true,
//!     up_number: Some(incarnation),
//! };
//! let none = BTreeSet::new();
//! let mut allocator = Allocator::new(AllocationSettings::default())?;
//! // Node 7 has a shard, another one has no owner, and node 8 has come.
//! let homes = [Some(Place { incarnation: 7, core: 0 }), None];
//! let survey = Survey { nodes: &[node(7), node(8)], homes: &homes, moving: &none, absent: &BTreeSet::new() };
//! let assignments = allocator.plan(0, &survey);
//! assert_eq!((assignments[0].shard, assignments[0].to.incarnation), (1, 8));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocator;
mod app_version;
mod balance;
mod settings;
mod standing;
mod survey;
mod wish;

pub use allocator::{Allocator, Assignment, Reason};
pub use app_version::AppVersion;
pub use settings::{AllocationSettings, AllocationSettingsError};
pub use survey::{NodeStanding, NodeStatus, Survey};
pub use wish::{DrainError, WishError};

#[cfg(test)]
mod tests;
