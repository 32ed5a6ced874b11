//! The two sides of a view, and what each strategy says of them. Pure: the same view gives the same verdict.
//!
//! A side that goes on must be certain that the other one does not, although it cannot ask. Where members were joining
//! or leaving when the network broke, the other side may count them otherwise; a strategy that would then decide
//! otherwise keeps nobody.

use std::collections::BTreeSet;

use super::decision::{Verdict, Why};
use super::settings::Strategy;
use super::view::{Unreachable, View, ViewMember};
use crate::membership::{MemberId, Status};

/// Who is on which side, and who on both.
pub(super) struct Sides<'a> {
    view: &'a View,
    /// Not reached, those between whom only links are broken left out.
    pub(super) unreachable: BTreeSet<MemberId>,
    /// Reached by some and not by others: downed on any side.
    pub(super) indirect: BTreeSet<MemberId>,
}

/// How doubtful members are counted.
#[derive(Clone, Copy)]
enum Count {
    /// Up and leaving: as it is seen here.
    Seen,
    /// Only up: as few as the other side can think.
    Fewest,
    /// Joining, up, leaving: as many as the other side can think.
    Most,
}

impl Count {
    fn holds(self, status: Status) -> bool {
        match self {
            Self::Seen => status.counts(),
            Self::Fewest => status == Status::Up,
            Self::Most => !status.is_ending(),
        }
    }
}

impl<'a> Sides<'a> {
    pub(super) fn of(view: &'a View) -> Self {
        let (mutual, seen) = (observers_that_are_subjects(view), ends_of_seen_subjects(view));
        let is_mutual = |record: &&Unreachable| {
            let both = |set: &BTreeSet<MemberId>| {
                set.contains(&record.observer) && set.contains(&record.subject)
            };
            both(&mutual) || both(&seen)
        };
        let rest = view.records().iter().filter(|record| !is_mutual(record));
        let unreachable = rest.map(|record| record.subject).collect();
        Self { view, unreachable, indirect: &mutual | &seen }
    }

    /// Who goes on by that strategy. For [`Strategy::LeaseMajority`] it is the side that may ask first.
    pub(super) fn judge(&self, strategy: &Strategy) -> (Verdict, Why) {
        match strategy {
            Strategy::DownAll => (Verdict::KeepNone, Why::AlwaysAll),
            Strategy::StaticQuorum { quorum, role } => self.by_quorum(*quorum, role.as_deref()),
            _ if self.unreachable.is_empty() => (Verdict::KeepReachable, Why::OnlyIndirect),
            Strategy::KeepMajority { role } => self.by_majority(role.as_deref()),
            Strategy::KeepOldest { down_if_alone, role } => {
                self.by_oldest(*down_if_alone, role.as_deref())
            }
            Strategy::LeaseMajority { role } => {
                self.majority(role.as_deref(), Count::Seen, Count::Seen)
            }
        }
    }

    /// Those that go down when the verdict is carried out.
    pub(super) fn down(&self, verdict: Verdict) -> Vec<MemberId> {
        let goes = |member: &&ViewMember| {
            let is_unreachable = self.unreachable.contains(&member.id);
            member.is_downable()
                && match verdict {
                    _ if self.indirect.contains(&member.id) => true,
                    Verdict::KeepReachable => is_unreachable,
                    Verdict::KeepUnreachable => !is_unreachable,
                    Verdict::KeepNone => true,
                }
        };
        self.view.members().iter().filter(goes).map(|member| member.id).collect()
    }

    fn by_quorum(&self, quorum: u32, role: Option<&str>) -> (Verdict, Why) {
        let reachable = self.reachable(role, Count::Seen);
        let members = reachable + self.unreachable(role, Count::Seen);
        let needed = usize::try_from(quorum).unwrap_or(usize::MAX);
        if members > needed.saturating_mul(2).saturating_sub(1) {
            return (Verdict::KeepNone, Why::TooManyForQuorum { members, quorum });
        }
        if self.unreachable.is_empty() {
            return (Verdict::KeepReachable, Why::OnlyIndirect);
        }
        (keep_reachable_if(reachable >= needed), Why::Quorum { reachable, quorum })
    }

    fn by_majority(&self, role: Option<&str>) -> (Verdict, Why) {
        let seen = self.majority(role, Count::Seen, Count::Seen);
        self.unless_the_other_side_differs(seen, self.majority(role, Count::Fewest, Count::Most))
    }

