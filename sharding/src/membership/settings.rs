//! Limits and intervals of the membership.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::detector::DetectorSettings;

/// Members of a cluster.
pub const MEMBER_LIMIT: usize = 4_096;
/// Removed members that are remembered; beyond it the oldest is forgotten.
pub const TOMBSTONE_LIMIT: usize = 16_384;
/// Roles of a member.
pub const ROLE_LIMIT: usize = 32;
/// Bytes in the name of a role, in a version, in a name or value of the configuration.
pub const NAME_LIMIT_BYTES: usize = 256;
/// Values that every member has to agree on.
pub const CONFIGURATION_LIMIT: usize = 64;
/// Seeds.
pub const SEED_LIMIT: usize = 64;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// How a node takes part.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to ask to be let in. The first of them may begin the cluster when no other has one; the others ask for
    /// ever. One that lists itself skips itself.
    pub seeds: Vec<SocketAddr>,
    /// What this node may be used for.
    pub roles: BTreeSet<String>,
    /// The version of the program.
    pub app_version: String,
    /// Values that have to be the same on every member, by name: the number of shards, the resolver.
    pub configuration: BTreeMap<String, String>,
    /// Between two rounds of gossip when all have seen the view.
    pub gossip_ns: u64,
    /// Between two rounds while somebody has not.
    pub gossip_fast_ns: u64,
    /// How likely a round goes to somebody who has not seen the view, in percent, as long as there is one.
    pub unseen_first_percent: u8,
    /// Between two requests of a node that joins.
    pub join_retry_ns: u64,
    /// How long the first seed waits for an answer of another seed before it begins the cluster.
    pub seed_wait_ns: u64,
    /// How long to wait for the welcome before starting over.
    pub welcome_within_ns: u64,
    /// How long views may not converge before those that join become weakly up.
    pub weakly_up_after_ns: u64,
    /// How long a node that has to stop goes on telling others so.
    pub farewell_ns: u64,
    /// How long a removed member is remembered, so that no old view brings it back.
    pub tombstone_ns: u64,
    /// How beats are judged, and how often they are sent.
    pub detector: DetectorSettings,
    /// How many members that it reaches a node listens to; to all others, if they are no more.
    pub neighbours: usize,
    /// Seeds the choice of gossip partners; in a cluster, 0 has each life of a node choose its own.
    pub random_seed: u64,
}

impl Default for Settings {
    /// Gossip each second, ten times a second while views differ; 4 of 5 rounds to somebody who has not seen the
    /// view; requests to join 4 times a second, the first seed waits 5 s, the welcome 10 s; weakly up after 7 s;
    /// farewells for 400 ms; tombstones for 24 h; 9 neighbours.
    fn default() -> Settings {
        Settings {
            seeds: Vec::new(),
            roles: BTreeSet::new(),
            app_version: String::new(),
            configuration: BTreeMap::new(),
            gossip_ns: SECOND,
            gossip_fast_ns: 100 * MS,
            unseen_first_percent: 80,
            join_retry_ns: 250 * MS,
            seed_wait_ns: 5 * SECOND,
            welcome_within_ns: 10 * SECOND,
            weakly_up_after_ns: 7 * SECOND,
            farewell_ns: 400 * MS,
            tombstone_ns: 24 * 3_600 * SECOND,
            detector: DetectorSettings::default(),
            neighbours: 9,
            random_seed: 0,
        }
    }
}

/// Settings that no node can run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Nobody to ask.
    #[error(
        "no seeds; name the address of at least one node, this one if it is to begin the cluster"
    )]
    NoSeeds,
    /// More of something than the limit.
    #[error("{count} {what}, where {limit} are the limit; name fewer")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl Settings {
    /// Whether a node can run with these.
    ///
    /// # Errors
    /// [`SettingsError`] names what is wrong.
    pub fn check(&self) -> Result<(), SettingsError> {
        if self.seeds.is_empty() {
            return Err(SettingsError::NoSeeds);
        }
        let pairs = self.configuration.iter().flat_map(|(name, value)| [name.len(), value.len()]);
        let names = self.roles.iter().map(String::len).chain(pairs);
        let bytes = names.max().unwrap_or(0).max(self.app_version.len());
        let counts = [
            ("seeds", self.seeds.len(), SEED_LIMIT),
            ("roles", self.roles.len(), ROLE_LIMIT),
            ("values of the configuration", self.configuration.len(), CONFIGURATION_LIMIT),
            ("bytes in a name, value or version", bytes, NAME_LIMIT_BYTES),
        ];
        match counts.into_iter().find(|(_, count, limit)| count > limit) {
            Some((what, count, limit)) => Err(SettingsError::TooMany { what, count, limit }),
            None => Ok(()),
        }
    }
}
