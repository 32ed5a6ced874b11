//! A node as a member of a cluster.
//!
//! [`Cluster`] is an extension that goes onto a node with links. An actor on the node's first core introduces the node
//! to every node that it is linked to, dials the members that it is not, gives the
//! [membership](mod@crate::membership) what they say, and lets [`downing`](crate::downing) decide who is given up.
//! Programs look at it and ask through a [`ClusterHandle`], actors through [`ClusterRequest`] and [`ClusterEvent`].
//!
//! ```no_run
//! use std::time::Duration;
//! use mainspring::prelude::*;
//! use mainspring_sharding::cluster::{Cluster, exit_code};
//! use mainspring_sharding::downing::Strategy;
//! use mainspring_transport::Transport;
//!
//! let transport = Transport::new().listen("10.0.0.1:7355")?.key_file("cluster.key")?;
//! let cluster = Cluster::new(transport.links())
//!     .seeds(["10.0.0.1:7355", "10.0.0.2:7355", "10.0.0.3:7355"])?
//!     .role("carts")
//!     .app_version("1.2.0")
//!     .resolver(Strategy::KeepMajority { role: None });
//! let handle = cluster.handle();
//! let node = Node::builder().with(transport).with(cluster).start()?;
//! assert!(handle.wait_up(Duration::from_secs(30)), "{:?}", handle.refusal());
//! // .. until somebody says that the node shall end, or the cluster gives it up:
//! if let Some(reason) = handle.wait_stopped(Duration::from_secs(3_600)) {
//!     node.shutdown(Duration::from_secs(10))?;
//!     std::process::exit(exit_code(reason).into());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! It promises: what a node says is listened to only if it has introduced itself, and its introduction is believed only
//! if it fits the link ([`IntroductionError`]); subscribers of a node that is given up are told so, before anybody else
//! is told anything more; a later life of a node has a higher incarnation, as long as its clock does not go back. It
//! refuses to give up a member only because it is silent: without a [resolver](Cluster::resolver) it stays unreachable
//! until somebody says that it is down.
//!
//! Bounds: [`SUBSCRIBERS_LIMIT`], [`REQUESTS_LIMIT`], and those of the membership.

mod actor;
mod dialling;
mod event;
mod file;
mod handle;
mod introduction;
mod lease;
mod resolver;
mod settings;
mod subscribers;
pub(crate) mod wire;

use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainspring::device::{Extension, NodePlan, Seat};
use mainspring_transport::Links;

use crate::downing::{Strategy, WhenUnstable};
use crate::membership;
use crate::ownership::OpenStore;
use actor::ClusterActor;
pub(crate) use event::{ArchivedClusterEvent, ArchivedMemberView};
pub use event::{ClusterEvent, ClusterRequest, MemberView};
pub use file::{ClusterFile, ClusterFileError, FILE_LIMIT_BYTES};
pub use handle::{ClusterHandle, ClusterRequestError, EXIT_CODE_DOWNED, REQUESTS_LIMIT, exit_code};
pub use introduction::{Identity, Introduction, IntroductionError};
use lease::OpenedStore;
pub use lease::RESOLVER_LEASE;
pub use settings::ClusterError;
use settings::{Plan, address_of, addresses_of, lines_of, nanoseconds};
pub use subscribers::SUBSCRIBERS_LIMIT;

/// The core that the cluster's actor is on.
const CLUSTER_CORE: u16 = 0;

/// See the [module](self).
#[derive(Debug)]
pub struct Cluster {
    links: Links,
    plan: Plan,
    handle: ClusterHandle,
    /// When this life of the node began, since 1970.
    began: OnceLock<Duration>,
    /// The store with the resolver's lease, opened before the cores run.
    lease: OpenedStore,
}

impl Cluster {
    /// A node that is alone so far, with these links: those of the [`Transport`](mainspring_transport::Transport) that
    /// the same node gets, before this.
    pub fn new(links: Links) -> Cluster {
        let (plan, handle) = (Plan::default(), ClusterHandle::default());
        Cluster { links, plan, handle, began: OnceLock::new(), lease: OpenedStore::default() }
    }

    /// Whom to ask to be let in. The first of them begins the cluster when no other one has, so all nodes name the same
    /// one first; a node may name itself.
    ///
    /// # Errors
    /// [`ClusterError::Seed`].
    pub fn seeds<S: AsRef<str>>(
        mut self,
        seeds: impl IntoIterator<Item = S>,
    ) -> Result<Self, ClusterError> {
        for seed in seeds {
            let text = seed.as_ref();
            let refused = |source| ClusterError::Seed { text: text.to_owned(), source };
            self.plan.membership.seeds.push(address_of(text).map_err(refused)?);
        }
        Ok(self)
    }

    /// As [`seeds`](Self::seeds), those of a file: one address a line; empty lines and those that begin with `#` do not
    /// count. What is behind 64 KiB is not read.
    ///
    /// # Errors
    /// [`ClusterError::SeedsFile`], [`ClusterError::Seed`].
    pub fn seeds_file(self, path: impl AsRef<Path>) -> Result<Self, ClusterError> {
        let lines = lines_of(path.as_ref())?;
        self.seeds(lines)
    }

