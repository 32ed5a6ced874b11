//! A lease decides: whatever the sides believe, one of them gets it.

use super::clean_partitions::{all_partitions, all_statuses};
use super::{Cluster, SECOND_NS, all_up, id, survivors};
use crate::downing::{
    Downing, DowningSettings, Input, LEASE_ANSWER_NS, LeaseCall, Strategy, Unreachable, View, Why,
};
use crate::membership::Status;

fn lease() -> Strategy {
    Strategy::LeaseMajority { role: None }
}

fn view_of_three(this: u8, lost: &[(u8, u8)]) -> View {
    let record = |(by, of): &(u8, u8)| Unreachable { observer: id(*by), subject: id(*of) };
    let records: Vec<Unreachable> = lost.iter().map(record).collect();
    View::new(id(this), all_up(3), &records, &[id(this)]).expect("a view")
}

#[test]
fn with_a_lease_at_most_one_side_goes_on_even_when_the_views_differ() {
    let statuses = [Status::Up, Status::Joining, Status::Leaving];
    let mut surviving = 0;
    for sides in all_partitions(3, 2).chain(all_partitions(4, 2).filter(|s| s[0] == [1, 2])) {
        let count = if sides.concat().len() == 3 { 3 } else { 4 };
        let apart = |a: u8, b: u8| !sides.iter().any(|side| side.contains(&a) && side.contains(&b));
        for of_one in all_statuses(count, &statuses) {
            for of_other in all_statuses(count, &statuses) {
                for late_ns in [0, 2 * SECOND_NS, 11 * SECOND_NS] {
                    let running = Cluster::new()
                        .with_side(&lease(), &of_one, &sides[0], 0, apart)
                        .with_side(&lease(), &of_other, &sides[1], late_ns, apart)
                        .settle();
                    let kept = survivors(&sides, &running);
                    assert!(kept.len() <= 1, "{of_one:?} {of_other:?} {late_ns}: {running:?}");
                    surviving += kept.len();
                }
            }
        }
    }
    assert!(surviving > 1_000, "only {surviving} clusters go on");
}

#[test]
fn the_minority_gets_the_lease_when_the_majority_has_crashed() {
    let apart = |a: u8, b: u8| (a == 1) != (b == 1);
    let mut cluster = Cluster::new().with_side(&lease(), &all_up(3), &[1], 0, apart);
    assert_eq!(cluster.settle(), [1]);
}

#[test]
fn a_minority_asks_two_seconds_later_and_goes_down_when_refused() {
    let mut downing = Downing::new(DowningSettings::of(lease())).expect("settings");
    let view = view_of_three(1, &[(1, 2), (1, 3)]);
    let _ = downing.step(0, Input::View(view));
    let outputs = downing.step(7 * SECOND_NS, Input::Tick);
    assert_eq!((outputs.lease, outputs.wake_at_ns), (None, Some(9 * SECOND_NS)));
    let outputs = downing.step(9 * SECOND_NS, Input::Tick);
    assert_eq!(outputs.lease, Some(LeaseCall::Acquire { request: 1 }));
    let outputs = downing.step(9 * SECOND_NS, Input::Refused { request: 1 });
    let decision = outputs.decision.expect("a decision");
    assert_eq!((decision.why, &decision.down[..]), (Why::LeaseRefused, &[id(1)][..]));
}

#[test]
fn a_lease_without_an_answer_counts_as_refused_and_goes_back_when_it_comes_after_all() {
    let mut downing = Downing::new(DowningSettings::of(lease())).expect("settings");
    let _ = downing.step(0, Input::View(view_of_three(1, &[(1, 3), (2, 3)])));
    let asked_ns = 7 * SECOND_NS;
    let outputs = downing.step(asked_ns, Input::Tick);
    assert_eq!(outputs.lease, Some(LeaseCall::Acquire { request: 1 }));
    let outputs = downing.step(asked_ns + LEASE_ANSWER_NS, Input::Tick);
    let decision = outputs.decision.expect("a decision");
    assert_eq!((decision.why, &decision.down[..]), (Why::LeaseUnanswered, &[id(1), id(2)][..]));
    let outputs = downing.step(asked_ns + LEASE_ANSWER_NS + 1, Input::Acquired { request: 1 });
    assert_eq!((outputs.decision, outputs.lease), (None, Some(LeaseCall::Release)));
}

#[test]
fn a_lease_got_for_a_view_that_has_changed_decides_nothing() {
    let mut downing = Downing::new(DowningSettings::of(lease())).expect("settings");
    let _ = downing.step(0, Input::View(view_of_three(1, &[(1, 3), (2, 3)])));
    let _ = downing.step(7 * SECOND_NS, Input::Tick);
    let _ = downing.step(8 * SECOND_NS, Input::View(view_of_three(1, &[])));
    let outputs = downing.step(8 * SECOND_NS, Input::Acquired { request: 1 });
    assert_eq!((outputs.decision, outputs.lease), (None, Some(LeaseCall::Release)));
}

#[test]
fn a_lease_that_was_used_is_given_back_after_forty_seconds() {
    let mut downing = Downing::new(DowningSettings::of(lease())).expect("settings");
    let _ = downing.step(0, Input::View(view_of_three(1, &[(1, 3), (2, 3)])));
    let _ = downing.step(7 * SECOND_NS, Input::Tick);
    let outputs = downing.step(7 * SECOND_NS, Input::Acquired { request: 1 });
    assert_eq!(outputs.decision.expect("a decision").down, [id(3)]);
    let outputs = downing.step(8 * SECOND_NS, Input::View(view_of_three(1, &[])));
    assert_eq!(outputs.wake_at_ns, Some(47 * SECOND_NS));
    let outputs = downing.step(47 * SECOND_NS, Input::Tick);
    assert_eq!((outputs.lease, outputs.wake_at_ns), (Some(LeaseCall::Release), None));
}
