//! What is chosen once for a type of entities.

use std::time::Duration;

use super::error::DeclareError;
use crate::allocation::AllocationSettings;
use crate::entities::{LifeSettings, Lives, MOST_RESIDENTS, Residents, ShardCount};
use crate::passivation::{Passivation, PassivationSettings};
use crate::rebalance::{Balance, Measure, RebalanceSettings, Rebalancer};

/// The most bytes of a type's name.
pub const MOST_NAME_BYTES: usize = 256;

/// A type of entities: its name, how many shards it has, and the limits that it keeps on each core.
///
/// ```
/// use std::time::Duration;
/// use mainspring_sharding::EntityType;
///
/// let accounts = EntityType::new("account")
///     .shards(1024)
///     .passivate_after(Duration::from_secs(300))
///     .at_most(100_000);
/// assert_eq!(accounts.name(), "account");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityType {
    pub(crate) name: String,
    pub(crate) shards: u32,
    pub(crate) idle_ns: Option<u64>,
    pub(crate) at_most: u32,
    pub(crate) kept_limit_bytes: usize,
    pub(crate) parked_limit_bytes: usize,
    pub(crate) stop_within_ns: u64,
    pub(crate) lives: LifeSettings,
    pub(crate) rebalance: RebalanceSettings,
    pub(crate) remembered_per_second: Option<u32>,
    pub(crate) role: Option<String>,
    pub(crate) allocation: AllocationSettings,
    /// It has one entity, which always runs.
    pub(crate) is_single: bool,
}

impl EntityType {
    /// A type by its name, which is the same on every node and for ever.
    pub fn new(name: impl Into<String>) -> Self {
        EntityType {
            name: name.into(),
            shards: 1_024,
            idle_ns: None,
            at_most: MOST_RESIDENTS.min(1 << 20),
            kept_limit_bytes: 16 << 20,
            parked_limit_bytes: 16 << 20,
            stop_within_ns: 10_000_000_000,
            lives: LifeSettings::default(),
            rebalance: RebalanceSettings::default(),
            remembered_per_second: None,
            role: None,
            allocation: AllocationSettings::default(),
            is_single: false,
        }
    }

    /// How many shards it has: 1,024 unless set. With another number, ids belong to other shards, so it is never
    /// changed afterwards.
    pub fn shards(mut self, shards: u32) -> Self {
        self.shards = shards;
        self
    }

    /// An entity that got no message for so long is stopped, and started again by its next one. Never unless set.
    pub fn passivate_after(mut self, idle: Duration) -> Self {
        self.idle_ns = Some(u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX));
        self
    }

    /// The most entities that are active on a core: 2²⁰ unless set. Beyond it those are stopped that are least likely
    /// to be used soon.
    pub fn at_most(mut self, entities: u32) -> Self {
        self.at_most = entities;
        self
    }

    /// The most bytes of messages that wait on a core for entities that stop or start: 16 MiB unless set.
    pub fn kept_limit_bytes(mut self, bytes: usize) -> Self {
        self.kept_limit_bytes = bytes;
        self
    }

    /// The most bytes of messages that wait on a core for shards that move, and of those that wait for room on the way
    /// to other cores: 16 MiB each unless set.
    pub fn parked_limit_bytes(mut self, bytes: usize) -> Self {
        self.parked_limit_bytes = bytes;
        self
    }

    /// How long entities of a shard that moves may take to stop: 10 s unless set. Late ones are stopped at once, and
    /// what they have not handled is lost.
    pub fn stop_within(mut self, deadline: Duration) -> Self {
        self.stop_within_ns = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// How entities that fail are started again.
    pub fn failures(mut self, lives: LifeSettings) -> Self {
        self.lives = lives;
        self
    }

    /// When shards are moved without being asked for: to keep their number equal on all cores unless set.
    pub fn rebalance(mut self, settings: RebalanceSettings) -> Self {
        self.rebalance = settings;
        self
    }

    /// Entities that run when their shard moves to another core are started there without a message, at most so many in
    /// a second on a core (0 counts as 1). They begin with their next message unless set.
    ///
    /// On a node with a journal (`mainspring_journal::Journal`) it is the same over a restart: which entities run is
    /// recorded there. An entity that stops of itself, asks to be stopped, or leaves because there are too many is not
    /// started again; one that fails is. None leaves for being idle: [`passivate_after`](Self::passivate_after) has no
    /// effect then.
    pub fn remember(mut self, starts_per_second: u32) -> Self {
        self.remembered_per_second = Some(starts_per_second);
        self
    }

    /// In a cluster, only members of this role have its shards. Any member unless set.
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = Some(role.into());
        self
    }

    /// How its shards are placed over the nodes of a cluster.
    pub fn allocation(mut self, settings: AllocationSettings) -> Self {
        self.allocation = settings;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether what its shards cost decides which of them move.
    pub(crate) fn looks_at_loads(&self) -> bool {
        let RebalanceSettings { traffic, balance, .. } = self.rebalance;
        traffic.is_some() || matches!(balance, Balance::Load { .. })
    }

    /// Whether the time of its entities' turns has a part in that.
    pub(crate) fn looks_at_turn_time(&self) -> bool {
        let RebalanceSettings { traffic, balance, .. } = self.rebalance;
        let is_measure = matches!(balance, Balance::Load { measure: Measure::TurnTime, .. });
        traffic.is_some() || is_measure
    }

    pub(crate) fn passivation(&self) -> PassivationSettings {
        PassivationSettings { idle_after_ns: self.idle_ns, at_most: Some(self.at_most) }
    }

    /// The number of shards, if everything about the type is as it must be.
    pub(crate) fn checked(&self) -> Result<ShardCount, DeclareError> {
        let bytes = self.name.len();
        if bytes == 0 || bytes > MOST_NAME_BYTES {
            return Err(DeclareError::Name { bytes });
        }
        let name = || self.name.clone();
        let shards = ShardCount::new(self.shards)
            .map_err(|source| DeclareError::Shards { name: name(), source })?;
        Residents::<()>::new(shards, self.at_most)
            .map_err(|source| DeclareError::AtMost { name: name(), source })?;
        Lives::new(self.lives).map_err(|source| DeclareError::Failures { name: name(), source })?;
        Passivation::new(self.passivation())
            .map_err(|source| DeclareError::Passivation { name: name(), source })?;
        Rebalancer::new(self.rebalance, shards, 1)
            .map_err(|source| DeclareError::Rebalance { name: name(), source })?;
        Ok(shards)
    }
}
