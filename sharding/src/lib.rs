//! Entities on demand: shards, hand-off, cluster.
//!
//! A program declares types of entities ([`Sharding::entities`]) and sends messages to ids ([`EntityRef`]): an
//! entity is an ordinary actor that is started by its first message on the core that has its shard, stopped when
//! it is not used, and moved with its shard while messages go on arriving.
//!
//! | module | what |
//! |---|---|
//! | [`allocation`] | which shard is to go to which core of which node |
//! | [`cluster`] | a node as a member of a cluster: joining, leaving, events |
//! | `command` | the command `mainspring-cluster`, with feature `command` |
//! | [`downing`] | which members of a cluster go down when the network breaks |
//! | [`entities`] | ids and their shards; the table of the entities that a core has |
//! | `etcd` | the store that nodes share, in etcd (feature `etcd`) |
//! | [`handoff`] | how a shard moves while messages for it go on arriving |
//! | [`membership`] | who belongs to the cluster, as one node sees it |
//! | [`node`] | all of it on a node: types, regions, references |
//! | [`ownership`] | who owns a shard, and since which change |
//! | [`passivation`] | which entities have to leave: those that were idle, and those beyond a limit |
//! | [`rebalance`] | which shards are to move to which core |
//! | [`registry`] | actors found by the service that they offer, on all nodes |
//! | [`remember`] | which entities run, as it stands in a journal |
//! | [`routers`] | one message to one of many actors, or to all |
//! | [`shutdown`] | the end of a node in order: phases with deadlines, and a report |
//! | `status` | the cluster over HTTP, with feature `status` |
//! | [`testkit`] | entities on the simulator, and storms of moves over them |
#![forbid(unsafe_code)]

pub mod allocation;
mod chunks;
pub mod cluster;
#[cfg(feature = "command")]
pub mod command;
pub mod downing;
pub mod entities;
#[cfg(feature = "etcd")]
pub mod etcd;
pub mod handoff;
mod list;
pub mod membership;
pub mod node;
pub mod ownership;
pub mod passivation;
pub mod rebalance;
pub mod registry;
pub mod remember;
pub mod routers;
pub mod shutdown;
#[cfg(feature = "status")]
pub mod status;
pub mod testkit;

pub use cluster::{Cluster, ClusterEvent, ClusterHandle, ClusterRequest, MemberView};
pub use node::{
    DeclareError, Entities, EntityId, EntityRef, EntityTarget, EntityTellError, EntityType,
    RegionFigures, Sharding, Singleton, SingletonProxy, SingletonRef, passivate,
};

/// The code in docs/sharding.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/sharding.md")]
pub struct ShardingPage;

/// The code in docs/cluster.md is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cluster.md")]
pub struct ClusterPage;

/// The code in docs/registry-and-routers.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/registry-and-routers.md")]
pub struct RegistryAndRoutersPage;

/// The code in docs/cluster-entities.md is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cluster-entities.md")]
pub struct ClusterEntitiesPage;

/// The code in docs/cluster-http.md is compiled as a test.
#[cfg(all(doctest, feature = "status"))]
#[doc = include_str!("../../docs/cluster-http.md")]
pub struct ClusterHttpPage;

/// The code in docs/cluster-singleton.md is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/cluster-singleton.md")]
pub struct ClusterSingletonPage;
