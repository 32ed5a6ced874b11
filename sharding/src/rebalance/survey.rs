//! Where the shards are and what they cost, as the caller sees it.

use crate::entities::ShardLoad;

/// What a [`Rebalancer`](super::Rebalancer) is shown.
#[derive(Clone, Copy, Debug)]
pub struct Survey<'a> {
    /// The core of each shard, by the number of the shard; `None` for one that nobody owns now.
    pub homes: &'a [Option<u16>],
    /// What shards cost since the last survey. One that is not here cost nothing.
    pub loads: &'a [ShardLoad],
    /// How long that was.
    pub sampled_ns: u64,
}

/// A survey of something else than was to be balanced. No round was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SurveyError {
    /// Too few or too many.
    #[error("a survey of {shards} shards of a type that has {expected}")]
    Shards {
        /// In the survey.
        shards: usize,
        /// As the rebalancer was made for.
        expected: u32,
    },
    /// A load of no shard.
    #[error(
        "a survey with a load of shard {shard}, and the type has {shards} shards, counted from 0"
    )]
    Load {
        /// The shard in the survey.
        shard: u32,
        /// As many as the rebalancer was made for.
        shards: u32,
    },
    /// A home that is no core.
    #[error(
        "a survey with shard {shard} on core {core}, and there are {cores} cores, counted from 0"
    )]
    Home {
        /// The shard.
        shard: u32,
        /// Where it is said to be.
        core: u16,
        /// As many as the rebalancer was made for.
        cores: u16,
    },
}

impl Survey<'_> {
    pub(super) fn check(&self, shards: u32, cores: u16) -> Result<(), SurveyError> {
        if self.homes.len() != shards as usize {
            return Err(SurveyError::Shards { shards: self.homes.len(), expected: shards });
        }
        if let Some(load) = self.loads.iter().find(|load| load.shard >= shards) {
            return Err(SurveyError::Load { shard: load.shard, shards });
        }
        let homes = self.homes.iter().enumerate();
        let mut foreign = homes.filter_map(|(shard, core)| Some((shard as u32, (*core)?)));
        match foreign.find(|(_, core)| *core >= cores) {
            Some((shard, core)) => Err(SurveyError::Home { shard, core, cores }),
            None => Ok(()),
        }
    }
}
