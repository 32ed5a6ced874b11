//! The limit holds, whatever comes.

use super::*;
use crate::entities::{Residents, ShardCount, ToEntityKey};

#[test]
fn a_million_ids_that_come_once_leave_the_limit_and_the_hot_entities_alone() {
    const AT_MOST: u32 = 10_000;
    const HOT: u64 = 100;
    let mut residents = Residents::<u64>::new(ShardCount::new(256).unwrap(), AT_MOST + 1).unwrap();
    let mut passivation = with_limit(AT_MOST);
    let mut restarts = 0;
    let mut use_entity = |id: u64, now_ns| {
        let key = id.to_entity_key().unwrap();
        if let Some(found) = residents.find(&key) {
            return passivation.touch(found.slot, now_ns);
        }
        restarts += u64::from(id < HOT);
        let slot = residents.insert(&key, id).unwrap();
        let leaves = passivation.admit(slot, key.hash(), now_ns, |_| true).unwrap();
        leaves.into_iter().for_each(|leaver| assert!(residents.remove(leaver).is_some()));
        assert!(residents.len() <= AT_MOST && residents.len() == passivation.len());
    };
    for n in 0..1_000_000_u64 {
        use_entity(1_000 + n, n * 1_000);
        if n % 10 == 0 {
            use_entity(n / 10 % HOT, n * 1_000);
        }
    }
    assert_eq!(restarts, HOT, "a hot entity had to start again");
    assert_eq!(residents.len(), AT_MOST);
}

#[test]
fn when_nobody_may_stop_the_newcomer_is_refused_and_the_limit_holds() {
    let mut passivation = with_limit(100);
    for number in 0..100 {
        passivation.admit(slot(number), hash(number), 0, |_| false).unwrap();
    }
    let refused = passivation.admit(slot(100), hash(100), 0, |_| false);
    assert_eq!(refused, Err(AdmitError::AllBusy { at_most: 100 }));
    assert!(!passivation.holds(slot(100)));
    assert_eq!(passivation.len(), 100);
    assert!(passivation.admit(slot(100), hash(100), 0, |_| true).unwrap().is_some());
}

#[test]
fn a_few_that_may_stop_are_found_among_many_that_may_not() {
    let mut passivation = with_limit(100);
    for number in 0..100 {
        passivation.admit(slot(number), hash(number), 0, |_| true).unwrap();
    }
    // Each call asks a few: those that it met go behind the others.
    let calls =
        (0..10).map(|_| passivation.admit(slot(100), hash(100), 0, |slot| slot.number() == 60));
    let leaver = calls.filter_map(Result::ok).next();
    assert_eq!(leaver, Some(Some(slot(60))));
}

#[test]
fn the_newcomer_is_never_the_one_that_leaves() {
    for at_most in 1..5 {
        let mut passivation = with_limit(at_most);
        for number in 0..50 {
            let leaves = passivation.admit(slot(number), hash(number), 0, |_| true).unwrap();
            assert!(leaves != Some(slot(number)) && passivation.holds(slot(number)));
        }
        assert_eq!(passivation.len(), at_most);
    }
}
