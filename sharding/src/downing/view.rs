//! What a node believes about the cluster at one moment: the input of every decision.
//!
//! A view is small and plain on purpose: whatever keeps the membership turns its own state into one. Members are in the
//! order of their addresses, nobody stands in it twice, and what it says of strangers is left out.

use std::collections::BTreeSet;
use std::fmt;

use crate::membership::{MemberId, Status};

/// The most members of a view.
pub const MOST_MEMBERS: usize = 4_096;
/// The most reachability records of a view.
pub const MOST_RECORDS: usize = 65_536;
/// So many members are named in a line of text; the rest are counted.
const NAMED: usize = 32;

/// One member as a view has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewMember {
    /// Who it is.
    pub id: MemberId,
    /// How far it is.
    pub status: Status,
    /// Its place in the order in which members came up; none before it was up. The lowest is the oldest.
    pub up_number: Option<u64>,
    /// The roles it was started with.
    pub roles: Vec<String>,
}

impl ViewMember {
    /// Whether a decision is about it: what is exiting or down already is on its way out.
    pub(crate) fn is_downable(&self) -> bool {
        !self.status.is_ending()
    }

    /// Whether it counts as a full member as things are seen here.
    pub(crate) fn is_full(&self) -> bool {
        self.status.counts()
    }
}

/// `observer` gets no answer from `subject`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unreachable {
    /// Who says so.
    pub observer: MemberId,
    /// About whom.
    pub subject: MemberId,
}

/// The cluster as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    this: MemberId,
    members: Vec<ViewMember>,
    records: BTreeSet<Unreachable>,
    seen: BTreeSet<MemberId>,
}

/// A view that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// Whose view it is stands not in it.
    #[error(
        "{this} is not a member of its own view: give downing no views before the node has joined"
    )]
    NotAMember {
        /// The node.
        this: MemberId,
    },
    /// One member twice.
    #[error("{member} stands twice in a view: merge the two entries first")]
    Twice {
        /// The member.
        member: MemberId,
    },
    /// More members than are allowed.
    #[error("{members} members in a view, at most {MOST_MEMBERS}: split the cluster")]
    TooManyMembers {
        /// So many.
        members: usize,
    },
    /// More records than are allowed.
    #[error(
        "{records} reachability records in a view, at most {MOST_RECORDS}: have fewer observers for a member"
    )]
    TooManyRecords {
        /// So many.
        records: usize,
    },
}

impl View {
    /// The view that `this` has: all members, who finds whom unreachable, and who has seen this same state.
    ///
    /// Records and sightings of nodes that are no members are left out, and so are records by or about members that are
    /// exiting or down.
    ///
    /// # Errors
    /// [`ViewError`]: without `this`, with a member twice, or beyond a limit.
    pub fn new(
        this: MemberId,
        mut members: Vec<ViewMember>,
        records: &[Unreachable],
        seen: &[MemberId],
    ) -> Result<Self, ViewError> {
        if members.len() > MOST_MEMBERS {
            return Err(ViewError::TooManyMembers { members: members.len() });
        }
        if records.len() > MOST_RECORDS {
            return Err(ViewError::TooManyRecords { records: records.len() });
        }
        members.sort_by_key(|member| member.id);
        if let Some(pair) = members.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(ViewError::Twice { member: pair[0].id });
        }
        let mut view = Self { this, members, records: BTreeSet::new(), seen: BTreeSet::new() };
        if view.member(this).is_none() {
            return Err(ViewError::NotAMember { this });
        }
        let counts = |id| view.member(id).is_some_and(ViewMember::is_downable);
        let records = records.iter().copied();
        let records = records.filter(|record| counts(record.observer) && counts(record.subject));
        let records: BTreeSet<Unreachable> = records.collect();
        let seen = seen.iter().copied().filter(|id| view.member(*id).is_some()).collect();
        (view.records, view.seen) = (records, seen);
        Ok(view)
    }

    /// Whose view it is.
    #[must_use]
    pub fn this(&self) -> MemberId {
        self.this
    }

    /// All members, by address.
    #[must_use]
    pub fn members(&self) -> &[ViewMember] {
        &self.members
    }

    /// The member of that id.
    #[must_use]
    pub fn member(&self, id: MemberId) -> Option<&ViewMember> {
        let place = self.members.binary_search_by_key(&id, |member| member.id).ok()?;
        self.members.get(place)
    }

    /// Who finds whom unreachable, among those that are neither exiting nor down.
    #[must_use]
    pub fn records(&self) -> &BTreeSet<Unreachable> {
        &self.records
    }

    /// Who has seen this same state.
    #[must_use]
    pub fn seen(&self) -> &BTreeSet<MemberId> {
        &self.seen
    }

    /// The members that somebody finds unreachable.
    #[must_use]
    pub fn unreachable(&self) -> BTreeSet<MemberId> {
        self.records.iter().map(|record| record.subject).collect()
    }

    /// Who decides on this side: the first by address of the full members that are reached; where there are none, the
    /// first of those that are still joining. A node takes itself for reached.
    #[must_use]
    pub fn leader(&self) -> Option<MemberId> {
        let unreachable = self.unreachable();
        let reached = |m: &&ViewMember| m.id == self.this || !unreachable.contains(&m.id);
        let able = || self.members.iter().filter(|m| m.is_downable()).filter(reached);
        able().find(|member| member.is_full()).or_else(|| able().next()).map(|member| member.id)
    }

    /// Whether a decision on `other` would be one about another situation. Who has seen what changes all the time, and
    /// those that are joining or down may come and go: neither counts.
    pub(crate) fn is_as_stable_as(&self, other: &Self) -> bool {
        let settled = |view: &Self| -> Vec<(MemberId, Status)> {
            let settled = |m: &&ViewMember| !matches!(m.status, Status::Joining | Status::Down);
            view.members.iter().filter(settled).map(|m| (m.id, m.status)).collect()
        };
        self.records == other.records && settled(self) == settled(other)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seen by {}:", self.this)?;
        let unreachable = self.unreachable();
        for member in self.members.iter().take(NAMED) {
            write!(f, " {} {}", member.id, member.status)?;
            if unreachable.contains(&member.id) {
                let by = self.records.iter().filter(|record| record.subject == member.id).count();
                write!(f, " unreachable for {by}")?;
            }
            f.write_str(";")?;
        }
        write_rest(f, self.members.len())
    }
}

/// Writes members, the first few by name.
pub(crate) fn write_members(f: &mut fmt::Formatter<'_>, members: &[MemberId]) -> fmt::Result {
    for (place, member) in members.iter().take(NAMED).enumerate() {
        let separator = if place == 0 { "" } else { ", " };
        write!(f, "{separator}{member}")?;
    }
    write_rest(f, members.len())
}

fn write_rest(f: &mut fmt::Formatter<'_>, members: usize) -> fmt::Result {
    if members > NAMED { write!(f, " and {} more", members - NAMED) } else { Ok(()) }
}
