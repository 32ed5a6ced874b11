//! References to entities: by type and id, wherever they live.

use std::time::Duration;

use mainspring::context::Asked;
use mainspring::message::{ArchivedTagged, LocalMessage, Message, Tagged};
use mainspring::prelude::*;

use super::error::EntityTellError;
use super::hosting;

/// The name of an entity among all types: what an [`EntityRef`] is made of.
#[message(name = "mainspring.entity_address")]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityAddress {
    /// The hash of the type's name.
    pub(crate) entity_type: u64,
    /// The bytes of the id.
    pub(crate) id: Vec<u8>,
}

/// Names an entity that takes messages `M`, wherever it lives and whether it runs or not. It travels inside messages.
///
/// [`EntityTarget`] sends to it, and to its archived form.
pub type EntityRef<M> = Tagged<EntityAddress, M>;

/// The form of an [`EntityRef`] in an archive.
pub type ArchivedEntityRef<M> = ArchivedTagged<EntityAddress, M>;

/// Something that names an entity: an [`EntityRef`] or its archived form.
///
/// The way costs a hash of the id and two looks into tables where the entity runs on the same core.
pub trait EntityTarget<M: Message> {
    /// The hash of the name of its type.
    fn entity_type(&self) -> u64;

    /// The bytes of its id.
    fn id(&self) -> &[u8];

    /// Sends a message to the entity, which is started if it is not running.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was sent and the turn goes on.
    #[inline]
    fn tell<A: Actor>(&self, ctx: &mut Context<'_, A>, message: &M) -> Result<(), EntityTellError> {
        hosting::tell(ctx, self.entity_type(), self.id(), message)
    }

    /// Asks the entity a question; see [`Context::ask`].
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    fn ask<'c, A, R, F>(
        &self,
        ctx: &'c mut Context<'_, A>,
        request: impl FnOnce(ActorRef<R>) -> M,
        deadline: Duration,
        then: F,
    ) -> Result<Asked<'c>, EntityTellError>
    where
        A: Actor,
        R: LocalMessage,
        F: Fn(&mut A, &mut Context<'_, A>, Result<&Archived<R>, AskError>) -> Next<A>
            + Copy
            + 'static,
    {
        hosting::ask(ctx, self.entity_type(), self.id(), request, deadline, then)
    }
}

impl<M: Message> EntityTarget<M> for EntityRef<M> {
    fn entity_type(&self) -> u64 {
        self.get().entity_type
    }

    fn id(&self) -> &[u8] {
        &self.get().id
    }
}

impl<M: Message> EntityTarget<M> for ArchivedEntityRef<M> {
    fn entity_type(&self) -> u64 {
        self.get().entity_type.to_native()
    }

    fn id(&self) -> &[u8] {
        &self.get().id
    }
}
