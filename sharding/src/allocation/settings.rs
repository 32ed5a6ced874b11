//! How much is placed and moved, and how often.

/// The pace of an [`Allocator`](super::Allocator).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllocationSettings {
    /// The time between the beginnings of two rounds of balancing that move something.
    pub round_ns: u64,
    /// At most so many moves in such a round, out of a hundred shards; one at least.
    pub moves_percent: u32,
    /// At most so many moves in such a round, however many shards there are.
    pub most_moves: u32,
    /// At most so many shards are on their way, before one more begins to leave a node or is moved because somebody
    /// asked for it.
    pub most_under_way: u32,
    /// At most so many shards are on their way, before one more that has no owner is placed.
    pub most_placed: u32,
    /// How long balancing leaves a shard alone that was moved because somebody asked for it.
    pub rest_ns: u64,
    /// Shards go to the member that came up first, of those that run the highest version, and nothing is balanced: what
    /// a cluster has one of stays where it is until its node leaves or is gone.
    pub on_oldest: bool,
}

/// Settings with which nothing would ever be placed or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} = {value} for the allocation of shards; choose {least} to {most}")]
pub struct AllocationSettingsError {
    /// Which one.
    pub setting: &'static str,
    /// What it is.
    pub value: u64,
    /// The least that is allowed.
    pub least: u64,
    /// The most.
    pub most: u64,
}

impl Default for AllocationSettings {
    /// A round every ten seconds at most, of a tenth of the shards and 64 at most; 64 leave a node at a time, 1,024 are
    /// placed at a time; a shard that was asked for rests for ten minutes; the number of shards decides, not the age.
    fn default() -> Self {
        AllocationSettings {
            round_ns: 10_000_000_000,
            moves_percent: 10,
            most_moves: 64,
            most_under_way: 64,
            most_placed: 1_024,
            rest_ns: 600_000_000_000,
            on_oldest: false,
        }
    }
}

impl AllocationSettings {
    /// The moves of a round of balancing for so many shards.
    pub(super) fn moves_of(&self, shards: usize) -> usize {
        let relative = shards as u64 * u64::from(self.moves_percent) / 100;
        relative.min(u64::from(self.most_moves)).max(1) as usize
    }

    pub(super) fn check(&self) -> Result<(), AllocationSettingsError> {
        let bounds = [
            ("moves_percent", self.moves_percent, 1, 100),
            ("most_moves", self.most_moves, 1, 65_536),
            ("most_under_way", self.most_under_way, 1, 65_536),
            ("most_placed", self.most_placed, 1, 65_536),
        ];
        match bounds.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            Some((setting, value, least, most)) => Err(AllocationSettingsError {
                setting,
                value: value.into(),
                least: least.into(),
                most: most.into(),
            }),
            None => Ok(()),
        }
    }
}
