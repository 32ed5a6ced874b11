//! How much is moved, how often, and why.

/// When and how shards are moved without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebalanceSettings {
    /// What is made equal between the cores.
    pub balance: Balance,
    /// Whether shards go where their messages come from.
    pub traffic: Option<TrafficSettings>,
    /// At most so many moves in a round, out of a hundred shards; one at least.
    pub moves_percent: u32,
    /// At most so many moves in a round, however many shards there are.
    pub most_moves: u32,
    /// At most so many rounds.
    pub rounds_per_minute: u32,
    /// How long a shard stays, after it was moved, before load or traffic moves it again.
    pub rest_ns: u64,
    /// A core is too busy with turns for more than so much of the time, in percent: traffic takes no shard there.
    pub busy_percent: u32,
}

/// What is made equal between the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Nothing.
    Off,
    /// The number of shards, to one.
    Count,
    /// What the shards cost.
    Load {
        /// What counts as cost.
        measure: Measure,
        /// Two cores are equal enough when they differ by no more than so much of the mean, in percent.
        tolerance_percent: u32,
    },
}

/// What counts as the cost of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Entities that are active.
    Entities,
    /// Time in the turns of its entities, of which one in 64 is timed.
    TurnTime,
    /// Messages for its entities.
    Messages,
}

/// When a shard goes where its messages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficSettings {
    /// So many of a hundred messages must come from that core: more than half, so that two cores never both claim it.
    pub share_percent: u32,
    /// So many messages a round, at least: fewer say nothing.
    pub least_messages: u64,
    /// In so many rounds one after another.
    pub steady_rounds: u32,
}

/// Settings with which nothing would ever move, or everything for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value} for moving shards; choose {least} to {most}")]
pub struct RebalanceSettingsError {
    /// Which one.
    pub setting: &'static str,
    /// What it is.
    pub value: u64,
    /// The least that is allowed.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Default for RebalanceSettings {
    /// The number of shards is made equal, a tenth of them in a round and 64 at most, every ten seconds; traffic moves
    /// nothing.
    fn default() -> Self {
        RebalanceSettings {
            balance: Balance::Count,
            traffic: None,
            moves_percent: 10,
            most_moves: 64,
            rounds_per_minute: 6,
            rest_ns: 60_000_000_000,
            busy_percent: 70,
        }
    }
}

impl Default for TrafficSettings {
    /// Two thirds of a thousand messages or more, three times running.
    fn default() -> Self {
        TrafficSettings { share_percent: 67, least_messages: 1_000, steady_rounds: 3 }
    }
}

impl RebalanceSettings {
    /// The moves of a round for so many shards.
    pub(super) fn moves_of(&self, shards: u32) -> usize {
        let relative = u64::from(shards) * u64::from(self.moves_percent) / 100;
        relative.min(u64::from(self.most_moves)).max(1) as usize
    }

    /// The time between the beginnings of two rounds.
    pub(super) fn round_ns(&self) -> u64 {
        60_000_000_000 / u64::from(self.rounds_per_minute)
    }

    pub(super) fn check(&self) -> Result<(), RebalanceSettingsError> {
        let traffic = self.traffic.unwrap_or_default();
        let tolerance = match self.balance {
            Balance::Load { tolerance_percent, .. } => u64::from(tolerance_percent),
            Balance::Off | Balance::Count => 1,
        };
        let bounds = [
            ("moves_percent", u64::from(self.moves_percent), 1, 100),
            ("most_moves", u64::from(self.most_moves), 1, 65_536),
            ("rounds_per_minute", u64::from(self.rounds_per_minute), 1, 600),
            ("busy_percent", u64::from(self.busy_percent), 1, 100),
            ("tolerance_percent", tolerance, 1, 1_000),
            ("share_percent", u64::from(traffic.share_percent), 51, 100),
            ("least_messages", traffic.least_messages, 1, u64::MAX),
            ("steady_rounds", u64::from(traffic.steady_rounds), 1, 1_000),
        ];
        match bounds.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((setting, value, least, most)) => {
                Err(RebalanceSettingsError { setting, value, least, most })
            }
            None => Ok(()),
        }
    }
}
