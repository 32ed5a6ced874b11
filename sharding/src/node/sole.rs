//! The only entity of a type that has one: it is started without a message when its shard opens, and again when it
//! ends.
//!
//! Invariants: it is started only while the shard is open here and the node may use what it owns; never at once after
//! an end, but after a pause.

use mainspring::message::Message;
use mainspring::prelude::*;

use super::region::Region;
use crate::entities::ToEntityKey;

/// The shard and the id of the entity: there are no others of its type.
const SHARD: u32 = 0;
pub(super) const SOLE_ID: u64 = 1;

/// When the entity is to be started.
#[derive(Debug)]
pub(super) struct Sole {
    pause_ns: u64,
    is_open: bool,
    due_ns: Option<u64>,
}

impl Sole {
    /// One whose shard is not open. After an end it is started when `pause_ns` have passed.
    pub fn new(pause_ns: u64) -> Sole {
        Sole { pause_ns, is_open: false, due_ns: None }
    }

    /// The shard is open here.
    pub fn opened(&mut self, now_ns: u64) {
        (self.is_open, self.due_ns) = (true, Some(now_ns));
    }

    /// The shard leaves, or the node is out of its cluster.
    pub fn closed(&mut self) {
        (self.is_open, self.due_ns) = (false, None);
    }

    /// The entity has ended, or could not be started.
    pub fn ended(&mut self, now_ns: u64) {
        if self.is_open {
            self.due_ns = Some(now_ns.saturating_add(self.pause_ns));
        }
    }

    /// When it is to be started.
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.due_ns
    }

    fn take_due(&mut self, now_ns: u64) -> bool {
        self.due_ns.take_if(|due_ns| *due_ns <= now_ns).is_some()
    }
}

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    pub(super) fn sole_opened(&mut self, now_ns: u64) {
        if let Some(sole) = &mut self.sole {
            sole.opened(now_ns);
        }
    }

    pub(super) fn sole_closed(&mut self) {
        if let Some(sole) = &mut self.sole {
            sole.closed();
        }
    }

    pub(super) fn sole_ended(&mut self, now_ns: u64) {
        if let Some(sole) = &mut self.sole {
            sole.ended(now_ns);
        }
    }

    /// Starts the entity if it is due and does not run.
    pub(super) fn start_sole(&mut self, ctx: &mut Context<'_, Self>) {
        let now_ns = ctx.now_ns();
        if !self.sole.as_mut().is_some_and(|sole| sole.take_due(now_ns)) {
            return;
        }
        let Ok(key) = SOLE_ID.to_entity_key() else { return };
        let (is_ours, runs) = {
            let tables = self.hosting.tables.borrow();
            let owner = tables.shards.ownership(SHARD).map(|ownership| ownership.owner);
            (owner == Some(self.place), tables.residents.find(&key).is_some())
        };
        if !is_ours {
            return self.sole_closed();
        }
        let may_start = self.hosting.peers.tenure.holds(now_ns);
        if !runs && (!may_start || self.take_in(ctx, &key).is_none()) {
            self.sole_ended(now_ns);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_started_when_its_shard_opens_and_a_pause_after_each_end_until_the_shard_leaves() {
        let mut sole = Sole::new(50);
        sole.ended(5);
        assert_eq!(
            sole.next_deadline_ns(),
            None,
            "it is nobody's business before the shard is open"
        );
        sole.opened(10);
        assert!(sole.take_due(10) && !sole.take_due(10));
        sole.ended(20);
        assert!(!sole.take_due(69) && sole.take_due(70));
        sole.ended(80);
        sole.closed();
        sole.ended(90);
        assert_eq!(sole.next_deadline_ns(), None);
    }
}
