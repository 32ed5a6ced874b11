//! The table against a plain map, at its limit, and in bytes.

use std::collections::BTreeMap;

use super::*;
use crate::entities::ToEntityKey;

fn table(shards: u32, most: u32) -> Residents<u64> {
    Residents::new(ShardCount::new(shards).unwrap(), most).unwrap()
}

/// Ids of all lengths, so that both places for them are used.
fn id_of(number: u32) -> Vec<u8> {
    let mut id = format!("device-{number}").into_bytes();
    id.resize(id.len() + number as usize % 40, b'.');
    id
}

#[test]
fn any_sequence_of_changes_leaves_the_same_as_in_a_map() {
    proptest::proptest!(|(seed: u64, shards in 1..20_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut residents = table(shards, 300);
        let mut model: BTreeMap<u32, (u64, Slot)> = BTreeMap::new();
        let mut left: Vec<Slot> = Vec::new();
        for step in 0..2_000_u64 {
            let number = random.u32(0..400);
            let id = id_of(number);
            let key = id.to_entity_key().unwrap();
            let expected = model.get(&number).copied();
            assert_eq!(residents.find(&key).map(|found| (found.value, found.slot)), expected);
            match (expected, random.u8(0..4)) {
                (None, _) => match residents.insert(&key, step) {
                    Ok(slot) => drop(model.insert(number, (step, slot))),
                    Err(error) => {
                        assert_eq!((error, model.len()), (InsertError::Full { most: 300 }, 300));
                    }
                },
                (Some((value, slot)), 0..2) => {
                    assert_eq!(residents.remove(slot), Some(value));
                    model.remove(&number);
                    left.push(slot);
                }
                (Some((value, slot)), 2) => {
                    assert_eq!(residents.replace(slot, step), Some(value));
                    model.insert(number, (step, slot));
                }
                (Some((_, slot)), _) => {
                    assert_eq!(residents.insert(&key, step), Err(InsertError::Here { slot }));
                    let resident = residents.get(slot).unwrap();
                    assert_eq!((resident.id, resident.shard), (&id[..], residents.shard_count().shard_of(&key)));
                }
            }
        }
        assert_eq!(residents.len() as usize, model.len());
        assert!(left.iter().all(|slot| residents.get(*slot).is_none()), "a slot outlived its entity");
    });
}

#[test]
fn the_entities_of_a_shard_are_walked_in_the_order_in_which_they_came() {
    let mut random = fastrand::Rng::with_seed(8);
    let mut residents = table(16, 1_000);
    let mut model: Vec<Vec<u32>> = vec![Vec::new(); 16];
    for number in 0..1_000 {
        let slot =
            residents.insert(&id_of(number).to_entity_key().unwrap(), u64::from(number)).unwrap();
        model[residents.get(slot).unwrap().shard as usize].push(number);
    }
    for number in (0..1_000).filter(|_| random.bool()) {
        let found = residents.find(&id_of(number).to_entity_key().unwrap()).unwrap();
        residents.remove(found.slot);
        model.iter_mut().for_each(|shard| shard.retain(|n| *n != number));
    }
    for (shard, expected) in model.iter().enumerate() {
        let walked =
            residents.of_shard(shard as u32).map(|slot| residents.get(slot).unwrap().value as u32);
        assert_eq!(&Vec::from_iter(walked), expected);
        assert_eq!(residents.entities_of(shard as u32) as usize, expected.len());
    }
    assert_eq!((residents.of_shard(16).count(), residents.entities_of(16)), (0, 0));
}

#[test]
fn a_place_that_was_left_is_used_again() {
    let mut residents = table(4, 10);
    for number in 0..100_u64 {
        let slot = residents.insert(&number.to_entity_key().unwrap(), number).unwrap();
        assert_eq!(slot.number(), 0);
        assert_eq!(residents.slot(0), Some(slot));
        assert_eq!(residents.remove(slot), Some(number));
        assert_eq!((residents.remove(slot), residents.slot(0)), (None, None));
    }
    assert!(residents.is_empty());
}

#[test]
fn limits_that_cannot_be_are_refused() {
    let shards = ShardCount::new(1).unwrap();
    assert!(Residents::<u64>::new(shards, 0).is_err());
    assert!(Residents::<u64>::new(shards, MOST_RESIDENTS).is_ok());
    let error = Residents::<u64>::new(shards, MOST_RESIDENTS + 1).unwrap_err();
    assert!(error.to_string().contains("choose 1 to 16777215"), "{error}");
}

#[test]
fn an_idle_entity_takes_a_cache_line_beside_the_index() {
    assert_eq!(size_of::<Row<[u64; 3]>>(), 64);
    assert_eq!(align_of::<Row<[u64; 3]>>(), 64);
    assert_eq!(size_of::<Option<Found<u64>>>(), 24);
}
