//! Entities of one type on all nodes of a cluster.
//!
//! | file | what |
//! |---|---|
//! | `neighbours` | who is in the cluster, and when this node may begin: the state machine of the door |
//! | `door` | the actor by which the regions of different nodes meet |
//! | `outland` | what is known of other nodes, for the door and the scheduler |
//! | `scheduler` | the actor that has shards moved, if its node leads, and asks the store for its node's regions |
//! | `requests` | what threads ask of a scheduler, and what they see of its node |
//! | `desk` | the questions to the ownership store, and the device that brings the answers |
//! | `keeper` | the records of owners where no store keeps them: the oldest member does |
//! | `keeping` | how a scheduler asks the oldest member, and is asked |
//! | `tenure` | until when the node may use what it owns |
//! | `settling` | what a region does when it hears of other nodes |

mod desk;
mod door;
mod keeper;
mod keeping;
mod neighbours;
mod outland;
mod requests;
mod scheduler;
mod settling;
mod tenure;

pub(super) use desk::{StoreDesk, StoreDevice};
pub(super) use door::Door;
pub(crate) use door::Introduction;
pub(super) use keeper::KEPT_SHARDS_LIMIT;
pub(super) use outland::Outland;
pub(super) use scheduler::{Scheduler, Source};
pub(crate) use tenure::Tenure;
