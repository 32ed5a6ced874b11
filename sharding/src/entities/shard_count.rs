//! How many shards a type of entities has, and which of them an id belongs to.
//!
//! The number is chosen once for a type: with another one, ids belong to other shards.

use super::EntityKey;

/// The most shards that a type of entities may have.
pub const MOST_SHARDS: u32 = 65_536;

/// A number of shards that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardCount(u32);

/// A number of shards that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{shards} shards for a type of entities; choose 1 to {MOST_SHARDS}, about ten for each core it may ever have"
)]
pub struct ShardCountError {
    /// What was asked for.
    pub shards: u32,
}

impl ShardCount {
    /// So many shards.
    ///
    /// # Errors
    ///
    /// None at all, or more than [`MOST_SHARDS`].
    pub fn new(shards: u32) -> Result<Self, ShardCountError> {
        if shards == 0 || shards > MOST_SHARDS {
            return Err(ShardCountError { shards });
        }
        Ok(ShardCount(shards))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The shard of an id: its hash, modulo the number of shards.
    #[inline]
    pub fn shard_of(self, key: &EntityKey<'_>) -> u32 {
        // A division costs more than all else here, and the number of shards is a power of two most of the time.
        match self.0.is_power_of_two() {
            true => key.hash() as u32 & (self.0 - 1),
            false => (key.hash() % u64::from(self.0)) as u32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entities::ToEntityKey;

    #[test]
    fn no_shards_and_too_many_are_refused() {
        assert_eq!(ShardCount::new(0), Err(ShardCountError { shards: 0 }));
        assert_eq!(ShardCount::new(MOST_SHARDS + 1), Err(ShardCountError { shards: 65_537 }));
        assert_eq!(ShardCount::new(MOST_SHARDS).map(ShardCount::get), Ok(65_536));
    }

    #[test]
    fn an_id_keeps_its_shard_for_ever() {
        let shards = ShardCount::new(1_000).unwrap();
        assert_eq!(
            shards.shard_of(&[0_u8].to_entity_key().unwrap()),
            (0xC44B_DFF4_074E_ECDB_u64 % 1_000) as u32
        );
        let even = ShardCount::new(1_024).unwrap();
        assert_eq!(
            even.shard_of(&[0_u8].to_entity_key().unwrap()),
            (0xC44B_DFF4_074E_ECDB_u64 % 1_024) as u32
        );
        let one = ShardCount::new(1).unwrap();
        assert_eq!(one.shard_of(&7_u64.to_entity_key().unwrap()), 0);
    }
}
