//! The registry of a node, as a program has it.

use std::error::Error;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mainspring::device::{Extension, NodePlan, Seat};
use mainspring::message::Message;
use mainspring::node::{Client, ClientError};
use mainspring::prelude::*;

use super::actor::RegistryActor;
use super::listing::{Listing, OtherMessages};
use super::registrations::Settings;
use super::service_key::ServiceKey;
use super::wire::{RegisterOutcome, RegistryRequest};
use crate::cluster::ClusterHandle;

/// The core that the registry's actor is on.
const REGISTRY_CORE: u16 = 0;

/// Why the registry was not asked, or had no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// There is no such actor.
    #[error(
        "the registry has not started; give it to the node (`with(registry)`), and start that first"
    )]
    NotStarted,
    /// It was not asked.
    #[error("the registry was not asked: {0}")]
    NotAsked(#[from] TellError),
    /// It has not answered.
    #[error("the registry has not answered: {0}")]
    NoAnswer(#[from] ClientError),
    /// It refused.
    #[error("{why}")]
    Refused {
        /// Why, with what to do.
        why: String,
    },
    /// The actors of this key take other messages.
    #[error(transparent)]
    OtherMessages(#[from] OtherMessages),
}

/// The registry of a node: an extension. On a node of a cluster it comes after the cluster.
#[derive(Clone, Debug)]
pub struct Registry {
    handle: RegistryHandle,
    cluster: Option<ClusterHandle>,
    settings: Settings,
}

/// The registry, for any thread and any actor of its node. Actors find it by `ctx.shared::<RegistryHandle>()` as well.
#[derive(Clone, Debug, Default)]
pub struct RegistryHandle {
    actor: Arc<OnceLock<ActorRef<RegistryRequest>>>,
}

impl Registry {
    /// Of a node that is in no cluster: it finds its own actors.
    pub fn alone() -> Self {
        let (handle, settings) = (RegistryHandle::default(), Settings::default());
        Registry { handle, cluster: None, settings }
    }

    /// Of a member of this cluster: it finds the actors of all members.
    pub fn of(cluster: ClusterHandle) -> Self {
        Registry { cluster: Some(cluster), ..Registry::alone() }
    }

    /// When it does what nobody asks for.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// For those who register and look.
    pub fn handle(&self) -> RegistryHandle {
        self.handle.clone()
    }
}

impl RegistryHandle {
    /// The registry's actor, once the node has started.
    ///
    /// # Errors
    /// [`RegistryError::NotStarted`].
    pub fn actor(&self) -> Result<ActorRef<RegistryRequest>, RegistryError> {
        self.actor.get().copied().ok_or(RegistryError::NotStarted)
    }

    /// Registers an actor of this node, from a turn. What the registry refuses it logs: see
    /// [`RegistryRequest::register`] for a registration with an answer.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was sent.
    pub fn register<A: Actor, M: Message>(
        &self,
        ctx: &mut Context<'_, A>,
        key: &ServiceKey<M>,
        actor: ActorRef<M>,
    ) -> Result<(), RegistryError> {
        Ok(ctx.try_tell(self.actor()?, &RegistryRequest::register(key, actor, None))?)
    }

    /// Takes an actor of this node out of a service, from a turn.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was sent.
    pub fn deregister<A: Actor, M: Message>(
        &self,
        ctx: &mut Context<'_, A>,
        key: &ServiceKey<M>,
        actor: ActorRef<M>,
    ) -> Result<(), RegistryError> {
        let (name, actor) = (key.name().to_owned(), mainspring::message::AnyRef::of(actor));
        Ok(ctx.try_tell(self.actor()?, &RegistryRequest::Deregister { name, actor })?)
    }

    /// Has an actor told who offers a service, now and whenever that changes, from a turn.
    ///
    /// # Errors
    /// [`RegistryError`]; nothing was sent.
    pub fn subscribe<A: Actor, M: Message>(
        &self,
        ctx: &mut Context<'_, A>,
        key: &ServiceKey<M>,
        subscriber: ActorRef<Listing>,
    ) -> Result<(), RegistryError> {
        let (name, fingerprint) = (key.name().to_owned(), M::FINGERPRINT);
        let subscribe = RegistryRequest::Subscribe { name, fingerprint, subscriber };
        Ok(ctx.try_tell(self.actor()?, &subscribe)?)
    }

    /// Registers an actor of this node, from a thread outside the cores, which waits.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn register_by<M: Message>(
        &self,
        client: &Client,
        key: &ServiceKey<M>,
        actor: ActorRef<M>,
        patience: Duration,
    ) -> Result<(), RegistryError> {
        let request = |reply_to| RegistryRequest::register(key, actor, Some(reply_to));
        match client.ask(self.actor()?, request, patience).wait()? {
            RegisterOutcome::Registered => Ok(()),
            RegisterOutcome::Refused { why } => Err(RegistryError::Refused { why }),
        }
    }

    /// Who offers a service, asked from a thread outside the cores, which waits.
    ///
    /// # Errors
    /// [`RegistryError`].
    pub fn find<M: Message>(
        &self,
        client: &Client,
        key: &ServiceKey<M>,
        patience: Duration,
    ) -> Result<Vec<ActorRef<M>>, RegistryError> {
        let request = |reply_to| RegistryRequest::find(key, reply_to);
        let listing: Listing = client.ask(self.actor()?, request, patience).wait()?;
        Ok(listing.actors()?)
    }
}

impl Extension for Registry {
    fn name(&self) -> &'static str {
        "registry"
    }

    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn install(&self, seat: &mut Seat<'_>) {
        seat.share(Rc::new(self.handle()));
        if seat.core() != REGISTRY_CORE {
            return;
        }
        let me = seat.incarnation();
        match seat.spawn(RegistryActor::new(me, self.settings, self.cluster.clone())) {
            Ok(actor) => drop(self.handle.actor.set(actor)),
            Err(error) => tracing::error!(%error, "the node has no registry"),
        }
    }
}
