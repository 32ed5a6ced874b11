//! Which shards are to move to which core.
//!
//! A [`Rebalancer`] is shown where the shards of a type are and what they cost ([`Survey`]), and answers with moves,
//! which the caller has made by the hand-off machine and reports back. In this order:
//!
//! 1. moves that somebody asked for ([`move_shard`](Rebalancer::move_shard));
//! 2. shards leave cores that are drained ([`drain`](Rebalancer::drain));
//! 3. a shard whose messages come mostly from another core goes there ([`TrafficSettings`]);
//! 4. cores are brought to the same number of shards, or the same load ([`Balance`]).
//!
//! Promises: no round while a move of the last one is under way; no more moves in a round, and no more rounds of the
//! kinds 3 and 4 in a minute, than the settings allow; no move to a core that is drained; a shard that was moved rests
//! before it is moved by 3 or 4 again; a shard that traffic holds where it is is moved by 4 only off a core that is too
//! busy. The same calls give the same moves.
//!
//! ```
//! use mainspring_sharding::entities::ShardCount;
//! use mainspring_sharding::rebalance::{RebalanceSettings, Rebalancer, Survey};
//!
//! let mut rebalancer = Rebalancer::new(RebalanceSettings::default(), ShardCount::new(4)?, 2)?;
//! rebalancer.drain(1)?;
//! let homes = [Some(0), Some(0), Some(1), Some(0)];
//! let moves = rebalancer.plan(1, &Survey { homes: &homes, loads: &[], sampled_ns: 0 })?;
//! assert_eq!((moves[0].shard, moves[0].from, moves[0].to), (2, 1, 0));
//! // The hand-off machine makes it.
//! rebalancer.ended(2, 5_000_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod by_count;
mod by_load;
mod by_traffic;
mod rebalancer;
mod settings;
mod standing;
mod survey;

pub use rebalancer::{Move, MoveError, Reason, Rebalancer};
pub use settings::{Balance, Measure, RebalanceSettings, RebalanceSettingsError, TrafficSettings};
pub use survey::{Survey, SurveyError};

#[cfg(test)]
mod tests;
