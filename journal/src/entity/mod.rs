//! What actors on a core's journal have in common, whatever their state is made of.
//!
//! [`EntityId`] names an entity. The rest is for the actors of [`sourced`](crate::sourced) and
//! [`durable`](crate::durable): how they find the core's journal, wait for their records, read them back, and what they
//! do when records are durable.
//!
//! Invariants: what is to happen when records are durable happens once or, after a failure, not at all; an actor that
//! waits for records or reads them takes no commands. Which core of its node an actor runs on makes no difference to
//! either.

mod afar;
mod attached;
mod entity_id;
mod steps;

pub(crate) use attached::{Attached, Offered, ReadingGuard, fail_next, retake, shard_of};
pub use entity_id::EntityId;
pub(crate) use steps::{End, Steps};
