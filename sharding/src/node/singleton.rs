//! What a cluster has one of: an actor that runs on one node at a time, and the proxy by which any node reaches it.
//!
//! A singleton is the only entity of a type with one shard: who has it, how it moves and what happens to messages
//! meanwhile is all that of entities. What is its own: the shard goes to the oldest member with the role and stays
//! there until that member leaves or is gone, and the actor is started without a message, and again when it ends.
//!
//! Promises: in a cluster with a store, the node that has the shard stops the actor before another one may start it:
//! when it gives the shard away, when it loses its lease, and when it is given up. It refuses to start the actor while
//! no member with the role can have it; messages wait in the proxies then, within their limit.

use std::fmt;
use std::time::Duration;

use mainspring::message::{Message, Reply, Tagged};
use mainspring::node::Ask;
use mainspring::prelude::*;

use super::entities::Entities;
use super::entity_ref::{ArchivedEntityRef, EntityAddress, EntityRef};
use super::entity_type::EntityType;
use super::envelope::RegionMessage;
use super::error::{DeclareError, EntityTellError};
use super::figures::RegionFigures;
use super::sharding::Sharding;
use super::sole::SOLE_ID;
use crate::allocation::AllocationSettings;
use crate::entities::{LifeSettings, ToEntityKey};

/// What stands before the name of a singleton in the name of its type.
const PREFIX: &str = "single/";

/// Names the singleton wherever it runs. It travels inside messages; [`EntityTarget`](super::EntityTarget) sends to it.
pub type SingletonRef<M> = EntityRef<M>;

/// The form of a [`SingletonRef`] in an archive.
pub type ArchivedSingletonRef<M> = ArchivedEntityRef<M>;

/// An actor that runs once in a cluster: its name, and where and how it runs. A node without a cluster runs it itself.
///
/// Every node of the cluster declares it, also those that lack the role: that is what makes its proxy there.
///
/// ```
/// use std::time::Duration;
/// use mainspring::prelude::*;
/// use mainspring_sharding::{Sharding, Singleton};
///
/// #[message]
/// pub struct NextNumber {
///     pub reply_to: ActorRef<Number>,
/// }
///
/// #[message]
/// #[derive(Debug, PartialEq)]
/// pub struct Number {
///     pub number: u64,
/// }
///
/// #[derive(Default)]
/// struct Numbers {
///     last: u64,
/// }
///
/// impl Actor for Numbers {
///     type Message = NextNumber;
///
///     fn receive(&mut self, ctx: &mut Context<Self>, next: &Archived<NextNumber>) -> Next<Self> {
///         self.last += 1;
///         ctx.tell(next.reply_to, &Number { number: self.last });
///         Next::Same
///     }
/// }
///
/// let sharding = Sharding::new();
/// let numbers = sharding.singleton(Singleton::new("numbers").role("backend"), Numbers::default)?;
/// let node = Node::builder().cores(Cores::count(1)).with(sharding).start()?;
/// let next = |reply_to| NextNumber { reply_to };
/// let first = numbers.ask(&node.client(), next, Duration::from_secs(1))?.wait()?;
/// assert_eq!(first, Number { number: 1 });
/// node.shutdown(Duration::from_secs(1))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Singleton {
    name: String,
    entity_type: EntityType,
}

impl Singleton {
    /// One by its name, which is the same on every node.
    pub fn new(name: impl Into<String>) -> Singleton {
        let name = name.into();
        let mut entity_type = EntityType::new(format!("{PREFIX}{name}"))
            .shards(1)
            .at_most(1)
            .allocation(AllocationSettings { on_oldest: true, ..AllocationSettings::default() })
            .failures(restarts());
        entity_type.is_single = true;
        Singleton { name, entity_type }
    }

