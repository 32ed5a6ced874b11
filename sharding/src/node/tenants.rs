//! Which entity an actor is, of those that a region has started and not seen end.
//!
//! Found by the number of the actor's slot. A core gives that number to another actor as soon as it is free, and that
//! may be before the region is told of the end of the first: until then both are here.

use std::collections::BTreeMap;

use mainspring::prelude::*;

use crate::entities::Slot;

/// See the module's header.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    by_number: Vec<Option<(Address, Slot)>>,
    /// Actors whose number another one has by now: they are gone, and the region is about to be told.
    displaced: BTreeMap<Address, Slot>,
}

impl Tenants {
    /// The actor of an entity has been started.
    pub fn insert(&mut self, actor: Address, slot: Slot) {
        let number = actor.slot() as usize;
        if self.by_number.len() <= number {
            self.by_number.resize(number + 1, None);
        }
        if let Some((gone, its_slot)) = self.by_number[number].replace((actor, slot)) {
            self.displaced.insert(gone, its_slot);
        }
    }

    /// The entity of an actor that has not ended.
    pub fn get(&self, actor: Address) -> Option<Slot> {
        let (known, slot) = self.by_number.get(actor.slot() as usize).copied().flatten()?;
        (known == actor).then_some(slot)
    }

    /// The actor is gone: which entity it was.
    pub fn take(&mut self, actor: Address) -> Option<Slot> {
        let place = self.by_number.get_mut(actor.slot() as usize)?;
        match place.take_if(|(known, _)| *known == actor) {
            Some((_, slot)) => Some(slot),
            None => self.displaced.remove(&actor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entities::{Residents, ShardCount, ToEntityKey};

    #[test]
    fn an_actor_whose_number_another_one_has_is_still_known() {
        let shards = ShardCount::new(4).expect("within the limits");
        let mut residents = Residents::new(shards, 4).expect("within the limits");
        let mut slot_of =
            |id: u64| residents.insert(&id.to_entity_key().expect("an id"), ()).expect("room");
        let (one, two) = (slot_of(1), slot_of(2));
        let (first, second) = (Address::new(0, 0, 0, 7, 1), Address::new(0, 0, 0, 7, 2));
        let mut tenants = Tenants::default();
        tenants.insert(first, one);
        tenants.insert(second, two);
        assert_eq!((tenants.get(first), tenants.get(second)), (None, Some(two)));
        assert_eq!((tenants.take(first), tenants.take(first)), (Some(one), None));
        assert_eq!((tenants.take(second), tenants.get(second)), (Some(two), None));
    }
}
