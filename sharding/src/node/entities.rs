//! The entities of one type, as a program has them.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainspring::message::{Enclosed, Message, Reply, Tagged};
use mainspring::node::Ask;
use mainspring::prelude::*;

use super::coordinator::{Directive, DrainBegun, MoveEnded};
use super::entity_ref::{EntityAddress, EntityRef};
use super::envelope::{Delivery, Envelope, FROM_OUTSIDE, RegionMessage};
use super::error::EntityTellError;
use super::figures::RegionFigures;
use super::hosting::Peers;
use super::type_board::TypeBoard;
use crate::entities::{EntityIdError, EntityKey, ShardCount, ToEntityKey};
use crate::ownership::Place;

/// What the cores of a node have in common of a type.
pub(crate) struct TypeShared<M> {
    pub peers: OnceLock<Arc<Peers<M>>>,
    pub coordinator: Arc<OnceLock<ActorRef<Directive>>>,
    pub board: Arc<TypeBoard>,
}

impl<M> TypeShared<M> {
    pub fn new(board: Arc<TypeBoard>) -> Self {
        TypeShared { peers: OnceLock::new(), coordinator: Arc::default(), board }
    }
}

/// The entities of one type: references to them, and the way to them for threads that are no cores.
pub struct Entities<M> {
    hash: u64,
    shard_count: ShardCount,
    shared: Arc<TypeShared<M>>,
}

impl<M> Clone for Entities<M> {
    fn clone(&self) -> Self {
        Entities {
            hash: self.hash,
            shard_count: self.shard_count,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M> fmt::Debug for Entities<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entities").field("shards", &self.shard_count.get()).finish_non_exhaustive()
    }
}

impl<M: Message> Entities<M> {
    pub(crate) fn new(hash: u64, shard_count: ShardCount, shared: Arc<TypeShared<M>>) -> Self {
        Entities { hash, shard_count, shared }
    }

    /// The hash of the type's name, by which a core finds its region.
    pub(crate) fn type_hash(&self) -> u64 {
        self.hash
    }

    /// The entity of an id, whether it runs or not.
    ///
    /// # Errors
    /// [`EntityIdError`]: it cannot be an id.
    pub fn entity(&self, id: impl ToEntityKey) -> Result<EntityRef<M>, EntityIdError> {
        let id = id.to_entity_key()?.as_bytes().to_vec();
        Ok(Tagged::new(EntityAddress { entity_type: self.hash, id }))
    }

    /// The shard of an id.
    ///
    /// # Errors
    /// [`EntityIdError`]: it cannot be an id.
    pub fn shard_of(&self, id: impl ToEntityKey) -> Result<u32, EntityIdError> {
        Ok(self.shard_count.shard_of(&id.to_entity_key()?))
    }

    /// How many shards the type has.
    pub fn shard_count(&self) -> u32 {
        self.shard_count.get()
    }

    /// Sends a message to an entity. Actors send by its [`EntityRef`].
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was sent.
    pub fn tell(
        &self,
        client: &Client,
        id: impl ToEntityKey,
        message: &M,
    ) -> Result<(), EntityTellError> {
        let (region, message) = self.addressed(&id.to_entity_key()?, message)?;
        Ok(client.tell(region, &message)?)
    }

    /// Asks an entity a question; see [`Client::ask`].
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    pub fn ask<R: Reply>(
        &self,
        client: &Client,
        id: impl ToEntityKey,
        request: impl FnOnce(ActorRef<R>) -> M,
        deadline: Duration,
    ) -> Result<Ask<R>, EntityTellError> {
        let key = id.to_entity_key()?;
        let region = self.region_for(&key)?;
        // A request that is too large leaves its place empty, and the region refuses what has none.
        let request = |reply_to| {
            let enclosed = Enclosed::of(&request(reply_to));
            (Envelope::Deliver(from_outside(&key)), enclosed.into_iter().collect())
        };
        Ok(client.ask(region, request, deadline))
    }

