//! Actors found by the service that they offer, on all nodes of the cluster.
//!
//! The machine is [`Registrations`]. Each node writes its own registrations and nobody else's; every other node has a
//! copy of them, which is made newer by numbered changes, so copies of the same version are the same.
//!
//! What it promises: when nodes reach each other, their views become the same; a view never holds what its node did not
//! register; an actor that ends is taken out by its node, and a node that is removed takes all of its entries with it.
//! What it refuses to do: to be exact at any instant. A listing may hold an actor that has ended meanwhile, and what is
//! sent to it is a dead letter.
//!
//! Bounds: [`ENTRY_LIMIT`] and those beside it.
//!
//! After the receptionist of Akka (Pekko, `Receptionist`), with a column for each node in the place of replicated sets.

mod column;
mod limits;
mod message;
mod registrations;

pub use column::{Change, Changes, Column, Registered, Update, UpdateRefusal};
pub use limits::{
    CHANGE_LIMIT, COLUMNS_AN_ANSWER, ENTRY_LIMIT, LISTING_LIMIT, NAME_LIMIT_BYTES, REMOVAL_LIMIT,
    SUBSCRIPTION_LIMIT,
};
pub use message::{Input, Message, Output, RegisterError, ServiceName};
pub use registrations::{Counters, Registrations, Settings};

#[cfg(test)]
mod proof;
