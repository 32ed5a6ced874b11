//! Partitions without a member in between: who goes on, and that never two sides do.

use super::{Cluster, all_up, member, survivors};
use crate::downing::{Strategy, ViewMember};
use crate::membership::Status;

fn majority() -> Strategy {
    Strategy::KeepMajority { role: None }
}

fn oldest(down_if_alone: bool) -> Strategy {
    Strategy::KeepOldest { down_if_alone, role: None }
}

fn quorum(quorum: u32) -> Strategy {
    Strategy::StaticQuorum { quorum, role: None }
}

fn odd(strategy: Strategy) -> Strategy {
    let odd = || Some("odd".to_owned());
    match strategy {
        Strategy::StaticQuorum { quorum, .. } => Strategy::StaticQuorum { quorum, role: odd() },
        Strategy::KeepMajority { .. } => Strategy::KeepMajority { role: odd() },
        Strategy::KeepOldest { down_if_alone, .. } => {
            Strategy::KeepOldest { down_if_alone, role: odd() }
        }
        Strategy::LeaseMajority { .. } => Strategy::LeaseMajority { role: odd() },
        Strategy::DownAll => Strategy::DownAll,
    }
}

/// A strategy, two sides, and who goes on.
type Case<'a> = (Strategy, &'a [u8], &'a [u8], &'a [u8]);

