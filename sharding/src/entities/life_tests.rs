//! Entities that start, stop, fail and are asked for at the wrong moment.

use super::*;
use crate::entities::{ShardCount, ToEntityKey};

const SETTINGS: LifeSettings = LifeSettings {
    first_backoff_ns: 100,
    longest_backoff_ns: 300,
    tries: 4,
    broken_ns: 1_000,
    most_troubled: 50,
};

fn one_starting() -> (Residents<u64>, Lives, Slot) {
    let mut residents = Residents::new(ShardCount::new(8).unwrap(), 10).unwrap();
    let slot = residents.insert(&"cart-1".to_entity_key().unwrap(), 7).unwrap();
    (residents, Lives::new(SETTINGS).unwrap(), slot)
}

fn arrival(residents: &Residents<u64>) -> Arrival {
    let found = residents.find(&"cart-1".to_entity_key().unwrap());
    Arrival::of(found.map(|found| found.state))
}

#[test]
fn a_message_that_meets_a_passivation_starts_the_entity_again() {
    let (mut residents, mut lives, slot) = one_starting();
    assert_eq!(arrival(&residents), Arrival::Keep);
    assert!(lives.started(&mut residents, slot));
    assert_eq!(arrival(&residents), Arrival::Deliver);
    assert!(lives.passivate(&mut residents, slot));
    assert_eq!(arrival(&residents), Arrival::Keep);
    assert_eq!(lives.ended(&mut residents, slot, true), Ended::StartAgain);
    assert_eq!(arrival(&residents), Arrival::Keep);
    assert!(lives.started(&mut residents, slot));
    assert!(lives.passivate(&mut residents, slot));
    assert_eq!(lives.ended(&mut residents, slot, false), Ended::Absent(7));
    assert_eq!(arrival(&residents), Arrival::Absent);
}

#[test]
fn an_entity_that_never_starts_is_tried_ever_more_rarely_then_broken_then_forgotten() {
    let (mut residents, mut lives, slot) = one_starting();
    let (mut now_ns, mut due) = (0, Vec::new());
    for backoff_ns in [100, 200, 300] {
        let failed = lives.failed(&mut residents, slot, now_ns, 0);
        assert_eq!(failed, StartFailed::RetryAt { at_ns: now_ns + backoff_ns });
        assert_eq!(arrival(&residents), Arrival::Keep);
        lives.due(&mut residents, now_ns + backoff_ns - 1, 9, &mut due);
        assert_eq!(due, []);
        now_ns = lives.next_deadline_ns().unwrap();
        lives.due(&mut residents, now_ns, 9, &mut due);
        assert_eq!(std::mem::take(&mut due), [Due::StartAgain(slot)]);
    }
    let failed = lives.failed(&mut residents, slot, now_ns, 0);
    assert_eq!(failed, StartFailed::BrokenUntil { until_ns: now_ns + 1_000 });
    assert_eq!(arrival(&residents), Arrival::Refuse);
    lives.due(&mut residents, now_ns + 1_000, 9, &mut due);
    assert_eq!(due, [Due::Forgotten(7)]);
    assert_eq!(arrival(&residents), Arrival::Absent);
    assert_eq!(lives.next_deadline_ns(), None);
}

#[test]
fn an_end_without_failure_forgives_those_that_were() {
    let (mut residents, mut lives, slot) = one_starting();
    let mut due = Vec::new();
    for round in 0..20 {
        let now_ns = round * 1_000;
        let failed = lives.failed(&mut residents, slot, now_ns, 0);
        assert_eq!(failed, StartFailed::RetryAt { at_ns: now_ns + 100 });
        lives.due(&mut residents, now_ns + 100, 9, &mut due);
        assert!(lives.started(&mut residents, slot));
        assert!(lives.passivate(&mut residents, slot));
        assert_eq!(lives.ended(&mut residents, slot, true), Ended::StartAgain);
    }
}

#[test]
fn an_entity_that_fails_soon_after_each_start_is_broken_and_one_that_lives_is_not() {
    for (lived_ns, ends) in [(300, true), (301, false)] {
        let (mut residents, mut lives, slot) = one_starting();
        let (mut due, mut broken) = (Vec::new(), false);
        for round in 0..4 {
            assert!(lives.started(&mut residents, slot));
            let failed = lives.failed(&mut residents, slot, round * 1_000, lived_ns);
            broken |= matches!(failed, StartFailed::BrokenUntil { .. });
            lives.due(&mut residents, round * 1_000 + 999, 9, &mut due);
        }
        assert_eq!(broken, ends, "longest backoff 300 ns, lived {lived_ns} ns");
    }
}

#[test]
fn calls_at_the_wrong_moment_change_nothing() {
    let (mut residents, mut lives, slot) = one_starting();
    assert!(!lives.passivate(&mut residents, slot));
    assert_eq!(lives.ended(&mut residents, slot, false), Ended::NotRunning);
    assert!(lives.started(&mut residents, slot));
    assert!(!lives.started(&mut residents, slot));
    assert_eq!(lives.ended(&mut residents, slot, false), Ended::Absent(7));
    // Another entity has the place now; the slot of the first must not mean it.
    let other = residents.insert(&"cart-2".to_entity_key().unwrap(), 8).unwrap();
    assert_eq!(other.number(), slot.number());
    assert!(!lives.started(&mut residents, slot));
    assert_eq!(lives.failed(&mut residents, slot, 0, 0), StartFailed::NotRunning);
    assert_eq!(residents.state(other), Some(State::Starting));
}

#[test]
fn an_entity_that_left_while_it_backed_off_is_not_started() {
    let (mut residents, mut lives, slot) = one_starting();
    lives.failed(&mut residents, slot, 0, 0);
    residents.remove(slot);
    let mut due = Vec::new();
    lives.due(&mut residents, 10_000, 9, &mut due);
    assert_eq!((due, lives.next_deadline_ns()), (Vec::new(), None));
}

#[test]
fn no_more_failures_are_remembered_than_the_limit() {
    let most = SETTINGS.most_troubled + 1;
    let mut residents = Residents::new(ShardCount::new(8).unwrap(), most).unwrap();
    let mut lives = Lives::new(SETTINGS).unwrap();
    let mut forgotten = 0;
    for id in 0..u64::from(most) {
        let slot = residents.insert(&id.to_entity_key().unwrap(), id).unwrap();
        if let StartFailed::Forgotten(value) = lives.failed(&mut residents, slot, id, 0) {
            assert_eq!(value, id);
            forgotten += 1;
        }
    }
    assert_eq!((forgotten, residents.len()), (1, most - 1));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let error = |settings| Lives::new(settings).unwrap_err();
    assert_eq!(error(LifeSettings { tries: 0, ..SETTINGS }), LifeSettingsError::NoTries);
    assert_eq!(
        error(LifeSettings { first_backoff_ns: 0, ..SETTINGS }),
        LifeSettingsError::NoBackoff
    );
    let low = LifeSettings { longest_backoff_ns: 99, ..SETTINGS };
    let expected = LifeSettingsError::LongestBelowFirst { first_ns: 100, longest_ns: 99 };
    assert_eq!(error(low), expected);
    for most_troubled in [0, MOST_TROUBLED + 1] {
        let settings = LifeSettings { most_troubled, ..SETTINGS };
        assert_eq!(error(settings), LifeSettingsError::Troubled { most_troubled });
    }
    assert!(Lives::new(LifeSettings::default()).is_ok());
}
