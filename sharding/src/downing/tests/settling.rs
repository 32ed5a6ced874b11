//! When it is decided: after the view has settled, or when it does not; and what is refused.

use super::{SECOND_NS, all_up, id, member};
use crate::downing::{
    Downing, DowningSettings, DowningSettingsError, Input, MOST_MEMBERS, Outputs, Strategy,
    Unreachable, View, ViewError, WhenUnstable, Why, stable_after_ns,
};
use crate::membership::Status;

fn downing(when_unstable: WhenUnstable) -> Downing {
    let strategy = Strategy::KeepMajority { role: None };
    let settings = DowningSettings { when_unstable, ..DowningSettings::of(strategy) };
    Downing::new(settings).expect("settings")
}

/// What 1 of three members believes, with those that all others find unreachable.
fn view(this: u8, lost: &[u8]) -> View {
    let observers = || (1..=3).filter(|number| !lost.contains(number));
    let records = lost.iter().flat_map(|lost| {
        observers().map(|observer| Unreachable { observer: id(observer), subject: id(*lost) })
    });
    let seen: Vec<_> = observers().map(id).collect();
    View::new(id(this), all_up(3), &records.collect::<Vec<_>>(), &seen).expect("a view")
}

#[test]
fn a_member_that_comes_back_in_time_is_left_alone() {
    let mut downing = downing(WhenUnstable::DownAll);
    let _ = downing.step(0, Input::View(view(1, &[3])));
    let outputs = downing.step(7 * SECOND_NS - 1, Input::View(view(1, &[])));
    assert_eq!(outputs, Outputs::default());
    assert_eq!(downing.step(100 * SECOND_NS, Input::Tick), Outputs::default());
}

#[test]
fn every_change_starts_the_stable_time_again_but_who_has_seen_it_does_not() {
    let mut downing = downing(WhenUnstable::Wait);
    let _ = downing.step(0, Input::View(view(1, &[3])));
    let outputs = downing.step(6 * SECOND_NS, Input::View(view(1, &[2, 3])));
    assert_eq!((outputs.decision, outputs.wake_at_ns), (None, Some(13 * SECOND_NS)));
    let records = view(1, &[2, 3]).records().iter().copied().collect::<Vec<_>>();
    let unseen = View::new(id(1), all_up(3), &records, &[]).expect("a view");
    let outputs = downing.step(12 * SECOND_NS, Input::View(unseen));
    assert_eq!((outputs.decision, outputs.wake_at_ns), (None, Some(13 * SECOND_NS)));
    let decision = downing.step(13 * SECOND_NS, Input::Tick).decision.expect("a decision");
    assert_eq!(decision.down, [id(1)]);
}

#[test]
fn only_the_first_member_of_a_side_decides() {
    let mut second = downing(WhenUnstable::DownAll);
    let _ = second.step(0, Input::View(view(2, &[3])));
    assert_eq!(second.step(60 * SECOND_NS, Input::Tick).decision, None);
    let mut first = downing(WhenUnstable::DownAll);
    let _ = first.step(0, Input::View(view(1, &[3])));
    assert!(first.step(60 * SECOND_NS, Input::Tick).decision.is_some());
}

#[test]
fn a_view_that_does_not_settle_puts_everybody_down_by_every_node() {
    for this in [1, 2] {
        let mut downing = downing(WhenUnstable::DownAll);
        for second in 0..12 {
            let lost: &[u8] = if second % 2 == 0 { &[3] } else { &[2, 3] };
            let outputs = downing.step(second * SECOND_NS, Input::View(view(this, lost)));
            assert_eq!(outputs.decision, None, "at {second} s");
        }
        // Three quarters of seven seconds on top of seven.
        let decision = downing.step(12_250_000_000, Input::Tick).decision.expect("a decision");
        assert_eq!(decision.why, Why::Unstable { for_ns: 12_250_000_000 });
        assert_eq!(decision.down, [id(1), id(2), id(3)]);
    }
}

#[test]
fn without_that_rule_a_view_that_does_not_settle_is_waited_for() {
    let mut downing = downing(WhenUnstable::Wait);
    for second in 0..600 {
        let lost: &[u8] = if second % 2 == 0 { &[3] } else { &[2, 3] };
        let outputs = downing.step(second * SECOND_NS, Input::View(view(1, lost)));
        assert_eq!(outputs.decision, None, "at {second} s");
    }
}

#[test]
fn changes_after_a_stable_time_are_a_new_unrest() {
    let mut second = downing(WhenUnstable::DownAll);
    let _ = second.step(0, Input::View(view(2, &[3])));
    let outputs = second.step(30 * SECOND_NS, Input::View(view(2, &[1, 3])));
    assert_eq!((outputs.decision, outputs.wake_at_ns), (None, Some(37 * SECOND_NS)));
}

#[test]
fn a_decision_that_nobody_carries_out_is_made_again_after_the_stable_time() {
    let mut downing = downing(WhenUnstable::DownAll);
    let _ = downing.step(0, Input::View(view(1, &[3])));
    let outputs = downing.step(7 * SECOND_NS, Input::Tick);
    assert_eq!((outputs.decision.is_some(), outputs.wake_at_ns), (true, Some(14 * SECOND_NS)));
    assert_eq!(downing.step(14 * SECOND_NS - 1, Input::Tick).decision, None);
    assert!(downing.step(14 * SECOND_NS, Input::Tick).decision.is_some());
}

#[test]
fn larger_clusters_wait_longer() {
    let sizes = [1, 5, 6, 10, 20, 50, 100, 1_000];
    let seconds = sizes.map(|size| stable_after_ns(size) / SECOND_NS);
    assert_eq!(seconds, [7, 7, 10, 10, 13, 17, 20, 30]);
}

#[test]
fn members_that_are_down_or_exiting_are_nobodys_trouble() {
    let members = vec![member(1, Status::Up), member(2, Status::Down), member(3, Status::Exiting)];
    let lost = [(1, 2), (1, 3), (2, 1)];
    let records = lost.map(|(by, of)| Unreachable { observer: id(by), subject: id(of) });
    let view = View::new(id(1), members, &records, &[id(1)]).expect("a view");
    assert_eq!(downing(WhenUnstable::DownAll).step(0, Input::View(view)), Outputs::default());
}

#[test]
fn views_and_settings_that_cannot_be_are_refused() {
    let stranger = View::new(id(9), all_up(3), &[], &[]);
    assert_eq!(stranger, Err(ViewError::NotAMember { this: id(9) }));
    let twice = [all_up(2), all_up(1)].concat();
    assert_eq!(View::new(id(1), twice, &[], &[]), Err(ViewError::Twice { member: id(1) }));
    let crowd = vec![member(1, Status::Up); MOST_MEMBERS + 1];
    let refused = View::new(id(1), crowd, &[], &[]);
    assert_eq!(refused, Err(ViewError::TooManyMembers { members: MOST_MEMBERS + 1 }));

    let quorum = Strategy::StaticQuorum { quorum: 0, role: None };
    let refused = Downing::new(DowningSettings::of(quorum)).expect_err("no quorum");
    assert_eq!(refused, DowningSettingsError::NoQuorum);
    let mut settings = DowningSettings::of(Strategy::DownAll);
    settings.stable_after_ns = Some(0);
    let refused = Downing::new(settings).expect_err("no time");
    assert_eq!(refused.to_string(), "stable_after_ns is 0 ns: set 1 to 3600000000000");
}
