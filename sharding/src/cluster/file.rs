//! A cluster in a TOML file: the settings of [`Cluster`] by their names, and the store that its nodes share.
//!
//! Keys that are left out keep their defaults. It promises that a key that is not known is refused with its name and
//! line, and that a value that cannot work is refused as the builder refuses it, before the node starts. It refuses
//! files of more than [`FILE_LIMIT_BYTES`]. Other files that are named in it are looked for where the program runs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainspring_transport::Links;
use serde::Deserialize;
use toml::Spanned;

use super::{Cluster, ClusterError};
use crate::downing::{Strategy, WhenUnstable};
use crate::membership;
#[cfg(feature = "etcd")]
use crate::{etcd::Etcd, ownership::StoreError};

/// What is read of a file of settings, or of one with a password; a longer one is refused.
pub const FILE_LIMIT_BYTES: u64 = 64 << 10;

/// What a file says.
#[derive(Debug)]
#[non_exhaustive]
pub struct ClusterFile {
    /// The cluster; more may be set of it.
    pub cluster: Cluster,
    /// The store that the nodes share, if the file names one: for
    /// [`Sharding::in_cluster`](crate::Sharding::in_cluster). The cluster has it already, for its resolver's lease.
    #[cfg(feature = "etcd")]
    pub store: Option<Etcd>,
}

/// Why a file cannot be used. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterFileError {
    /// A file that cannot be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that is longer than any that is meant.
    #[error("{path} has more than {FILE_LIMIT_BYTES} bytes; is it the right file?", path = path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The text is no TOML, or has a key or a value that does not belong.
    #[error("{place}line {line}: {reason}")]
    Line {
        /// The file, if it came from one.
        place: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, in one line.
        reason: String,
    },
    /// A setting that the cluster refuses.
    #[error("{place}{source}")]
    Cluster {
        /// The file, if it came from one.
        place: String,
        /// What the builder says.
        source: ClusterError,
    },
    /// A setting that the store refuses.
    #[cfg(feature = "etcd")]
    #[error("{place}{source}")]
    Store {
        /// The file, if it came from one.
        place: String,
        /// What the store says.
        source: StoreError,
    },
}

