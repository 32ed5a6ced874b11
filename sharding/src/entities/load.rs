//! What the shards of a core cost since they were last asked: messages by the core they came from, and turn time.
//!
//! A shard takes no memory here before its first message. Turn time may be sampled: who measures one turn in so many
//! reports it so many times over. Counts stop at their highest value and never wrap.

/// The most cores that messages may come from.
pub const MOST_ORIGINS: u32 = 1_024;

/// Counters for the shards of one type on one core.
#[derive(Debug)]
pub struct ShardLoads {
    origins: u32,
    shards: Vec<Option<Box<Counters>>>,
}

/// What one shard cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardLoad {
    /// Which one.
    pub shard: u32,
    /// Entities in it, as the caller counted them.
    pub entities: u32,
    /// Time in the turns of its entities, in nanoseconds.
    pub turn_ns: u64,
    /// Messages for its entities by the number of the core that sent them.
    pub messages_from: Vec<u64>,
}

/// A number of cores that is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("messages from {origins} cores are to be counted; choose 1 to {MOST_ORIGINS}")]
pub struct ShardLoadsError {
    /// What was asked for.
    pub origins: u32,
}

#[derive(Clone, Debug)]
struct Counters {
    turn_ns: u64,
    messages_from: Box<[u64]>,
}

impl ShardLoads {
    /// Counters for shards below `shard_count` and messages from cores below `origins`.
    ///
    /// # Errors
    ///
    /// No core, or more than [`MOST_ORIGINS`].
    pub fn new(shard_count: super::ShardCount, origins: u32) -> Result<Self, ShardLoadsError> {
        if origins == 0 || origins > MOST_ORIGINS {
            return Err(ShardLoadsError { origins });
        }
        Ok(ShardLoads { origins, shards: vec![None; shard_count.get() as usize] })
    }

    /// Counts a message. A shard or a core that there is not is not counted.
    #[inline]
    pub fn message(&mut self, shard: u32, origin: u16) {
        let count =
            self.of(shard).and_then(|counters| counters.messages_from.get_mut(usize::from(origin)));
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
    }

    /// Counts the time of turns.
    #[inline]
    pub fn turn(&mut self, shard: u32, turn_ns: u64) {
        if let Some(counters) = self.of(shard) {
            counters.turn_ns = counters.turn_ns.saturating_add(turn_ns);
        }
    }

    /// What a shard cost since this was last asked; the counters begin anew. `entities` is the caller's count.
    pub fn take(&mut self, shard: u32, entities: u32) -> ShardLoad {
        let counters = self.shards.get_mut(shard as usize).and_then(Option::as_mut);
        let (turn_ns, messages_from) = match counters {
            Some(counters) => {
                let messages_from = counters.messages_from.to_vec();
                counters.messages_from.fill(0);
                (std::mem::take(&mut counters.turn_ns), messages_from)
            }
            None => (0, Vec::new()),
        };
        ShardLoad { shard, entities, turn_ns, messages_from }
    }

    /// Forgets a shard that has left, and gives its memory back.
    pub fn forget(&mut self, shard: u32) {
        if let Some(counters) = self.shards.get_mut(shard as usize) {
            *counters = None;
        }
    }

    #[inline]
    fn of(&mut self, shard: u32) -> Option<&mut Counters> {
        let origins = self.origins as usize;
        let counters = self.shards.get_mut(shard as usize)?;
        Some(counters.get_or_insert_with(|| {
            Box::new(Counters { turn_ns: 0, messages_from: vec![0; origins].into() })
        }))
    }
}

impl ShardLoad {
    /// Messages from all cores.
    pub fn messages(&self) -> u64 {
        self.messages_from.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entities::ShardCount;

    #[test]
    fn a_shard_is_charged_what_it_cost_since_it_was_last_asked() {
        let mut loads = ShardLoads::new(ShardCount::new(4).unwrap(), 2).unwrap();
        (0..3).for_each(|_| loads.message(1, 1));
        loads.message(1, 0);
        loads.turn(1, 250);
        loads.turn(1, 50);
        let load = loads.take(1, 9);
        assert_eq!(load.messages(), 4);
        let expected = ShardLoad { shard: 1, entities: 9, turn_ns: 300, messages_from: vec![1, 3] };
        assert_eq!(load, expected);
        assert_eq!((loads.take(1, 0).messages(), loads.take(1, 0).turn_ns), (0, 0));
    }

    #[test]
    fn what_there_is_not_is_not_counted_and_takes_no_memory() {
        let mut loads = ShardLoads::new(ShardCount::new(4).unwrap(), 2).unwrap();
        loads.message(4, 0);
        loads.message(2, 2);
        loads.turn(9, 1);
        assert_eq!(loads.take(4, 0), ShardLoad { shard: 4, ..ShardLoad::default() });
        assert_eq!(loads.take(2, 0).messages(), 0);
        loads.message(3, 1);
        loads.forget(3);
        assert_eq!(loads.take(3, 0).messages(), 0);
        assert!(ShardLoads::new(ShardCount::new(4).unwrap(), 0).is_err());
        assert!(ShardLoads::new(ShardCount::new(4).unwrap(), MOST_ORIGINS + 1).is_err());
    }
}