    /// As [`seeds`](Self::seeds), all addresses that the name has at this moment (`carts.example:7355`), lowest first.
    /// It asks the system's resolver and waits for it.
    ///
    /// # Errors
    /// [`ClusterError::Seed`].
    pub fn seeds_of_name(mut self, name: &str) -> Result<Self, ClusterError> {
        self.plan.membership.seeds.extend(addresses_of(name)?);
        Ok(self)
    }

    /// The address at which other nodes reach this one, where it is not the one that it listens on.
    ///
    /// # Errors
    /// [`ClusterError::Address`].
    pub fn address(mut self, address: &str) -> Result<Self, ClusterError> {
        let refused = |source| ClusterError::Address { text: address.to_owned(), source };
        self.plan.address = Some(address_of(address).map_err(refused)?);
        Ok(self)
    }

    /// What this node may be used for; as often as there are roles.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.plan.membership.roles.insert(role.into());
        self
    }

    /// The version of the program.
    pub fn app_version(mut self, version: impl Into<String>) -> Self {
        self.plan.membership.app_version = version.into();
        self
    }

    /// A value that all members have to agree on. A node that has another one is refused, and the value is named.
    pub fn configuration(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.plan.membership.configuration.insert(name.into(), value.into());
        self
    }

    /// Who goes on when the network breaks. All members have to have the same; without one, nobody is given up but by
    /// hand.
    pub fn resolver(mut self, strategy: Strategy) -> Self {
        self.plan.strategy = Some(strategy);
        self
    }

    /// The store whose lease decides, for [`Strategy::LeaseMajority`]: the same for all nodes. It may be the one that
    /// decides about owners of shards; each use has a connection of its own. The lease is called [`RESOLVER_LEASE`]
    /// there. A strategy without a lease does not look at the store.
    pub fn lease(mut self, store: impl OpenStore) -> Self {
        self.plan.lease = Some(Arc::new(store));
        self
    }

    /// How long nothing may change before the resolver decides; by the number of members unless told otherwise.
    pub fn stable_after(mut self, time: Duration) -> Self {
        self.plan.stable_after = Some(time);
        self
    }

    /// What becomes of a cluster whose view does not settle.
    pub fn when_unstable(mut self, when_unstable: WhenUnstable) -> Self {
        self.plan.when_unstable = Some(when_unstable);
        self
    }

    /// How often members hear each other's hearts, and the silence that is accepted on top of that.
    pub fn heartbeats(mut self, every: Duration, pause: Duration) -> Self {
        self.plan.membership.detector.interval_ns = nanoseconds(every);
        self.plan.membership.detector.pause_ns = nanoseconds(pause);
        self
    }

    /// Changes whatever else can be set of the membership.
    pub fn membership(mut self, change: impl FnOnce(&mut membership::Settings)) -> Self {
        change(&mut self.plan.membership);
        self
    }

    /// The cluster, for any thread.
    pub fn handle(&self) -> ClusterHandle {
        self.handle.clone()
    }

    /// Puts the cluster onto a core of a simulated node, which has no start of its own, after its links. All cores of
    /// the node get the same `Cluster`. `since_1970` is what the clock of the node says.
    ///
    /// # Errors
    /// [`ClusterError`]; nothing was put anywhere.
    pub fn install_simulated(
        &self,
        seat: &mut Seat<'_>,
        since_1970: Duration,
    ) -> Result<(), ClusterError> {
        if self.began.get().is_none() {
            self.begin(since_1970)?;
        }
        self.install(seat);
        Ok(())
    }

    fn begin(&self, since_1970: Duration) -> Result<(), ClusterError> {
        self.plan.check()?;
        if !self.links.is_prepared() {
            return Err(ClusterError::NoLinks);
        }
        let listening = self.links.will_listen_on().ok_or(ClusterError::NotListening)?;
        if listening.ip().is_unspecified() && self.plan.address.is_none() {
            return Err(ClusterError::Everywhere { listening });
        }
        if let Some(store) = self.plan.lease.as_deref().filter(|_| self.plan.wants_lease()) {
            self.lease.open(store)?;
        }
        let _ = self.began.set(since_1970);
        let address = self.plan.address.unwrap_or(listening);
        self.handle.begin(since_1970.as_secs(), address.to_string());
        Ok(())
    }
}

impl Extension for Cluster {
    fn name(&self) -> &'static str {
        "cluster"
    }

    #[allow(clippy::disallowed_methods, reason = "read once, when a node starts")]
    fn prepare(&self, _: &NodePlan) -> Result<(), Box<dyn Error + Send + Sync>> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(self.begin(since_1970)?)
    }

    fn install(&self, seat: &mut Seat<'_>) {
        seat.share(Rc::new(self.handle.clone()));
        let Some(began) = self.began.get().copied().filter(|_| seat.core() == CLUSTER_CORE) else {
            return;
        };
        let (plan, links, handle) = (self.plan.clone(), self.links.clone(), self.handle.clone());
        let mut lease = self.lease.take();
        if let Some(store) = &mut lease {
            store.use_alarm(seat.alarm());
        }
        match seat.spawn(ClusterActor::new(plan, links, handle, (began, lease))) {
            Ok(actor) => self.handle.set_actor(actor),
            Err(error) => tracing::error!(%error, "this node joins no cluster"),
        }
    }
}