/// The file, by the names of [`Cluster`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seeds: Vec<String>,
    seeds_file: Option<PathBuf>,
    seeds_of_name: Option<String>,
    address: Option<String>,
    #[serde(default)]
    roles: BTreeSet<String>,
    app_version: Option<String>,
    #[serde(default)]
    configuration: BTreeMap<String, String>,
    resolver: Option<Resolver>,
    heartbeats: Option<Heartbeats>,
    #[serde(default)]
    membership: Membership,
    #[cfg(feature = "etcd")]
    store: Option<Store>,
    #[cfg(not(feature = "etcd"))]
    store: Option<Spanned<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolver {
    strategy: Spanned<String>,
    role: Option<Spanned<String>>,
    quorum: Option<Spanned<u32>>,
    down_if_alone: Option<Spanned<bool>>,
    stable_after_ms: Option<u64>,
    when_unstable: Option<Spanned<String>>,
    down_all_after_ms: Option<Spanned<u64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heartbeats {
    every_ms: u64,
    pause_ms: u64,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Membership {
    gossip_ms: Option<u64>,
    gossip_fast_ms: Option<u64>,
    unseen_first_percent: Option<u8>,
    join_retry_ms: Option<u64>,
    seed_wait_ms: Option<u64>,
    welcome_within_ms: Option<u64>,
    weakly_up_after_ms: Option<u64>,
    farewell_ms: Option<u64>,
    tombstone_ms: Option<u64>,
    neighbours: Option<usize>,
    suspicion_threshold: Option<f64>,
}

#[cfg(feature = "etcd")]
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Store {
    etcd: Vec<String>,
    prefix: Option<String>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    ttl_seconds: Option<u32>,
}

/// A value that does not belong, and where it stands.
struct Wrong {
    at: Range<usize>,
    reason: String,
}

impl Cluster {
    /// A node with these links and the settings of a text in TOML, and the store that the text names. All keys stand in
    /// `docs/cluster.md`.
    ///
    /// # Errors
    /// [`ClusterFileError`].
    pub fn from_toml(links: Links, text: &str) -> Result<ClusterFile, ClusterFileError> {
        ClusterFile::parse(links, text, "")
    }

    /// As [`from_toml`](Self::from_toml), from a file.
    ///
    /// # Errors
    /// [`ClusterFileError`].
    pub fn from_toml_file(
        links: Links,
        path: impl AsRef<Path>,
    ) -> Result<ClusterFile, ClusterFileError> {
        let path = path.as_ref();
        ClusterFile::parse(links, &text_of(path)?, &format!("{}: ", path.display()))
    }
}

impl ClusterFile {
    fn parse(links: Links, text: &str, place: &str) -> Result<ClusterFile, ClusterFileError> {
        let at_line = |at: usize, reason: String| {
            let before = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n');
            ClusterFileError::Line { place: place.to_owned(), line: before.count() + 1, reason }
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let reason = error.message().lines().collect::<Vec<_>>().join(" ");
            at_line(error.span().map_or(0, |span| span.start), reason)
        })?;
        let cluster = |source| ClusterFileError::Cluster { place: place.to_owned(), source };
        let wrong = |wrong: Wrong| at_line(wrong.at.start, wrong.reason);
        let plain = file.plain(Cluster::new(links)).map_err(cluster)?;
        let configured = match &file.resolver {
            Some(resolver) => resolver.apply(plain).map_err(wrong)?,
            None => plain,
        };
        configured.plan.check_but_lease().map_err(cluster)?;
        #[cfg(not(feature = "etcd"))]
        if let Some(store) = &file.store {
            let reason = "this program is built without a store; build it with feature `etcd` of mainspring-sharding";
            return Err(wrong(Wrong { at: store.span(), reason: reason.to_owned() }));
        }
        #[cfg(not(feature = "etcd"))]
        let read = ClusterFile { cluster: configured };
        #[cfg(feature = "etcd")]
        let read = {
            let store = file.store.map(|store| store.settings(place)).transpose()?;
            let cluster = match &store {
                Some(store) => configured.lease(store.clone()),
                None => configured,
            };
            ClusterFile { cluster, store }
        };
        Ok(read)
    }
}

impl File {
    /// All settings that need no look at each other.
    fn plain(&self, cluster: Cluster) -> Result<Cluster, ClusterError> {
        let mut cluster = cluster.seeds(&self.seeds)?;
        if let Some(path) = &self.seeds_file {
            cluster = cluster.seeds_file(path)?;
        }
        if let Some(name) = &self.seeds_of_name {
            cluster = cluster.seeds_of_name(name)?;
        }
        if let Some(address) = &self.address {
            cluster = cluster.address(address)?;
        }
        for role in &self.roles {
            cluster = cluster.role(role);
        }
        if let Some(version) = &self.app_version {
            cluster = cluster.app_version(version);
        }
        for (name, value) in &self.configuration {
            cluster = cluster.configuration(name, value);
        }
        if let Some(Heartbeats { every_ms, pause_ms }) = self.heartbeats {
            let [every, pause] = [every_ms, pause_ms].map(Duration::from_millis);
            cluster = cluster.heartbeats(every, pause);
        }
        Ok(cluster.membership(|settings| self.membership.apply(settings)))
    }
}

impl Resolver {
    fn apply(&self, cluster: Cluster) -> Result<Cluster, Wrong> {
        let mut cluster = cluster.resolver(self.strategy()?);
        if let Some(time_ms) = self.stable_after_ms {
            cluster = cluster.stable_after(Duration::from_millis(time_ms));
        }
        Ok(match self.when_unstable()? {
            Some(when_unstable) => cluster.when_unstable(when_unstable),
            None => cluster,
        })
    }

    fn strategy(&self) -> Result<Strategy, Wrong> {
        let role = self.role.as_ref().map(|role| role.get_ref().clone());
        let strategy = match self.strategy.get_ref().as_str() {
            "static-quorum" => {
                let quorum = self.quorum.as_ref().map(|quorum| *quorum.get_ref());
                let missing = || self.wrong("static-quorum needs a quorum: quorum = 2");
                Strategy::StaticQuorum { quorum: quorum.ok_or_else(missing)?, role }
            }
            "keep-majority" => Strategy::KeepMajority { role },
            "keep-oldest" => {
                let down_if_alone = self.down_if_alone.as_ref().is_none_or(|it| *it.get_ref());
                Strategy::KeepOldest { down_if_alone, role }
            }
            "down-all" => Strategy::DownAll,
            "lease-majority" => Strategy::LeaseMajority { role },
            other => {
                return Err(self.wrong(&format!(
                    "{other:?} is no strategy; choose static-quorum, keep-majority, keep-oldest, down-all or \
                     lease-majority"
                )));
            }
        };
        let stray = [
            ("quorum", self.quorum.as_ref().map(Spanned::span), "static-quorum"),
            ("down_if_alone", self.down_if_alone.as_ref().map(Spanned::span), "keep-oldest"),
        ];
        for (key, span, of) in stray {
            if let Some(at) = span.filter(|_| strategy.name() != of) {
                return Err(Wrong { at, reason: format!("`{key}` is for {of}; leave it out") });
            }
        }
        match &self.role {
            Some(role) if strategy == Strategy::DownAll => {
                let reason = "`role` is not for down-all; leave it out".to_owned();
                Err(Wrong { at: role.span(), reason })
            }
            _ => Ok(strategy),
        }
    }

    fn when_unstable(&self) -> Result<Option<WhenUnstable>, Wrong> {
        match (&self.when_unstable, &self.down_all_after_ms) {
            (Some(_), Some(after)) => {
                let reason = "`down_all_after_ms` beside `when_unstable`; leave one of them out";
                Err(Wrong { at: after.span(), reason: reason.to_owned() })
            }
            (None, after) => {
                let after = after.as_ref().map(|after| milliseconds(*after.get_ref()));
                Ok(after.map(WhenUnstable::DownAllAfter))
            }
            (Some(what), None) => match what.get_ref().as_str() {
                "down-all" => Ok(Some(WhenUnstable::DownAll)),
                "wait" => Ok(Some(WhenUnstable::Wait)),
                other => {
                    let reason = format!("when_unstable = {other:?}: choose down-all or wait");
                    Err(Wrong { at: what.span(), reason })
                }
            },
        }
    }

    fn wrong(&self, reason: &str) -> Wrong {
        Wrong { at: self.strategy.span(), reason: reason.to_owned() }
    }
}

impl Membership {
    fn apply(&self, settings: &mut membership::Settings) {
        let times = [
            (self.gossip_ms, &mut settings.gossip_ns),
            (self.gossip_fast_ms, &mut settings.gossip_fast_ns),
            (self.join_retry_ms, &mut settings.join_retry_ns),
            (self.seed_wait_ms, &mut settings.seed_wait_ns),
            (self.welcome_within_ms, &mut settings.welcome_within_ns),
            (self.weakly_up_after_ms, &mut settings.weakly_up_after_ns),
            (self.farewell_ms, &mut settings.farewell_ns),
            (self.tombstone_ms, &mut settings.tombstone_ns),
        ];
        for (time_ms, time_ns) in times {
            *time_ns = time_ms.map_or(*time_ns, milliseconds);
        }
        let percent = &mut settings.unseen_first_percent;
        *percent = self.unseen_first_percent.unwrap_or(*percent);
        settings.neighbours = self.neighbours.unwrap_or(settings.neighbours);
        let threshold = &mut settings.detector.threshold;
        *threshold = self.suspicion_threshold.unwrap_or(*threshold);
    }
}

#[cfg(feature = "etcd")]
impl Store {
    fn settings(self, place: &str) -> Result<Etcd, ClusterFileError> {
        let mut store = Etcd::at(self.etcd);
        if let Some(prefix) = self.prefix {
            store = store.prefix(prefix);
        }
        if let Some(user) = self.user {
            store = store.user(user);
        }
        if let Some(path) = self.password_file {
            store = store.password(text_of(&path)?.trim_end_matches(['\r', '\n']));
        }
        if let Some(seconds) = self.ttl_seconds {
            store = store.ttl_seconds(seconds);
        }
        let refused = |source| ClusterFileError::Store { place: place.to_owned(), source };
        store.check().map_err(refused)?;
        Ok(store)
    }
}

fn milliseconds(time_ms: u64) -> u64 {
    time_ms.saturating_mul(1_000_000)
}

fn text_of(path: &Path) -> Result<String, ClusterFileError> {
    let refused = |source| ClusterFileError::Read { path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut text = String::new();
    file.take(FILE_LIMIT_BYTES + 1).read_to_string(&mut text).map_err(refused)?;
    match text.len() as u64 > FILE_LIMIT_BYTES {
        true => Err(ClusterFileError::TooLong { path: path.to_owned() }),
        false => Ok(text),
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
