//! Passivation against plain models, at its limits, and against a plain LRU.

mod hit_rate;
mod idle;
mod limit;
mod model;

use super::*;

const SECOND_NS: u64 = 1_000_000_000;
const BEAT_NS: u64 = 1 << BEAT_BITS;

/// Slots as a table gives them: with a generation that tells tenants apart.
fn slot(number: u32) -> Slot {
    Slot::of(number, number / 3)
}

/// As even as the hash of an id.
fn hash(number: u32) -> u64 {
    xxhash_rust::xxh3::xxh3_64(&number.to_be_bytes())
}

fn with_limit(at_most: u32) -> Passivation {
    Passivation::new(PassivationSettings { idle_after_ns: None, at_most: Some(at_most) }).unwrap()
}

fn with_timeout(idle_after_ns: u64) -> Passivation {
    let settings = PassivationSettings { idle_after_ns: Some(idle_after_ns), at_most: None };
    Passivation::new(settings).unwrap()
}

#[test]
fn bounds_that_cannot_be_kept_are_refused() {
    let error = |idle_after_ns, at_most| {
        Passivation::new(PassivationSettings { idle_after_ns, at_most }).unwrap_err()
    };
    assert_eq!(error(Some(0), None), PassivationError::IdleAfter { idle_after_ns: 0 });
    let idle_after_ns = LONGEST_IDLE_NS + 1;
    assert_eq!(error(Some(idle_after_ns), None), PassivationError::IdleAfter { idle_after_ns });
    assert_eq!(error(None, Some(0)), PassivationError::AtMost { at_most: 0 });
    let at_most = MOST_RESIDENTS + 1;
    assert_eq!(error(None, Some(at_most)), PassivationError::AtMost { at_most });
}

#[test]
fn without_bounds_nothing_ever_leaves() {
    let mut passivation =
        Passivation::new(PassivationSettings { idle_after_ns: None, at_most: None }).unwrap();
    for number in 0..5_000 {
        assert_eq!(passivation.admit(slot(number), hash(number), 0, |_| true), Ok(None));
    }
    let mut expired = Vec::new();
    passivation.expired(u64::MAX, usize::MAX, |_| true, &mut expired);
    assert_eq!((expired.len(), passivation.next_deadline_ns()), (0, None));
    assert_eq!(passivation.len(), 5_000);
}

#[test]
fn a_slot_whose_entity_left_means_nobody() {
    let mut passivation = with_limit(10);
    let (old, new) = (Slot::of(4, 1), Slot::of(4, 2));
    passivation.admit(old, 1, 0, |_| true).unwrap();
    assert!(passivation.remove(old));
    assert!(!passivation.remove(old));
    passivation.admit(new, 2, 0, |_| true).unwrap();
    assert!(!passivation.remove(old) && passivation.holds(new) && !passivation.holds(old));
    // The next tenant came although the last one was not taken out.
    passivation.admit(Slot::of(4, 3), 3, 0, |_| true).unwrap();
    assert_eq!((passivation.len(), passivation.holds(new)), (1, false));
}
