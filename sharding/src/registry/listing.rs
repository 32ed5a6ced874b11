//! Who offers a service, as one node knows it.

use mainspring::message::{AnyRef, Message};
use mainspring::prelude::*;

/// The actors of a service: those that their nodes have registered and that this node can reach, by address. With more
/// than [`LISTING_LIMIT`](super::LISTING_LIMIT) of them, the first.
#[message(name = "mainspring.registry.listing")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The service.
    pub name: String,
    /// The fingerprint of what its actors take.
    pub fingerprint: u64,
    /// Its actors.
    pub actors: Vec<AnyRef>,
}

/// A listing is of actors that take other messages than they are wanted for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the actors of {name:?} do not take messages of type {wanted}; use the key by which they were \
     registered"
)]
pub struct OtherMessages {
    /// The service.
    pub name: String,
    /// What was wanted.
    pub wanted: &'static str,
}

impl Listing {
    /// Its actors, with their type.
    ///
    /// # Errors
    /// [`OtherMessages`].
    pub fn actors<M: Message>(&self) -> Result<Vec<ActorRef<M>>, OtherMessages> {
        typed(&self.name, self.fingerprint, &self.actors)
    }
}

impl ArchivedListing {
    /// As [`Listing::actors`].
    ///
    /// # Errors
    /// As [`Listing::actors`].
    pub fn actors<M: Message>(&self) -> Result<Vec<ActorRef<M>>, OtherMessages> {
        typed(self.name.as_str(), self.fingerprint.to_native(), self.actors.as_slice())
    }
}

fn typed<M: Message>(
    name: &str,
    fingerprint: u64,
    actors: &[AnyRef],
) -> Result<Vec<ActorRef<M>>, OtherMessages> {
    let other = || OtherMessages { name: name.to_owned(), wanted: M::NAME };
    if fingerprint != M::FINGERPRINT {
        return Err(other());
    }
    actors.iter().map(|actor| actor.typed().ok_or_else(other)).collect()
}