    /// Only members of this role run it. Any member unless set.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.entity_type = self.entity_type.role(role);
        self
    }

    /// The most bytes of messages that wait on a core while it moves or nobody has it, and of those that wait for it to
    /// start: 16 MiB each unless set. What comes beyond is refused ([`EntityTellError::Moving`]) and counted.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.entity_type = self.entity_type.kept_limit_bytes(bytes).parked_limit_bytes(bytes);
        self
    }

    /// How long it may take to stop when it moves: 10 s unless set. Then it is stopped at once, and what it has not
    /// handled is lost.
    pub fn stop_within(mut self, deadline: Duration) -> Self {
        self.entity_type = self.entity_type.stop_within(deadline);
        self
    }

    /// How it is started again when it fails: from 100 ms to 10 s apart unless set, without end. When it stops of
    /// itself it is started again after the first of these times.
    pub fn failures(mut self, lives: LifeSettings) -> Self {
        self.entity_type = self.entity_type.failures(lives);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the type that it is the only entity of: by which its one shard, of number 0, is listed and moved.
    pub fn type_name(&self) -> &str {
        self.entity_type.name()
    }
}

/// It is not given up after so many tries: somebody may need it later.
fn restarts() -> LifeSettings {
    LifeSettings {
        first_backoff_ns: 100_000_000,
        longest_backoff_ns: 10_000_000_000,
        tries: u8::MAX,
        broken_ns: 10_000_000_000,
        ..LifeSettings::default()
    }
}

impl Sharding {
    /// Declares what the cluster has one of. `make` makes it on the node that has it, whenever it is started.
    ///
    /// # Errors
    /// [`DeclareError`]; nothing has changed.
    pub fn singleton<A>(
        &self,
        singleton: Singleton,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> Result<SingletonProxy<A::Message>, DeclareError>
    where
        A: Actor,
        A::Message: Message,
    {
        if singleton.name.is_empty() {
            return Err(DeclareError::Name { bytes: 0 });
        }
        let entities = self.entities(singleton.entity_type, move |_| make())?;
        Ok(SingletonProxy { entities })
    }
}

/// The way to a singleton from a node, wherever it runs: for actors a [reference](Self::reference), and for threads
/// that are no cores calls. Clones are the same.
pub struct SingletonProxy<M> {
    entities: Entities<M>,
}

impl<M> Clone for SingletonProxy<M> {
    fn clone(&self) -> Self {
        SingletonProxy { entities: self.entities.clone() }
    }
}

impl<M> fmt::Debug for SingletonProxy<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SingletonProxy").finish_non_exhaustive()
    }
}

impl<M: Message> SingletonProxy<M> {
    /// The singleton, for actors and inside messages.
    pub fn reference(&self) -> SingletonRef<M> {
        let id = SOLE_ID.to_be_bytes().to_vec();
        Tagged::new(EntityAddress { entity_type: self.entities.type_hash(), id })
    }

    /// Sends it a message from a thread that is no core.
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was sent.
    pub fn tell(&self, client: &Client, message: &M) -> Result<(), EntityTellError> {
        self.entities.tell(client, SOLE_ID, message)
    }

    /// Asks it a question from a thread that is no core; see [`Client::ask`].
    ///
    /// # Errors
    /// [`EntityTellError`]; nothing was asked.
    pub fn ask<R: Reply>(
        &self,
        client: &Client,
        request: impl FnOnce(ActorRef<R>) -> M,
        deadline: Duration,
    ) -> Result<Ask<R>, EntityTellError> {
        self.entities.ask(client, SOLE_ID, request, deadline)
    }

    /// As [`Entities::addressed`].
    ///
    /// # Errors
    /// [`EntityTellError`]: the node is not there.
    pub fn addressed(
        &self,
        message: &M,
    ) -> Result<(ActorRef<RegionMessage<M>>, RegionMessage<M>), EntityTellError> {
        self.entities.addressed(&SOLE_ID.to_entity_key()?, message)
    }

    /// What the proxy of a core has counted: `parked` messages wait in it, `refused_moving` were refused because too
    /// many did, `started` is how often it was started there.
    ///
    /// # Errors
    /// [`EntityTellError`]: there is no such core.
    pub fn figures(
        &self,
        client: &Client,
        core: u16,
        deadline: Duration,
    ) -> Result<Ask<RegionFigures>, EntityTellError> {
        self.entities.figures(client, core, deadline)
    }

    /// The entities that it is the only one of.
    pub fn entities(&self) -> &Entities<M> {
        &self.entities
    }
}
