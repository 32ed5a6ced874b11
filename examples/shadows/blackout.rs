//! How long a shard that moved did not do what it was asked.
//!
//! A gateway sees on which core its updates were handled. When those of a shard are handled on another core than
//! before, the shard has moved; it was dark from the last update on the old core to the first on the new one, but only
//! as far as that one was waiting: a shard that nobody talks to is not dark.

/// What a gateway has seen of the shards.
#[derive(Debug)]
pub struct Watch {
    shards: Vec<Seen>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    core: u16,
    /// When it handled something last; 0 for not yet.
    handled_ns: u64,
}

impl Watch {
    /// Nothing was seen yet.
    pub fn new(shards: u32) -> Watch {
        Watch { shards: vec![Seen::default(); shards as usize] }
    }

    /// An update of a shard was sent and handled. How long the shard was dark before, if it has moved.
    pub fn handled(&mut self, shard: u32, core: u16, sent_ns: u64, handled_ns: u64) -> Option<u64> {
        let seen = self.shards.get_mut(shard as usize)?;
        // The answers of two cores may arrive in another order than they were given.
        if handled_ns < seen.handled_ns {
            return None;
        }
        let before = std::mem::replace(seen, Seen { core, handled_ns });
        let has_moved = before.handled_ns > 0 && before.core != core;
        has_moved.then(|| handled_ns.saturating_sub(before.handled_ns.max(sent_ns)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_dark_from_its_last_update_on_the_old_core_to_its_first_on_the_new_one() {
        let mut watch = Watch::new(2);
        assert_eq!(watch.handled(1, 0, 5, 10), None);
        assert_eq!(watch.handled(1, 0, 5, 20), None);
        assert_eq!(watch.handled(1, 1, 15, 90), Some(70));
        assert_eq!(watch.handled(1, 1, 80, 95), None);
        assert_eq!(watch.handled(0, 1, 80, 95), None, "another shard");
    }

    #[test]
    fn while_nobody_waits_it_is_not_dark() {
        let mut watch = Watch::new(1);
        watch.handled(0, 0, 5, 10);
        assert_eq!(watch.handled(0, 1, 1_000, 1_030), Some(30));
    }

    #[test]
    fn an_answer_that_comes_late_is_no_move_back() {
        let mut watch = Watch::new(1);
        watch.handled(0, 0, 5, 10);
        watch.handled(0, 1, 12, 40);
        assert_eq!(watch.handled(0, 0, 6, 11), None);
        assert_eq!(watch.handled(0, 1, 41, 50), None);
    }
}
