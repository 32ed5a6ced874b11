//! One message to one of many actors, or to all: routers.
//!
//! A [`Router`] is a value inside an actor: it chooses a *routee* and the actor tells it directly, without a hop. Where
//! a reference to the router itself has to travel in messages, a [`RouterActor`] is an actor around one; it reads each
//! message and writes it anew, which is the price of that.
//!
//! Routees are a *pool* (children of the actor that has the router: [`Pool`]) or a *group* (actors that somebody else
//! made). Which one gets a message is the [`Strategy`]: in
//! turn, at random, by a hash of the message, the least loaded, or all.
//!
//! What it promises: a router without routees refuses and counts; it never keeps a message. Two routers with the same
//! routees give the same key to the same routee ([`Strategy::ConsistentHash`]), on any node. What it refuses to do: to
//! try another routee when one cannot be told. It says so instead, because only the sender knows whether order matters.
//!
//! Bounds: [`ROUTEE_LIMIT`] routees.

mod error;
mod hash_ring;
mod pool;
mod router;
mod router_actor;
mod routing;
mod strategy;

pub use error::{PoolError, RouteError, TooManyRoutees};
pub use hash_ring::{HashRing, POINTS_A_MEMBER};
pub use pool::Pool;
pub use router::{Router, RouterFigures};
pub use router_actor::{Finished, ReportFigures, Routees, RouterActor, RouterPorts};
pub use routing::{Choice, Routing, RoutingRule};
pub use strategy::Strategy;

/// Most routees of one router.
pub const ROUTEE_LIMIT: usize = 1_024;

#[cfg(test)]
mod tests;
