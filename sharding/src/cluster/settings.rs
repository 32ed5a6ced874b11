//! What a program says about its node's cluster before the node starts.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::downing::{Downing, DowningSettings, DowningSettingsError, Strategy, WhenUnstable};
use crate::membership::{DetectorSettings, MemberId, Membership, Settings, SettingsError};
use crate::ownership::{OpenStore, StoreError};

/// The value that says how the cluster decides in a partition, among those that all members have to agree on.
const RESOLVER: &str = "cluster.resolver";

/// What is read of a file of seeds; more than the names of as many seeds as there may be.
const SEEDS_FILE_LIMIT_BYTES: u64 = 64 << 10;

/// The shortest time between two heartbeats.
const HEARTBEAT_LEAST: Duration = Duration::from_millis(10);

/// From what phi on a member may be suspected: below, a beat that is in time could be missed; above, phi does not rise.
const THRESHOLDS: RangeInclusive<f64> = 1.0..=100.0;

/// Why a node cannot take part in a cluster as it was told to. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A seed that is no address.
    #[error("the seed {text:?} is no address: {source}; write it as 10.0.0.1:7355")]
    Seed {
        /// What was written.
        text: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// A file of seeds that cannot be read.
    #[error("the file of seeds {path} cannot be read: {source}", path = path.display())]
    SeedsFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An address of its own that is none.
    #[error("{text:?} is no address that others reach: {source}; write it as 10.0.0.1:7355")]
    Address {
        /// What was written.
        text: String,
        /// What is wrong.
        source: std::io::Error,
    },
    /// Settings of the membership.
    #[error("this node cannot join a cluster: {0}")]
    Membership(#[from] SettingsError),
    /// Settings of the resolver.
    #[error("the resolver cannot decide: {0}")]
    Downing(#[from] DowningSettingsError),
    /// A resolver without its lease.
    #[error(
        "lease-majority needs a lease from a store, and none is given: Cluster::lease(store); or choose keep-majority"
    )]
    NoLease,
    /// The store of the resolver's lease.
    #[error("the resolver has no lease: {0}")]
    LeaseStore(#[from] StoreError),
    /// Heartbeats that are too frequent, or count as missing at once.
    #[error(
        "heartbeats every {every:?} with a pause of {pause:?}: at least 10ms, and the pause no shorter"
    )]
    Heartbeats {
        /// The interval.
        every: Duration,
        /// The pause.
        pause: Duration,
    },
    /// A suspicion that comes at once, or never.
    #[error(
        "members are suspected from a phi of {threshold}: at least {least}, at most {most}; 8 is usual",
        least = THRESHOLDS.start(),
        most = THRESHOLDS.end()
    )]
    Threshold {
        /// What was set.
        threshold: f64,
    },
    /// The links are not there yet.
    #[error(
        "a cluster needs links: give the node its Transport first, .with(transport).with(cluster)"
    )]
    NoLinks,
    /// The node does not listen.
    #[error(
        "a member of a cluster has to listen for the others: Transport::listen(\"10.0.0.1:7355\")"
    )]
    NotListening,
    /// The node listens everywhere, which is no address for others.
    #[error(
        "{listening} is no address that others reach; name the one that they do: Cluster::address(\"10.0.0.1:7355\")"
    )]
    Everywhere {
        /// Where it listens.
        listening: SocketAddr,
    },
}

/// Everything that was said.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub membership: Settings,
    /// The address that others reach, if it is not that at which the node listens.
    pub address: Option<SocketAddr>,
    pub strategy: Option<Strategy>,
    pub stable_after: Option<Duration>,
    pub when_unstable: Option<WhenUnstable>,
    /// The store whose lease decides.
    pub lease: Option<Arc<dyn OpenStore>>,
}

impl Plan {
    /// Whether a node can run with these.
    pub fn check(&self) -> Result<(), ClusterError> {
        self.check_but_lease()?;
        match self.wants_lease() && self.lease.is_none() {
            true => Err(ClusterError::NoLease),
            false => Ok(()),
        }
    }