    fn by_oldest(&self, down_if_alone: bool, role: Option<&str>) -> (Verdict, Why) {
        let seen = self.oldest(down_if_alone, role, Count::Seen, Count::Seen);
        let doubted = self.oldest(down_if_alone, role, Count::Fewest, Count::Most);
        self.unless_the_other_side_differs(seen, doubted)
    }

    fn unless_the_other_side_differs(
        &self,
        seen: (Verdict, Why),
        doubted: (Verdict, Why),
    ) -> (Verdict, Why) {
        if seen.0 == Verdict::KeepReachable && doubted.0 != Verdict::KeepReachable {
            return (Verdict::KeepNone, Why::ChangesUnderWay);
        }
        seen
    }

    fn majority(&self, role: Option<&str>, here: Count, there: Count) -> (Verdict, Why) {
        let (reachable, unreachable) = (self.reachable(role, here), self.unreachable(role, there));
        let Some(lowest) = self.both(role, here, there).next().map(|member| member.id) else {
            return (Verdict::KeepNone, Why::NobodyCounts);
        };
        if reachable == unreachable {
            let why = Why::Tie { each: reachable, lowest };
            return (keep_reachable_if(!self.unreachable.contains(&lowest)), why);
        }
        (keep_reachable_if(reachable > unreachable), Why::Majority { reachable, unreachable })
    }

    fn oldest(
        &self,
        down_if_alone: bool,
        role: Option<&str>,
        here: Count,
        there: Count,
    ) -> (Verdict, Why) {
        let age = |member: &&ViewMember| (member.up_number.unwrap_or(u64::MAX), member.id);
        let Some(oldest) = self.both(role, here, there).min_by_key(age).map(|member| member.id)
        else {
            return (Verdict::KeepNone, Why::NobodyCounts);
        };
        let is_reachable = !self.unreachable.contains(&oldest);
        let (reachable, unreachable) = (self.reachable(role, here), self.unreachable(role, there));
        let (its, others) =
            if is_reachable { (reachable, unreachable) } else { (unreachable, reachable) };
        let is_alone = down_if_alone && its == 1 && others > 1;
        (keep_reachable_if(is_reachable != is_alone), Why::Oldest { oldest, is_alone })
    }

    fn reachable(&self, role: Option<&str>, count: Count) -> usize {
        self.counted(role, count).filter(|m| !self.unreachable.contains(&m.id)).count()
    }

    fn unreachable(&self, role: Option<&str>, count: Count) -> usize {
        self.counted(role, count).filter(|m| self.unreachable.contains(&m.id)).count()
    }

    /// All that count, those of each side in its own way: whoever the other side may take for one of its own could be
    /// the lowest or the oldest there.
    fn both<'b>(
        &'b self,
        role: Option<&'b str>,
        here: Count,
        there: Count,
    ) -> impl Iterator<Item = &'b ViewMember> + 'b {
        let holds = move |m: &&ViewMember| {
            let count = if self.unreachable.contains(&m.id) { there } else { here };
            count.holds(m.status)
        };
        self.counted(role, Count::Most).filter(holds)
    }

    fn counted<'b>(
        &'b self,
        role: Option<&'b str>,
        count: Count,
    ) -> impl Iterator<Item = &'b ViewMember> + 'b {
        let has_role =
            move |m: &ViewMember| role.is_none_or(|role| m.roles.iter().any(|its| its == role));
        self.view.members().iter().filter(move |m| count.holds(m.status) && has_role(m))
    }
}

fn keep_reachable_if(condition: bool) -> Verdict {
    if condition { Verdict::KeepReachable } else { Verdict::KeepUnreachable }
}

/// Those that find somebody unreachable and are found so themselves.
fn observers_that_are_subjects(view: &View) -> BTreeSet<MemberId> {
    let observers: BTreeSet<MemberId> = view.records().iter().map(|r| r.observer).collect();
    &observers & &view.unreachable()
}

/// Who is called unreachable and has yet seen this very state is reached by way of others; so is who says it.
fn ends_of_seen_subjects(view: &View) -> BTreeSet<MemberId> {
    let seen = view.records().iter().filter(|record| view.seen().contains(&record.subject));
    seen.flat_map(|record| [record.observer, record.subject]).collect()
}
