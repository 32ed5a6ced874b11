//! Sessions as a cluster: several processes that have the keys together, any of which serves any key.
//!
//! etcd decides which process has which shard of the keys, the membership who belongs to the cluster. A session is in
//! the memory of one process: when its shard moves, or its process ends, the key is empty.
//!
//! Promises, with etcd: while a process may not be sure to have a key, it answers nothing about it. Without etcd the
//! oldest member decides, and while the network is broken a key may be in two processes. Refuses: durable sessions,
//! because a journal does not move with a shard.

use std::time::Duration;

use mainspring_sharding::Sharding;
use mainspring_sharding::cluster::{Cluster, ClusterError, ClusterHandle, MemberView};
use mainspring_sharding::downing::Strategy;
use mainspring_transport::{Transport, TransportError};

use super::options::{Durability, Options};

/// Where a process that joins another one listens for links: the system chooses the port.
const ANY_PORT: &str = "127.0.0.1:0";
/// How often members hear each other's hearts.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// Why a process cannot take part as it was told to. Nothing was begun.
#[derive(Debug, thiserror::Error)]
pub enum ClusterRefused {
    #[error(
        "--durability always in a cluster: a key goes from process to process, and the journal of a process does not; \
         leave it out, or say none"
    )]
    Durable,
    #[error(
        "--cluster without --seeds: name who may be asked to be let in; the first process names its own \
         --listen-links, with a port"
    )]
    NoSeeds,
    #[cfg(not(feature = "etcd"))]
    #[error("--etcd: this program was built without etcd; build it with --features etcd")]
    NoEtcd,
    #[error("{0}")]
    Links(#[from] TransportError),
    #[error("{0}")]
    Cluster(#[from] ClusterError),
}

/// What a node of the cluster gets, in this order.
pub struct Parts {
    pub transport: Transport,
    pub cluster: Cluster,
}

/// The parts of a node that takes part, if this one is to.
///
/// # Errors
/// [`ClusterRefused`].
pub fn parts(options: &Options) -> Result<Option<Parts>, ClusterRefused> {
    if !options.is_clustered() {
        return Ok(None);
    }
    if options.durability == Some(Durability::Always) {
        return Err(ClusterRefused::Durable);
    }
    let listen = options.listen_links.as_deref().unwrap_or(ANY_PORT);
    let mut transport = Transport::new().system("sessions").listen(listen)?;
    if let Some(path) = &options.key_file {
        transport = transport.key_file(path)?;
    }
    let seeds: Vec<&str> = options.join.iter().chain(&options.seeds).map(String::as_str).collect();
    let lease = Duration::from_secs(options.lease.into());
    // A member that is gone is given up when its lease ends, and not much later.
    let mut cluster = Cluster::new(transport.links())
        .heartbeats(HEARTBEAT, lease / 4)
        .stable_after(lease / 2)
        .resolver(Strategy::KeepMajority { role: None })
        .app_version(env!("CARGO_PKG_VERSION"));
    cluster = match &seeds[..] {
        [] => return Err(ClusterRefused::NoSeeds),
        seeds => cluster.seeds(seeds)?,
    };
    if let Some(role) = &options.role {
        cluster = cluster.role(role);
    }
    Ok(Some(Parts { transport, cluster }))
}

/// The entities of all processes, with who decides about them.
///
/// # Errors
/// Without the feature `etcd`, that it is not there.
pub fn sharding(options: &Options) -> Result<Sharding, ClusterRefused> {
    match options.etcd.is_empty() {
        true => Ok(Sharding::new().in_cluster_without_store()),
        false => in_etcd(options),
    }
}

#[cfg(feature = "etcd")]
fn in_etcd(options: &Options) -> Result<Sharding, ClusterRefused> {
    let store = mainspring_sharding::etcd::Etcd::at(options.etcd.iter().map(String::as_str))
        .prefix(&options.etcd_prefix)
        .ttl_seconds(options.lease);
    Ok(Sharding::new().in_cluster(store))
}

#[cfg(not(feature = "etcd"))]
fn in_etcd(_: &Options) -> Result<Sharding, ClusterRefused> {
    Err(ClusterRefused::NoEtcd)
}

/// What `INFO cluster` says of the members, as this process sees them.
pub fn info(handle: &ClusterHandle) -> String {
    let address = |member: Option<MemberView>| member.map_or("none".to_owned(), |it| it.address);
    let status = handle.this().map_or("none".to_owned(), |this| format!("{:?}", this.status));
    let mut text = format!(
        "cluster_enabled:1\r\ncluster_this:{}\r\ncluster_status:{}\r\ncluster_leader:{}\r\n",
        address(handle.this()),
        status.to_lowercase(),
        address(handle.leader())
    );
    for (number, member) in handle.members().iter().enumerate() {
        let MemberView { address, incarnation, status, is_reachable, .. } = member;
        let status = format!("{status:?}").to_lowercase();
        let reached = if *is_reachable { "yes" } else { "no" };
        text.push_str(&format!(
            "member{number}:address={address},incarnation={incarnation:016x},status={status},reachable={reached}\r\n"
        ));
    }
    text
}