    /// Whether the strategy decides by a lease.
    pub fn wants_lease(&self) -> bool {
        matches!(self.strategy, Some(Strategy::LeaseMajority { .. }))
    }

    /// As [`check`](Self::check), where a lease may still be given.
    pub fn check_but_lease(&self) -> Result<(), ClusterError> {
        self.settings(0).check()?;
        let DetectorSettings { interval_ns, pause_ns, threshold, .. } = self.membership.detector;
        let (every, pause) = (Duration::from_nanos(interval_ns), Duration::from_nanos(pause_ns));
        if every < HEARTBEAT_LEAST || pause < every {
            return Err(ClusterError::Heartbeats { every, pause });
        }
        if !THRESHOLDS.contains(&threshold) {
            return Err(ClusterError::Threshold { threshold });
        }
        self.downing()?;
        Ok(())
    }

    /// The membership of a node.
    pub fn membership(&self, me: MemberId) -> Result<Membership, SettingsError> {
        Membership::new(me, self.settings(me.incarnation))
    }

    /// Who decides in a partition, if anybody does.
    pub fn downing(&self) -> Result<Option<Downing>, DowningSettingsError> {
        self.downing_settings().map(Downing::new).transpose()
    }

    /// How often the cluster's actor looks at the time: twice as often as anything is due.
    pub fn tick(&self) -> Duration {
        let Settings { gossip_fast_ns, join_retry_ns, detector, .. } = &self.membership;
        let shortest_ns = (*gossip_fast_ns).min(*join_retry_ns).min(detector.interval_ns);
        Duration::from_nanos((shortest_ns / 2).clamp(5_000_000, 100_000_000))
    }

    fn downing_settings(&self) -> Option<DowningSettings> {
        let mut settings = DowningSettings::of(self.strategy.clone()?);
        settings.stable_after_ns = self.stable_after.map(nanoseconds);
        settings.when_unstable = self.when_unstable.unwrap_or(settings.when_unstable);
        Some(settings)
    }

    fn settings(&self, random_seed: u64) -> Settings {
        let mut settings = self.membership.clone();
        // One that was said makes a simulation repeat.
        if settings.random_seed == 0 {
            settings.random_seed = random_seed;
        }
        let resolver = match self.downing_settings() {
            None => "none".to_owned(),
            Some(DowningSettings { strategy, stable_after_ns, when_unstable }) => {
                format!(
                    "{strategy:?}, stable after {stable_after_ns:?}, unstable {when_unstable:?}"
                )
            }
        };
        settings.configuration.entry(RESOLVER.to_owned()).or_insert(resolver);
        settings
    }
}

/// The first address of a text.
pub(super) fn address_of(text: &str) -> std::io::Result<SocketAddr> {
    let address = text.to_socket_addrs()?.next();
    Ok(canonical(address.ok_or(std::io::ErrorKind::AddrNotAvailable)?))
}

/// All addresses of a name, in order, so that all nodes that ask for it have the same first one.
pub(super) fn addresses_of(name: &str) -> Result<BTreeSet<SocketAddr>, ClusterError> {
    let refused = |source| ClusterError::Seed { text: name.to_owned(), source };
    let addresses: BTreeSet<SocketAddr> =
        name.to_socket_addrs().map_err(refused)?.map(canonical).collect();
    match addresses.is_empty() {
        true => Err(refused(std::io::ErrorKind::AddrNotAvailable.into())),
        false => Ok(addresses),
    }
}

/// The lines of a file of seeds.
pub(super) fn lines_of(path: &Path) -> Result<Vec<String>, ClusterError> {
    let refused = |source| ClusterError::SeedsFile { path: path.to_owned(), source };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(refused)?;
    file.take(SEEDS_FILE_LIMIT_BYTES).read_to_string(&mut text).map_err(refused)?;
    let lines = text.lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
