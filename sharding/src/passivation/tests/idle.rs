//! Entities that nobody writes to leave in time, and the others stay.

use std::collections::BTreeMap;

use super::*;

#[test]
fn an_entity_leaves_after_its_timeout_and_not_before() {
    let idle_ns = 300 * SECOND_NS;
    let mut passivation = with_timeout(idle_ns);
    let mut expired = Vec::new();
    passivation.admit(slot(1), 1, 7 * SECOND_NS, |_| true).unwrap();
    passivation.touch(slot(1), 107 * SECOND_NS);
    passivation.expired(107 * SECOND_NS + idle_ns, 100, |_| true, &mut expired);
    assert_eq!(expired, []);
    let deadline_ns = passivation.next_deadline_ns().unwrap();
    assert!(deadline_ns <= 107 * SECOND_NS + idle_ns + idle_ns / 128 + 4 * BEAT_NS);
    passivation.expired(deadline_ns, 100, |_| true, &mut expired);
    assert_eq!((expired, passivation.len()), (vec![slot(1)], 0));
    assert_eq!(passivation.next_deadline_ns(), None);
}

#[test]
fn an_entity_with_messages_waiting_is_not_idle() {
    let mut passivation = with_timeout(SECOND_NS);
    let mut expired = Vec::new();
    passivation.admit(slot(1), 1, 0, |_| true).unwrap();
    passivation.expired(2 * SECOND_NS, 100, |_| false, &mut expired);
    assert_eq!((expired.len(), passivation.len()), (0, 1));
    // It counts as used when it was asked.
    passivation.expired(2 * SECOND_NS + 900_000_000, 100, |_| true, &mut expired);
    assert_eq!(expired, []);
    passivation.expired(3 * SECOND_NS + 100_000_000, 100, |_| true, &mut expired);
    assert_eq!(expired, [slot(1)]);
}

#[test]
fn no_more_are_looked_at_in_a_call_than_asked_for() {
    let mut passivation = with_timeout(SECOND_NS);
    for number in 0..1_000 {
        passivation.admit(slot(number), hash(number), 0, |_| true).unwrap();
    }
    let mut expired = Vec::new();
    for call in 1..=10 {
        assert!(passivation.next_deadline_ns().unwrap() <= 5 * SECOND_NS);
        passivation.expired(5 * SECOND_NS, 100, |_| true, &mut expired);
        assert_eq!(expired.len(), call * 100);
    }
    assert!(passivation.is_empty());
}

#[test]
fn after_a_pause_of_any_length_nobody_is_looked_at_more_than_twice() {
    // A bucket is about a second wide.
    for pause in (100..800).chain([5_000, 1_000_000]) {
        let mut passivation = with_timeout(128 * SECOND_NS);
        let mut expired = Vec::new();
        let now_ns = pause * SECOND_NS;
        passivation.admit(slot(1), 1, 0, |_| true).unwrap();
        passivation.admit(slot(2), 2, 0, |_| true).unwrap();
        passivation.touch(slot(1), now_ns);
        passivation.expired(now_ns, 4, |_| true, &mut expired);
        assert_eq!(expired.len(), usize::from(pause > 128), "after {pause} s");
        assert!(passivation.next_deadline_ns().unwrap() > now_ns, "after {pause} s");
    }
}

#[test]
fn any_uses_and_any_pauses_keep_the_timeout_of_everyone() {
    proptest::proptest!(|(seed: u64, idle_ns in 1..400 * SECOND_NS, leap_share in 0..4_u32)| {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut passivation = with_timeout(idle_ns);
        let mut last_uses: BTreeMap<u32, u64> = BTreeMap::new();
        let late_ns = idle_ns / 128 + 4 * BEAT_NS;
        let mut now_ns = random.u64(0..1 << 60);
        for _ in 0..600 {
            let longest_ns = if random.u32(0..50) < leap_share { 600 * idle_ns } else { idle_ns / 20 };
            now_ns += random.u64(0..=longest_ns);
            let id = random.u32(0..50);
            if last_uses.insert(id, now_ns).is_some() {
                passivation.touch(slot(id), now_ns);
            } else {
                passivation.admit(slot(id), hash(id), now_ns, |_| true).unwrap();
            }
            if random.bool() {
                let gone = random.u32(0..50);
                assert_eq!(passivation.remove(slot(gone)), last_uses.remove(&gone).is_some());
            }
            if random.u32(0..3) == 0 {
                // Those whose number is odd have messages waiting.
                let mut expired = Vec::new();
                passivation.expired(now_ns, 1_000, |slot| slot.number() % 2 == 0, &mut expired);
                for slot in expired {
                    let last_use_ns = last_uses.remove(&slot.number()).expect("it was held");
                    assert!(last_use_ns + idle_ns <= now_ns, "{slot:?} left too early");
                    assert_eq!(slot.number() % 2, 0);
                }
                let late = |(id, last_use): (&u32, &u64)| id % 2 == 0 && last_use + idle_ns + late_ns < now_ns;
                assert!(!last_uses.iter().any(late), "somebody should have left");
            }
            assert_eq!(passivation.len() as usize, last_uses.len());
        }
    });
}