#[test]
fn each_strategy_keeps_the_side_that_its_rule_names() {
    let lease = Strategy::LeaseMajority { role: None };
    let nobody: &[u8] = &[];
    let cases: &[Case<'_>] = &[
        (majority(), &[1, 2], &[3, 4, 5], &[3, 4, 5]),
        (majority(), &[1, 2], &[3, 4], &[1, 2]),
        (majority(), &[1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
        (odd(majority()), &[1, 3], &[2, 4, 5, 6, 8], &[1, 3]),
        (odd(majority()), &[2, 4, 3], &[1], &[1]),
        (quorum(3), &[1, 2], &[3, 4, 5], &[3, 4, 5]),
        (quorum(3), &[1, 2], &[3, 4], nobody),
        (quorum(3), &[1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
        (quorum(3), &[1], &[2, 3, 4, 5, 6], nobody),
        (odd(quorum(2)), &[1, 3], &[2, 4, 5, 6, 8], &[1, 3]),
        (oldest(true), &[1, 2], &[3, 4, 5], &[1, 2]),
        (oldest(true), &[1], &[2, 3, 4, 5], &[2, 3, 4, 5]),
        (oldest(false), &[1], &[2, 3, 4, 5], &[1]),
        (oldest(true), &[1], &[2], &[1]),
        (odd(oldest(false)), &[2, 4, 6], &[3, 5], &[3, 5]),
        (Strategy::DownAll, &[1, 2], &[3, 4, 5], nobody),
        (lease.clone(), &[1, 2], &[3, 4, 5], &[3, 4, 5]),
        (lease.clone(), &[1, 2], &[3, 4], &[1, 2]),
        (odd(lease), &[1, 3], &[2, 4, 5, 6, 8], &[1, 3]),
    ];
    for (strategy, one, other, kept) in cases {
        let members: Vec<ViewMember> =
            one.iter().chain(*other).map(|number| member(*number, Status::Up)).collect();
        let sides = [one.to_vec(), other.to_vec()];
        let running = Cluster::split(strategy, &members, &sides).settle();
        assert_eq!(&running, kept, "{strategy:?} of {one:?} and {other:?}");
    }
}

#[test]
fn members_under_way_that_the_other_side_may_count_keep_a_majority_from_going_on() {
    let mut members = all_up(3);
    members.push(member(4, Status::Joining));
    members.push(member(5, Status::Joining));
    // Up on this side are two of three, but the other side may have brought the joining ones up.
    let sides = [vec![1, 2], vec![3, 4, 5]];
    let mut cluster = Cluster::split(&majority(), &members, &sides);
    assert_eq!(cluster.settle(), [0; 0]);
    let first = cluster.decisions.iter().find(|d| d.view.this() == super::id(1));
    assert!(first.expect("a decision").to_string().contains("joining or leaving"));

    // With them on this side there is no doubt.
    let sides = [vec![1, 2, 4, 5], vec![3]];
    assert_eq!(Cluster::split(&majority(), &members, &sides).settle(), [1, 2, 4, 5]);
}

#[test]
fn of_any_partition_of_up_to_seven_seen_alike_at_most_one_side_goes_on() {
    let mut strategies = vec![majority(), oldest(true), oldest(false), Strategy::DownAll];
    strategies.extend((1..=4).map(quorum));
    strategies.push(Strategy::LeaseMajority { role: None });
    strategies.extend(strategies.clone().into_iter().map(odd));
    let (mut clusters, mut surviving) = (0_u32, 0_u32);
    for (count, side_count, statuses) in [
        (2, 2, &[Status::Up, Status::Joining, Status::Leaving][..]),
        (3, 3, &[Status::Up, Status::Joining, Status::Leaving]),
        (4, 3, &[Status::Up, Status::Joining]),
        (5, 2, &[Status::Up, Status::Leaving]),
        (6, 3, &[Status::Up]),
        (7, 2, &[Status::Up]),
    ] {
        for members in all_statuses(count, statuses) {
            for sides in all_partitions(count, side_count) {
                for strategy in &strategies {
                    let running = Cluster::split(strategy, &members, &sides).settle();
                    let kept = survivors(&sides, &running);
                    assert!(kept.len() <= 1, "{strategy:?}: {sides:?} of {members:?}: {running:?}");
                    clusters += 1;
                    surviving += u32::from(kept.len() == 1);
                }
            }
        }
    }
    assert!(clusters > 10_000 && surviving > clusters / 4, "{surviving} of {clusters} go on");
}

#[test]
fn at_most_one_side_goes_on_when_the_other_has_seen_members_come_up_or_leave() {
    let mut strategies = vec![majority(), oldest(true), oldest(false)];
    strategies.extend(strategies.clone().into_iter().map(odd));
    let statuses = [Status::Joining, Status::Up, Status::Leaving];
    for members in (2..=4).flat_map(|count| all_statuses(count, &statuses)) {
        let count = u8::try_from(members.len()).expect("few");
        for changed in all_digits(count, 2) {
            let later: Vec<ViewMember> = members.iter().zip(changed).map(one_step_on).collect();
            for sides in all_partitions(count, 2) {
                let apart =
                    |a: u8, b: u8| !sides.iter().any(|side| side.contains(&a) && side.contains(&b));
                for (strategy, swap) in strategies.iter().flat_map(|s| [(s, false), (s, true)]) {
                    let (one, other) = if swap { (&later, &members) } else { (&members, &later) };
                    let running = Cluster::new()
                        .with_side(strategy, one, &sides[0], 0, apart)
                        .with_side(strategy, other, &sides[1], 0, apart)
                        .settle();
                    let stays = |n: &u8| {
                        let view = if sides[0].contains(n) { one } else { other };
                        view[usize::from(*n) - 1].status != Status::Exiting
                    };
                    let running: Vec<u8> = running.into_iter().filter(stays).collect();
                    let kept = survivors(&sides, &running);
                    assert!(kept.len() <= 1, "{strategy:?}: {sides:?} of {one:?} and {other:?}");
                }
            }
        }
    }
}

/// The member as the leader makes it when all agree, if it does.
fn one_step_on((member, changes): (&ViewMember, usize)) -> ViewMember {
    let mut later = member.clone();
    match member.status {
        _ if changes == 0 => {}
        Status::Joining => {
            later.status = Status::Up;
            later.up_number = Some(100 + u64::from(super::number(member.id)));
        }
        Status::Up => later.status = Status::Leaving,
        _ => later.status = Status::Exiting,
    }
    later
}

/// The digits of all numbers with `digits` digits of that base.
pub(super) fn all_digits(digits: u8, base: usize) -> impl Iterator<Item = Vec<usize>> {
    let count = base.pow(digits.into());
    (0..count).map(move |number| {
        let digit = |place: u8| number / base.pow(place.into()) % base;
        (0..digits).map(digit).collect()
    })
}

/// Members 1 to `count` with every choice of those statuses.
pub(super) fn all_statuses(
    count: u8,
    statuses: &[Status],
) -> impl Iterator<Item = Vec<ViewMember>> {
    all_digits(count, statuses.len()).map(|digits| {
        let numbered = (1..).zip(digits);
        numbered.map(|(number, digit)| member(number, statuses[digit])).collect()
    })
}

/// All ways to put members 1 to `count` on two up to `most` sides.
pub(super) fn all_partitions(count: u8, most: usize) -> impl Iterator<Item = Vec<Vec<u8>>> {
    let partitions = all_digits(count, most).map(move |digits| {
        let mut sides = vec![Vec::new(); most];
        for (number, side) in (1..).zip(digits) {
            sides[side].push(number);
        }
        sides.retain(|side: &Vec<u8>| !side.is_empty());
        sides
    });
    // Each set of sides once: the first member decides which is the first.
    partitions.filter(|sides| sides.len() > 1 && sides.is_sorted())
}
