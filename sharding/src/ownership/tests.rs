//! The rules of a change of owner, held against the store in memory.

use super::*;

fn changed(answer: StoreAnswer<u16>) -> Ownership<u16> {
    match answer {
        StoreAnswer::Changed(record) => record,
        other => panic!("not changed: {other:?}"),
    }
}

fn refusal(answer: StoreAnswer<u16>) -> StoreRefusal {
    match answer {
        StoreAnswer::Refused { reason, .. } => reason,
        other => panic!("not refused: {other:?}"),
    }
}

fn first_owner(store: &mut MemoryOwnership<u16>, shard: u32, to: u16) -> Ownership<u16> {
    changed(store.decide(StoreRequest::TakeOver { shard, expected: Epoch::NONE, to }))
}

#[test]
fn epochs_rise_with_every_change_and_name_who_gave() {
    let mut store = MemoryOwnership::new(2, [1, 2]);
    assert_eq!(store.decide(StoreRequest::Read { shard: 0 }), StoreAnswer::Found(None));
    let first = first_owner(&mut store, 0, 1);
    let other = first_owner(&mut store, 1, 1);
    assert!(other.epoch > first.epoch);
    let given =
        changed(store.decide(StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: 2 }));
    assert!(given.epoch > other.epoch);
    assert_eq!((given.owner, given.given_by), (2, Some(1)));
    assert_eq!(store.decide(StoreRequest::Read { shard: 0 }), StoreAnswer::Found(Some(given)));
}

#[test]
fn a_request_of_before_the_last_change_is_refused() {
    let mut store = MemoryOwnership::new(1, [1, 2]);
    let first = first_owner(&mut store, 0, 1);
    let give = StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: 2 };
    changed(store.decide(give));
    assert_eq!(refusal(store.decide(give)), StoreRefusal::EpochChanged);
}

#[test]
fn giving_to_oneself_voids_what_is_still_on_its_way() {
    let mut store = MemoryOwnership::new(1, [1, 2]);
    let first = first_owner(&mut store, 0, 1);
    changed(store.decide(StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: 1 }));
    let late = StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: 2 };
    assert_eq!(refusal(store.decide(late)), StoreRefusal::EpochChanged);
    assert_eq!(store.record(0).unwrap().owner, 1);
}

#[test]
fn an_owner_that_lives_is_never_robbed_and_who_is_absent_gets_nothing() {
    let mut store = MemoryOwnership::new(1, [1, 2]);
    let first = first_owner(&mut store, 0, 1);
    let take = StoreRequest::TakeOver { shard: 0, expected: first.epoch, to: 2 };
    assert_eq!(refusal(store.decide(take)), StoreRefusal::OwnerPresent);
    let give = StoreRequest::GiveAway { shard: 0, expected: first.epoch, to: 3 };
    assert_eq!(refusal(store.decide(give)), StoreRefusal::TargetAbsent);
    store.leave(1);
    assert_eq!(changed(store.decide(take)).given_by, None);
}

#[test]
fn what_nobody_owns_cannot_be_given_and_what_is_not_there_cannot_be_asked() {
    let mut store = MemoryOwnership::new(1, [1]);
    let give = StoreRequest::GiveAway { shard: 0, expected: Epoch::NONE, to: 1 };
    assert_eq!(refusal(store.decide(give)), StoreRefusal::EpochChanged);
    let read = StoreRequest::Read { shard: 1 };
    assert_eq!(refusal(store.decide(read)), StoreRefusal::NoSuchShard);
}

#[test]
fn questions_are_answered_by_name_and_bounded() {
    let mut store = MemoryOwnership::new(1, [1u16]);
    let mut taken = 0;
    while store.ask(0, RequestId(taken), StoreRequest::Read { shard: 0 }).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 65_536);
    assert_eq!(store.next_answer(0), Some((RequestId(0), StoreAnswer::Found(None))));
    assert!(store.ask(0, RequestId(taken), StoreRequest::Read { shard: 0 }).is_ok());
}
