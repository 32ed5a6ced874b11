//! What a region does when it hears of other nodes: their places come and go, and with its own node all ends.

use mainspring::message::Message;
use mainspring::prelude::*;

use super::door::{Greeting, OVER};
use crate::handoff::Input;
use crate::node::envelope::ArchivedNodeCores;
use crate::node::hosting::Abroad;
use crate::node::region::Region;
use crate::ownership::{Ownership, Place};

impl<A: Actor> Region<A>
where
    A::Message: Message,
{
    /// The other nodes that there are from now on. Those that came are taken in before it is said so.
    pub(in crate::node) fn take_neighbours(
        &mut self,
        ctx: &mut Context<'_, Self>,
        version: u64,
        nodes: &[ArchivedNodeCores],
    ) {
        let wanted = |known: &&Abroad<A::Message>| {
            nodes.iter().any(|node| node.incarnation.to_native() == known.incarnation)
        };
        let now: Vec<Abroad<A::Message>> =
            self.hosting.peers.abroad(|all| all.iter().filter(wanted).cloned().collect());
        let before = self.hosting.abroad.replace(now.clone());
        let is_in = |all: &[Abroad<A::Message>], one: &Abroad<A::Message>| {
            all.iter().any(|known| known.incarnation == one.incarnation)
        };
        for one in now.iter().filter(|one| !is_in(&before, one)) {
            for place in places_of(one) {
                self.input(ctx, Input::PlaceJoined(place));
            }
        }
        for one in before.iter().filter(|one| !is_in(&now, one)) {
            for place in places_of(one) {
                self.unsent.forget(place);
                self.input(ctx, Input::PlaceGone(place));
            }
        }
        self.tell_door(ctx, version);
    }

    /// Who owns shards, as the store has it.
    pub(in crate::node) fn take_records(
        &mut self,
        ctx: &mut Context<'_, Self>,
        records: impl Iterator<Item = (u32, Ownership<Place>)>,
    ) {
        for (shard, ownership) in records {
            self.input(ctx, Input::Learned { shard, ownership });
        }
    }

    /// The node is out of its cluster: all entities stop at once, and nothing is delivered any more.
    pub(in crate::node) fn end_all(&mut self, ctx: &mut Context<'_, Self>) {
        self.sole_closed();
        let shards = self.hosting.tables.borrow().residents.shard_count().get();
        for shard in 0..shards {
            self.kill_entities(ctx, shard, 0);
        }
        self.tell_door(ctx, OVER);
    }

    fn tell_door(&self, ctx: &mut Context<'_, Self>, version: u64) {
        let taken = Greeting::Taken { core: self.place.core, version };
        if let Some(door) = self.hosting.peers.door() {
            // One that finds no room is asked for again.
            let _ = ctx.try_tell(door, &(taken, Vec::new()));
        }
    }
}

fn places_of<M>(node: &Abroad<M>) -> impl Iterator<Item = Place> + use<M> {
    let incarnation = node.incarnation;
    (0..node.regions.len() as u16).map(move |core| Place { incarnation, core })
}