    /// The actor to which a message for an entity goes first, and the message as that actor takes it: for those who
    /// send in a way of their own.
    ///
    /// # Errors
    /// [`EntityTellError`]: the id cannot be one, or the node is not there.
    pub fn addressed(
        &self,
        key: &EntityKey<'_>,
        message: &M,
    ) -> Result<(ActorRef<RegionMessage<M>>, RegionMessage<M>), EntityTellError> {
        let enclosed = Enclosed::of(message)
            .map_err(|large| TellError::Oversized { limit_bytes: large.limit_bytes })?;
        let message = (Envelope::Deliver(from_outside(key)), vec![enclosed]);
        Ok((self.region_for(key)?, message))
    }

    /// Brings a shard to a core; the answer comes when it delivers there, or when it does not.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    pub fn move_shard(
        &self,
        client: &Client,
        shard: u32,
        to: u16,
        deadline: Duration,
    ) -> Result<Ask<MoveEnded>, EntityTellError> {
        let coordinator = self.coordinator().ok_or(EntityTellError::UnknownType)?;
        let to = self.place(to).ok_or(EntityTellError::UnknownType)?;
        let request = |reply_to| Directive::Move { shard, to, reply_to: Some(reply_to) };
        Ok(client.ask(coordinator, request, deadline))
    }

    /// Has all shards of a core go to others; the answer says how many begin to.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    pub fn drain_core(
        &self,
        client: &Client,
        core: u16,
        deadline: Duration,
    ) -> Result<Ask<DrainBegun>, EntityTellError> {
        let coordinator = self.coordinator().ok_or(EntityTellError::UnknownType)?;
        let place = self.place(core).ok_or(EntityTellError::UnknownType)?;
        let request = |reply_to| Directive::Drain { place, reply_to: Some(reply_to) };
        Ok(client.ask(coordinator, request, deadline))
    }

    /// Lets shards go to a drained core again.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was said.
    pub fn readmit_core(&self, client: &Client, core: u16) -> Result<(), EntityTellError> {
        let coordinator = self.coordinator().ok_or(EntityTellError::UnknownType)?;
        let place = self.place(core).ok_or(EntityTellError::UnknownType)?;
        Ok(client.tell(coordinator, &Directive::Readmit { place })?)
    }

    /// What the region of a core has counted.
    ///
    /// # Errors
    /// [`EntityTellError`]: there is no such core.
    pub fn figures(
        &self,
        client: &Client,
        core: u16,
        deadline: Duration,
    ) -> Result<Ask<RegionFigures>, EntityTellError> {
        let region = self.region(core).ok_or(EntityTellError::UnknownType)?;
        Ok(client.ask(region, |reply_to| self.ask_figures(reply_to), deadline))
    }

    /// The message that asks a [region](Self::region) for its figures: for those who send in a way of their own.
    pub fn ask_figures(&self, reply_to: ActorRef<RegionFigures>) -> RegionMessage<M> {
        (Envelope::Figures { reply_to }, Vec::new())
    }

    /// Who moves the shards of this type, once the node has started.
    pub fn coordinator(&self) -> Option<ActorRef<Directive>> {
        self.shared.coordinator.get().copied()
    }

    /// A core of this node as the place of shards, once the node has started.
    pub fn place(&self, core: u16) -> Option<Place> {
        Some(self.shared.peers.get()?.place(core))
    }

    /// The region of a core, once the node has started.
    pub fn region(&self, core: u16) -> Option<ActorRef<RegionMessage<M>>> {
        self.shared.peers.get()?.get(core)
    }

    /// Messages from outside for a shard always take the same way, so that they stay in order.
    fn region_for(
        &self,
        key: &EntityKey<'_>,
    ) -> Result<ActorRef<RegionMessage<M>>, EntityTellError> {
        let peers = self.shared.peers.get().ok_or(EntityTellError::UnknownType)?;
        let core = self.shard_count.shard_of(key) % u32::from(peers.cores().max(1));
        peers.get(core as u16).ok_or(EntityTellError::UnknownType)
    }
}

fn from_outside(key: &EntityKey<'_>) -> Delivery {
    Delivery { from: FROM_OUTSIDE, epoch: 0, way: 0, id: key.as_bytes().to_vec() }
}
