//! The laws of merging, on arbitrary views that keep their invariants.

use proptest::prelude::*;

use super::super::*;

const IDS: usize = 5;

fn id(index: usize) -> MemberId {
    MemberId { address: ([127, 0, 0, 1], index as u16 + 1).into(), incarnation: 1 }
}

/// One node's part of a view: status, up number, whether it is buried, its entry in the clock, its row.
type Part = Option<(usize, u64, bool, u64, u64, Vec<usize>)>;

fn view_of(parts: &[Part]) -> Gossip {
    let mut view = Gossip::default();
    for (index, part) in parts.iter().enumerate() {
        let Some((status, up_number, is_buried, ..)) = part else { continue };
        if *is_buried {
            view.tombstones.insert(id(index), *up_number);
            continue;
        }
        let status = Status::ALL[*status];
        let up_number = Some(*up_number).filter(|_| status >= Status::Up);
        let (roles, app_version) = Default::default();
        let member = Member { id: id(index), status, roles, app_version, up_number };
        view.members.insert(id(index), member);
    }
    for (index, part) in parts.iter().enumerate() {
        let Some((_, _, false, changes, version, subjects)) = part else { continue };
        (0..*changes).for_each(|_| view.clock.advance(id(index)));
        for round in 0..*version {
            for subject in
                subjects.iter().filter(|subject| view.members.contains_key(&id(**subject)))
            {
                let found = (round % 2 == 0).then_some(Standing::Unreachable);
                view.reachability.observe(id(index), id(*subject), found);
            }
        }
    }
    view
}

fn a_view() -> impl Strategy<Value = Gossip> {
    let part = (0..6_usize, 1..4_u64, prop::bool::weighted(0.2), 0..4_u64, 0..4_u64);
    let part = (part, prop::collection::vec(0..IDS, 0..3)).prop_map(
        |((status, up, buried, changes, version), subjects)| {
            (status, up, buried, changes, version, subjects)
        },
    );
    prop::collection::vec(prop::option::weighted(0.8, part), IDS).prop_map(|parts| view_of(&parts))
}

fn merged(a: &Gossip, b: &Gossip) -> Gossip {
    let mut both = a.clone();
    both.merge(b);
    both
}

proptest! {
    #[test]
    fn merging_is_commutative_associative_and_idempotent(a in a_view(), b in a_view(), c in a_view()) {
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a);
    }

    #[test]
    fn what_is_merged_keeps_its_invariants_and_brings_nobody_back(a in a_view(), b in a_view()) {
        let both = merged(&a, &b);
        prop_assert!(both.check().is_ok(), "{:?}", both.check());
        prop_assert!(both.clock.entries().len() <= both.members.len());
        let mut buried = a.tombstones.keys().chain(b.tombstones.keys());
        prop_assert!(buried.all(|id| !both.members.contains_key(id)));
        for (id, member) in &both.members {
            let parts = [&a, &b].into_iter().filter_map(|view| view.members.get(id));
            prop_assert!(parts.map(|part| part.status).max() == Some(member.status));
        }
    }
}

#[test]
fn clocks_compare_in_four_ways() {
    let (mut a, mut b) = (VectorClock::default(), VectorClock::default());
    assert_eq!(a.compare(&b), ClockOrder::Same);
    a.advance(id(0));
    assert_eq!((a.compare(&b), b.compare(&a)), (ClockOrder::After, ClockOrder::Before));
    b.advance(id(1));
    assert_eq!(a.compare(&b), ClockOrder::Concurrent);
}

#[test]
fn every_transition_goes_forward() {
    for (from, to) in Status::ALL.into_iter().flat_map(|from| Status::ALL.map(|to| (from, to))) {
        assert!(!from.may_become(to) || from < to, "{from:?} to {to:?}");
    }
}

#[test]
fn one_who_joins_and_cannot_be_reached_holds_up_agreement_until_it_is_given_up() {
    let up = Some((2, 1, false, 1, 0, vec![]));
    let observer = Some((2, 2, false, 1, 1, vec![2]));
    let joining = Some((0, 1, false, 0, 0, vec![]));
    let mut view = view_of(&[up, observer, joining]);
    view.seen.extend([id(0), id(1)]);
    assert!(!view.has_converged());
    assert!(view.is_unreachable_by_at_least(1, &id(2)));
    assert!(!view.is_unreachable_by_at_least(2, &id(2)));
    assert!(view.set_status(&id(2), Status::Down));
    assert!(view.has_converged());
    // Nobody asks one who was given up itself.
    let mut view = view_of(&[
        Some((2, 1, false, 1, 0, vec![])),
        Some((5, 2, false, 1, 1, vec![2])),
        Some((0, 1, false, 0, 0, vec![])),
    ]);
    view.seen.insert(id(0));
    assert!(view.has_converged() && view.leader(&id(0)) == Some(id(0)));
}
