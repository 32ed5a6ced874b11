//! Actors found by the service that they offer, on all nodes of the cluster.
//!
//! A program puts a [`Registry`] onto its node, registers actors under a [`ServiceKey`] through the [`RegistryHandle`],
//! and finds them, or subscribes to a [`Listing`] of them, anywhere in the cluster.
//!
//! ```
//! use std::time::Duration;
//! use mainspring::prelude::*;
//! use mainspring_sharding::registry::{Registry, ServiceKey};
//!
//! #[message]
//! pub struct Pay {
//!     pub cents: u64,
//! }
//!
//! struct Till {
//!     registry: mainspring_sharding::registry::RegistryHandle,
//! }
//!
//! impl Actor for Till {
//!     type Message = Pay;
//!
//!     fn started(&mut self, ctx: &mut Context<Self>) -> Next<Self> {
//!         let me = ctx.me();
//!         match self.registry.register(ctx, &ServiceKey::new("pay"), me) {
//!             Ok(()) => Next::Same,
//!             Err(_) => Next::Stop,
//!         }
//!     }
//!
//!     fn receive(&mut self, _: &mut Context<Self>, _: &Archived<Pay>) -> Next<Self> {
//!         Next::Same
//!     }
//! }
//!
//! // On a node of a cluster: Registry::of(cluster.handle()).
//! let registry = Registry::alone();
//! let handle = registry.handle();
//! let node = Node::builder().cores(Cores::count(1)).with(registry).start()?;
//! let of_till = handle.clone();
//! let till = node.spawn(move || Till { registry: of_till.clone() })?;
//! let pay = ServiceKey::<Pay>::new("pay");
//! let second = Duration::from_secs(1);
//! assert_eq!(handle.find(&node.client(), &pay, second)?, [till]);
//! node.shutdown(second)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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

mod actor;
mod column;
mod handle;
mod limits;
mod listing;
mod message;
mod registrations;
mod service_key;
mod wire;

pub use column::{Change, Changes, Column, Registered, Update, UpdateRefusal};
pub use handle::{Registry, RegistryError, RegistryHandle};
pub use limits::{
    CHANGE_LIMIT, COLUMNS_AN_ANSWER, ENTRY_LIMIT, LISTING_LIMIT, NAME_LIMIT_BYTES, REMOVAL_LIMIT,
    SUBSCRIPTION_LIMIT,
};
pub use listing::{ArchivedListing, Listing, OtherMessages};
pub use message::{Input, Message, Output, RegisterError, ServiceName};
pub use registrations::{Counters, Registrations, Settings};
pub use service_key::ServiceKey;
pub use wire::{RegisterOutcome, RegistryRequest, Row, WholeColumn, Word};

#[cfg(test)]
mod proof;
